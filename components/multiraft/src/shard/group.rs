//! One group of a shard: its core, the part of its log in memory, and who waits for what.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use raft::{Body, Input, Membership, Message, Peer, Pledge, RoleStatus};
use types::{EntryId, GroupId, Index, PeerId, StoreId, Term, Time};

use super::event::{Beginning, Token};
use super::seated::Seated;
use super::stray::Stranger;
use crate::apply::AppliedRoster;
use crate::entry::{Entry, Roster};
use crate::lease::{Grant, Lease};
use crate::log::GroupLog;
use crate::message::SnapshotOffer;
use crate::outcome::{GroupStatus, Outcome, Refusal};
use crate::pledges::Pledges;

/// Peers of which it is remembered where they live: strangers among them are forgotten beyond that.
const HOMES_MAX: usize = raft::MEMBERS_MAX * 2;

/// A group hosted by this store.
#[derive(Debug)]
pub(crate) struct Group {
    pub id: GroupId,
    pub core: Peer,
    pub log: GroupLog,
    /// Term and vote that were given to the engine last; `None` before the first time.
    pub hard_state: Option<(Term, Option<PeerId>)>,
    /// Where peers live: from rosters in the log, and from whom messages came. Ascending.
    pub homes: Vec<(PeerId, StoreId)>,
    pub life: Life,
    /// Handed to the apply lane and done there.
    pub applied: Index,
    /// What the apply lane was given from memory and has not applied: up to which slot, and bytes.
    pub attached: VecDeque<(Index, u64)>,
    /// Those bytes together.
    pub attached_bytes: u64,
    /// Proposals by the entry they became.
    pub proposals: VecDeque<(EntryId, Token)>,
    /// Proposals whose entries are not in the log any more. Another may have them.
    pub displaced: Vec<(EntryId, Token)>,
    /// Reads that the core confirms.
    pub asked: BTreeSet<Token>,
    /// Reads that wait for this slot to be applied.
    pub reads: Vec<(Index, Token)>,
    /// When proposals of a leadership that ended are given up.
    pub give_up_at: Option<Time>,
    pub installing: Installing,
    /// This peer without state was given a beginning: it takes it up when its writes are done.
    pub begins: Option<Box<Beginning>>,
    /// What whoever watches was told last: term and leader.
    pub told: (Term, Option<PeerId>),
    /// The last command that this peer proposed to bring groups into being.
    pub fence: Option<EntryId>,
    /// Whether readers were told a lease last.
    pub is_leased: bool,
    /// What this peer pledged last.
    pub pledged: Option<Pledged>,
    /// Members whose replica is not there, though their stores are.
    pub absent: Vec<PeerId>,
    /// The membership applied last.
    pub seated: Seated,
    /// When peers that it says were removed are told next.
    pub tell_removed_at: Time,
    /// How often they were told in a row while none of their stores was heard, up to a bound.
    pub removed_told: u32,
    /// When it asks whether it is a member; `None` while what it has applied says so.
    pub asks_at: Option<Time>,
    /// Peers that asked this leader, and are none of its members.
    pub strangers: Vec<Stranger>,
    /// Writes on their way to the disk.
    pub writes: u32,
    /// Entries being read back.
    pub fetches: u32,
    /// A compaction is in the apply lane.
    pub compacts: bool,
    /// How far it had applied when it was compacted last: before it has applied more, the machine
    /// would say the same.
    pub compacted_at: Index,
    /// The instant under which the group is in the wheel.
    pub armed: Option<Time>,
    pub is_dirty: bool,
    /// Bytes of its log, as the shard has counted them.
    pub counted: u64,
}

/// What a follower pledged to its leader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pledged {
    pub term: Term,
    pub leader: PeerId,
    pub store: StoreId,
    pub pledge: Pledge,
}

/// A snapshot on its way into a group.
#[derive(Debug)]
pub(crate) enum Installing {
    /// There is none.
    No,
    /// Its place in the log is taken. It is installed when that is durable.
    Placed(Box<SnapshotOffer>),
    /// It is in the apply lane.
    Begun,
}

/// What a group is going through on this store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It runs.
    Live,
    /// It takes part in nothing any more, and is removed once its writes are done.
    Ending(Option<Token>),
    /// It is being removed.
    Buried(Option<Token>),
}

