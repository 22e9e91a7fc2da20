//! How groups come to this store, and how they leave it.
//!
//! ```text
//!   Create ───────────────┐                                 Destroy · removed · a later peer
//!   first message ──► [ Live ] ──────────────────────────────► [ Ending ]   takes part in nothing
//!   restart ──────────────┘                                        │ its writes are durable
//!                                                              [ Buried ]   Work::Destroy is in
//!                                                                  │        the apply lane
//!                                                              tombstone    one synced batch
//! ```
//!
//! A crash leaves a group either as it was or as a tombstone. What the process may lose at `Ending`
//! or `Buried` is only the wish to end: whoever wished repeats it.

use std::sync::Arc;

use raft::{Boot, BootError, Peer};
use types::{EntryId, GroupId, Index, PeerId, Term, Time};

use super::event::{Beginning, Token};
use super::group::{Group, Life};
use super::{Owed, Shard};
use crate::apply::{AppliedRoster, ApplyTask, Work};
use crate::disk;
use crate::entry::Roster;
use crate::log::GroupLog;
use crate::message::{Body, Envelope};
use crate::outcome::{Outcome, Refusal};

/// What was read of a group when the store was opened.
#[derive(Debug)]
pub(crate) struct Stored {
    pub group: GroupId,
    pub peer: PeerId,
    pub term: Term,
    pub vote: Option<PeerId>,
    pub commit: Index,
    pub applied: Index,
    pub base: EntryId,
    pub roster: AppliedRoster,
    /// Terms of the stored entries.
    pub runs: Vec<raft::Run>,
    pub last: Index,
    /// Rosters among the stored entries.
    pub rosters: Vec<(Index, Roster)>,
    /// Bytes of the stored entries.
    pub bytes: u64,
}

impl Shard {
    /// A group that is on the disk.
    ///
    /// # Errors
    /// If what was read cannot be what was written. The group is set aside.
    pub(crate) fn restore(&mut self, now: Time, stored: &Stored) -> Result<(), BootError> {
        let memberships: Vec<(Index, raft::Membership)> = (stored.rosters.iter())
            .filter(|(index, _)| *index > stored.roster.index)
            .map(|(index, roster)| (*index, roster.membership().clone()))
            .collect();
        let boot = Boot {
            id: stored.peer,
            seed: self.seed_of(stored.group),
            restarted: true,
            term: stored.term,
            vote: stored.vote,
            commit: stored.commit.max(stored.applied),
            applied: stored.applied,
            base: stored.base,
            membership: (stored.roster.index, stored.roster.roster.membership()),
            runs: &stored.runs,
            last: stored.last,
            memberships: &memberships,
        };
        let mut core = Peer::restore(Arc::clone(&self.config.raft), &boot, now)?;
        self.bind(&mut core, now);
        let log = GroupLog::new(stored.base, stored.last, stored.bytes);
        let mut group = Group::new(stored.group, core, log, stored.applied);
        group.hard_state = Some((stored.term, stored.vote));
        group.learn_homes(&stored.roster.roster);
        for (_, roster) in &stored.rosters {
            group.learn_homes(roster);
        }
        let id = group.id;
        self.insert(group);
        // Whoever was left out, and stopped before it was gone, goes now.
        self.on_roster(id, Box::new(stored.roster.clone()));
        Ok(())
    }

    /// A group that was here.
    pub(crate) fn remember_tombstone(&mut self, group: GroupId, peer: PeerId) {
        self.tombstones.insert(group, peer);
    }

    pub(super) fn create(&mut self, now: Time, id: GroupId, token: Token, beginning: &Beginning) {
        let Beginning { peer, at, roster } = beginning;
        let makes_sense = roster.store_of(*peer) == Some(self.store) && at.index > Index(0);
        if makes_sense && self.tombstones.get(&id).is_some_and(|&buried| buried < *peer) {
            self.bury_aside(id, None, None);
        }
        if let Some(why) = self.cannot_create(id, beginning) {
            return self.refuse(token, why);
        }
        if let Some(group) = self.groups.get_mut(&id) {
            if group.is_empty() && group.begins.is_none() {
                // A message was faster: what it made keeps what it promised.
                group.begins = Some(Box::new(beginning.clone()));
                self.record_beginning(id, *peer, beginning);
                self.done_when_written.push(Owed::Done(token));
                return self.mark(id);
            }
            // As before: to create twice is to create once, and it is durable when the next write
            // is.
            return self.done_when_written.push(Owed::Done(token));
        }
        let boot = self.boot_of(id, *peer, beginning);
        let core = match Peer::restore(Arc::clone(&self.config.raft), &boot, now) {
            Ok(core) => core,
            Err(why) => {
                tracing::warn!(group = %id, %why, "cannot begin");
                return self.refuse(token, Refusal::Invalid("the beginning makes no sense"));
            }
        };
        let group = Group::begun(id, core, beginning);
        let receipt = raft::Receipt {
            term: at.term,
            vote: None,
            log: raft::LogMark { term: at.term, index: at.index },
        };
        disk::put_hard_state(&mut self.records, id, &receipt, at.index);
        let work = Work::Begin { at: *at, roster: (at.index, roster.clone()) };
        self.pending.apply.push(ApplyTask { group: id, peer: *peer, work });
        self.insert(group);
        self.record_beginning(id, *peer, beginning);
        self.done_when_written.push(Owed::Done(token));
    }

    /// Writes down how a group begins. It is buried no sooner than that is durable.
    fn record_beginning(&mut self, id: GroupId, peer: PeerId, beginning: &Beginning) {
        let Beginning { at, roster, .. } = beginning;
        disk::put_live(&mut self.records, id, peer, None);
        disk::put_base(&mut self.records, id, *at);
        disk::put_applied(&mut self.records, id, *at);
        disk::put_roster(&mut self.records, id, &AppliedRoster::first(at.index, roster.clone()));
        self.done_when_written.push(Owed::Record(id, peer));
        if let Some(group) = self.groups.get_mut(&id) {
            group.writes += 1;
        }
    }

