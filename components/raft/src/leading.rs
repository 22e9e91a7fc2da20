//! Leading: proposals, membership changes, reads, transfers, commitment.
//!
//! Invariants: only entries of the own term are committed by counting, those before them with them
//! (thesis §3.6.2); at most one membership is uncommitted, and only after an entry of the own term
//! is committed (Ongaro, raft-dev 2015); a leader outside its membership leads until that
//! membership is committed and then no longer (thesis §4.2.2).

use types::{EntryId, Index, PeerId, Time};

use crate::election::INDEX_MAX;
use crate::flags::Flags;
use crate::input::{Own, Placed, ReadToken, Refused};
use crate::leader::{LogSizes, Transfer};
use crate::membership::{Change, Membership};
use crate::message::{Body, Message, Pledge, Stamp};
use crate::outbox::{Event, Outbox};
use crate::peer::{Peer, Role};
use crate::sleep::Beats;

impl Peer {
    pub(crate) fn propose(&mut self, now: Time, count: u64, bytes: u64) -> Result<Placed, Refused> {
        let not_leader = Refused::NotLeader(self.leader);
        let Some((leader, ctx)) = self.leading() else { return Err(not_leader) };
        leader.takes_entries(&ctx)?;
        if count == 0 || count > INDEX_MAX.since(ctx.log.last().index) {
            return Err(Refused::BadHost("proposed no entries, or more than fit any log"));
        }
        let total = leader.uncommitted_bytes.saturating_add(bytes);
        if leader.uncommitted_bytes > 0 && total > ctx.config.uncommitted_bytes_max {
            return Err(Refused::Quota);
        }
        leader.uncommitted_bytes = total;
        leader.wake_to_append(&ctx, now);
        Ok(Placed::Payloads(self.log.append(self.term, count)))
    }

    pub(crate) fn change(&mut self, now: Time, changes: &[Change]) -> Result<Placed, Refused> {
        self.takes_change()?;
        let joint = self.membership.enter_joint(changes).map_err(Refused::BadChange)?;
        Ok(self.append_membership(now, joint))
    }

    /// Whether another membership may be appended now.
    pub(crate) fn takes_change(&self) -> Result<(), Refused> {
        let Role::Leader(leader) = &self.role else { return Err(Refused::NotLeader(self.leader)) };
        leader.takes_entries(&self.ctx())?;
        let settled_by = self.membership_at.max(leader.first_own);
        if self.commit < settled_by || self.membership.is_joint() {
            return Err(Refused::ChangeInFlight(settled_by));
        }
        Ok(())
    }

    pub(crate) fn read(&mut self, now: Time, token: ReadToken) -> Result<Placed, Refused> {
        let not_leader = Refused::NotLeader(self.leader);
        let Some((leader, ctx)) = self.leading() else { return Err(not_leader) };
        leader.add_read(&ctx, token)?;
        leader.wake_to_read(now);
        Ok(Placed::Nothing)
    }

    /// A transfer under way to the same peer goes on, with the time it has left.
    pub(crate) fn transfer(&mut self, now: Time, to: PeerId) -> Result<Placed, Refused> {
        let not_leader = Refused::NotLeader(self.leader);
        let Some((leader, ctx)) = self.leading() else { return Err(not_leader) };
        if !ctx.membership.is_incoming_voter(to) {
            return Err(Refused::NotVoter(to));
        }
        if to == ctx.id {
            leader.abort_transfer();
        } else if leader.transfer.is_none_or(|transfer| transfer.to != to) {
            let give_up = now.after(ctx.config.election_timeout);
            leader.transfer = Some(Transfer { to, give_up });
            leader.wake(now);
        }
        Ok(Placed::Nothing)
    }

    pub(crate) fn step_down(&mut self, now: Time, out: &mut Outbox) -> Result<Placed, Refused> {
        if !self.is_leader() {
            return Err(Refused::NotLeader(self.leader));
        }
        self.become_follower(now, self.term, None, out);
        Ok(Placed::Nothing)
    }

