//! What only a leader has: progress of the others, stamps, reads under way, a transfer.
//!
//! Boxed, and dropped when leadership ends, so that a follower does not pay for it.
//!
//! Nothing is sent when something happens; [`Leader::drain`] looks once at every member and sends
//! what is due by then. However many proposals, acks and reads a drain gathers, a member gets one
//! append (as long as it fits) or one beat, and all waiting reads share one round.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use types::{EntryId, Index, PeerId, Term, Time};

use crate::config::Config;
use crate::input::{Foreign, ReadToken, Refused};
use crate::log::Log;
use crate::membership::Membership;
use crate::message::{Body, Message, Pledge, Stamp};
use crate::outbox::{Outbox, SnapshotWanted};
use crate::progress::{Mode, Progress};
use crate::quorum;
use crate::sleep::Beats;

/// How large entries are; answered by the host, which has them.
pub trait LogSizes {
    /// How many of these entries, from the first on, fit into `bytes_max`: the slot behind the last
    /// that fits, and the bytes up to there. The range is never empty and lies in the log. For
    /// entries not in memory an estimate will do: sizes steer flow, never correctness.
    fn fit(&self, entries: Range<Index>, bytes_max: u64) -> (Index, u64);
}

/// The parts of a peer that a leader reads.
pub(crate) struct Ctx<'a> {
    pub id: PeerId,
    pub term: Term,
    pub commit: Index,
    pub config: &'a Config,
    pub log: &'a Log,
    pub membership: &'a Membership,
}

#[derive(Debug)]
pub(crate) struct Leader {
    /// By slot of the membership.
    pub progress: Box<[Progress]>,
    /// The first entry of this leadership.
    pub first_own: Index,
    /// When the next beats are due.
    pub next_beat: Time,
    /// Silence before this is not held against a majority: there was no leader, or it was another
    /// majority, or we were asleep.
    pub patient_from: Time,
    /// Newest stamp issued.
    stamp: Stamp,
    /// Stamp of the first beat round since which nothing has changed; 0 for none.
    pub quiet_since: Stamp,
    pub beats: Beats,
    /// It was asleep: beats are due as soon as everything is committed.
    pub settles: bool,
    /// No lease in this term any more. Someone was told to campaign: it may do so at any time from
    /// now on, with its restart or a slow network between, and voters will not protect us. Or the
    /// clock went back: stamps do not say any more when something was sent.
    is_lease_void: bool,
    /// Bytes of own entries not committed.
    pub uncommitted_bytes: u64,
    pub reads: Vec<PendingRead>,
    pub transfer: Option<Transfer>,
    /// The host is to be told that a transfer was given up.
    pub transfer_ended: bool,
}

/// How far stamps may run ahead of the clock: they differ from drain to drain even when it stands.
const CLOCK_SLACK: Duration = Duration::from_millis(1);

/// A read that waits for confirmation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingRead {
    token: ReadToken,
    /// Commit index when its round began.
    index: Index,
    /// Stamp of its round; 0 if none has begun.
    round: Stamp,
}

/// Leadership on its way to another peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub to: PeerId,
    pub give_up: Time,
}

impl Leader {
    pub(crate) fn new(ctx: &Ctx<'_>, first_own: Index, now: Time) -> Leader {
        let fresh = Progress::new(first_own);
        Leader {
            progress: ctx.membership.iter().map(|_| fresh).collect(),
            first_own,
            next_beat: now.after(ctx.config.heartbeat_interval),
            patient_from: now,
            stamp: Stamp(now.0),
            quiet_since: Stamp(0),
            beats: Beats::Timed,
            settles: false,
            is_lease_void: false,
            uncommitted_bytes: 0,
            reads: Vec::new(),
            transfer: None,
            transfer_ended: false,
        }
    }

    /// Follows a change of membership: members that stay keep their progress.
    pub(crate) fn follow_membership(&mut self, old: &Membership, ctx: &Ctx<'_>, now: Time) {
        let fresh = Progress::new(ctx.log.last().index);
        self.progress = ctx
            .membership
            .iter()
            .map(|member| old.slot(member.id).map_or(fresh, |slot| self.progress[slot]))
            .collect();
        self.patient_from = now;
    }

