//! From what the cores ask for to what the shell is asked to do.

use raft::{Body as RaftBody, Event as News, Input, Message, RoleStatus};
use types::{GroupId, Index, PeerId, StoreId, Time};

use super::event::{Effects, Fetch, ShardWrite};
use super::group::{Group, Installing, Life};
use super::wheel::Wheel;
use super::{LogHeld, Owed, Shard};
use crate::apply::{ApplyTask, Work};
use crate::config::Config;
use crate::disk;
use crate::entry::{Entry, Payload};
use crate::message::{Body, Envelope};
use crate::observer::Standing;
use crate::outcome::{Outcome, Refusal};

/// Times the memory of a group's log that the apply lane may hold of it beside: it is behind only
/// for short, or for long.
const IN_LANE_CACHES: u64 = 16;
/// Entries of one group being read back at a time; further appends count as lost.
const FETCHES_MAX: u32 = 4;
/// A compaction costs a range deletion: it is not worth it for less.
const COMPACT_BYTES_MIN: u64 = 4 << 10;
/// How often a removed peer is told.
const TELL_REMOVED_EVERY: std::time::Duration = std::time::Duration::from_secs(1);
/// How often that is doubled at most.
const REMOVED_TOLD_MAX: u32 = 6;

impl Shard {
    /// Hands out everything that is due. `effects` must have been carried out.
    pub fn drain(&mut self, now: Time, effects: &mut Effects) {
        debug_assert!(effects.is_empty(), "the effects of the drain before were not taken out");
        std::mem::swap(&mut self.pending, effects);
        let mut batch = std::mem::take(&mut self.records);
        let mut owed = std::mem::take(&mut self.done_when_written);
        // Draining one group may concern it again, but never another.
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        let mut nth = 0;
        while let Some(&id) = dirty.get(nth) {
            nth += 1;
            self.drain_group(now, id, &mut batch, &mut owed, effects);
            dirty.append(&mut self.dirty);
        }
        dirty.clear();
        self.dirty = dirty;
        self.depart();
        self.take_pending(effects);
        if !batch.is_empty() || !owed.is_empty() {
            let number = self.next_write;
            self.next_write += 1;
            self.writes.push_back((number, owed));
            effects.write = Some(ShardWrite { number, batch });
        }
    }

    /// What steps have put aside belongs to this drain too.
    fn take_pending(&mut self, effects: &mut Effects) {
        let Effects { sends, apply, fetches, replies, snapshots, standings, leases, .. } =
            &mut self.pending;
        for (store, envelopes) in sends.drain(..) {
            for envelope in envelopes {
                effects.send(store, envelope);
            }
        }
        effects.apply.append(apply);
        effects.fetches.append(fetches);
        effects.replies.append(replies);
        effects.snapshots.append(snapshots);
        effects.standings.append(standings);
        effects.leases.append(leases);
    }

