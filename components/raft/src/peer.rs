//! One peer: its state, how inputs reach their handlers, and what a drain hands out.
//!
//! The handlers live with their concern: `election`, `follower`, `leader`, `leading`. This file
//! holds what they share, and is the place to look for what a peer remembers.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use types::{EntryId, Index, PeerId, Term, Time};

use crate::boot::{Boot, BootError};
use crate::config::{BadConfig, Config};
use crate::election::{Poll, TERM_MAX};
use crate::flags::Flags;
use crate::follower::{Entries, Fit};
use crate::input::{Content, Foreign, Input, Placed, Refused};
use crate::leader::{Ctx, Leader, LogSizes};
use crate::log::Log;
use crate::membership::Membership;
use crate::message::{Body, Message, Stamp};
use crate::outbox::{Event, Outbox, Receipt, Write};
use crate::rng::Rng;
use crate::sleep::Beats;

/// One member of one Raft group: a state machine without clock, disk or network.
///
/// See the crate documentation for the contract. A follower at rest of a group of up to five
/// members holds no heap memory of its own and is at most 264 bytes.
#[derive(Debug)]
pub struct Peer {
    pub(crate) config: Arc<Config>,
    pub(crate) id: PeerId,
    pub(crate) rng: Rng,

    pub(crate) term: Term,
    /// Whom we voted for in `term`. Invariant: within a term it only ever goes from nobody to
    /// somebody.
    pub(crate) vote: Option<PeerId>,
    pub(crate) leader: Option<PeerId>,
    pub(crate) role: Role,

    pub(crate) log: Log,
    /// Committed in the group, as far as known here. Invariant: never falls, `≤ log.last`.
    pub(crate) commit: Index,
    /// Handed out in [`Outbox::commit`], or covered by a snapshot. Invariant: `≤ commit`, and
    /// `≤ log.stable` unless that snapshot is being installed.
    pub(crate) reported: Index,
    /// Follower: the log agrees with this term's leader up to here. Invariant: `≥ commit`.
    pub(crate) verified: Index,
    /// Follower: the newest commit index that this term's leader told. What lies behind `verified`
    /// is taken over when that reaches it.
    pub(crate) heard: Index,
    /// Follower: the newest stamp from this term's leader.
    pub(crate) seen: Stamp,

    /// No vote against the leader before this instant, whoever is known to lead by then.
    pub(crate) promised_until: Time,
    /// When the election timer runs out.
    pub(crate) election_at: Time,

    /// In force: that of the last membership entry in the log.
    pub(crate) membership: Membership,
    pub(crate) membership_at: Index,
    /// The one before, for as long as the one in force may be overwritten.
    pub(crate) previous: Option<Box<(Index, Membership)>>,
    pub(crate) flags: Flags,
}

/// What a peer is doing in its term.
#[derive(Debug)]
pub(crate) enum Role {
    Follower,
    PreCandidate(Box<Poll>),
    Candidate(Box<Poll>),
    Leader(Box<Leader>),
}

const _: () = assert!(size_of::<Peer>() <= 264, "a host keeps 100,000 of these");

impl Peer {
    /// Limits are others from now on; what goes beyond them already stays.
    ///
    /// # Errors
    /// If a setting is out of bounds, or a time is another than before: other peers rely on times.
    /// Nothing is changed then.
    pub fn reconfigure(&mut self, config: Arc<Config>) -> Result<(), Vec<BadConfig>> {
        config.validate_after(&self.config)?;
        self.config = config;
        Ok(())
    }

    /// A peer with what its host read back from disk, or with a new group's shared beginning.
    ///
    /// # Errors
    /// If the settings are out of bounds, or what was read cannot be what was written. Only this
    /// peer is concerned: a host sets it aside and runs the others.
    pub fn restore(config: Arc<Config>, boot: &Boot<'_>, now: Time) -> Result<Peer, BootError> {
        config.validate().map_err(BootError::Config)?;
        boot.check()?;
        let log = Log::restore(boot.base, boot.runs, boot.last);
        let commit = boot.commit.max(boot.applied);
        let (membership_at, membership) = boot.membership;
        let promised_until =
            if boot.restarted { now.after(config.restart_wait) } else { Time::ZERO };
        let mut peer = Peer {
            config,
            id: boot.id,
            rng: Rng::new(boot.seed),
            term: boot.term,
            vote: boot.vote,
            leader: None,
            role: Role::Follower,
            log,
            commit,
            reported: boot.applied,
            verified: commit,
            heard: commit,
            seen: Stamp(0),
            promised_until,
            election_at: now,
            membership: membership.clone(),
            membership_at,
            previous: None,
            flags: Flags::default(),
        };
        for (at, membership) in boot.memberships {
            peer.adopt_membership(*at, membership.clone());
        }
        peer.forget_previous_membership();
        peer.flags = Flags::default();
        peer.flags.set(Flags::HARD_DURABLE);
        if peer.commit > peer.reported {
            peer.flags.set(Flags::DIRTY);
        }
        peer.reset_election_timer(now);
        Ok(peer)
    }