    /// Whether new entries would still be led to commitment by us, as far as we know.
    pub(crate) fn takes_entries(&self, ctx: &Ctx<'_>) -> Result<(), Refused> {
        if !ctx.membership.is_voter(ctx.id) {
            return Err(Refused::NotLeader(None));
        }
        match self.transfer {
            Some(transfer) => Err(Refused::Transferring(transfer.to)),
            None => Ok(()),
        }
    }

    pub(crate) fn abort_transfer(&mut self) {
        self.transfer_ended |= self.transfer.take().is_some();
    }

    /// The newest stamp that a majority has echoed: it had not elected anyone else when we issued
    /// it.
    pub(crate) fn confirmed(&self, ctx: &Ctx<'_>) -> Stamp {
        let own = ctx.membership.slot(ctx.id);
        Stamp(quorum::agreed(ctx.membership, |slot| {
            if Some(slot) == own { u64::MAX } else { self.progress[slot].acked.0 }
        }))
    }

    /// The last slot that a majority holds durably, this peer counted only if it is one of them
    /// (thesis §10.2.1).
    pub(crate) fn replicated(&self, ctx: &Ctx<'_>) -> Index {
        let own = ctx.membership.slot(ctx.id);
        Index(quorum::agreed(ctx.membership, |slot| {
            if Some(slot) == own { ctx.log.stable().0 } else { self.progress[slot].matched.0 }
        }))
    }

    /// Until when no other leader can have been elected; `None` if that cannot be said.
    pub(crate) fn lease(&self, ctx: &Ctx<'_>, now: Time) -> Option<Time> {
        let span = ctx.config.lease_span()?.saturating_sub(CLOCK_SLACK);
        if !self.can_lease(ctx, now) {
            return None;
        }
        let from = Time(self.confirmed(ctx).0).min(now);
        let until = from.after(span);
        (now < until).then_some(until)
    }

    /// Whether there is a lease whenever a majority protects this leader.
    pub(crate) fn can_lease(&self, ctx: &Ctx<'_>, now: Time) -> bool {
        let is_void = self.is_lease_void || self.is_clock_back(now);
        !is_void && ctx.commit >= self.first_own && ctx.config.lease_span().is_some()
    }

    fn is_clock_back(&self, now: Time) -> bool {
        now.after(CLOCK_SLACK) < Time(self.stamp.0)
    }

    /// Whether a majority has been silent for too long.
    pub(crate) fn is_deserted(&self, ctx: &Ctx<'_>, now: Time) -> bool {
        let heard = Time(self.confirmed(ctx).0).max(self.patient_from);
        now >= heard.after(ctx.config.election_timeout)
    }

    /// Returns whether the ack repeats what the member said before.
    pub(crate) fn on_ack(
        &mut self,
        ctx: &Ctx<'_>,
        from: PeerId,
        (matched, verified): (Index, Index),
        (stamp, pledge): (Stamp, Pledge),
    ) -> Result<bool, Refused> {
        let Some(slot) = ctx.membership.slot(from) else { return Ok(false) };
        if verified > ctx.log.last().index || matched > verified || stamp > self.stamp {
            return Err(Refused::Foreign(Foreign::NeverSent));
        }
        let repeats = stamp <= self.progress[slot].acked;
        if stamp >= self.progress[slot].acked {
            self.progress[slot].pledge = pledge;
        }
        self.progress[slot].on_ack(matched, verified, stamp, ctx.log);
        Ok(repeats)
    }

    pub(crate) fn on_nack(
        &mut self,
        ctx: &Ctx<'_>,
        from: PeerId,
        (at, hint): (Index, EntryId),
        stamp: Stamp,
    ) -> Result<(), Refused> {
        let Some(slot) = ctx.membership.slot(from) else { return Ok(()) };
        if at > ctx.log.last().index || hint.index > at || stamp > self.stamp {
            return Err(Refused::Foreign(Foreign::NeverSent));
        }
        self.progress[slot].on_nack(at, hint, stamp, ctx.log);
        Ok(())
    }

    pub(crate) fn on_lost(&mut self, slot: usize) {
        self.progress[slot].on_lost(self.stamp);
    }

    pub(crate) fn on_snapshot_ended(&mut self, slot: usize) {
        self.progress[slot].on_snapshot_ended(self.stamp);
    }