impl Group {
    pub(crate) fn new(id: GroupId, core: Peer, log: GroupLog, applied: Index) -> Group {
        Group {
            id,
            core,
            log,
            hard_state: None,
            homes: Vec::new(),
            life: Life::Live,
            applied,
            proposals: VecDeque::new(),
            attached: VecDeque::new(),
            attached_bytes: 0,
            displaced: Vec::new(),
            asked: BTreeSet::new(),
            reads: Vec::new(),
            give_up_at: None,
            installing: Installing::No,
            begins: None,
            told: (Term(0), None),
            fence: None,
            is_leased: false,
            pledged: None,
            absent: Vec::new(),
            seated: Seated::unknown(),
            tell_removed_at: Time::ZERO,
            removed_told: 0,
            asks_at: None,
            strangers: Vec::new(),
            writes: 0,
            fetches: 0,
            compacts: false,
            compacted_at: Index(0),
            armed: None,
            is_dirty: false,
            counted: 0,
        }
    }

    /// A group that begins with members and a place in the log.
    pub(crate) fn begun(id: GroupId, core: Peer, beginning: &Beginning) -> Group {
        let Beginning { at, roster, .. } = beginning;
        let mut group = Group::new(id, core, GroupLog::new(*at, at.index, 0), at.index);
        group.learn_homes(roster);
        let first = AppliedRoster::first(at.index, roster.clone());
        group.seated.set(group.peer(), Box::new(first));
        group
    }

    pub(crate) fn peer(&self) -> PeerId {
        self.core.status().id
    }

    pub(crate) fn leads(&self) -> bool {
        self.core.status().role == RoleStatus::Leader
    }

    /// Entries for the apply lane, unless it has so much from memory that it is to read these back:
    /// a lane that is slow must not keep all that is committed in memory.
    pub(crate) fn attach(&mut self, range: &Range<Index>, bytes_max: u64) -> Option<Vec<Entry>> {
        let last = range.end.prev();
        debug_assert!(last <= self.core.status().log.stable(), "what is applied can be read back");
        if self.attached_bytes > bytes_max {
            return None;
        }
        let entries: Vec<Entry> = self.log.slice(range)?.cloned().collect();
        let bytes = entries.iter().map(|entry| entry.payload.bytes()).sum();
        self.attached.push_back((last, bytes));
        self.attached_bytes += bytes;
        Some(entries)
    }

    /// The apply lane is done up to here.
    pub(crate) fn on_applied(&mut self, index: Index) {
        self.applied = self.applied.max(index);
        while let Some((_, bytes)) = self.attached.pop_front_if(|(last, _)| *last <= self.applied) {
            self.attached_bytes -= bytes;
        }
    }

    /// What readers need not ask for. The state has the first entry of the term, and so everything
    /// that was answered before it.
    ///
    /// Groups that a command brings into being may answer for what was this group's, on stores that
    /// apply it sooner than this one. So there is none from when such a command is proposed until
    /// it is applied here; one of an earlier term comes before the first entry of this.
    pub(crate) fn grant(&self, now: Time) -> Option<Grant> {
        let first = self.core.first_own()?;
        if first > self.applied {
            return None;
        }
        let until = self.core.lease(now);
        let status = self.core.status();
        let (term, applied) = (status.term, self.applied);
        if self.fence.is_some_and(|fence| fence.term == term && fence.index > applied) {
            return None;
        }
        let lease = Lease { term, said: now, until: until.unwrap_or(now), applied };
        let wanted = self.core.pledges_wanted(now);
        let pledged = status.peers().filter(|peer| status.membership.1.is_voter(peer.id));
        let by = pledged.filter_map(|peer| Some((self.home(peer.id)?, peer.progress.pledge)));
        let grant = Grant::new(lease, wanted, by);
        (until.is_some() || grant.has_pledges()).then_some(grant)
    }

    /// Commands from this entry on, which were applied now, brought groups into being. Who proposed
    /// them must have said so.
    pub(crate) fn assert_fenced(&self, from: EntryId) {
        let is_own = self.leads() && from.term == self.core.status().term;
        let is_fenced =
            self.fence.is_some_and(|fence| fence.term == from.term && fence.index >= from.index);
        assert!(!is_own || is_fenced, "group {}: groups came unannounced at {from}", self.id);
    }