    /// One thing happened. Builds no output but answers that need nothing durable, which it adds to
    /// `out`; the rest waits for [`Peer::drain`].
    ///
    /// `now` is the host's monotonic clock. Should it jump back all the same, timers run longer,
    /// and a leader that notices (by more than a millisecond, behind its last drain) has no lease
    /// for the rest of its term.
    ///
    /// # Errors
    /// If the input was refused; the peer is as before.
    pub fn step(
        &mut self,
        now: Time,
        input: Input<'_>,
        out: &mut Outbox,
    ) -> Result<Placed, Refused> {
        let placed = match input {
            Input::Message { from, message, content } => {
                self.on_message(now, from, message, content, out)
            }
            Input::Propose { count, bytes } => self.propose(now, count, bytes),
            Input::Change(changes) => self.change(now, changes),
            Input::Read(token) => self.read(now, token),
            Input::Transfer(to) => self.transfer(now, to),
            Input::Campaign => self.campaign(now),
            Input::StepDown => self.step_down(now, out),
            Input::ForgetLeader => self.forget_leader(now),
            Input::Timer => self.on_timer(now, out),
            Input::Persisted(receipt) => Ok(self.on_persisted(now, receipt, out)),
            Input::Lost(peer) => self.on_lost(now, peer),
            Input::SnapshotEnded(peer) => self.on_snapshot_ended(peer),
            Input::Compacted(index) => self.on_compacted(index),
            Input::Support { peer, held } => Ok(self.on_support(now, peer, held)),
        }?;
        self.flags.set(Flags::DIRTY);
        Ok(placed)
    }