    fn drain_group(
        &mut self,
        now: Time,
        id: GroupId,
        batch: &mut storage::Batch,
        owed: &mut Vec<Owed>,
        effects: &mut Effects,
    ) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        group.is_dirty = false;
        match group.life {
            Life::Live => {}
            Life::Ending(token) if group.writes == 0 => {
                group.life = Life::Buried(token);
                let peer = group.peer();
                self.pending.apply.push(ApplyTask { group: id, peer, work: Work::Destroy });
                return;
            }
            Life::Ending(_) | Life::Buried(_) => return,
        }
        if group.begins.is_some() && group.writes == 0 {
            self.begin_in_place(now, id);
        }
        let Some(group) = self.groups.get_mut(&id) else { return };
        // Before anything that the core hands out behind the snapshot.
        if let Installing::Placed(_) = group.installing
            && !group.core.status().log.is_installing()
            && let Installing::Placed(offer) =
                std::mem::replace(&mut group.installing, Installing::Begun)
        {
            let (peer, work) = (group.peer(), Work::Install(offer));
            self.pending.apply.push(ApplyTask { group: id, peer, work });
        }
        if group.core.is_dirty() {
            group.core.drain(now, &group.log, &mut self.out);
            self.carry_out(now, id, batch, owed);
        }
        self.tell_standing(id);
        self.tell_lease(now, id);
        // Messages wait here until all writes of the drain are gathered, and no longer.
        self.take_pending(effects);
        self.settle(now, id);
    }

    /// Carries out what the core handed out.
    fn carry_out(
        &mut self,
        now: Time,
        id: GroupId,
        batch: &mut storage::Batch,
        owed: &mut Vec<Owed>,
    ) {
        self.flush_sends(id);
        self.flush_reads(id);
        let Shard { groups, out, pending, departures, .. } = self;
        let group = groups.get_mut(&id).expect("looked up by the caller");
        let peer = group.peer();
        if let Some(write) = out.write.take() {
            Self::write(group, &write, batch);
            owed.push(Owed::Receipt(id, peer, write.receipt));
            group.writes += 1;
        }
        let mut nowhere = Vec::new();
        for wanted in out.snapshots.drain(..) {
            match group.home(wanted.to) {
                Some(store) => departures.want((id, peer), wanted, store),
                None => nowhere.push(wanted.to),
            }
        }
        let commit = std::mem::replace(&mut out.commit, Index(0)..Index(0));
        if !commit.is_empty() {
            group.superseded(commit.end.prev(), &mut pending.replies);
            let tokens = group.take_waiting(commit.end.prev());
            let entries = group.attach(&commit, in_lane_max(&self.config));
            let work = Work::Entries { range: commit, entries, tokens };
            pending.apply.push(ApplyTask { group: id, peer, work });
        }
        let news = std::mem::take(&mut out.events);
        out.clear();
        for news in news {
            self.on_news(now, id, news);
        }
        for to in nowhere {
            self.step_live(now, id, peer, Input::SnapshotEnded(to));
        }
    }

    fn write(group: &mut Group, write: &raft::Write, batch: &mut storage::Batch) {
        let id = group.id;
        if write.install.is_some() {
            let Installing::Placed(offer) = &group.installing else {
                unreachable!("the core installs what was placed")
            };
            disk::put_live(batch, id, group.peer(), Some(offer));
            // What the snapshot covers may still be read by the apply lane, and goes with the
            // install; what lies behind was another log's.
            disk::cut_entries(batch, id, group.log.base().index.next());
        }
        // The commit index goes along and is not written for its own sake: what is applied says
        // nearly as much after a start.
        let hard_state = Some((write.receipt.term, write.receipt.vote));
        if std::mem::replace(&mut group.hard_state, hard_state) != hard_state {
            disk::put_hard_state(batch, id, &write.receipt, write.commit);
        }
        if write.entries.is_empty() {
            return;
        }
        if group.log.write(write.entries.start, write.entries.end.prev()) {
            disk::cut_entries(batch, id, write.entries.start);
        }
        let entries = group.log.slice(&write.entries).expect("what is not durable is in memory");
        for entry in entries {
            disk::put_entry(batch, id, entry);
        }
    }

    /// Tells the core what the failure detector says, afresh after each change.
    fn on_news(&mut self, now: Time, id: GroupId, news: News) {
        let group = self.groups.get_mut(&id).expect("looked up by the caller");
        if news == News::LetGo {
            return group.let_go(&self.pledges);
        }
        let status = group.core.status();
        let own = status.id;
        let leads = status.role == RoleStatus::Leader;
        if let News::Leader { term, leader } = news {
            tracing::debug!(group = %id, term = %term, leader = ?leader, "leader");
            // While it leads, what is in its log will be committed; what is not may wait for ever.
            let waits = !group.displaced.is_empty() || !leads && !group.proposals.is_empty();
            // Those that wait already are not to wait anew with each leader.
            let give_up_at = group.give_up_at.take();
            let later = || now.after(self.config.undetermined_after);
            group.give_up_at = waits.then(|| give_up_at.unwrap_or_else(later));
        }
        let members: Vec<PeerId> = if leads {
            status.membership.1.iter().map(|member| member.id).filter(|&peer| peer != own).collect()
        } else {
            status.leader.into_iter().collect()
        };
        for peer in members {
            let held = self.vouches(id, peer);
            self.step_live(now, id, own, Input::Support { peer, held });
        }
    }

    fn vouches(&self, id: GroupId, peer: PeerId) -> bool {
        let group = &self.groups[&id];
        !group.absent.contains(&peer)
            && group.home(peer).is_some_and(|store| self.vouched.contains(&store))
    }

    /// Housekeeping of a group that was stepped: its timer, its memory, its log.
    fn settle(&mut self, now: Time, id: GroupId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        if !group.is_live() {
            return;
        }
        let status = group.core.status();
        let leads = status.role == RoleStatus::Leader;
        // What is durable and applied stays only for members that lag, within the budget; and what
        // is not applied, if the lane has not enough to do as it is.
        let mut evict = status.log.stable();
        if group.attached_bytes <= in_lane_max(&self.config) {
            evict = evict.min(group.applied);
        }
        if leads && group.log.cached_bytes() <= self.config.cache_bytes {
            evict = status.peers().map(|peer| peer.progress.matched).fold(evict, Index::min);
        }
        group.log.evict(evict);
        let entries = group.applied.since(group.log.base().index);
        self.held.count(&mut group.counted, group.log.log_bytes());
        let is_long = group.log.log_bytes() >= self.held.compact_at(&self.config)
            || entries >= self.config.compact_entries;
        if is_long
            && !group.compacts
            && group.applied > group.compacted_at
            && !group.is_installing()
            && let Some(upto) = group.compactable(self.config.lag_bytes_max)
            && upto.index.since(group.log.base().index) * 2 >= entries
        {
            group.compacts = true;
            group.compacted_at = group.applied;
            let peer = group.peer();
            let work = Work::Compact(upto);
            self.pending.apply.push(ApplyTask { group: id, peer, work });
        }
        self.tell_removed(now, id);
        self.ask_whether_member(now, id);
        let group = self.groups.get_mut(&id).expect("looked up above");
        let tells_at =
            (leads && !group.seated.removed().is_empty()).then_some(group.tell_removed_at);
        let deadline = [group.core.deadline(), group.give_up_at, tells_at, group.asks_at];
        let Some(deadline) = deadline.into_iter().flatten().min() else {
            return;
        };
        let at = Wheel::rounded(deadline);
        // A deadline that moved later finds its group when the earlier entry comes up.
        if group.armed.is_none_or(|armed| at < armed) {
            group.armed = Some(at);
            self.wheel.arm(id, deadline);
        }
    }

    /// Tells whoever watches, if it is news.
    fn tell_standing(&mut self, id: GroupId) {
        let Shard { groups, pending, .. } = self;
        let Some(group) = groups.get_mut(&id).filter(|group| group.is_live()) else { return };
        let status = group.core.status();
        let (peer, told) = (status.id, (status.term, status.leader));
        // A term without a leader is no news; that the leader is lost is.
        let is_news = told.1 != group.told.1 || (told.1.is_some() && told.0 != group.told.0);
        if is_news {
            let (term, leader) = told;
            pending.standings.push((id, Some(Standing { peer, term, leader })));
            group.told = told;
        }
    }

    /// Tells readers until when they need not ask, and once that they have to.
    fn tell_lease(&mut self, now: Time, id: GroupId) {
        let Shard { groups, pending, .. } = self;
        let Some(group) = groups.get_mut(&id).filter(|group| group.is_live()) else { return };
        let grant = group.grant(now);
        if grant.is_some() || group.is_leased {
            group.is_leased = grant.is_some();
            pending.leases.push((id, grant));
        }
    }

    /// Tells peers that they were removed, until they acknowledge it: often while a store of theirs
    /// is heard, and else ever more seldom, since it may be lost for good.
    fn tell_removed(&mut self, now: Time, id: GroupId) {
        let group = self.groups.get_mut(&id).expect("looked up by the caller");
        if now < group.tell_removed_at || !group.leads() {
            return;
        }
        let from = group.core.status().id;
        let mut is_heard = false;
        for gone in group.seated.removed() {
            let body = Body::Removed(gone.index);
            let envelope = Envelope { group: id, from, to: gone.peer, body };
            self.pending.send(gone.store, envelope);
            is_heard |= self.vouched.contains(&gone.store);
        }
        group.removed_told =
            if is_heard { 0 } else { (group.removed_told + 1).min(REMOVED_TOLD_MAX) };
        group.tell_removed_at = now.after(TELL_REMOVED_EVERY * 2_u32.pow(group.removed_told));
    }

    /// Attaches entries to what the core sends, and addresses.
    pub(super) fn flush_sends(&mut self, id: GroupId) {
        if self.out.sends.is_empty() {
            return;
        }
        let mut sends = std::mem::take(&mut self.out.sends);
        for (to, message) in sends.drain(..) {
            self.send(id, to, message);
        }
        self.out.sends = sends;
    }

    /// Ends the reads of a group that its core has let go: refused in a step, or confirmed.
    pub(super) fn flush_reads(&mut self, id: GroupId) {
        let Shard { groups, out, pending, .. } = self;
        if out.reads.is_empty() {
            return;
        }
        let group = groups.get_mut(&id).expect("looked up by the caller");
        for (token, result) in out.reads.drain(..) {
            let token = super::Token(token.0);
            if !group.asked.remove(&token) {
                // It was answered when the store began to stop.
                continue;
            }
            match result {
                Ok(index) if index <= group.applied => {
                    pending.replies.push((token, Outcome::Readable(index)));
                }
                Ok(index) => group.reads.push((index, token)),
                Err(why) => {
                    let why = refusal(group, why);
                    pending.replies.push((token, Outcome::Refused(why)));
                }
            }
        }
    }

    fn send(&mut self, id: GroupId, to: PeerId, mut message: Message) {
        let group = self.groups.get_mut(&id).expect("looked up by the caller");
        let Some(store) = group.home(to) else {
            tracing::debug!(group = %id, peer = %to, "nobody knows where it lives");
            return;
        };
        let from = group.core.status().id;
        if let RaftBody::Ack { pledge, .. } = &mut message.body {
            *pledge = group.pledge(to, &self.pledges);
        }
        let RaftBody::Append { prev, last, .. } = message.body else {
            let body = Body::Raft(message, Vec::new());
            self.pending.send(store, Envelope { group: id, from, to, body });
            return;
        };
        let range = prev.index.next()..last.next();
        let entries = group.log.slice(&range).map(|entries| entries.cloned().collect());
        match entries {
            Some(entries) => {
                let body = Body::Raft(message, entries);
                self.pending.send(store, Envelope { group: id, from, to, body });
            }
            None if group.fetches < FETCHES_MAX => {
                group.fetches += 1;
                self.pending.fetches.push(Fetch { group: id, peer: from, to, message, range });
            }
            // As if the network had lost it: the core finds out by the next answer.
            None => {}
        }
    }
}