    /// What this peer says to its leader with an answer: it is bound by it from now on. One that
    /// does not vote says nothing, and one to which the leader is none: it knows too little of the
    /// group to keep a word.
    pub(crate) fn pledge(&mut self, to: PeerId, pledges: &Pledges) -> Pledge {
        let status = self.core.status();
        let (term, membership) = (status.term, status.membership.1);
        let is_due =
            status.leader == Some(to) && membership.is_voter(to) && membership.is_voter(status.id);
        let Some(store) = self.home(to).filter(|_| is_due) else { return Pledge(0) };
        let pledge = pledges.offer(store);
        // What was pledged before binds it also while there is nothing to pledge.
        if pledge != Pledge(0) {
            self.pledged = Some(Pledged { term, leader: to, store, pledge });
        }
        pledge
    }

    /// Has the core keep what was pledged, before an input in which it might not.
    ///
    /// A peer that follows someone else, or in another term, does so since the leader it pledged
    /// itself to has no lease any more: it asked for that election, or a majority that was free to
    /// vote held it. Nor has one that left itself out: it followed that membership first.
    pub(crate) fn keep_pledge(&mut self, now: Time, pledges: &Pledges, input: &Input<'_>) {
        let Some(Pledged { term, leader, store, pledge }) = self.pledged else { return };
        if !may_elect(input) {
            return;
        }
        let status = self.core.status();
        let (at, membership) = status.membership;
        let is_out = !membership.is_voter(leader) && status.log.term(at) == Some(term);
        let is_due = status.term == term && status.leader == Some(leader) && !is_out;
        match pledges.bound(now, store, pledge).filter(|_| is_due) {
            Some(until) => self.core.protect(until),
            None => self.pledged = None,
        }
    }

    /// What this peer pledged is renewed no longer. It is kept for as long as its leader may count
    /// on it.
    pub(crate) fn let_go(&self, pledges: &Pledges) {
        if let Some(Pledged { store, pledge, .. }) = self.pledged {
            tracing::debug!(group = %self.id, store = %store, "a pledge is broken off");
            pledges.break_off(store, pledge);
        }
    }

    pub(crate) fn is_installing(&self) -> bool {
        !matches!(self.installing, Installing::No)
    }

    /// Whether nothing is known here but the peer's name, and what it voted for.
    pub(crate) fn is_empty(&self) -> bool {
        self.core.status().log.last() == EntryId::default() && !self.is_installing()
    }

    pub(crate) fn is_live(&self) -> bool {
        self.life == Life::Live
    }

    pub(crate) fn home(&self, peer: PeerId) -> Option<StoreId> {
        let at = self.homes.binary_search_by_key(&peer, |home| home.0).ok()?;
        Some(self.homes[at].1)
    }

    pub(crate) fn learn_home(&mut self, peer: PeerId, store: StoreId) {
        match self.homes.binary_search_by_key(&peer, |home| home.0) {
            Ok(at) => self.homes[at].1 = store,
            Err(at) => {
                self.homes.insert(at, (peer, store));
                if self.homes.len() > HOMES_MAX {
                    self.forget_strangers(Some(peer));
                }
            }
        }
    }

    /// Makes room for so many newcomers, of whom none is forgotten then.
    pub(crate) fn expect_newcomers(&mut self, count: usize) {
        if self.homes.len() + count > HOMES_MAX {
            self.forget_strangers(None);
        }
    }

    fn forget_strangers(&mut self, but: Option<PeerId>) {
        let membership = self.core.status().membership.1.clone();
        self.homes.retain(|&(id, _)| membership.get(id).is_some() || Some(id) == but);
    }

    pub(crate) fn learn_homes(&mut self, roster: &Roster) {
        for (member, store) in roster.iter() {
            self.learn_home(member.id, store);
        }
    }