    pub(crate) fn on_ack(
        &mut self,
        now: Time,
        from: PeerId,
        positions: (Index, Index),
        (stamp, pledge): (Stamp, Pledge),
    ) -> Result<Placed, Refused> {
        let Some((leader, ctx)) = self.leading() else { return Ok(Placed::Nothing) };
        if leader.on_ack(&ctx, from, positions, (stamp, pledge))? && leader.beats == Beats::Asleep {
            // It has nothing new to say, so it asks: someone contests our leadership.
            leader.wake(now);
        }
        Ok(self.advance_commit(now))
    }

    pub(crate) fn on_lost(&mut self, now: Time, peer: PeerId) -> Result<Placed, Refused> {
        if let Some((leader, ctx)) = self.leading()
            && let Some(slot) = ctx.membership.slot(peer)
        {
            leader.on_lost(slot);
            leader.wake(now);
        } else if self.leader == Some(peer) && self.is_still() {
            self.doubt_unheard(now, peer);
        }
        Ok(Placed::Nothing)
    }

    pub(crate) fn on_snapshot_ended(&mut self, peer: PeerId) -> Result<Placed, Refused> {
        if let Some((leader, ctx)) = self.leading()
            && let Some(slot) = ctx.membership.slot(peer)
        {
            leader.on_snapshot_ended(slot);
        }
        Ok(Placed::Nothing)
    }

    /// Commits what a majority holds, and takes the next step of a membership change that this
    /// completes.
    pub(crate) fn advance_commit(&mut self, now: Time) -> Placed {
        let Some((leader, ctx)) = self.leading() else { return Placed::Nothing };
        let upto = leader.replicated(&ctx);
        if upto <= ctx.commit || upto < leader.first_own {
            return Placed::Nothing;
        }
        self.commit = upto;
        self.forget_previous_membership();
        if upto < self.membership_at {
            return Placed::Nothing;
        }
        if self.membership.is_joint() {
            let next = self.membership.leave_joint();
            return self.append_membership(now, next);
        }
        if !self.membership.is_voter(self.id) {
            self.flags.set(Flags::RETIRING);
        }
        Placed::Nothing
    }

    fn append_membership(&mut self, now: Time, membership: Membership) -> Placed {
        let old = self.membership.clone();
        let at = self.log.append(self.term, 1).start;
        self.adopt_membership(at, membership.clone());
        if let Some((leader, ctx)) = self.leading() {
            leader.follow_membership(&old, &ctx, now);
            leader.wake(now);
        }
        Placed::Own(EntryId::new(self.term, at), Own::Membership(membership))
    }

    pub(crate) fn tick_leader(&mut self, now: Time, out: &mut Outbox) {
        let Some((leader, ctx)) = self.leading() else { return };
        if leader.beats == Beats::Asleep || now < leader.next_beat {
            return;
        }
        if leader.is_deserted(&ctx, now) {
            return self.become_follower(now, self.term, None, out);
        }
        if leader.transfer.is_some_and(|transfer| now >= transfer.give_up) {
            leader.abort_transfer();
        }
        leader.tick(&ctx, now);
    }

    pub(crate) fn drain_leader(&mut self, now: Time, sizes: &dyn LogSizes, out: &mut Outbox) {
        let Some((leader, ctx)) = self.leading() else { return };
        if leader.uncommitted_bytes > 0 {
            // Counted anew rather than kept in step: nothing can leak (etcd#10199).
            let from = ctx.commit.next().max(leader.first_own);
            let end = ctx.log.last().index.next();
            leader.uncommitted_bytes =
                if from < end { sizes.fit(from..end, u64::MAX).1 } else { 0 };
        }
        leader.drain(&ctx, now, sizes, out);
        if core::mem::take(&mut leader.transfer_ended) {
            out.events.push(Event::TransferEnded);
        }
        if !self.flags.has(Flags::RETIRING) {
            return;
        }
        // The others have been sent the commit index; whoever is furthest takes over.
        if let Some((leader, ctx)) = self.leading()
            && let Some(heir) = leader.best_heir(&ctx)
        {
            let body = Body::TimeoutNow { stamp: leader.stamp() };
            out.sends.push((heir, Message { term: ctx.term, body }));
        }
        self.become_follower(now, self.term, None, out);
    }
}
