//! A shard: many groups, stepped by one owner. Pure: it is told what happened and says what to do.
//!
//! ```text
//!   Event ─► Shard::handle ─► the group's core, its log, who waits
//!            …more events…    the more a turn gathers, the fewer writes and messages it takes
//!            Shard::drain  ─► Effects: one write for all groups, one bundle per store,
//!                             apply tasks, replies
//!   shell:   sends at once; writes, then Event::Persisted; applies, then Event::Applied
//! ```
//!
//! Nothing waits for anything else: sends do not wait for the disk, the apply lane has its own
//! pace, and a group without input costs nothing at all, not even a look at it.
//!
//! The order of a group's effects is kept by queues, not by waiting: writes of a shard are numbered
//! and become durable in order; tasks of a group go through one apply lane. A group that ends first
//! waits for its writes, then for its tasks, and only then is replaced by a tombstone, so that
//! nothing can come after it.
//!
//! Invariant: every [`Token`] that comes in goes out once.
//!
//! Not here: threads, queues, clocks, the engine (`runtime`); what commands mean (`apply`); which
//! stores are alive (`liveness`, one per store, beside the shards).

mod appends;
mod aside;
mod deliver;
mod departures;
mod drain;
pub mod event;
pub(crate) mod group;
pub(crate) mod life;
pub mod liveness;
mod requests;
mod seated;
mod spawn;
mod stray;
mod wheel;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use raft::{Input, Outbox, Placed, Receipt, Refused};
use types::{GroupId, Index, PeerId, StoreId, Time};

pub use event::{Beginning, Effects, Event, Fetch, Fetched, ShardWrite, SnapshotEffect, Token};

use crate::apply::{Applied, Done};
use crate::config::Config;
use crate::entry::{Entry, own_payload};
use crate::group_map::GroupMap;
use crate::message::Envelope;
use crate::outcome::{Outcome, Refusal};
use crate::pledges::Pledges;
use departures::Departures;
use group::{Group, Installing, Life};
use wheel::Wheel;

/// Who a group was here of which not even that can be read. None comes behind it.
pub(crate) const NAMELESS: PeerId = match PeerId::new(u64::MAX) {
    Some(peer) => peer,
    None => unreachable!(),
};

/// Many groups of one store.
#[derive(Debug)]
pub struct Shard {
    config: Arc<Config>,
    pledges: Arc<Pledges>,
    store: StoreId,
    /// Seed of the groups' random timeouts; another in each life of the store.
    seed: u64,
    /// Until when peers may have promised to protect leaders in earlier lives of the store.
    promised_before: Time,
    /// Boxed, so that a map that is half empty is small.
    groups: GroupMap<Box<Group>>,
    /// Groups that were here, and the last peer they were here as.
    tombstones: BTreeMap<GroupId, PeerId>,
    /// Tombstones beside which something was left: how often that is removed in the apply lane.
    burying: BTreeMap<GroupId, u32>,
    /// Tombstones in memory alone: groups that were set aside when the store was opened.
    aside: BTreeSet<GroupId>,
    /// Who waits until what was left of a group is removed.
    told_when_buried: Vec<(GroupId, Token)>,
    departures: Departures,
    dirty: Vec<GroupId>,
    wheel: Wheel,
    /// Stores that liveness vouches for.
    vouched: BTreeSet<StoreId>,
    /// Writes on their way, oldest first: their number, and what the groups are owed.
    writes: VecDeque<(u64, Vec<Owed>)>,
    next_write: u64,
    out: Outbox,
    /// What waits for the next drain.
    pending: Effects,
    /// What is owed when the next write is durable, besides receipts.
    done_when_written: Vec<Owed>,
    /// What the next write carries besides the groups' entries.
    records: storage::Batch,
    due: Vec<GroupId>,
    held: LogHeld,
    refused: u64,
}

/// The logs of a shard's groups, together.
#[derive(Debug, Default)]
struct LogHeld {
    bytes: u64,
    /// Groups that have any.
    groups: u64,
}