    /// Whether [`Peer::drain`] may have something to hand out.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.flags.has(Flags::DIRTY)
    }

    /// Hands out every effect that is due. `sizes` is asked how large entries are. Write and commit
    /// of the drain before must have been taken out.
    pub fn drain(&mut self, now: Time, sizes: &dyn LogSizes, out: &mut Outbox) {
        assert!(out.write.is_none() && out.commit.is_empty(), "the outbox was not emptied");
        self.check_invariants();
        self.flags.clear(Flags::DIRTY);
        if self.is_leader() {
            self.drain_leader(now, sizes, out);
        } else {
            self.drain_candidate(now, out);
            self.drain_follower(out);
        }
        self.drain_write(out);
        let upto = self.commit.min(self.log.stable());
        if upto > self.reported {
            out.commit = self.reported.next()..upto.next();
            self.reported = upto;
        }
        if self.flags.take(Flags::TELL_LEADER) {
            out.events.push(Event::Leader { term: self.term, leader: self.leader });
        }
        if self.flags.take(Flags::LET_GO) {
            out.events.push(Event::LetGo);
        }
        if self.flags.take(Flags::TELL_MEMBERSHIP) {
            out.events.push(Event::Membership(self.membership_at));
        }
    }

    /// The earliest instant at which [`Input::Timer`] matters; `None` while nothing is timed. Ask
    /// after each turn. It may move later without being asked: then the timer call does nothing.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        match &self.role {
            Role::Leader(leader) => {
                let alone = self.membership.len() == 1 && self.membership.is_voter(self.id);
                (leader.beats != Beats::Asleep && !alone).then_some(leader.next_beat)
            }
            _ => (self.is_promotable() && !self.is_still())
                .then(|| self.ask_at().map_or(self.election_at, |at| at.min(self.election_at))),
        }
    }

    fn on_message(
        &mut self,
        now: Time,
        from: PeerId,
        message: Message,
        content: Content<'_>,
        out: &mut Outbox,
    ) -> Result<Placed, Refused> {
        if from == self.id {
            return Err(Refused::Foreign(Foreign::FromSelf));
        }
        let Message { term, body } = message;
        if term >= TERM_MAX {
            return Err(Refused::Foreign(Foreign::Malformed));
        }
        match body {
            Body::PreVote { last } | Body::Vote { last, .. } if last.term > term => {
                return Err(Refused::Foreign(Foreign::Malformed));
            }
            Body::PreVote { last } => self.on_pre_vote(now, from, term, last, out),
            Body::PreVoteReply { ask, granted } => {
                return Ok(self.on_pre_vote_reply(now, from, (term, ask), granted, out));
            }
            Body::Vote { last, transfer } => {
                self.on_vote(now, from, (term, last), transfer, out);
            }
            Body::VoteReply { granted } => {
                return Ok(self.on_vote_reply(now, from, term, granted, out));
            }
            Body::Ack { matched, verified, stamp, pledge } => {
                if self.is_answer(now, from, term, out) {
                    return self.on_ack(now, from, (matched, verified), (stamp, pledge));
                }
            }
            Body::Nack { at, hint, stamp } => {
                if self.is_answer(now, from, term, out)
                    && let Some((leader, ctx)) = self.leading()
                {
                    leader.on_nack(&ctx, from, (at, hint), stamp)?;
                }
            }
            Body::Behind => {
                self.is_answer(now, from, term, out);
            }
            Body::TimeoutNow { stamp } => self.on_timeout_now(now, from, term, stamp),
            _ => return self.on_leader_message(now, from, message, content, out),
        }
        Ok(Placed::Nothing)
    }

    /// A message that only a leader sends. What it says is checked against the log first, so that a
    /// refused one leaves everything as it was.
    fn on_leader_message(
        &mut self,
        now: Time,
        from: PeerId,
        Message { term, body }: Message,
        content: Content<'_>,
        out: &mut Outbox,
    ) -> Result<Placed, Refused> {
        match body {
            Body::Append { prev, last, commit, stamp } => {
                let (runs, memberships) = content.entries(prev, last, term)?;
                let entries = Entries { prev, last, runs, memberships };
                let fit = if term < self.term { Fit::Known } else { self.fit(term, &entries)? };
                if self.hear_leader(now, from, term, stamp, out)? {
                    return Ok(self.on_append(from, (&entries, fit), commit, stamp, out));
                }
            }
            Body::Beat { commit, stamp } => {
                if self.hear_leader(now, from, term, stamp, out)? {
                    self.commit_to(commit);
                    self.flags.set(Flags::ACK_NOW);
                }
            }
            Body::Commit { commit } => {
                if term >= self.term && self.hear_leader(now, from, term, Stamp(0), out)? {
                    self.commit_to(commit);
                }
            }
            Body::Install { snapshot, stamp } => {
                let Content::Snapshot(membership) = content else {
                    return Err(Refused::Foreign(Foreign::Malformed));
                };
                self.check_snapshot(term, snapshot, membership)?;
                if self.hear_leader(now, from, term, stamp, out)? {
                    return Ok(self.on_install(snapshot, membership));
                }
            }
            _ => unreachable!("dispatched by `on_message`"),
        }
        Ok(Placed::Nothing)
    }

    /// A peer answers as of `term`. A later term ends a leader's and a candidate's. A follower has
    /// asked nothing, so the answer is to what it was before and can wait; and a leader does not
    /// hear it from outside the group: a removed peer must not be able to disturb
    /// (hashicorp/raft#524). Returns whether the answer is of this term.
    pub(crate) fn is_answer(
        &mut self,
        now: Time,
        from: PeerId,
        term: Term,
        out: &mut Outbox,
    ) -> bool {
        let matters = match self.role {
            Role::Follower => false,
            Role::PreCandidate(_) | Role::Candidate(_) => true,
            Role::Leader(_) => self.membership.get(from).is_some(),
        };
        if term > self.term && matters {
            self.become_follower(now, term, None, out);
        }
        term == self.term
    }

    fn on_persisted(&mut self, now: Time, receipt: Receipt, out: &mut Outbox) -> Placed {
        let moved = self.log.on_persisted(receipt.log);
        if moved {
            self.flags.set(Flags::STABLE_MOVED);
        }
        let is_current = receipt.term == self.term && receipt.vote == self.vote;
        if is_current && !self.flags.has(Flags::HARD_DURABLE) {
            self.flags.set(Flags::HARD_DURABLE);
            return self.count_own_vote(now, out);
        }
        if moved { self.advance_commit(now) } else { Placed::Nothing }
    }

    fn on_compacted(&mut self, index: Index) -> Result<Placed, Refused> {
        if index > self.reported {
            return Err(Refused::BadHost("compacted what was not handed out to apply"));
        }
        self.log.compact(index);
        Ok(Placed::Nothing)
    }

    /// The host's failure detector changed its mind about a store. A follower whose leader's store
    /// is vouched for sits still; when that ends, all of them wake, spread over time, in turns.
    fn on_support(&mut self, now: Time, peer: PeerId, held: bool) -> Placed {
        if let Role::Leader(leader) = &mut self.role {
            if let Some(slot) = self.membership.slot(peer)
                && leader.progress[slot].supported != held
            {
                leader.progress[slot].supported = held;
                leader.wake(now);
            }
        } else if self.leader == Some(peer) {
            if !held && self.flags.has(Flags::SUPPORTED) {
                let wait = self.wait_for_turn(peer);
                self.election_at = now.max(self.promised_until).after(wait);
            }
            self.flags.put(Flags::SUPPORTED, held);
        }
        Placed::Nothing
    }

    pub(crate) fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// The leader's part and what it reads of ours, if we lead.
    pub(crate) fn leading(&mut self) -> Option<(&mut Leader, Ctx<'_>)> {
        let Role::Leader(leader) = &mut self.role else { return None };
        let ctx = Ctx {
            id: self.id,
            term: self.term,
            commit: self.commit,
            config: &self.config,
            log: &self.log,
            membership: &self.membership,
        };
        Some((leader, ctx))
    }

    /// What a leader reads of a peer.
    pub(crate) fn ctx(&self) -> Ctx<'_> {
        Ctx {
            id: self.id,
            term: self.term,
            commit: self.commit,
            config: &self.config,
            log: &self.log,
            membership: &self.membership,
        }
    }

    fn drain_write(&mut self, out: &mut Outbox) {
        let installs = self.flags.take(Flags::INSTALL_OWED);
        if !self.flags.take(Flags::HARD_OWED) && !installs && !self.log.has_unwritten() {
            return;
        }
        let entries = self.log.take_unwritten();
        out.write = Some(Write {
            receipt: Receipt { term: self.term, vote: self.vote, log: self.log.mark() },
            commit: self.commit,
            install: installs.then(|| self.log.base()),
            entries,
        });
    }

    /// Takes over the leader's commit index as far as the logs are known to agree, and the rest
    /// when they are: the news may overtake its entries, and a leader that sleeps says it once.
    pub(crate) fn commit_to(&mut self, leader_commit: Index) {
        self.heard = self.heard.max(leader_commit);
        self.commit = self.commit.max(self.heard.min(self.verified));
        self.forget_previous_membership();
    }

    /// Puts a membership in force: its entry was appended (thesis §4.1).
    pub(crate) fn adopt_membership(&mut self, at: Index, membership: Membership) {
        // A membership entry is appended only after the one before it was committed, so at most
        // the newest can be overwritten, and one predecessor is enough.
        let old = core::mem::replace(&mut self.membership, membership);
        self.previous = Some(Box::new((self.membership_at, old)));
        self.membership_at = at;
        self.flags.set(Flags::TELL_MEMBERSHIP);
    }

    /// Takes back the membership in force if its entry is among those cut off.
    pub(crate) fn revert_membership(&mut self, cut_from: Index) {
        if self.membership_at >= cut_from
            && let Some(previous) = self.previous.take()
        {
            (self.membership_at, self.membership) = *previous;
            self.flags.set(Flags::TELL_MEMBERSHIP);
        }
    }

    pub(crate) fn forget_previous_membership(&mut self) {
        if self.commit >= self.membership_at {
            self.previous = None;
        }
    }

    pub(crate) fn set_leader(&mut self, leader: Option<PeerId>) {
        if self.leader != leader {
            self.leader = leader;
            self.flags.clear(Flags::SUPPORTED);
            self.flags.clear(Flags::DOUBT);
            self.flags.set(Flags::TELL_LEADER);
        }
    }

    /// The last entry of the log.
    pub(crate) fn last(&self) -> EntryId {
        self.log.last()
    }

    fn check_invariants(&self) {
        debug_assert!(self.reported <= self.commit && self.commit <= self.last().index);
        debug_assert!(self.log.base().index <= self.reported);
        debug_assert!(self.verified >= self.commit || self.leader == Some(self.id));
        debug_assert!(self.last().term <= self.term);
    }
}
