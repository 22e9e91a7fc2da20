//! The pulse: the thread that keeps up store liveness.
//!
//! It has a thread of its own since it waits for the disk on purpose: a store whose disk stands
//! still asks nobody for support.

use std::sync::Arc;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use storage::{Batch, Durability};
use types::{StoreId, Time};

use super::{Shared, clock};
use crate::disk;
use crate::message::{Liveness, Parcel};
use crate::shard::Event;
use crate::shard::liveness::{Detector, LivenessEffects, Remembered};

/// What reaches the pulse.
pub(crate) enum Beat {
    /// A message arrived, then.
    Message(StoreId, Liveness, Time),
    /// A store is of interest.
    Watch(StoreId),
    /// The store stops.
    Stop,
}

/// Messages that wait for the pulse.
pub(super) const BEATS_MAX: usize = 4_096;

pub(crate) fn run(
    shared: &Shared,
    remembered: &Remembered,
    stores: &[StoreId],
    mut outlived: Option<(Time, Batch)>,
    beats: &Receiver<Beat>,
) {
    let config = &shared.config;
    let times = (config.liveness_interval, config.support_span);
    let pledges = Arc::clone(&shared.pledges);
    let mut detector = Detector::new(remembered, times, pledges, clock::now());
    stores.iter().for_each(|&store| detector.watch(store));
    let mut out = LivenessEffects::default();
    loop {
        let got = beats.recv_timeout(clock::until(detector.deadline()));
        let now = clock::now();
        match got {
            // One that waited for a disk says nothing of who lives now.
            Ok(Beat::Message(_, _, arrived)) if arrived.after(config.support_span) <= now => {}
            Ok(Beat::Message(from, message, _)) => {
                detector.on_message(now, from, &message, &mut out);
            }
            Ok(Beat::Watch(store)) => detector.watch(store),
            Ok(Beat::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if detector.deadline() <= now {
            detector.tick(now, &mut out);
        }
        if out.records.is_empty()
            && let Some((_, record)) = outlived.take_if(|(at, _)| *at <= now)
        {
            out.records = record;
        }
        if !carry_out(shared, detector.epoch(), &mut out) {
            return;
        }
    }
}

/// Returns whether to go on.
fn carry_out(shared: &Shared, epoch: u64, out: &mut LivenessEffects) -> bool {
    let LivenessEffects { records, sync, sends, changes } = std::mem::take(out);
    if sync || !records.is_empty() {
        let mut batch: Batch = records;
        if batch.is_empty() {
            // Something has to be written for the disk to say that it is well.
            disk::put_own_epoch(&mut batch, epoch);
        }
        let engine = super::patient::Patient::new(shared);
        if let Err(why) = engine.write(&batch, Durability::Synced) {
            if !shared.fate.is_over() {
                shared.fatal(&format!("store liveness was not written: {why}"));
            }
            return false;
        }
    }
    for (store, message) in sends {
        shared.transport.send(store, Parcel::Liveness(message));
    }
    for (store, held) in changes {
        shared.post(Event::Support { store, held });
    }
    true
}