    pub(crate) fn add_read(&mut self, ctx: &Ctx<'_>, token: ReadToken) -> Result<(), Refused> {
        if self.reads.len() >= ctx.config.reads_max {
            return Err(Refused::Busy);
        }
        self.reads.push(PendingRead { token, index: Index(0), round: Stamp(0) });
        Ok(())
    }

    /// Leadership has ended: whoever waits is told so.
    pub(crate) fn refuse_reads(&mut self, leader: Option<PeerId>, out: &mut Outbox) {
        for read in self.reads.drain(..) {
            out.reads.push((read.token, Err(Refused::NotLeader(leader))));
        }
    }

    /// Sends everything that is due.
    pub(crate) fn drain(
        &mut self,
        ctx: &Ctx<'_>,
        now: Time,
        sizes: &dyn LogSizes,
        out: &mut Outbox,
    ) {
        self.is_lease_void |= self.is_clock_back(now);
        self.stamp = Stamp(now.0.max(self.stamp.0.saturating_add(1)));
        let settles = self.settles && self.is_quiet(ctx);
        if settles {
            self.settles = false;
            self.next_beat = now.after(ctx.config.heartbeat_interval);
        }
        let are_due = self.beats == Beats::Due || settles;
        let reads_ask = self.start_reads(ctx, now, out);
        let own = ctx.membership.slot(ctx.id);
        for slot in (0..self.progress.len()).filter(|&slot| Some(slot) != own) {
            let member = ctx.membership.at(slot);
            let appended = self.replicate(ctx, now, slot, sizes, out);
            let peer = &mut self.progress[slot];
            // A due beat goes out beside an append: it is answered at once, and the append only
            // when the member's disk is done. A slow disk must not look like silence.
            let asks_reads = reads_ask && !appended && ctx.membership.is_voter(member.id);
            if are_due || asks_reads {
                let beat = Body::Beat { commit: ctx.commit, stamp: self.stamp };
                out.sends.push((member.id, ctx.say(beat)));
                peer.commit_sent = ctx.commit;
            } else if peer.mode == Mode::Replicate && peer.commit_sent < ctx.commit {
                out.sends.push((member.id, ctx.say(Body::Commit { commit: ctx.commit })));
                peer.commit_sent = ctx.commit;
            }
        }
        if are_due {
            self.beats = Beats::Timed;
            if self.next_beat <= now {
                self.next_beat = now.after(ctx.config.heartbeat_interval);
            }
            if self.quiet_since == Stamp(0) && self.is_quiet(ctx) {
                self.quiet_since = self.stamp;
            }
        }
        self.hand_over(ctx, out);
    }

    /// Begins the round of the reads that wait for one. Returns whether members must be asked.
    fn start_reads(&mut self, ctx: &Ctx<'_>, now: Time, out: &mut Outbox) -> bool {
        // Before the first own entry is committed the commit index may lag behind what a former
        // leader has acknowledged (thesis §6.4).
        if self.reads.is_empty() || ctx.commit < self.first_own {
            return false;
        }
        let leased = self.lease(ctx, now).is_some();
        let mut ask = false;
        for read in self.reads.iter_mut().filter(|read| read.round == Stamp(0)) {
            read.index = ctx.commit;
            read.round = self.stamp;
            ask = true;
        }
        let confirmed = if leased { self.stamp } else { self.confirmed(ctx) };
        self.reads.retain(|read| {
            let is_confirmed = read.round <= confirmed;
            if is_confirmed {
                out.reads.push((read.token, Ok(read.index)));
            }
            !is_confirmed
        });
        ask && !self.reads.is_empty()
    }

