//! The carrier: the thread that moves what is large. Snapshots, and log entries that are no longer
//! in memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use types::StoreId;

use super::{Shared, clock};
use crate::apply::SnapshotBegun;
use crate::courier::{Courier, CourierEffects};
use crate::fetch;
use crate::message::{Parcel, SnapshotFrame};
use crate::shard::{Event, Fetch, SnapshotEffect};

/// What reaches the carrier.
pub(crate) enum Cargo {
    /// A snapshot to be sent.
    Begun(SnapshotBegun),
    /// What a shard wants done about a snapshot.
    Effect(SnapshotEffect),
    /// A frame arrived.
    Frame(StoreId, SnapshotFrame),
    /// Entries to be read back.
    Fetch(Fetch),
    /// The store stops.
    Stop,
}

pub(crate) fn run(shared: &Shared, life: u64, cargo: &Receiver<Cargo>) {
    let engine = Arc::clone(&shared.engine);
    // Sessions of another life are not taken for those of this one.
    let first_session = life << 32;
    let (config, machines) = (Arc::clone(&shared.config), Arc::clone(&shared.machines));
    let mut courier = Courier::new(config, engine, machines, first_session, clock::now());
    let mut out = CourierEffects::default();
    loop {
        let got = match courier.deadline() {
            Some(at) => cargo.recv_timeout(clock::until(at)),
            None => cargo.recv().map_err(RecvTimeoutError::from),
        };
        let now = clock::now();
        let done = match got {
            Ok(Cargo::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => courier.tick(now, &mut out),
            Ok(Cargo::Begun(begun)) => {
                courier.begin(now, begun, &mut out);
                Ok(())
            }
            Ok(Cargo::Effect(effect)) => match effect {
                SnapshotEffect::Receive { from, frame, offer } => {
                    courier.receive(now, from, frame, offer, &mut out)
                }
                SnapshotEffect::Answer(store, frame) => {
                    out.sends.push((store, frame));
                    Ok(())
                }
                SnapshotEffect::Discard(group) => courier.reject(group),
                SnapshotEffect::Taken(group) => {
                    courier.taken_over(group);
                    Ok(())
                }
            },
            Ok(Cargo::Frame(from, frame)) => courier.on_frame(now, from, frame, &mut out),
            Ok(Cargo::Fetch(fetch)) => {
                let fetched = fetch::fetch(&*shared.engine, fetch);
                shared.post(Event::Fetched(Box::new(fetched)));
                Ok(())
            }
        };
        if let Err(why) = done
            && !matches!(why, storage::Error::Full(_))
        {
            return shared.fatal(&format!("a snapshot was not staged: {why}"));
        }
        let (counts, counters) = (courier.counts(), &shared.counters);
        counters.snapshots_sent.store(counts.sent, Ordering::Relaxed);
        counters.snapshots_received.store(counts.received, Ordering::Relaxed);
        counters.snapshots_failed.store(counts.failed, Ordering::Relaxed);
        for (store, frame) in out.sends.drain(..) {
            shared.transport.send(store, Parcel::Snapshot(frame));
        }
        for event in out.events.drain(..) {
            shared.post(event);
        }
    }
}