    /// Peers of the group that live on a store, by the membership in force.
    pub(crate) fn peers_on(&self, store: StoreId) -> impl Iterator<Item = PeerId> + '_ {
        let membership = self.core.status().membership.1;
        (self.homes.iter())
            .filter(move |&&(peer, home)| home == store && membership.get(peer).is_some())
            .map(|&(peer, _)| peer)
    }

    /// The log is cut at `from`, or new entries stand there.
    pub(crate) fn displace(&mut self, from: Index) {
        while let Some(&(id, token)) = self.proposals.back()
            && id.index >= from
        {
            self.proposals.pop_back();
            self.displaced.push((id, token));
        }
    }

    /// Ends proposals whose outcome is known now that everything up to `commit` is committed and in
    /// the log, or covered by a snapshot. Those that are in the log stay, for the apply lane.
    pub(crate) fn superseded(&mut self, commit: Index, lost: &mut Vec<(Token, Outcome)>) {
        let log = self.core.status().log;
        let base = log.base().index;
        self.displaced.retain(|&(id, token)| {
            if id.index > commit {
                return true;
            }
            let outcome = match log.term(id.index) {
                Some(term) if term != id.term => Outcome::Refused(Refusal::Superseded),
                // It came back, and was applied without us; or a snapshot covers it.
                _ => Outcome::Undetermined,
            };
            lost.push((token, outcome));
            false
        });
        while let Some(&(id, token)) = self.proposals.front()
            && id.index <= base
        {
            self.proposals.pop_front();
            lost.push((token, Outcome::Undetermined));
        }
    }

    /// Those who wait for the slots up to `last`, ascending.
    pub(crate) fn take_waiting(&mut self, last: Index) -> VecDeque<(Index, Token)> {
        let mut taken = VecDeque::new();
        while let Some(&(id, token)) = self.proposals.front()
            && id.index <= last
        {
            self.proposals.pop_front();
            taken.push_back((id.index, token));
        }
        taken
    }

    /// Everyone who waits is told that nobody knows, or that nothing was done.
    pub(crate) fn abandon(&mut self, replies: &mut Vec<(Token, Outcome)>) {
        let proposals = self.proposals.drain(..).chain(self.displaced.drain(..));
        replies.extend(proposals.map(|(_, token)| (token, Outcome::Undetermined)));
        let reads = self.reads.drain(..).map(|(_, token)| token);
        let asked = std::mem::take(&mut self.asked);
        let refused = Outcome::Refused(Refusal::NoGroup(self.id));
        replies.extend(reads.chain(asked).map(|token| (token, refused.clone())));
    }

    /// Proposals are not waited for any more, but for what a leader has in its log and commits.
    pub(crate) fn give_up(&mut self, replies: &mut Vec<(Token, Outcome)>) {
        let mut given_up = std::mem::take(&mut self.displaced);
        if !self.leads() {
            given_up.extend(self.proposals.drain(..));
        }
        replies.extend(given_up.into_iter().map(|(_, token)| (token, Outcome::Undetermined)));
    }

    pub(crate) fn status(&self, now: Time) -> GroupStatus {
        let mut unheard = self.core.unheard(now);
        let absent = self.absent.iter().copied().filter(|_| self.leads());
        let absent: Vec<PeerId> = absent.filter(|peer| !unheard.contains(peer)).collect();
        unheard.extend(absent);
        let status = self.core.status();
        let (since, membership) = status.membership;
        let membership: Membership = membership.clone();
        let roster = Roster::new(membership.clone(), |peer| self.home(peer));
        GroupStatus {
            group: self.id,
            peer: status.id,
            term: status.term,
            leads: status.role == RoleStatus::Leader,
            leader: status.leader,
            commit: status.commit,
            applied: self.applied,
            base: status.log.base(),
            last: status.log.last(),
            membership,
            since,
            roster: roster.unwrap_or(Roster::unknown()),
            is_asleep: status.is_asleep,
            matched: status.peers().map(|peer| (peer.id, peer.progress.matched)).collect(),
            unheard,
            is_timed: self.core.deadline().is_some(),
        }
    }

    /// How far the log is needed by nobody: applied here, and durable at every member that is in
    /// reach of the bound.
    pub(crate) fn compactable(&self, lag_bytes_max: u64) -> Option<EntryId> {
        let status = self.core.status();
        let mut upto = self.applied;
        if status.leader == Some(status.id) && self.log.log_bytes() <= lag_bytes_max {
            upto = status.peers().map(|peer| peer.progress.matched).fold(upto, Index::min);
        }
        let term: Term = status.log.term(upto)?;
        (upto > status.log.base().index).then_some(EntryId::new(term, upto))
    }
}

/// Whether a peer may campaign, or vote, or decide when it will, because of this.
fn may_elect(input: &Input<'_>) -> bool {
    match input {
        Input::Message { message: Message { body, .. }, .. } => {
            matches!(body, Body::PreVote { .. } | Body::Vote { .. })
        }
        Input::Timer
        | Input::Campaign
        | Input::ForgetLeader
        | Input::Lost(_)
        | Input::Support { .. } => true,
        _ => false,
    }
}
