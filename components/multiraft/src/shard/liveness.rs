//! Store liveness: which stores lend each other support, and so stand in for the election timers of
//! all groups between them.
//!
//! Each store has an *epoch*. Another store *supports* it: that is a promise to take it for alive,
//! in this epoch, until the promise runs out on the supporter's own clock. Every message asks for
//! support to be renewed and says whom the sender supports.
//!
//! ```text
//!    A (epoch 3)  ── epoch 3, sent at t ───────────────► B   lends: supports 3 until now + span
//!                 ◄── supports 3, echo t ───────────────     A counts its support from t
//!    silence…                                            B   runs out: withdraws 3 for ever,
//!                 ◄── at least 4 ──────────────────────      A goes on as epoch 4
//! ```
//!
//! It is a pair of one-way promises, and a store is *vouched for* while both hold: we support it,
//! and it supports us. One that hears us but is not heard, or the other way round, is not vouched
//! for, on either side.
//!
//! # What survives a crash
//!
//! An epoch is written before it is used, and rises at each start. That support was lent is written
//! before it is said, and that it was withdrawn before anyone acts on it: so no epoch is supported
//! again once it was withdrawn, whatever happens to clocks. When a promise runs out is not written:
//! after a restart it lasts a whole span from then on.
//!
//! Before a store asks for support it syncs its disk. A store whose disk stands still is silent,
//! and loses its support with everything that rests on it.
//!
//! Invariant: of one store's epochs, a supporter supports at most one, and they rise.
//!
//! Support grants no lease and decides no election: being wrong costs time. The same messages renew
//! what leases rest on, see `pledges`; for their sake each that asks is answered at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raft::Pledge;
use storage::Batch;
use types::{StoreId, Time};

use crate::disk;
use crate::message::Liveness;
use crate::pledges::Pledges;

/// How long support that was lent counts short of its span, for clocks that drift: one part in
/// this many.
const DRIFT_PART: u32 = 100;

/// What store liveness of a store must remember.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// The store's own epoch, of this life.
    pub epoch: u64,
    /// Epochs of others: the last one supported, and whether that was withdrawn.
    pub support: BTreeMap<StoreId, (u64, bool)>,
}

/// What liveness wants done, in this order: make the records durable, and where
/// [`LivenessEffects::sync`] says so sync the disk even if there are none; then send; then tell the
/// shards.
#[derive(Debug, Default)]
pub struct LivenessEffects {
    /// To be written.
    pub records: Batch,
    /// Whether what is sent asks for support, for which the disk must be well.
    pub sync: bool,
    /// To be sent.
    pub sends: Vec<(StoreId, Liveness)>,
    /// Stores that are vouched for from now on, or not any more.
    pub changes: Vec<(StoreId, bool)>,
}

/// The two promises between this store and another.
#[derive(Clone, Debug)]
struct Pair {
    /// Its epoch that we support; 0 for none.
    supports: u64,
    /// Earlier epochs of it are withdrawn.
    at_least: u64,
    /// When our support runs out.
    until: Time,
    /// Until when it supports our present epoch, on our clock.
    supported_until: Time,
    /// Its newest message that we know.
    echo: u64,
    /// What that renewed.
    promise: Pledge,
    /// What the shards were told last.
    told: bool,
}

/// Store liveness of one store.
#[derive(Debug)]
pub struct Detector {
    epoch: u64,
    interval: Duration,
    span: Duration,
    pairs: BTreeMap<StoreId, Pair>,
    next_beat: Time,
    /// Our epoch rose and is not written yet.
    epoch_rose: bool,
    pledges: Arc<Pledges>,
}

impl Detector {
    /// What is remembered was read after the epoch of this life was written.
    #[must_use]
    pub fn new(
        remembered: &Remembered,
        (interval, span): (Duration, Duration),
        pledges: Arc<Pledges>,
        now: Time,
    ) -> Detector {
        let pairs = (remembered.support.iter()).map(|(&store, &(epoch, withdrawn))| {
            let pair = Pair {
                supports: if withdrawn { 0 } else { epoch },
                at_least: if withdrawn { epoch + 1 } else { epoch },
                // How long it had to go is not known: all of it, once more.
                until: now.after(span),
                ..Pair::new()
            };
            (store, pair)
        });
        Detector {
            epoch: remembered.epoch,
            interval,
            span,
            pairs: pairs.collect(),
            next_beat: now,
            epoch_rose: false,
            pledges,
        }
    }

    /// Begins to exchange liveness with a store.
    pub fn watch(&mut self, store: StoreId) {
        self.pairs.entry(store).or_insert_with(Pair::new);
    }

