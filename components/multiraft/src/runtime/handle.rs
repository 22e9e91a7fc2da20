//! How callers and the network reach a store.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use raft::Change;
use types::{GroupId, Index, PeerId, StoreId};

use super::carrier::Cargo;
use super::pending::refused;
use super::pulse::{BEATS_MAX, Beat};
use super::{Counts, Mail, Pending, Shared, clock};
use crate::lease::Lease;
use crate::message::{Body, Envelope, Parcel, SnapshotBody};
use crate::outcome::Refusal;
use crate::shard::{Beginning, Event, Token};
use crate::transport::Inbox;

/// A store, for callers. Each method returns at once; what comes of it is in the [`Pending`].
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>) -> Handle {
        Handle { shared }
    }

    /// Proposes a command to a group that is led from here. Ends as `Applied` with the machine's
    /// reply, `Refused` (nothing was done), or `Undetermined`.
    ///
    /// Not for commands that bring groups into being: see [`Handle::propose_spawn`].
    pub fn propose(&self, group: GroupId, command: Bytes) -> Pending {
        self.propose_as(group, command, false)
    }

    /// As [`Handle::propose`], for a command with which groups begin
    /// ([`StateMachine::spawned`](crate::StateMachine::spawned)). They may answer for what was this
    /// group's, so nobody has a [`Lease`] of it until the command is applied here.
    ///
    /// # Panics
    /// A store that leads the group does, on its own threads, if groups begin with a command that
    /// was proposed otherwise.
    pub fn propose_spawn(&self, group: GroupId, command: Bytes) -> Pending {
        self.propose_as(group, command, true)
    }

    fn propose_as(&self, group: GroupId, command: Bytes, spawns: bool) -> Pending {
        let bytes = command.len();
        if self.shared.is_full() {
            return refused(Refusal::Full);
        }
        self.shared.counters.proposals.fetch_add(1, Ordering::Relaxed);
        self.ask(group, bytes, |token| Event::Propose { group, token, command, spawns })
    }

    /// Asks for the right to read: once it ends as `Readable`, the state that is applied here
    /// reflects everything that was answered before this call.
    pub fn read(&self, group: GroupId) -> Pending {
        self.ask(group, 0, |token| Event::Read { group, token })
    }

    /// The right to read at once a group that is led from here; `None` if [`Handle::read`] has to
    /// be asked. For a read that looks at the state afterwards: see [`Lease`].
    #[must_use]
    pub fn lease(&self, group: GroupId) -> Option<Lease> {
        let shared = &self.shared;
        let now = clock::now();
        let lease = shared.leases[shared.worker_of(group)].of(group, now, &shared.pledges)?;
        (lease.holds(now) && !shared.fate.is_over()).then_some(lease)
    }

    /// Changes who belongs to a group; newcomers come with their stores. `Done` says that it has
    /// begun: it ends by itself, also under another leader. See [`raft::Input::Change`].
    ///
    /// It changes whichever membership is in force, which may be another than the caller has seen:
    /// [`Handle::change_since`] is for what was decided by that.
    ///
    /// A change after which no majority of the voters would take entries, as far as the leader
    /// hears, is refused as [`Refusal::OutOfReach`]: a newcomer begins as a learner.
    pub fn change(&self, group: GroupId, changes: Vec<(Change, Option<StoreId>)>) -> Pending {
        self.ask(group, 0, |token| Event::Change { group, token, since: None, changes })
    }

    /// As [`Handle::change`], of the membership of this slot alone
    /// ([`GroupStatus::since`](crate::GroupStatus::since)). If there is another by now, it is
    /// refused as [`Refusal::Changed`], so that what is asked twice is not done twice either.
    pub fn change_since(
        &self,
        group: GroupId,
        since: Index,
        changes: Vec<(Change, Option<StoreId>)>,
    ) -> Pending {
        let since = Some(since);
        self.ask(group, 0, |token| Event::Change { group, token, since, changes })
    }

    /// Hands leadership to a voter. `Done` says that it has begun.
    pub fn transfer(&self, group: GroupId, to: PeerId) -> Pending {
        self.ask(group, 0, |token| Event::Transfer { group, token, to })
    }

    /// Makes the peer here campaign.
    pub fn campaign(&self, group: GroupId) -> Pending {
        self.ask(group, 0, |token| Event::Campaign { group, token })
    }

    /// Looks at a group: ends as `Status`.
    pub fn status(&self, group: GroupId) -> Pending {
        self.ask(group, 0, |token| Event::Look { group, token })
    }

    /// Makes this store host a new group. The same beginning is to be given to all its first
    /// members. Ends as `Done` once that is durable; to do it twice is to do it once.
    pub fn create(&self, group: GroupId, beginning: Beginning) -> Pending {
        let beginning = Box::new(beginning);
        self.ask(group, 0, |token| Event::Create { group, token, beginning })
    }

    /// Takes a group off this store, with everything it has here. Does not change who belongs to
    /// it. Ends as `Done` once a tombstone is durable.
    pub fn destroy(&self, group: GroupId) -> Pending {
        self.ask(group, 0, |token| Event::Destroy { group, token })
    }

    /// Asks these peers whether the replica here is still of the group, if nothing that it has
    /// applied says so: one that is not goes. It asks those that it knows by itself; this is for
    /// one all of whose acquaintances have left.
    pub fn inquire(&self, group: GroupId, peers: Vec<(PeerId, StoreId)>) {
        let worker = &self.shared.workers[self.shared.worker_of(group)];
        let _ = worker.send(Mail::Event(Event::Inquire { group, peers }));
    }

    /// Begins to exchange liveness with a store before any group has a peer there.
    pub fn watch(&self, store: StoreId) {
        let _ = self.shared.pulse.send(Beat::Watch(store));
    }

    /// What the store counted since it was opened.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let counters = &self.shared.counters;
        Counts {
            syncs: counters.syncs.load(Ordering::Relaxed),
            sync_times: counters.sync_times.times(),
            log_writes: counters.log_writes.load(Ordering::Relaxed),
            log_bytes: counters.log_bytes.load(Ordering::Relaxed),
            dropped: counters.dropped.load(Ordering::Relaxed),
            envelopes: counters.envelopes.load(Ordering::Relaxed),
            received: counters.received.load(Ordering::Relaxed),
            proposals: counters.proposals.load(Ordering::Relaxed),
            applied: counters.applied.load(Ordering::Relaxed),
            pledges_void: self.shared.pledges.voids(),
            snapshots_sent: counters.snapshots_sent.load(Ordering::Relaxed),
            snapshots_received: counters.snapshots_received.load(Ordering::Relaxed),
            snapshots_failed: counters.snapshots_failed.load(Ordering::Relaxed),
        }
    }

    /// Why the store could not go on, if so.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.shared.fate.why()
    }

    fn ask(&self, group: GroupId, bytes: usize, event: impl FnOnce(Token) -> Event) -> Pending {
        let shared = &self.shared;
        let worker = shared.worker_of(group);
        if shared.fate.is_over() {
            return refused(Refusal::Stopping);
        }
        match shared.waiters[worker].enter(bytes) {
            Ok((token, pending)) => {
                let _ = shared.workers[worker].send(Mail::Event(event(token)));
                pending
            }
            Err(pending) => pending,
        }
    }
}

