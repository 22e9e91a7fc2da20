//! Snapshots on their way: one courier per store sends and receives all of them.
//!
//! ```text
//!   sender                                 receiver
//!   Offer ───────────────────────────────► shard: is it wanted?  no ► Refuse(NotWanted)
//!         ◄─────────────────────── Accept 0  room? staging cleared     Refuse(Busy)
//!   Chunk 0, 1, 2, 3 ────────────────────► checked, staged
//!         ◄─────────────────────── Accept n  all before n are here
//!   …                                      last: Event::Staged, the core takes its place
//!         ◄─────────────────────── Done
//!   Event::SnapshotEnded                   Work::Install once that is durable
//! ```
//!
//! Chunks are staged in the engine, so that what arrives needs no memory and an install that was
//! interrupted by a crash begins anew from the disk. A frame that is lost is asked for again: when
//! nothing was heard for a while the sender repeats its offer, and the receiver says where to go
//! on. A session that makes no progress is given up, and the core begins another.
//!
//! Limits: sessions each way, chunks under way per session, bytes per second of all together. What
//! does not fit is refused or ended at once; the core asks again.
//!
//! Single-threaded and without a clock: a store runs it on a thread, a simulation steps it.

mod receive;
mod send;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use storage::{Batch, Engine};
use types::{GroupId, PeerId, StoreId, Time};

use crate::apply::SnapshotBegun;
use crate::config::Config;
use crate::message::{SnapshotBody, SnapshotFrame, SnapshotOffer};
use crate::shard::Event;
use crate::state_machine::Machines;
use receive::Receiving;
use send::Sending;

/// Chunks under way per session.
const WINDOW: u64 = 4;
/// Snapshots that wait to be sent. Each keeps a view of the engine alive.
pub(crate) const WAITING_MAX: usize = 16;
/// After this part of its patience without news, a sender repeats its offer.
const REPEAT_PART: u32 = 5;

/// What a courier wants done.
#[derive(Debug, Default)]
pub struct CourierEffects {
    /// To be sent.
    pub sends: Vec<(StoreId, SnapshotFrame)>,
    /// For the shards.
    pub events: Vec<Event>,
}

/// Sends and receives the snapshots of one store.
pub struct Courier {
    config: Arc<Config>,
    engine: Arc<dyn Engine>,
    machines: Arc<dyn Machines>,
    waiting: VecDeque<SnapshotBegun>,
    sending: BTreeMap<u64, Sending>,
    receiving: BTreeMap<GroupId, Receiving>,
    next_session: u64,
    /// Bytes that may be sent at this instant; below zero, what was sent beyond them.
    allowance: i64,
    allowed_at: Time,
    /// The session that sent a chunk last.
    served: u64,
    counts: CourierCounts,
}

/// How often what happened, since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CourierCounts {
    /// Snapshots that arrived as a whole.
    pub received: u64,
    /// Snapshots whose receiver has all of it.
    pub sent: u64,
    /// Sessions that were refused or given up, both ways.
    pub failed: u64,
    /// Offers that were repeated since nothing was heard.
    pub repeated: u64,
}