    /// This store's epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether a store is vouched for at this instant.
    #[must_use]
    pub fn vouches(&self, store: StoreId, now: Time) -> bool {
        self.pairs.get(&store).is_some_and(|pair| pair.is_mutual(now))
    }

    /// The epoch of another store that this one supports, and until when.
    #[must_use]
    pub fn supports(&self, store: StoreId) -> Option<(u64, Time)> {
        let pair = self.pairs.get(&store)?;
        (pair.supports > 0).then_some((pair.supports, pair.until))
    }

    /// When [`Detector::tick`] matters next.
    #[must_use]
    pub fn deadline(&self) -> Time {
        let ends = self.pairs.values().flat_map(|pair| {
            let lent = (pair.supports > 0).then_some(pair.until);
            let borrowed = pair.told.then_some(pair.supported_until);
            lent.into_iter().chain(borrowed)
        });
        ends.fold(self.next_beat, Time::min)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Time, out: &mut LivenessEffects) {
        for (&store, pair) in &mut self.pairs {
            if pair.supports > 0 && now >= pair.until {
                tracing::info!(store = %store, epoch = pair.supports, "support withdrawn");
                pair.at_least = pair.supports + 1;
                disk::put_support(&mut out.records, store, pair.supports, true);
                pair.supports = 0;
            }
        }
        if now >= self.next_beat {
            self.next_beat = now.after(self.interval);
            if std::mem::take(&mut self.epoch_rose) {
                disk::put_own_epoch(&mut out.records, self.epoch);
            }
            out.sync = true;
            let epoch = self.epoch;
            out.sends
                .extend(self.pairs.iter().map(|(&store, pair)| (store, pair.says(epoch, now))));
        }
        self.tell(now, out);
    }

    /// A message of another store arrived.
    pub fn on_message(
        &mut self,
        now: Time,
        from: StoreId,
        message: &Liveness,
        out: &mut LivenessEffects,
    ) {
        let (epoch, span) = (self.epoch, self.span);
        let pair = self.pairs.entry(from).or_insert_with(Pair::new);
        if message.sent_at < pair.echo && message.epoch <= pair.supports {
            // Overtaken by a newer one of the same life.
            return;
        }

        let counts = message.epoch >= pair.at_least.max(1) && message.epoch >= pair.supports;
        if counts && !message.answers {
            if message.epoch > pair.supports {
                self.pledges.begin_anew(from);
                // Another life: what was vouched for is over, even if this one is at once.
                if pair.told {
                    pair.told = false;
                    out.changes.push((from, false));
                }
                pair.supports = message.epoch;
                pair.at_least = message.epoch;
                pair.supported_until = Time::ZERO;
                disk::put_support(&mut out.records, from, message.epoch, false);
            }
            pair.until = pair.until.max(now.after(span));
            pair.echo = message.sent_at;
            pair.promise = self.pledges.renew(now, from);
            // An epoch that is not written yet is not used.
            if !self.epoch_rose && message.at_least <= epoch {
                out.sends.push((from, Liveness { answers: true, ..pair.says(epoch, now) }));
            }
        }
        if message.at_least > epoch {
            // Our epoch was withdrawn: ask for support as another.
            self.epoch = message.at_least;
            self.epoch_rose = true;
            self.next_beat = now;
            for pair in self.pairs.values_mut() {
                pair.supported_until = Time::ZERO;
            }
        } else if message.supports == epoch && (1..=now.0).contains(&message.echo) {
            // It promised when it got our message, so not before we sent it.
            let lasts = span.saturating_sub(span / DRIFT_PART);
            pair.supported_until = pair.supported_until.max(Time(message.echo).after(lasts));
            self.pledges.heard(from, message.promise, Time(message.echo));
        }
        self.tell(now, out);
    }

    fn tell(&mut self, now: Time, out: &mut LivenessEffects) {
        for (&store, pair) in &mut self.pairs {
            let is_mutual = pair.is_mutual(now);
            if is_mutual != pair.told {
                pair.told = is_mutual;
                out.changes.push((store, is_mutual));
            }
        }
    }
}

impl Pair {
    fn new() -> Pair {
        Pair {
            supports: 0,
            at_least: 0,
            until: Time::ZERO,
            supported_until: Time::ZERO,
            echo: 0,
            promise: Pledge(0),
            told: false,
        }
    }

    fn says(&self, epoch: u64, now: Time) -> Liveness {
        Liveness {
            epoch,
            sent_at: now.0,
            supports: self.supports,
            at_least: self.at_least,
            echo: self.echo,
            promise: self.promise,
            answers: false,
        }
    }

    fn is_mutual(&self, now: Time) -> bool {
        self.supports > 0 && now < self.until && now < self.supported_until
    }
}

#[cfg(test)]
mod tests;
