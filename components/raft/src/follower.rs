//! Following a leader: appends, beats, snapshots, and what is owed for them (thesis §3.5, §5).
//!
//! Nothing that rests on durability is kept as a message. What is owed is a flag, and the answer is
//! built from the state of the moment it is sent: an ack says `min(stable, verified)`, whichever
//! writes have completed by then. Acks are cumulative, so one covers any number of appends.
//!
//! Invariant: `commit ≤ verified`, so that a commit index is only taken over for entries known to
//! be the leader's (etcd's *tocommit out of range* cannot be written down here).

use types::{EntryId, Index, PeerId, Term, Time};

use crate::election::INDEX_MAX;
use crate::flags::Flags;
use crate::input::{Foreign, Placed, Refused};
use crate::membership::Membership;
use crate::message::{Body, Message, Pledge, Run, Stamp};
use crate::outbox::Outbox;
use crate::peer::{Peer, Role};

/// The entries of an append, checked to be in order.
pub(crate) struct Entries<'a> {
    pub prev: EntryId,
    pub last: Index,
    pub runs: &'a [Run],
    pub memberships: &'a [(Index, Membership)],
}

impl Entries<'_> {
    /// The term of the entry in this slot.
    fn term(&self, index: Index) -> Option<Term> {
        let covers = |run: &&Run| run.first <= index && index <= self.last;
        self.runs.iter().rev().find(covers).map(|run| run.term)
    }
}

/// How a leader's entries fit this log.
pub(crate) enum Fit {
    /// `prev` is not here; the logs can agree at this entry at best.
    Gap(EntryId),
    /// Everything is here already.
    Known,
    /// From this slot on they are new.
    NewFrom(Index),
}

impl Peer {
    /// A message that only a leader of `term` sends. Returns whether it does lead, and follows it.
    pub(crate) fn hear_leader(
        &mut self,
        now: Time,
        from: PeerId,
        term: Term,
        stamp: Stamp,
        out: &mut Outbox,
    ) -> Result<bool, Refused> {
        if term < self.term {
            out.sends.push((from, Message { term: self.term, body: Body::Behind }));
            return Ok(false);
        }
        if term == self.term && self.leader.is_some_and(|leader| leader != from) {
            return Err(Refused::Foreign(Foreign::TwoLeaders(term)));
        }
        if term > self.term || !matches!(self.role, Role::Follower) {
            self.become_follower(now, term, Some(from), out);
        }
        self.set_leader(Some(from));
        self.flags.clear(Flags::DOUBT);
        self.seen = self.seen.max(stamp);
        self.promise(now);
        Ok(true)
    }

    /// How the entries fit, or how they contradict what is settled: what is committed, what this
    /// term's leader sent before, and memberships that another has followed.
    pub(crate) fn fit(&self, term: Term, entries: &Entries<'_>) -> Result<Fit, Refused> {
        let EntryId { index: prev, .. } = entries.prev;
        let verified = if term == self.term { self.verified } else { self.commit };
        // With none to go back to, the membership in force is committed.
        let membership_at = self.previous.as_ref().map_or(self.membership_at, |before| before.0);
        let settled = verified.max(membership_at);
        let conflict = |at| Err(Refused::Foreign(Foreign::Conflict(at)));
        // What precedes the base is committed and agrees, though its terms are forgotten.
        if prev >= self.log.base().index && !self.log.contains(entries.prev) {
            if prev <= settled {
                return conflict(prev);
            }
            return Ok(Fit::Gap(self.log.floor(entries.prev)));
        }
        let base = self.log.base();
        if prev < base.index && entries.term(base.index).is_some_and(|term| term != base.term) {
            return conflict(base.index);
        }
        match self.log.first_new(prev, entries.runs, entries.last) {
            None => Ok(Fit::Known),
            Some(at) if at <= settled => conflict(at),
            Some(at) => Ok(Fit::NewFrom(at)),
        }
    }