impl Handle {
    /// One mail for each worker that is concerned.
    fn take_in(&self, from: StoreId, envelopes: Vec<Envelope>) {
        let shared = &self.shared;
        shared.counters.received.fetch_add(envelopes.len(), Ordering::Relaxed);
        let mut mails: Vec<(Vec<Event>, usize)> =
            shared.workers.iter().map(|_| (Vec::new(), 0)).collect();
        for envelope in envelopes {
            let bytes = match &envelope.body {
                Body::Raft(_, entries) => entries.iter().map(|entry| entry.payload.bytes()).sum(),
                _ => 0,
            };
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            let waiting = shared.inbox_bytes.load(Ordering::Relaxed);
            // One that is too large for the inbox would be lost again and again: it goes in alone.
            let is_much = waiting.saturating_add(bytes) > shared.config.inbox_bytes_max;
            // What a disk that stands still has not taken is in memory as well; of that, what was
            // proposed here has a bound of its own.
            let unwritten = shared.writing_bytes.load(Ordering::Relaxed);
            let is_stuck =
                unwritten > shared.config.inbox_bytes_max + shared.config.proposed_bytes_max;
            if bytes > 0 && (waiting > 0 && is_much || is_stuck) {
                // As a network would lose it.
                shared.counters.dropped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            shared.inbox_bytes.fetch_add(bytes, Ordering::Relaxed);
            let (events, total) = &mut mails[shared.worker_of(envelope.group)];
            events.push(Event::Deliver { from, envelope });
            *total += bytes;
        }
        for (worker, (events, bytes)) in shared.workers.iter().zip(mails) {
            if !events.is_empty() {
                let _ = worker.send(Mail::Heavy(events, bytes));
            }
        }
    }
}

impl Inbox for Handle {
    fn deliver(&self, from: StoreId, parcel: Parcel) {
        let shared = &self.shared;
        match parcel {
            Parcel::Groups(envelopes) => self.take_in(from, envelopes),
            Parcel::Liveness(message) => {
                // While a disk has no room nobody takes them: the later ones are as good.
                if shared.pulse.len() >= BEATS_MAX {
                    shared.counters.dropped.fetch_add(1, Ordering::Relaxed);
                } else {
                    let _ = shared.pulse.send(Beat::Message(from, message, clock::now()));
                }
            }
            Parcel::Snapshot(mut frame) => match frame.body {
                SnapshotBody::Offer(offer) => {
                    let offer = Box::new(offer);
                    frame.body = SnapshotBody::Offer((*offer).clone());
                    shared.post(Event::Offered { from, frame, offer });
                }
                _ => {
                    let _ = shared.carrier.send(Cargo::Frame(from, frame));
                }
            },
        }
    }

    fn lost(&self, to: StoreId) {
        self.shared.post(Event::Lost(to));
    }
}
