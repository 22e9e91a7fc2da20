//! Elections: pre-vote, vote, becoming leader or follower (thesis §3.4, §3.6, §9.6).
//!
//! ```text
//!             timer                    a majority would             a majority did, and
//!  Follower ─────────► PreCandidate ──────────────────► Candidate ──────────────────────► Leader
//!     ▲                    │        (or: TimeoutNow)        │      own vote is durable       │
//!     └────────────────────┴───────────────────────────────┴────────────────────────────────┘
//!          a leader is heard · a later term is heard · a majority refused · deserted
//! ```
//!
//! A pre-vote changes nothing at the voter. A peer that heard its leader within the election
//! timeout has *promised* not to vote for anyone else, whatever it learns meanwhile: leases rest on
//! that. Only an election the leader itself asked for (transfer) overrides the promise.
//!
//! A candidate asks for votes when its own is durable, and so leads only with it durable. Otherwise
//! it could win, replicate, crash, come back with neither vote nor entries, and lead the same term
//! once more with other entries (`scripts/durability/candidate_crash_before_own_vote`). Asking
//! earlier is no gain either: a grant for the log it lost in the crash would still count for what
//! is left of it.

use alloc::boxed::Box;
use core::time::Duration;

use types::{EntryId, Index, PeerId, Term, Time};

use crate::flags::Flags;
use crate::input::{Own, Placed, Refused};
use crate::leader::Leader;
use crate::message::{Body, Message, Stamp};
use crate::outbox::Outbox;
use crate::peer::{Peer, Role};
use crate::quorum::{self, Ballot, Outcome};

/// An election this peer holds.
#[derive(Debug)]
pub(crate) struct Poll {
    /// By slot of the membership, which cannot change meanwhile.
    ballots: Box<[Ballot]>,
    /// The leader asked for it.
    transfer: bool,
    /// The voters that have not answered are asked in the next drain.
    is_due: bool,
    /// When they are asked again; `None` if not before the next election.
    ask_at: Option<Time>,
    /// How long to wait after the next question.
    ask_wait: Duration,
}

/// A question is repeated after this part of a heartbeat. The wait doubles, and what is not
/// answered within about two heartbeats is left to the election timer: many groups cut off from the
/// others must not flood the network with questions.
const ASK_AGAIN_PART: u32 = 5;

/// Two to the 64th divided by the golden ratio: upper bits of a product with it depend on all bits.
const SPREADS_BITS: u64 = 0x9e37_79b9_7f4a_7c15;

impl Peer {
    /// Runs out the election timer, or beats the heart of a leader.
    pub(crate) fn on_timer(&mut self, now: Time, out: &mut Outbox) -> Result<Placed, Refused> {
        if self.is_leader() {
            self.tick_leader(now, out);
        } else if self.deadline().is_some() && now >= self.election_at {
            if self.puts_off(now) {
                self.election_at = self.promised_until.after(self.campaign_wait());
            } else {
                self.start_pre_vote(now);
            }
        } else if let Role::PreCandidate(poll) | Role::Candidate(poll) = &mut self.role
            && poll.ask_at.is_some_and(|at| now >= at)
        {
            poll.is_due = true;
            poll.ask_at = None;
        }
        Ok(Placed::Nothing)
    }

    pub(crate) fn campaign(&mut self, now: Time) -> Result<Placed, Refused> {
        if self.is_leader() {
            return Ok(Placed::Nothing);
        }
        if self.log.is_installing() {
            return Err(Refused::Installing);
        }
        if !self.is_promotable() {
            return Err(Refused::NotVoter(self.id));
        }
        self.keeps_promise(now)?;
        self.start_pre_vote(now);
        Ok(Placed::Nothing)
    }

    pub(crate) fn forget_leader(&mut self, now: Time) -> Result<Placed, Refused> {
        if self.is_leader() {
            return Err(Refused::Leading);
        }
        // Who cannot campaign would find no other, and a sleeping leader would not find out.
        if !self.is_promotable() {
            return Err(Refused::NotVoter(self.id));
        }
        self.keeps_promise(now)?;
        self.set_leader(None);
        self.promised_until = Time::ZERO;
        self.reset_election_timer(now);
        Ok(Placed::Nothing)
    }

    /// The leader has stepped back in our favour. A stamp older than what we heard since means that
    /// it may have changed its mind.
    pub(crate) fn on_timeout_now(&mut self, now: Time, from: PeerId, term: Term, stamp: Stamp) {
        let is_leader = term == self.term && self.leader == Some(from);
        if is_leader && stamp >= self.seen && self.is_promotable() {
            self.start_election(now, true);
        }
    }

