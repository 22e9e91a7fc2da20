//! A worker: the thread that owns a shard.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use types::{StoreId, Time};

use super::carrier::Cargo;
use super::log_writer::Submitted;
use super::pulse::Beat;
use super::{Mail, Shared, clock};
use crate::boot;
use crate::message::Parcel;
use crate::shard::{Effects, Event, Shard};

/// Mail that is taken in before effects are carried out.
const MAIL_PER_TURN: usize = 4_096;
/// How often a worker looks whether the disk hangs.
const LOOK_EVERY: Duration = Duration::from_secs(5);

struct Worker<'a> {
    shared: &'a Shared,
    nth: usize,
    shard: Shard,
    effects: Effects,
    /// Stores that liveness was told of.
    watched: BTreeSet<StoreId>,
    /// The oldest write on its way, and since when; the newest.
    oldest: Option<(u64, Time)>,
    newest: u64,
    /// Since when somebody waits for room on the disk, or what is led was given up for it last.
    full_since: Option<Time>,
}

pub(crate) fn run(shared: &Shared, nth: usize, shard: Shard, mail: &Receiver<Mail>) {
    let effects = Effects::new();
    let watched = BTreeSet::new();
    let (oldest, newest, full_since) = (None, 0, None);
    let mut worker = Worker { shared, nth, shard, effects, watched, oldest, newest, full_since };
    // What came up while the store was opened.
    worker.turn();
    loop {
        let look = match (worker.oldest, worker.full_since) {
            (None, None) => LOOK_EVERY,
            _ => shared.config.disk_stall_after / 2,
        };
        let wait = worker.shard.deadline().map_or(look, clock::until).min(look);
        let first = match mail.recv_timeout(wait) {
            Ok(first) => Some(first),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut next = first;
        for _ in 0..MAIL_PER_TURN {
            let Some(mail_item) = next else { break };
            if !worker.take(mail_item) {
                return worker.stop();
            }
            next = mail.try_recv().ok();
        }
        if let Some(last) = next
            && !worker.take(last)
        {
            return worker.stop();
        }
        worker.turn();
    }
}

impl Worker<'_> {
    /// Returns whether to go on.
    fn take(&mut self, mail: Mail) -> bool {
        match mail {
            Mail::Event(event) => self.handle(event),
            Mail::Events(events) => events.into_iter().for_each(|event| self.handle(event)),
            Mail::Heavy(events, bytes) => {
                events.into_iter().for_each(|event| self.handle(event));
                self.shared.inbox_bytes.fetch_sub(bytes, Ordering::Relaxed);
            }
            Mail::Stop => return false,
        }
        true
    }

    fn handle(&mut self, event: Event) {
        let now = clock::now();
        if let Event::Persisted(number) = event
            && let Some((oldest, _)) = self.oldest
            && number >= oldest
        {
            self.oldest = (number < self.newest).then_some((number + 1, now));
        }
        self.shard.handle(now, event);
    }

    fn turn(&mut self) {
        let now = clock::now();
        if self.shard.deadline().is_some_and(|at| at <= now) {
            self.shard.wake(now);
        }
        if let Some((_, since)) = self.oldest {
            let config = &self.shared.config;
            let is_full = self.shared.is_full();
            let room_since = self.shared.room_since();
            if !is_full && hangs(now, since, room_since, config.disk_hang_after) {
                self.shared.fatal("a write of the log takes too long: the disk hangs");
            } else if now >= since.after(config.disk_stall_after) {
                self.shard.stand_down(now);
            }
        }
        self.look_for_room(now);
        let mut effects = std::mem::take(&mut self.effects);
        self.shard.drain(now, &mut effects);
        self.carry_out(now, &mut effects);
        self.effects = effects;
    }

    /// Nothing is proposed while there is no room, so that no write of ours need be on its way to
    /// say so: what is led from here takes no writes, and had better be led from elsewhere.
    fn look_for_room(&mut self, now: Time) {
        if !self.shared.is_full() {
            self.full_since = None;
            return;
        }
        let since = *self.full_since.get_or_insert(now);
        if now >= since.after(self.shared.config.disk_stall_after) {
            self.shard.stand_down(now);
            self.full_since = Some(now);
        }
    }

    fn carry_out(&mut self, now: Time, effects: &mut Effects) {
        let shared = self.shared;
        if shared.fate.is_over() {
            // What failed may have been durable, or not: nothing is said any more.
            *effects = Effects::new();
            return;
        }
        shared.leases[self.nth].tell(&effects.standings, effects.leases.drain(..));
        for (group, standing) in effects.standings.drain(..) {
            match (&shared.observer, standing) {
                (Some(observer), Some(standing)) => observer.standing(group, standing),
                (Some(observer), None) => observer.gone(group),
                (None, _) => {}
            }
        }
        // Messages before anything that waits: they do not need our disk.
        for (store, envelopes) in effects.sends.drain(..) {
            if self.watched.insert(store) {
                let _ = shared.pulse.send(Beat::Watch(store));
            }
            shared.counters.envelopes.fetch_add(envelopes.len(), Ordering::Relaxed);
            shared.transport.send(store, Parcel::Groups(envelopes));
        }
        if let Some(write) = effects.write.take() {
            self.newest = write.number;
            self.oldest = self.oldest.or(Some((write.number, now)));
            shared.writing_bytes.fetch_add(write.batch.bytes(), Ordering::Relaxed);
            let _ = shared.log.send(Submitted::Write(self.nth, write));
        }
        if !effects.apply.is_empty() {
            self.apply(effects);
        }
        for fetch in effects.fetches.drain(..) {
            let _ = shared.carrier.send(Cargo::Fetch(fetch));
        }
        for effect in effects.snapshots.drain(..) {
            shared.snapshot(effect);
        }
        if !effects.replies.is_empty() {
            shared.waiters[self.nth].answer(effects.replies.drain(..));
        }
    }

    fn apply(&self, effects: &mut Effects) {
        let lanes = &self.shared.appliers;
        if let [lane] = lanes.as_slice() {
            let _ = lane.send(std::mem::take(&mut effects.apply));
            return;
        }
        let mut tasks: Vec<Vec<_>> = lanes.iter().map(|_| Vec::new()).collect();
        for task in effects.apply.drain(..) {
            tasks[boot::shard_of(task.group, lanes.len())].push(task);
        }
        for (lane, tasks) in lanes.iter().zip(tasks).filter(|(_, tasks)| !tasks.is_empty()) {
            let _ = lane.send(tasks);
        }
    }

    fn stop(mut self) {
        self.shard.stop();
        let now = clock::now();
        let mut effects = std::mem::take(&mut self.effects);
        self.shard.drain(now, &mut effects);
        self.shared.waiters[self.nth].answer(effects.replies.drain(..));
    }
}

/// Whether a write that began at `since` has taken too long. On a disk that was full it could not
/// end before there was room, and then may not have been heard of yet.
fn hangs(now: Time, since: Time, room_since: Time, after: Duration) -> bool {
    now >= since.max(room_since).after(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_that_waited_for_room_hangs_only_when_it_takes_too_long_after_that() {
        let after = Duration::from_secs(60);
        let at = |seconds| Time::ZERO.after(Duration::from_secs(seconds));
        assert!(!hangs(at(69), at(10), Time::ZERO, after));
        assert!(hangs(at(70), at(10), Time::ZERO, after));
        assert!(!hangs(at(101), at(10), at(100), after), "room came back a second ago");
        assert!(hangs(at(160), at(10), at(100), after));
        assert!(!hangs(at(161), at(110), at(100), after), "it began when there was room");
    }
}
