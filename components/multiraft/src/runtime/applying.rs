//! An apply thread: state machines of some groups.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError};

use super::carrier::Cargo;
use super::pending::Waiters;
use super::{Mail, Shared, clock};
use crate::apply::{Applier, ApplyOutput, ApplyTask, OnFull};
use crate::outcome::Outcome;
use crate::shard::Event;

/// Groups that get a slice before the results go out.
const GROUPS_PER_WRITE: usize = 64;
/// How often a full engine is tried again.
const TRY_EVERY: Duration = Duration::from_millis(100);

pub(crate) fn run(shared: &Arc<Shared>, mut applier: Applier, tasks: &Receiver<Vec<ApplyTask>>) {
    let is_waiting = Arc::new(AtomicBool::new(false));
    applier.when_full(wait_for_room(Arc::clone(shared), Arc::clone(&is_waiting)));
    let mut out = ApplyOutput::default();
    loop {
        if applier.is_idle() {
            let Ok(first) = tasks.recv() else { return };
            first.into_iter().for_each(|task| applier.push(task));
        }
        loop {
            match tasks.try_recv() {
                Ok(more) => more.into_iter().for_each(|task| applier.push(task)),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        if shared.fate.is_over() {
            return;
        }
        if let Err(why) = applier.run(GROUPS_PER_WRITE, &mut out) {
            // A store that stops waits no longer for room, and that is nobody's fault.
            if !shared.fate.is_over() {
                shared.fatal(&format!("a command was not applied: {why}"));
            }
            return;
        }
        hand_out(shared, &mut out);
        // What was written found room.
        if is_waiting.swap(false, Ordering::Relaxed) {
            shared.full_waits.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Waits a little each time it is asked, and says `is_waiting` until the applier has found room.
fn wait_for_room(shared: Arc<Shared>, is_waiting: Arc<AtomicBool>) -> OnFull {
    let mut began = clock::now();
    Box::new(move || {
        let now = clock::now();
        if !is_waiting.swap(true, Ordering::Relaxed) {
            began = now;
            shared.full_waits.fetch_add(1, Ordering::Relaxed);
        }
        if now >= began.after(shared.config.undetermined_after) {
            // What is committed is applied when there is room; nobody waits for that.
            shared.waiters.iter().for_each(Waiters::give_up);
        }
        std::thread::sleep(TRY_EVERY);
        !shared.fate.is_over()
    })
}

/// Callers are answered from here: their answer does not wait for a worker's turn.
fn hand_out(shared: &Shared, out: &mut ApplyOutput) {
    shared.counters.applied.fetch_add(std::mem::take(&mut out.entries), Ordering::Relaxed);
    let workers = shared.workers.len();
    let mut events: Vec<Vec<Event>> = (0..workers).map(|_| Vec::new()).collect();
    for applied in out.applied.drain(..) {
        events[shared.worker_of(applied.group)].push(Event::Applied(Box::new(applied)));
    }
    // First the workers: whoever is answered finds there what its command brought into being.
    for (worker, events) in events.into_iter().enumerate().filter(|(_, list)| !list.is_empty()) {
        let _ = shared.workers[worker].send(Mail::Events(events));
    }
    let mut replies: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
    for reply in out.replies.drain(..) {
        replies[shared.worker_of(reply.0)].push(reply);
    }
    for (worker, replies) in replies.into_iter().enumerate().filter(|(_, list)| !list.is_empty()) {
        shared.leases[worker].answered(replies.iter().map(|&(group, _, index, _)| (group, index)));
        let outcome = |(_, token, index, reply)| (token, Outcome::Applied { index, reply });
        shared.waiters[worker].answer(replies.into_iter().map(outcome));
    }
    for begun in out.snapshots.drain(..) {
        let _ = shared.carrier.send(Cargo::Begun(begun));
    }
}
