//! The log writer: what all workers have for the disk, in one batch with one sync.
//!
//! While one write is on its way, the next gathers: the slower the disk and the more groups are
//! busy, the more goes into each. One thread that gathers beats several that leave it to the engine
//! (docs/perf.md).

use std::sync::atomic::Ordering;
use std::time::Instant;

use crossbeam_channel::Receiver;
use storage::{Batch, Durability};

use super::{Mail, Shared};
use crate::shard::{Event, ShardWrite};

/// Bytes after which a write does not gather more.
const GATHER_BYTES: usize = 8 << 20;

/// What reaches the log writer.
pub(crate) enum Submitted {
    /// A write of this worker.
    Write(usize, ShardWrite),
    /// The store stops.
    Stop,
}

pub(crate) fn run(shared: &Shared, submitted: &Receiver<Submitted>) {
    let mut batch = Batch::new();
    let mut newest: Vec<Option<u64>> = vec![None; shared.workers.len()];
    let engine = super::patient::Patient::new(shared);
    while let Ok(first) = submitted.recv() {
        batch.clear();
        let (mut next, mut gathered, mut bytes) = (Some(first), 0, 0);
        while let Some(message) = next {
            let Submitted::Write(worker, write) = message else { return };
            batch.append(&write.batch);
            bytes += write.batch.bytes();
            newest[worker] = Some(write.number);
            gathered += 1;
            next = (batch.bytes() < GATHER_BYTES).then(|| submitted.try_recv().ok()).flatten();
        }
        let began = Instant::now();
        if let Err(why) = engine.write(&batch, Durability::Synced) {
            // A store that stops waits no longer for room, and that is nobody's fault.
            if !shared.fate.is_over() {
                shared.fatal(&format!("the log was not written: {why}"));
            }
            return;
        }
        shared.writing_bytes.fetch_sub(bytes, Ordering::Relaxed);
        shared.counters.sync_times.record(began.elapsed());
        shared.counters.syncs.fetch_add(1, Ordering::Relaxed);
        shared.counters.log_writes.fetch_add(gathered, Ordering::Relaxed);
        shared.counters.log_bytes.fetch_add(batch.bytes(), Ordering::Relaxed);
        for (worker, number) in newest.iter_mut().enumerate() {
            if let Some(number) = number.take() {
                let _ = shared.workers[worker].send(Mail::Event(Event::Persisted(number)));
            }
        }
    }
}