/// Bytes of a group's entries that the apply lane may hold in memory.
fn in_lane_max(config: &Config) -> u64 {
    config.cache_bytes.saturating_mul(IN_LANE_CACHES)
}

impl LogHeld {
    /// A group that was counted with `counted` bytes has `bytes` now.
    pub(super) fn count(&mut self, counted: &mut u64, bytes: u64) {
        self.bytes = self.bytes - *counted + bytes;
        self.groups = self.groups - u64::from(*counted > 0) + u64::from(bytes > 0);
        *counted = bytes;
    }

    /// How long a group's log may become before it is compacted: together they are to stay in the
    /// memory of the engine.
    fn compact_at(&self, config: &Config) -> u64 {
        let wanted = config.log_bytes_wanted / config.workers as u64;
        if self.bytes <= wanted {
            return config.compact_bytes;
        }
        let share = wanted / self.groups.max(1);
        share.max(COMPACT_BYTES_MIN).min(config.compact_bytes)
    }
}

/// Why the core refused, for a caller.
pub(super) fn refusal(group: &Group, why: raft::Refused) -> Refusal {
    match why {
        raft::Refused::NotLeader(leader) => {
            Refusal::NotLeader(leader.map(|leader| (leader, group.home(leader))))
        }
        raft::Refused::Quota => Refusal::Busy("bytes of the group are not committed yet"),
        raft::Refused::Busy => Refusal::Busy("reads of the group wait"),
        why => Refusal::Raft(why),
    }
}