    pub(crate) fn on_pre_vote(
        &mut self,
        now: Time,
        from: PeerId,
        term: Term,
        last: EntryId,
        out: &mut Outbox,
    ) {
        let mut granted = false;
        if term == self.term && self.leader == Some(from) {
            // It led this term, and does so no more: nobody need sit still for it.
            self.set_leader(None);
            self.promised_until = Time::ZERO;
            self.reset_election_timer(now);
        }
        // An asker whose term is behind is told so even by those who heard the leader: otherwise a
        // short log with a high term and a long log with a low one would wait for each other.
        if term >= self.term {
            if self.is_promised(now, from) {
                self.hear_rival(now, from, last);
                return;
            }
            granted = last.is_up_to_date_with(self.last());
        }
        let body = Body::PreVoteReply { ask: term.next(), granted };
        out.sends.push((from, Message { term: self.term, body }));
    }

    /// Someone campaigns against a leader that is protected. If that is us and we sleep, that is
    /// why: let everyone hear from us. If we sit still for a leader, it may have been deposed
    /// without our hearing of it, and its store be well: ask it, and protect it for as long as if
    /// we had just heard it, but not forever. A peer that was removed, and shows by its log that it
    /// does not know, is let talk.
    fn hear_rival(&mut self, now: Time, rival: PeerId, last: EntryId) {
        if self.membership.get(rival).is_none() && last.index < self.membership_at {
            return;
        }
        if let Role::Leader(leader) = &mut self.role {
            leader.wake(now);
        } else if self.is_still() {
            self.flags.set(Flags::DOUBT);
            self.flags.set(Flags::ACK_NOW);
            self.promise(now);
        } else if self.deadline().is_none() && self.flags.take(Flags::PROTECTS) {
            // It cannot campaign itself, and no timer of its own would ever end this.
            self.flags.set(Flags::LET_GO);
        }
    }

    /// The connection to a leader that this peer sits still for broke. A store that lives is
    /// reached again in a moment, so the leader is asked; one that does not answer is campaigned
    /// against before the failure detector gives its store up. It is protected for as long as it
    /// was.
    pub(crate) fn doubt_unheard(&mut self, now: Time, leader: PeerId) {
        self.flags.set(Flags::DOUBT);
        self.flags.set(Flags::ACK_NOW);
        let answered_by = now.after(self.config.heartbeat_interval * 2);
        let wait = self.wait_for_turn(leader);
        self.election_at = answered_by.max(self.promised_until).after(wait);
    }

    /// How long to wait before campaigning in the place of this leader.
    pub(crate) fn wait_for_turn(&mut self, leader: PeerId) -> Duration {
        let (turn, turns) = self.turn_after(leader);
        let span = self.config.campaign_spread / turns;
        span * turn + self.rng.below(span)
    }

    /// Who has lost the same leader takes turns: two that campaign at once would split the vote,
    /// and all would wait once more. The first turn is another peer's for another leader or term,
    /// so that what a dead store led does not all go to the same one. Turn, and how many there are.
    fn turn_after(&self, leader: PeerId) -> (u32, u32) {
        let ids = || self.membership.iter().map(|member| member.id);
        let voters = || ids().filter(|&id| id != leader && self.membership.is_voter(id));
        let Some(place) = voters().position(|id| id == self.id) else { return (0, 1) };
        let turns = voters().count() as u64;
        // By more than the last bits: what a split makes has ids in a row.
        let mixed = (leader.get() ^ self.term.0.rotate_left(32)).wrapping_mul(SPREADS_BITS);
        let first = (mixed >> 32) % turns;
        let turn = (place as u64 + first) % turns;
        let few = |count: u64| u32::try_from(count).expect("a group has few members");
        (few(turn), few(turns))
    }

    pub(crate) fn on_vote(
        &mut self,
        now: Time,
        from: PeerId,
        (term, last): (Term, EntryId),
        transfer: bool,
        out: &mut Outbox,
    ) {
        let is_repeated = term == self.term && self.vote == Some(from);
        if term >= self.term && !transfer && !is_repeated && self.is_promised(now, from) {
            self.hear_rival(now, from, last);
            return;
        }
        // A candidate that is refused must not put off a better one (dragonboat's candidates with
        // short logs): unless we led, the election timer goes on.
        let timer = match self.role {
            Role::Leader(_) => None,
            _ => Some(self.election_at),
        };
        if term > self.term {
            self.become_follower(now, term, None, out);
        }
        let is_free = self.vote.is_none() && self.leader.is_none();
        let may_vote = term == self.term && (is_repeated || is_free);
        if !may_vote || !last.is_up_to_date_with(self.last()) {
            let refusal = Body::VoteReply { granted: false };
            out.sends.push((from, Message { term: self.term, body: refusal }));
            self.election_at = timer.unwrap_or(self.election_at);
            return;
        }
        if self.vote.is_none() {
            self.become_follower(now, term, None, out);
            self.vote = Some(from);
            self.hard_state_changed();
        }
        self.flags.set(Flags::GRANT_OWED);
        self.reset_election_timer(now);
    }

