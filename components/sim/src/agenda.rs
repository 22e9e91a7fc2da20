//! What is to happen, in the order in which it does: by time, and at the same time as it was said.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use types::Time;

/// Happenings to come, and the present.
pub(crate) struct Agenda<H> {
    now: Time,
    queue: BinaryHeap<Reverse<(Time, u64)>>,
    happenings: BTreeMap<u64, H>,
    serial: u64,
}

impl<H> Agenda<H> {
    /// Nothing to come, at the beginning of time.
    pub(crate) fn new() -> Agenda<H> {
        Agenda { now: Time::ZERO, queue: BinaryHeap::new(), happenings: BTreeMap::new(), serial: 0 }
    }

    /// The present.
    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// A number that nothing else has.
    pub(crate) fn number(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Something happens at `time`, or now if that has passed.
    pub(crate) fn at(&mut self, time: Time, happening: H) {
        let serial = self.number();
        self.queue.push(Reverse((time.max(self.now), serial)));
        self.happenings.insert(serial, happening);
    }

    /// Goes on to what happens next, if that is not behind `end`; else to `end`.
    pub(crate) fn next_until(&mut self, end: Time) -> Option<H> {
        let Some(&Reverse((time, serial))) = self.queue.peek().filter(|next| next.0.0 <= end)
        else {
            self.now = end;
            return None;
        };
        self.queue.pop();
        self.now = time;
        Some(self.happenings.remove(&serial).expect("queued with its serial"))
    }
}