impl Courier {
    /// A courier without snapshots. `first_session` differs in each life of the store.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        engine: Arc<dyn Engine>,
        machines: Arc<dyn Machines>,
        first_session: u64,
        now: Time,
    ) -> Courier {
        Courier {
            config,
            engine,
            machines,
            waiting: VecDeque::new(),
            sending: BTreeMap::new(),
            receiving: BTreeMap::new(),
            next_session: first_session,
            allowance: 0,
            allowed_at: now,
            served: 0,
            counts: CourierCounts::default(),
        }
    }

    /// Limits are others from now on.
    pub fn reconfigure(&mut self, config: &Arc<Config>) {
        self.config = Arc::clone(config);
    }

    /// How often what happened.
    #[must_use]
    pub fn counts(&self) -> CourierCounts {
        self.counts
    }

    /// A snapshot was begun: send it.
    pub fn begin(&mut self, now: Time, begun: SnapshotBegun, out: &mut CourierEffects) {
        // The core asks anew: an earlier session would only displace this one at the receiver.
        let is_same = |other: &SnapshotBegun| (other.group, other.to) == (begun.group, begun.to);
        self.waiting.retain(|other| !is_same(other));
        self.sending.retain(|_, session| !is_same(session.begun()));
        if self.waiting.len() >= WAITING_MAX {
            out.events.push(ended(&begun));
            return;
        }
        self.waiting.push_back(begun);
        self.start_waiting(now, out);
    }

    /// A shard wants this snapshot received.
    pub fn receive(
        &mut self,
        now: Time,
        from: StoreId,
        frame: SnapshotFrame,
        offer: Box<SnapshotOffer>,
        out: &mut CourierEffects,
    ) -> Result<(), storage::Error> {
        self.receive_offer(now, from, frame, offer, out)
    }

    /// What was staged and admitted of a group is not needed.
    ///
    /// # Errors
    /// If the engine failed.
    pub fn reject(&mut self, group: GroupId) -> Result<(), storage::Error> {
        self.machines.dismiss(group);
        self.discard(group)
    }

    fn discard(&mut self, group: GroupId) -> Result<(), storage::Error> {
        self.receiving.remove(&group);
        let mut batch = Batch::new();
        crate::disk::discard_chunks(&mut batch, group);
        self.engine.write(&batch, storage::Durability::Buffered)
    }

    /// A frame arrived, other than an offer.
    ///
    /// # Errors
    /// If the engine failed.
    pub fn on_frame(
        &mut self,
        now: Time,
        from: StoreId,
        frame: SnapshotFrame,
        out: &mut CourierEffects,
    ) -> Result<(), storage::Error> {
        match frame.body {
            SnapshotBody::Accept(next) => self.on_accept(now, from, frame.session, next, out),
            SnapshotBody::Refuse(why) => {
                tracing::debug!(group = %frame.group, ?why, "snapshot refused by the receiver");
                self.finish(now, from, frame.session, false, out);
            }
            SnapshotBody::Done => self.finish(now, from, frame.session, true, out),
            SnapshotBody::Chunk(_) => return self.on_chunk(now, from, frame, out),
            SnapshotBody::Offer(_) => {}
        }
        Ok(())
    }

    /// When [`Courier::tick`] matters next.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let sending = self.sending.values().map(|session| session.deadline(&self.config));
        let patience = self.config.snapshot_patience;
        let receiving = self.receiving.values().filter_map(|session| session.ends_at(patience));
        sending.chain(receiving).chain(self.allowed_again()).min()
    }

    /// Time has passed.
    ///
    /// # Errors
    /// If the engine failed.
    pub fn tick(&mut self, now: Time, out: &mut CourierEffects) -> Result<(), storage::Error> {
        let patience = self.config.snapshot_patience;
        let given_up: Vec<u64> = (self.sending.iter())
            .filter(|(_, session)| now >= session.progress_at.after(patience))
            .map(|(&id, _)| id)
            .collect();
        for id in given_up {
            self.end_sending(now, id, false, out);
        }
        let repeat = repeat_after(patience);
        for (&id, session) in &mut self.sending {
            if now >= session.said_at.after(repeat) && !session.wants_to_send() {
                session.said_at = now;
                self.counts.repeated += 1;
                out.sends.push(session.offer_frame(id));
            }
        }
        let silent: Vec<GroupId> = (self.receiving.iter())
            .filter(|(_, session)| session.ends_at(patience).is_some_and(|at| now >= at))
            .map(|(&group, _)| group)
            .collect();
        for group in silent {
            self.counts.failed += 1;
            self.discard(group)?;
        }
        self.pump(now, out);
        Ok(())
    }
}

fn repeat_after(patience: Duration) -> Duration {
    patience / REPEAT_PART
}

fn ended(begun: &SnapshotBegun) -> Event {
    Event::SnapshotEnded { group: begun.group, peer: begun.peer, to: begun.to }
}

fn frame(
    group: GroupId,
    (from, to): (PeerId, PeerId),
    session: u64,
    body: SnapshotBody,
) -> SnapshotFrame {
    SnapshotFrame { group, from, to, session, body }
}