    /// How the core of a peer comes to life at a beginning.
    pub(super) fn boot_of<'a>(
        &self,
        id: GroupId,
        peer: PeerId,
        beginning: &'a Beginning,
    ) -> Boot<'a> {
        let Beginning { at, roster, .. } = beginning;
        Boot {
            term: at.term,
            commit: at.index,
            applied: at.index,
            base: *at,
            last: at.index,
            membership: (at.index, roster.membership()),
            ..Boot::empty(peer, self.seed_of(id))
        }
    }

    fn cannot_create(&self, id: GroupId, beginning: &Beginning) -> Option<Refusal> {
        let Beginning { peer, at, roster } = beginning;
        if let Some(group) = self.groups.get(&id) {
            return (group.peer() != *peer || !group.is_live())
                .then(|| Refusal::Exists(group.peer()));
        }
        if let Some(&buried) = self.tombstones.get(&id)
            && buried >= *peer
        {
            return Some(Refusal::Destroyed(buried));
        }
        if self.burying.contains_key(&id) {
            return Some(Refusal::Busy("what was left of the group is being removed"));
        }
        if roster.store_of(*peer) != Some(self.store) {
            return Some(Refusal::Invalid("the roster does not place the peer on this store"));
        }
        if at.index == Index(0) {
            return Some(Refusal::Invalid("a group begins at slot 1 or later"));
        }
        (self.groups.len() + self.tombstones.len() >= self.config.groups_max)
            .then_some(Refusal::Busy("no more groups fit on this store"))
    }

    /// A peer that knows nothing but its name, since a message for it arrived.
    pub(super) fn create_empty(&mut self, now: Time, id: GroupId, peer: PeerId) {
        let boot = Boot::empty(peer, self.seed_of(id));
        let core = Peer::restore(Arc::clone(&self.config.raft), &boot, now)
            .expect("settings were checked when the store was opened");
        let log = GroupLog::new(EntryId::default(), Index(0), 0);
        disk::put_live(&mut self.records, id, peer, None);
        self.done_when_written.push(Owed::Record(id, peer));
        let work = Work::Begin { at: EntryId::default(), roster: (Index(0), Roster::unknown()) };
        self.pending.apply.push(ApplyTask { group: id, peer, work });
        let mut group = Group::new(id, core, log, Index(0));
        group.writes += 1;
        self.insert(group);
    }

    pub(super) fn destroy(&mut self, id: GroupId, token: Token) {
        match self.groups.get(&id) {
            Some(group) if group.is_live() => self.end(id, Some(token)),
            Some(_) => self.refuse(token, Refusal::Busy("the group is being destroyed")),
            None if self.aside.contains(&id) => self.bury_aside(id, None, Some(token)),
            None if self.burying.contains_key(&id) => self.told_when_buried.push((id, token)),
            // Its tombstone may be on its way to the disk.
            None if self.tombstones.contains_key(&id) => {
                self.done_when_written.push(Owed::Done(token));
            }
            None => self.refuse(token, Refusal::NoGroup(id)),
        }
    }

    /// The group takes part in nothing any more.
    pub(super) fn end(&mut self, id: GroupId, token: Option<Token>) {
        let Shard { groups, pending, .. } = self;
        let Some(group) = groups.get_mut(&id) else { return };
        group.life = Life::Ending(token);
        pending.standings.push((id, None));
        pending.leases.push((id, None));
        group.abandon(&mut pending.replies);
        // This store stays well: the others are not to take that for this peer's pulse. Should the
        // word be lost, the tombstone answers the next message.
        let own = group.peer();
        for member in group.core.status().membership.1.iter().filter(|member| member.id != own) {
            if let Some(home) = group.home(member.id) {
                let body = Body::Absent;
                pending.send(home, Envelope { group: id, from: own, to: member.id, body });
            }
        }
        self.mark(id);
    }

    pub(super) fn on_destroyed(&mut self, id: GroupId) {
        let Some(mut group) = self.groups.remove(&id) else { return };
        self.held.count(&mut group.counted, 0);
        self.tombstones.insert(id, group.peer());
        if let Life::Buried(Some(token)) = group.life {
            self.pending.replies.push((token, Outcome::Done));
        }
    }

    /// A membership was applied. A peer that it left out has done its part.
    pub(super) fn on_roster(&mut self, id: GroupId, roster: Box<AppliedRoster>) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let own = group.peer();
        // Not to be a member proves nothing: a newcomer's snapshot may be older than its seat.
        let leaves = roster.removed.iter().any(|gone| gone.peer == own);
        group.seated.set(own, roster);
        (group.tell_removed_at, group.removed_told) = (Time::ZERO, 0);
        if leaves && group.is_live() {
            tracing::info!(group = %id, peer = %own, "removed");
            self.end(id, None);
        } else {
            self.answer_strangers(id);
            self.mark(id);
        }
    }

    /// Has a restored core keep what it may have promised in an earlier life of the store.
    pub(super) fn bind(&self, core: &mut Peer, now: Time) {
        if self.promised_before > now {
            core.has_promised_before(self.promised_before);
        }
    }

    pub(super) fn insert(&mut self, group: Group) {
        let id = group.id;
        self.tombstones.remove(&id);
        self.groups.insert(id, Box::new(group));
        self.mark(id);
    }

    fn seed_of(&self, id: GroupId) -> u64 {
        // Any mixing will do that tells groups and lives apart.
        self.seed ^ id.get().wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}