    pub(crate) fn on_pre_vote_reply(
        &mut self,
        now: Time,
        from: PeerId,
        (term, ask): (Term, Term),
        granted: bool,
        out: &mut Outbox,
    ) -> Placed {
        if !granted {
            self.is_answer(now, from, term, out);
        }
        if ask == self.term.next()
            && let Role::PreCandidate(poll) = &mut self.role
            && let Some(slot) = self.membership.slot(from)
        {
            poll.count(slot, granted);
            return self.decide(now, out);
        }
        Placed::Nothing
    }

    pub(crate) fn on_vote_reply(
        &mut self,
        now: Time,
        from: PeerId,
        term: Term,
        granted: bool,
        out: &mut Outbox,
    ) -> Placed {
        if self.is_answer(now, from, term, out)
            && let Role::Candidate(poll) = &mut self.role
            && let Some(slot) = self.membership.slot(from)
        {
            poll.count(slot, granted);
            return self.decide(now, out);
        }
        Placed::Nothing
    }

    /// Our own term and vote have become durable.
    pub(crate) fn count_own_vote(&mut self, now: Time, out: &mut Outbox) -> Placed {
        if let Role::Candidate(poll) = &mut self.role
            && let Some(slot) = self.membership.slot(self.id)
        {
            poll.count(slot, true);
            return self.decide(now, out);
        }
        Placed::Nothing
    }

    fn decide(&mut self, now: Time, out: &mut Outbox) -> Placed {
        let (Role::PreCandidate(poll) | Role::Candidate(poll)) = &self.role else {
            return Placed::Nothing;
        };
        let is_durable = self.flags.has(Flags::HARD_DURABLE);
        match (quorum::tally(&self.membership, |slot| poll.ballots[slot]), &self.role) {
            (Outcome::Won, Role::PreCandidate(_)) => self.start_election(now, false),
            (Outcome::Won, Role::Candidate(_)) if is_durable => return self.become_leader(now),
            (Outcome::Lost, _) => self.become_follower(now, self.term, None, out),
            _ => {}
        }
        Placed::Nothing
    }

    fn start_pre_vote(&mut self, now: Time) {
        self.set_leader(None);
        self.reset_election_timer(now);
        let mut poll = self.new_poll(false);
        if let Some(slot) = self.membership.slot(self.id) {
            poll.count(slot, true);
        }
        let won = quorum::tally(&self.membership, |slot| poll.ballots[slot]) == Outcome::Won;
        self.role = Role::PreCandidate(poll);
        if won {
            self.start_election(now, false);
        }
    }

    fn start_election(&mut self, now: Time, transfer: bool) {
        self.set_leader(None);
        self.reset_election_timer(now);
        self.enter_term(self.term.next());
        self.vote = Some(self.id);
        self.role = Role::Candidate(self.new_poll(transfer));
    }

    fn new_poll(&self, transfer: bool) -> Box<Poll> {
        let ballots = self.membership.iter().map(|_| Ballot::Open).collect();
        let ask_wait = self.config.heartbeat_interval / ASK_AGAIN_PART;
        Box::new(Poll { ballots, transfer, is_due: true, ask_at: None, ask_wait })
    }

    /// Invariant: the vote for ourselves in this term is durable, and a majority's is.
    fn become_leader(&mut self, now: Time) -> Placed {
        assert!(self.vote == Some(self.id) && self.flags.has(Flags::HARD_DURABLE));
        let first_own = self.last().index.next();
        let leader = Leader::new(&self.ctx(), first_own, now);
        self.role = Role::Leader(Box::new(leader));
        self.set_leader(Some(self.id));
        self.log.append(self.term, 1);
        Placed::Own(self.last(), Own::Empty)
    }