/// What is owed when a write is durable.
#[derive(Debug)]
enum Owed {
    Receipt(GroupId, PeerId, Receipt),
    /// The record that a peer lives here: until then it cannot be buried.
    Record(GroupId, PeerId),
    Done(Token),
    /// What may be said when it outlasts a crash.
    Say(StoreId, Box<Envelope>),
}

impl Shard {
    /// A shard without groups.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        (store, seed): (StoreId, u64),
        pledges: Arc<Pledges>,
        now: Time,
    ) -> Shard {
        Shard {
            config,
            pledges,
            store,
            seed,
            promised_before: Time::ZERO,
            groups: GroupMap::new(),
            tombstones: BTreeMap::new(),
            burying: BTreeMap::new(),
            aside: BTreeSet::new(),
            told_when_buried: Vec::new(),
            departures: Departures::default(),
            dirty: Vec::new(),
            wheel: Wheel::new(now),
            vouched: BTreeSet::new(),
            writes: VecDeque::new(),
            next_write: 1,
            out: Outbox::new(),
            pending: Effects::new(),
            done_when_written: Vec::new(),
            records: storage::Batch::new(),
            due: Vec::new(),
            held: LogHeld::default(),
            refused: 0,
        }
    }

    /// Peers that are restored from now on may have promised until then to protect their leaders.
    pub(crate) fn remember_promises(&mut self, until: Time) {
        self.promised_before = until;
    }

    /// Limits are others from now on, for the store and for its groups. Workers and times stay what
    /// they are.
    ///
    /// # Errors
    /// If a setting is out of bounds, or a time of the groups is another than before.
    pub fn reconfigure(&mut self, config: &Arc<Config>) -> Result<(), Vec<raft::BadConfig>> {
        config.validate()?;
        for (_, group) in self.groups.iter_mut() {
            group.core.reconfigure(Arc::clone(&config.raft))?;
        }
        self.config = Arc::clone(config);
        Ok(())
    }

    /// Something happened. What comes of it waits for [`Shard::drain`].
    pub fn handle(&mut self, now: Time, event: Event) {
        match event {
            Event::Propose { group, token, command, spawns } => {
                self.propose(now, group, token, (command, spawns));
            }
            Event::Read { group, token } => self.read(now, group, token),
            Event::Change { group, token, since, changes } => {
                self.change(now, (group, since), token, &changes);
            }
            Event::Transfer { group, token, to } => {
                self.ask(now, group, token, Input::Transfer(to));
            }
            Event::Campaign { group, token } => self.ask(now, group, token, Input::Campaign),
            Event::Look { group, token } => self.look(now, group, token),
            Event::Create { group, token, beginning } => {
                self.create(now, group, token, &beginning);
            }
            Event::Destroy { group, token } => self.destroy(group, token),
            Event::Inquire { group, peers } => self.inquire(group, &peers),
            Event::Deliver { from, envelope } => self.deliver(now, from, envelope),
            Event::Offered { from, frame, offer } => self.offered(now, from, frame, offer),
            Event::Staged { from, frame, offer } => self.staged(now, from, &frame, offer),
            Event::SnapshotEnded { group, peer, to } => {
                self.departed(group, to);
                self.step_live(now, group, peer, Input::SnapshotEnded(to));
            }
            Event::Lost(store) => self.lost(now, store),
            Event::Support { store, held } => self.support(now, store, held),
            Event::Persisted(number) => self.persisted(now, number),
            Event::Applied(applied) => self.applied(now, *applied),
            Event::Fetched(fetched) => self.fetched(now, *fetched),
        }
    }

    /// Wakes the groups whose time has come. Call it when [`Shard::deadline`] has passed.
    pub fn wake(&mut self, now: Time) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.take_due(now, &mut due);
        due.sort_unstable();
        due.dedup();
        for &id in &due {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            // Moved since: the later entry counts.
            if group.armed.is_none_or(|armed| armed > now) {
                continue;
            }
            group.armed = None;
            self.on_time(now, id);
        }
        due.clear();
        self.due = due;
    }

    /// The disk does not answer: whatever is led from here had better be led from elsewhere. This
    /// store does not lead again before its disk does answer, as votes wait for it.
    pub fn stand_down(&mut self, now: Time) {
        let led: Vec<(GroupId, PeerId)> = (self.groups.iter())
            .filter(|(_, group)| group.is_live() && group.leads())
            .map(|(id, group)| (id, group.peer()))
            .collect();
        for (id, peer) in led {
            // Alone, there is nobody to lead instead.
            if self.groups[&id].core.status().membership.1.len() > 1 {
                tracing::warn!(group = %id, "leadership given up: the disk does not answer");
                self.step_live(now, id, peer, Input::StepDown);
            }
        }
    }

    /// The earliest instant at which [`Shard::wake`] matters.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.wheel.next()
    }

    /// Groups that live here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether no group lives here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Messages that contradicted Raft, or themselves, and were not taken over.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// What a group's core says of itself; for checkers of simulations.
    #[must_use]
    pub fn core(&self, group: GroupId) -> Option<&raft::Peer> {
        self.groups.get(&group).filter(|group| group.is_live()).map(|group| &group.core)
    }

    /// The groups that live here, ascending.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> + '_ {
        self.groups.iter().map(|(id, _)| id)
    }

    /// The store stops: everyone who waits is answered in the next drain.
    pub fn stop(&mut self) {
        let Shard { groups, pending, writes, told_when_buried, .. } = self;
        let told = told_when_buried.drain(..);
        pending.replies.extend(told.map(|(_, token)| (token, Outcome::Undetermined)));
        for (_, group) in groups.iter_mut() {
            group.abandon(&mut pending.replies);
            let (Life::Ending(token) | Life::Buried(token)) = group.life else { continue };
            pending.replies.extend(token.map(|token| (token, Outcome::Undetermined)));
            group.life = Life::Buried(None);
        }
        let owed = writes.drain(..).flat_map(|(_, owed)| owed);
        pending.replies.extend(owed.filter_map(|owed| match owed {
            Owed::Done(token) => Some((token, Outcome::Undetermined)),
            Owed::Receipt(..) | Owed::Record(..) | Owed::Say(..) => None,
        }));
    }

    fn on_time(&mut self, now: Time, id: GroupId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        if group.give_up_at.is_some_and(|at| at <= now) {
            group.give_up_at = None;
            group.give_up(&mut self.pending.replies);
        }
        let peer = group.peer();
        self.step_live(now, id, peer, Input::Timer);
        // What the core does not want timed may be timed for us: look again.
        self.mark(id);
    }

    /// Steps a group's core if it lives here as this peer. Own entries go into the log at once.
    fn step_live(&mut self, now: Time, id: GroupId, peer: PeerId, input: Input<'_>) {
        let Some(group) = self.groups.get(&id) else { return };
        if !group.is_live() || group.peer() != peer {
            return;
        }
        if let Err(why) = self.step(now, id, input) {
            tracing::debug!(group = %id, %why, "refused");
        }
    }

    fn step(&mut self, now: Time, id: GroupId, input: Input<'_>) -> Result<Placed, Refused> {
        let Shard { groups, out, pledges, .. } = self;
        let group = groups.get_mut(&id).expect("the caller has looked it up");
        group.keep_pledge(now, pledges, &input);
        let placed = group.core.step(now, input, out);
        if let Ok(Placed::Own(entry_id, own)) = &placed {
            let payload = own_payload(own.clone(), |peer| group.home(peer))
                .expect("the core names only members, and their stores came with them");
            group.displace(entry_id.index);
            group.log.push(Entry { id: *entry_id, payload });
        }
        // What needs nothing durable is in the outbox already, which all groups share.
        self.flush_sends(id);
        self.flush_reads(id);
        self.mark(id);
        placed
    }

    fn mark(&mut self, id: GroupId) {
        if let Some(group) = self.groups.get_mut(&id)
            && !group.is_dirty
        {
            group.is_dirty = true;
            self.dirty.push(id);
        }
    }

    fn refuse(&mut self, token: Token, why: Refusal) {
        self.pending.replies.push((token, Outcome::Refused(why)));
    }

    fn lost(&mut self, now: Time, store: StoreId) {
        for (id, peer) in self.peers_on(store) {
            let own = self.groups[&id].peer();
            self.step_live(now, id, own, Input::Lost(peer));
        }
    }

    /// Exactly the groups that have a peer on the store hear of it.
    fn support(&mut self, now: Time, store: StoreId, held: bool) {
        let changed = if held { self.vouched.insert(store) } else { self.vouched.remove(&store) };
        if !changed {
            return;
        }
        for (id, peer) in self.peers_on(store) {
            let group = &self.groups[&id];
            let status = group.core.status();
            let concerned = status.leader == Some(peer) || status.leader == Some(status.id);
            if concerned && !(held && group.absent.contains(&peer)) {
                let own = status.id;
                self.step_live(now, id, own, Input::Support { peer, held });
            }
        }
    }

    fn peers_on(&self, store: StoreId) -> Vec<(GroupId, PeerId)> {
        (self.groups.iter())
            .filter(|(_, group)| group.is_live())
            .flat_map(|(_, group)| {
                let own = group.peer();
                group.peers_on(store).filter(move |&peer| peer != own).map(|peer| (group.id, peer))
            })
            .collect()
    }

    fn persisted(&mut self, now: Time, number: u64) {
        while self.writes.front().is_some_and(|(first, _)| *first <= number) {
            let (_, owed) = self.writes.pop_front().expect("looked at above");
            for owed in owed {
                match owed {
                    Owed::Done(token) => self.pending.replies.push((token, Outcome::Done)),
                    Owed::Say(store, envelope) => self.pending.send(store, *envelope),
                    Owed::Record(id, peer) => {
                        let Some(group) = self.groups.get_mut(&id) else { continue };
                        if group.peer() == peer {
                            group.writes -= 1;
                            self.mark(id);
                        }
                    }
                    Owed::Receipt(id, peer, receipt) => {
                        let Some(group) = self.groups.get_mut(&id) else { continue };
                        if group.peer() != peer {
                            continue;
                        }
                        group.writes -= 1;
                        self.step_live(now, id, peer, Input::Persisted(receipt));
                        self.mark(id);
                    }
                }
            }
        }
    }

    fn applied(&mut self, now: Time, applied: Applied) {
        let Applied { group: id, peer, done } = applied;
        if let Done::Spawned(beginning) = done {
            return self.spawned(now, id, beginning);
        }
        let Some(group) = self.groups.get_mut(&id) else {
            if matches!(done, Done::Destroyed) {
                self.on_buried_again(id);
            }
            return;
        };
        if group.peer() != peer {
            return;
        }
        match done {
            Done::Upto { index, roster, spawned_from, .. } => {
                if let Some(from) = spawned_from {
                    group.assert_fenced(from);
                }
                self.on_applied_upto(id, index);
                if let Some(roster) = roster {
                    self.on_roster(id, roster);
                }
            }
            Done::Installed(roster, covers) => {
                group.installing = Installing::No;
                self.on_applied_upto(id, covers.index);
                self.on_roster(id, roster);
            }
            Done::Compacted(base) => {
                group.compacts = false;
                if group.is_live() && base.index <= group.core.status().reported {
                    group.log.compact(base);
                    self.step_live(now, id, peer, Input::Compacted(base.index));
                }
            }
            Done::Destroyed => self.on_destroyed(id),
            Done::Spawned(_) => unreachable!("looked at above"),
        }
    }

    fn on_applied_upto(&mut self, id: GroupId, index: Index) {
        let group = self.groups.get_mut(&id).expect("looked up by the caller");
        group.on_applied(index);
        let applied = group.applied;
        let replies = &mut self.pending.replies;
        group.reads.retain(|&(at, token)| {
            let waits = at > applied;
            if !waits {
                replies.push((token, Outcome::Readable(at)));
            }
            waits
        });
        self.mark(id);
    }
}