    /// Takes over what the leader's entries add. `self` follows their sender already.
    pub(crate) fn on_append(
        &mut self,
        from: PeerId,
        (entries, fit): (&Entries<'_>, Fit),
        commit: Index,
        stamp: Stamp,
        out: &mut Outbox,
    ) -> Placed {
        let placed = match fit {
            Fit::Gap(hint) => {
                let nack = Body::Nack { at: entries.prev.index, hint, stamp };
                out.sends.push((from, Message { term: self.term, body: nack }));
                return Placed::Nothing;
            }
            Fit::Known => Placed::Nothing,
            Fit::NewFrom(at) => {
                self.revert_membership(at);
                self.log.replace(at, entries.runs, entries.last, self.term);
                for (slot, membership) in entries.memberships.iter().filter(|m| m.0 >= at) {
                    self.adopt_membership(*slot, membership.clone());
                }
                Placed::Payloads(at..entries.last.next())
            }
        };
        self.verified = self.verified.max(entries.last);
        self.commit_to(commit);
        self.flags.set(Flags::ACK_OWED);
        placed
    }

    /// A snapshot holds what is committed. It contradicts an older term behind what is committed
    /// here, and another entry in a slot where the logs are known to agree.
    pub(crate) fn check_snapshot(
        &self,
        term: Term,
        snapshot: EntryId,
        membership: &Membership,
    ) -> Result<(), Refused> {
        if snapshot.term > term || snapshot.index >= INDEX_MAX || membership.is_empty() {
            return Err(Refused::Foreign(Foreign::Malformed));
        }
        let is_known = term == self.term && snapshot.index <= self.verified;
        let differs = !self.log.contains(snapshot) && snapshot.index > self.log.base().index;
        let is_older =
            self.log.term(self.commit).is_some_and(|committed| snapshot.term < committed);
        if is_known && differs || snapshot.index > self.commit && is_older {
            return Err(Refused::Foreign(Foreign::Conflict(snapshot.index)));
        }
        Ok(())
    }

    /// The host holds all of a snapshot. Takes its place in the log, unless the log has it.
    pub(crate) fn on_install(&mut self, snapshot: EntryId, membership: &Membership) -> Placed {
        self.flags.set(Flags::ACK_OWED);
        if snapshot.index <= self.commit {
            return Placed::Nothing;
        }
        if self.log.contains(snapshot) {
            self.verified = self.verified.max(snapshot.index);
            self.commit_to(snapshot.index);
            return Placed::Nothing;
        }
        self.log.install(snapshot, self.term);
        self.commit = snapshot.index;
        self.reported = snapshot.index;
        self.verified = snapshot.index;
        self.adopt_membership(snapshot.index, membership.clone());
        self.previous = None;
        self.flags.set(Flags::INSTALL_OWED);
        Placed::Snapshot(snapshot)
    }

    /// Sends the answers whose conditions are met. All wait for the term to be durable: an ack is
    /// a promise made in it.
    pub(crate) fn drain_follower(&mut self, out: &mut Outbox) {
        if !self.flags.has(Flags::HARD_DURABLE) {
            return;
        }
        let mut say = |to, body| out.sends.push((to, Message { term: self.term, body }));
        if self.flags.take(Flags::GRANT_OWED)
            && let Some(candidate) = self.vote
        {
            say(candidate, Body::VoteReply { granted: true });
        }
        let moved = self.flags.take(Flags::STABLE_MOVED);
        let Some(leader) = self.leader else { return };
        let stable = self.log.stable();
        let is_all_durable = self.verified <= stable;
        let ack_now = self.flags.take(Flags::ACK_NOW);
        if ack_now || self.flags.has(Flags::ACK_OWED) && (is_all_durable || moved) {
            let (matched, verified) = (self.verified.min(stable), self.verified);
            let (stamp, pledge) = (self.seen, Pledge::default());
            say(leader, Body::Ack { matched, verified, stamp, pledge });
            self.flags.put(Flags::ACK_OWED, !is_all_durable);
        }
    }
}