    /// Follows `leader`, or waits for one, in `term`.
    pub(crate) fn become_follower(
        &mut self,
        now: Time,
        term: Term,
        leader: Option<PeerId>,
        out: &mut Outbox,
    ) {
        if let Role::Leader(was) = &mut self.role {
            was.refuse_reads(leader, out);
            self.verified = self.commit;
        }
        self.role = Role::Follower;
        self.flags.clear(Flags::RETIRING);
        if term > self.term {
            self.enter_term(term);
            self.flags.set(Flags::TELL_LEADER);
        }
        self.set_leader(leader);
        self.reset_election_timer(now);
    }

    /// Nothing of the term before holds in the new one: neither vote, nor what its leader said.
    fn enter_term(&mut self, term: Term) {
        assert!(term > self.term, "terms only rise");
        self.term = term;
        self.vote = None;
        self.verified = self.commit;
        self.heard = self.commit;
        self.seen = Stamp(0);
        self.flags.clear(Flags::GRANT_OWED);
        self.flags.clear(Flags::ACK_OWED);
        self.flags.clear(Flags::ACK_NOW);
        self.hard_state_changed();
    }

    fn hard_state_changed(&mut self) {
        self.flags.set(Flags::HARD_OWED);
        self.flags.clear(Flags::HARD_DURABLE);
    }

    /// When voters are asked again, if an election is held.
    pub(crate) fn ask_at(&self) -> Option<Time> {
        match &self.role {
            Role::PreCandidate(poll) | Role::Candidate(poll) => poll.ask_at,
            Role::Follower | Role::Leader(_) => None,
        }
    }

    /// Asks the voters, as soon as that is allowed; and again those that do not answer (Raft paper
    /// §5.5). A question may be lost, or come before its voter does: of a group that was just made,
    /// whose other stores have not got as far.
    pub(crate) fn drain_candidate(&mut self, now: Time, out: &mut Outbox) {
        let last = self.log.last();
        let is_durable = self.flags.has(Flags::HARD_DURABLE);
        let (poll, body) = match &mut self.role {
            Role::PreCandidate(poll) => (poll, Body::PreVote { last }),
            Role::Candidate(poll) if is_durable => {
                let transfer = poll.transfer;
                (poll, Body::Vote { last, transfer })
            }
            _ => return,
        };
        if !core::mem::take(&mut poll.is_due) {
            return;
        }
        let is_patient = poll.ask_wait <= self.config.heartbeat_interval;
        poll.ask_at = is_patient.then(|| now.after(poll.ask_wait));
        poll.ask_wait *= 2;
        for (member, ballot) in self.membership.iter().zip(&poll.ballots) {
            let is_asked = member.id != self.id && *ballot == Ballot::Open;
            if is_asked && self.membership.is_voter(member.id) {
                out.sends.push((member.id, Message { term: self.term, body }));
            }
        }
    }

    /// Whether this peer may campaign: it votes, or did until a membership that may yet be
    /// overwritten, and its log is its own. Those whom a new membership leaves out must be able to
    /// lead until it is committed: they may be the only ones that have it (thesis §4.2.2;
    /// `scripts/membership/left_out_peer_brings_its_own_removal_to_pass`).
    pub(crate) fn is_promotable(&self) -> bool {
        let was_voter = self.previous.as_ref().is_some_and(|before| before.1.is_voter(self.id));
        (was_voter || self.membership.is_voter(self.id))
            && !self.log.is_installing()
            && self.term < TERM_MAX
            && self.last().index < INDEX_MAX
    }

    /// Whether the host's failure detector stands in for the election timer. Only for a leader that
    /// may lead, and that nobody contests: one that was deposed does not say goodbye to everyone.
    pub(crate) fn is_still(&self) -> bool {
        self.flags.has(Flags::SUPPORTED)
            && !self.flags.has(Flags::DOUBT)
            && self.leader.is_some_and(|leader| self.membership.is_voter(leader))
    }

    pub(crate) fn reset_election_timer(&mut self, now: Time) {
        let spread = self.campaign_wait();
        self.election_at = now.after(self.config.campaign_after).after(spread);
    }

    fn campaign_wait(&mut self) -> Duration {
        self.rng.below(self.config.campaign_spread)
    }
}

impl Poll {
    /// The first answer counts; a vote is not taken back.
    fn count(&mut self, slot: usize, granted: bool) {
        if self.ballots[slot] == Ballot::Open {
            self.ballots[slot] = if granted { Ballot::Granted } else { Ballot::Refused };
        }
    }
}

/// Terms and slots beyond these only come from garbage; what carries them is refused, so that
/// counting up never overflows.
pub(crate) const TERM_MAX: Term = Term(1 << 62);
pub(crate) const INDEX_MAX: Index = Index(1 << 62);