    /// Sends a member the entries that are due. Returns whether that was any message.
    fn replicate(
        &mut self,
        ctx: &Ctx<'_>,
        now: Time,
        slot: usize,
        sizes: &dyn LogSizes,
        out: &mut Outbox,
    ) -> bool {
        let to = ctx.membership.at(slot).id;
        let peer = &mut self.progress[slot];
        let end = ctx.log.last().index.next();
        let mut sent = false;
        loop {
            if peer.mode == Mode::Snapshot || peer.paused {
                return sent;
            }
            let Some(term) = ctx.log.term(peer.next.prev()) else {
                return sent | self.want_snapshot(ctx, now, slot, out);
            };
            let upto = match peer.mode {
                Mode::Probe if peer.next == end => end,
                Mode::Probe => sizes.fit(peer.next..end, ctx.config.append_bytes_max).0,
                _ => match window(ctx, peer, sizes, end) {
                    Some(upto) => upto,
                    None => return sent,
                },
            };
            // At least one entry, and nothing beyond the log, whatever the host says.
            let upto = upto.clamp(peer.next.next().min(end), end);
            let body = Body::Append {
                prev: EntryId::new(term, peer.next.prev()),
                last: upto.prev(),
                commit: ctx.commit,
                stamp: self.stamp,
            };
            out.sends.push((to, ctx.say(body)));
            peer.commit_sent = ctx.commit;
            peer.sent = self.stamp;
            sent = true;
            if peer.mode == Mode::Probe {
                peer.paused = true;
            } else {
                peer.next = upto;
            }
        }
    }

    /// The log no longer reaches back to this member. One that has been silent would not take a
    /// snapshot either, so it is beaten first.
    fn want_snapshot(&mut self, ctx: &Ctx<'_>, now: Time, slot: usize, out: &mut Outbox) -> bool {
        let peer = &mut self.progress[slot];
        let silent_from = Time(peer.heard.0).after(ctx.config.election_timeout);
        if peer.heard == Stamp(0) || now >= silent_from {
            return false;
        }
        peer.mode = Mode::Snapshot;
        peer.sent = self.stamp;
        out.snapshots.push(SnapshotWanted {
            to: ctx.membership.at(slot).id,
            at_least: ctx.log.base().index,
            term: ctx.term,
            stamp: self.stamp,
        });
        false
    }

    /// Tells the heir to campaign as soon as it has everything.
    fn hand_over(&mut self, ctx: &Ctx<'_>, out: &mut Outbox) {
        let Some(Transfer { to, .. }) = self.transfer else { return };
        let Some(slot) = ctx.membership.slot(to) else { return };
        let peer = &mut self.progress[slot];
        // While a change is under way its second entry may yet follow, and the heir lack it.
        let has_all = peer.matched == ctx.log.last().index && !ctx.membership.is_joint();
        if has_all && !peer.told_to_campaign {
            peer.told_to_campaign = true;
            self.is_lease_void = true;
            peer.sent = self.stamp;
            out.sends.push((to, ctx.say(Body::TimeoutNow { stamp: self.stamp })));
        }
    }

    /// Who should lead after us: whom leadership is being handed to, or else the voter of the new
    /// half that is furthest ahead, and of those the one heard last.
    pub(crate) fn best_heir(&self, ctx: &Ctx<'_>) -> Option<PeerId> {
        if let Some(transfer) = self.transfer {
            return Some(transfer.to);
        }
        (ctx.membership.iter().zip(&self.progress))
            .filter(|(member, _)| {
                member.id != ctx.id && ctx.membership.is_incoming_voter(member.id)
            })
            .max_by_key(|(_, progress)| (progress.matched, progress.acked))
            .map(|(member, _)| member.id)
    }

    /// The stamp of the drain under way.
    pub(crate) fn stamp(&self) -> Stamp {
        self.stamp
    }
}

impl Ctx<'_> {
    pub(crate) fn say(&self, body: Body) -> Message {
        Message { term: self.term, body }
    }
}

/// How far may be sent ahead to a member: the slot behind the last. `None` if not at all.
fn window(ctx: &Ctx<'_>, peer: &Progress, sizes: &dyn LogSizes, end: Index) -> Option<Index> {
    let first = peer.matched.next();
    if peer.next == end || peer.next.since(first) >= ctx.config.window_entries {
        return None;
    }
    // Part of it may be compacted by now; a host knows sizes only of what it has.
    let held = first.max(ctx.log.base().index.next());
    let in_flight = if held < peer.next { sizes.fit(held..peer.next, u64::MAX).1 } else { 0 };
    let room = ctx.config.window_bytes.saturating_sub(in_flight);
    if room == 0 {
        return None;
    }
    let (upto, _) = sizes.fit(peer.next..end, room.min(ctx.config.append_bytes_max));
    Some(upto.min(Index(first.0.saturating_add(ctx.config.window_entries))))
}