/// Entries of an append that fell into the range that was placed.
pub(super) fn place(group: &mut Group, range: &std::ops::Range<Index>, entries: Vec<Entry>) {
    group.displace(range.start);
    group.log.cut(range.start);
    for entry in entries.into_iter().filter(|entry| range.contains(&entry.id.index)) {
        if let Payload::Roster(roster) = &entry.payload {
            group.learn_homes(roster);
        }
        group.log.push(entry);
    }
}

/// Where an answer goes that no core sends.
pub(super) fn answer(to_store: StoreId, envelope: &Envelope, body: Body) -> (StoreId, Envelope) {
    let Envelope { group, from, to, .. } = *envelope;
    (to_store, Envelope { group, from: to, to: from, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_logs_are_compacted_earlier_than_few() {
        let config = Config { log_bytes_wanted: 2 << 20, workers: 2, ..Config::default() };
        let mut held = LogHeld::default();
        let mut counted = vec![0; 1_024];
        held.count(&mut counted[0], 1 << 20);
        assert_eq!(held.compact_at(&config), config.compact_bytes, "one may fill all of it");
        held.count(&mut counted[0], 32 << 10);
        for counted in &mut counted[1..64] {
            held.count(counted, 32 << 10);
        }
        assert_eq!((held.groups, held.bytes), (64, 2 << 20));
        assert_eq!(held.compact_at(&config), 16 << 10, "an equal share");
        for counted in &mut counted {
            held.count(counted, 32 << 10);
        }
        assert_eq!(held.compact_at(&config), COMPACT_BYTES_MIN, "no less than is worth it");
        for counted in &mut counted[2..] {
            held.count(counted, 0);
        }
        assert_eq!((held.groups, held.bytes), (2, 64 << 10));
        assert_eq!(held.compact_at(&config), config.compact_bytes);
    }
}
