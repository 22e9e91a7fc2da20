//! What arrives from other stores. Nothing of it is trusted.

use raft::{Body as RaftBody, Content, Input, Message, Placed, Refused};
use types::{GroupId, PeerId, StoreId, Time};

use super::drain::{answer, place};
use super::event::SnapshotEffect;
use super::group::Installing;
use super::{NAMELESS, Owed, Shard};
use crate::disk;
use crate::entry::{Entry, memberships, runs};
use crate::message::{Body, Envelope, SnapshotBody, SnapshotFrame, SnapshotOffer, SnapshotRefusal};

/// What this store is to the receiver that a message names.
enum Receiver {
    /// It lives here.
    Here,
    /// It does not, and the message does not make it.
    Absent,
    /// A later one is meant than the one that lives here.
    Replaced,
}

impl Shard {
    pub(super) fn deliver(&mut self, now: Time, from: StoreId, envelope: Envelope) {
        let id = envelope.group;
        match &envelope.body {
            Body::Raft(message, _) => {
                let creates = creates(message.body);
                match self.receiver(now, id, envelope.to, creates) {
                    Receiver::Here => self.on_raft(now, from, envelope),
                    // An answer to one that is not here any more needs no answer.
                    Receiver::Absent if creates => {
                        let (store, envelope) = answer(from, &envelope, Body::Absent);
                        self.pending.send(store, envelope);
                    }
                    Receiver::Absent | Receiver::Replaced => {}
                }
            }
            Body::Removed(_) => self.on_removed(from, &envelope),
            Body::RemovedAck => self.on_removed_ack(&envelope),
            Body::Inquiry => self.on_inquiry(now, from, &envelope),
            Body::Absent => self.on_absent(now, &envelope),
        }
    }

    fn receiver(&mut self, now: Time, id: GroupId, to: PeerId, creates: bool) -> Receiver {
        if let Some(group) = self.groups.get(&id) {
            let own = group.peer();
            if group.begins.is_some() && group.is_live() {
                // It is about to know more; what is meant for it is said again.
                return Receiver::Replaced;
            }
            if own == to && group.is_live() {
                return Receiver::Here;
            }
            if to > own && group.is_live() {
                // Ids rise: the one that lives here has been removed, or a second could not be
                // placed on this store. The next message finds the place free.
                tracing::info!(group = %id, peer = %own, later = %to, "replaced by a later peer");
                self.end(id, None);
                return Receiver::Replaced;
            }
            // A later one is not said to be absent while the place is being cleared: its leader
            // would stop asking, and a group at rest has nothing else to say.
            return if to >= own { Receiver::Replaced } else { Receiver::Absent };
        }
        let is_buried = self.tombstones.get(&id).is_some_and(|&buried| buried >= to);
        if !is_buried && creates {
            // Ids rise: what was set aside was removed.
            self.bury_aside(id, None, None);
        }
        if !is_buried && self.burying.contains_key(&id) {
            return Receiver::Replaced;
        }
        let is_full = self.groups.len() + self.tombstones.len() >= self.config.groups_max;
        if is_buried || !creates || is_full {
            return Receiver::Absent;
        }
        self.create_empty(now, id, to);
        Receiver::Here
    }

    fn on_raft(&mut self, now: Time, from: StoreId, envelope: Envelope) {
        let Envelope { group: id, from: peer, body, .. } = envelope;
        let Body::Raft(message, entries) = body else { return };
        let group = self.groups.get_mut(&id).expect("the receiver is here");
        // Where a member lives, its roster says; a message may only say where a stranger does.
        if group.home(peer).is_none() {
            group.learn_home(peer, from);
        }
        if let Some(at) = group.absent.iter().position(|&absent| absent == peer) {
            group.absent.swap_remove(at);
            let own = group.peer();
            let held = self.vouched.contains(&from);
            self.step_live(now, id, own, Input::Support { peer, held });
        }
        if let Err(why) = self.step_message(now, id, peer, message, entries) {
            self.refused += 1;
            tracing::warn!(group = %id, from = %peer, store = %from, %why, "message refused");
        }
    }

    fn step_message(
        &mut self,
        now: Time,
        id: GroupId,
        from: PeerId,
        message: Message,
        entries: Vec<Entry>,
    ) -> Result<(), Refused> {
        if entries.is_empty() {
            let input = Input::Message { from, message, content: Content::None };
            return self.step(now, id, input).map(drop);
        }
        let (runs, memberships) = (runs(&entries), memberships(&entries));
        let content = Content::Entries { runs: &runs, memberships: &memberships };
        if let Placed::Payloads(range) =
            self.step(now, id, Input::Message { from, message, content })?
        {
            let group = self.groups.get_mut(&id).expect("it was just stepped");
            place(group, &range, entries);
        }
        Ok(())
    }

    /// We are told that we were removed. Believed of the very peer that lives here: its group's
    /// committed membership says so, and ids do not come back.
    ///
    /// What is acknowledged is forgotten by who says it, so it must outlast a crash here: a command
    /// of another group may bring the peer into being later.
    fn on_removed(&mut self, from: StoreId, envelope: &Envelope) {
        let Envelope { group: id, to, .. } = *envelope;
        let is_acknowledged = match self.groups.get(&id) {
            Some(group) if group.peer() == to => {
                if group.is_live() {
                    tracing::info!(group = %id, peer = %to, "removed");
                    self.end(id, None);
                }
                // Acknowledged when it is gone; the sender repeats itself.
                false
            }
            // A later peer lives here, so this one does not. Its record may be on its way.
            Some(group) if group.peer() > to => true,
            // An earlier one does: ids rise, so it was removed before.
            Some(group) => {
                if group.is_live() {
                    self.end(id, None);
                }
                false
            }
            // Its tombstone would not outlast the removal. The sender repeats itself.
            None if self.burying.contains_key(&id) => false,
            None if self.aside.contains(&id) => {
                let aside = self.tombstones[&id];
                if aside <= to {
                    // Acknowledged when it is gone, as others.
                    self.bury_aside(id, Some(to), None);
                }
                // It may be a later one, as above; but not if nobody can tell.
                aside > to && aside != NAMELESS
            }
            None => {
                // It may never have been here; late messages must not bring it about.
                let buried = self.tombstones.get(&id).map_or(to, |&buried| buried.max(to));
                disk::put_tombstone(&mut self.records, id, buried);
                self.tombstones.insert(id, buried);
                true
            }
        };
        if is_acknowledged {
            let (store, envelope) = answer(from, envelope, Body::RemovedAck);
            self.done_when_written.push(Owed::Say(store, Box::new(envelope)));
        }
    }

    fn on_removed_ack(&mut self, envelope: &Envelope) {
        let Envelope { group: id, from: removed, to, .. } = *envelope;
        let Some(group) = self.groups.get_mut(&id) else { return };
        if group.peer() != to || !group.is_live() {
            return;
        }
        if group.seated.forget(removed) {
            let work = crate::apply::Work::Forget(removed);
            self.pending.apply.push(crate::apply::ApplyTask { group: id, peer: to, work });
        }
    }

    /// A member's store is well, but its replica is not there: the store must not stand in for it.
    fn on_absent(&mut self, now: Time, envelope: &Envelope) {
        let Envelope { group: id, from, to, .. } = *envelope;
        let Some(group) = self.groups.get_mut(&id) else { return };
        if group.peer() != to || !group.is_live() || group.absent.contains(&from) {
            return;
        }
        if group.core.status().membership.1.get(from).is_none() {
            return;
        }
        group.absent.push(from);
        self.step_live(now, id, to, Input::Support { peer: from, held: false });
    }

    /// A snapshot is offered. If its data is not needed, its header alone is taken: the core then
    /// tells the leader what it has.
    pub(super) fn offered(
        &mut self,
        now: Time,
        from: StoreId,
        frame: SnapshotFrame,
        offer: Box<SnapshotOffer>,
    ) {
        let id = frame.group;
        let refuse = |why| (from, reply(&frame, SnapshotBody::Refuse(why)));
        match self.receiver(now, id, frame.to, true) {
            Receiver::Here => {}
            Receiver::Absent | Receiver::Replaced => {
                let (store, frame) = refuse(SnapshotRefusal::Absent);
                self.pending.snapshots.push(SnapshotEffect::Answer(store, frame));
                return;
            }
        }
        let group = self.groups.get_mut(&id).expect("the receiver is here");
        if group.home(frame.from).is_none() {
            group.learn_home(frame.from, from);
        }
        if group.is_installing() {
            let (store, frame) = refuse(SnapshotRefusal::Busy);
            self.pending.snapshots.push(SnapshotEffect::Answer(store, frame));
        } else if group.core.wants_snapshot(offer.covers) {
            self.pending.snapshots.push(SnapshotEffect::Receive { from, frame, offer });
        } else {
            let (store, refusal) = refuse(SnapshotRefusal::NotWanted);
            self.pending.snapshots.push(SnapshotEffect::Answer(store, refusal));
            self.install(now, &frame, offer);
        }
    }

    /// All of a snapshot is here.
    pub(super) fn staged(
        &mut self,
        now: Time,
        from: StoreId,
        frame: &SnapshotFrame,
        offer: Box<SnapshotOffer>,
    ) {
        let id = frame.group;
        let is_here =
            (self.groups.get(&id)).is_some_and(|group| group.is_live() && group.peer() == frame.to);
        // One that is about to begin without it has no place for it.
        let is_here = is_here && self.groups[&id].begins.is_none();
        let is_placed = is_here && self.install(now, frame, offer);
        self.pending.snapshots.push(if is_placed {
            SnapshotEffect::Taken(id)
        } else {
            SnapshotEffect::Discard(id)
        });
        let done = reply(frame, SnapshotBody::Done);
        self.pending.snapshots.push(SnapshotEffect::Answer(from, done));
    }

    /// Hands the header of a snapshot to the core. Returns whether its place in the log is taken,
    /// so that the data is to follow.
    fn install(&mut self, now: Time, frame: &SnapshotFrame, offer: Box<SnapshotOffer>) -> bool {
        let id = frame.group;
        let stamp = raft::Stamp(offer.stamp);
        let body = RaftBody::Install { snapshot: offer.covers, stamp };
        let message = Message { term: offer.term, body };
        let content = Content::Snapshot(offer.roster.1.membership());
        let input = Input::Message { from: frame.from, message, content };
        match self.step(now, id, input) {
            Ok(Placed::Snapshot(_)) => {
                let Shard { groups, pending, .. } = self;
                let group = groups.get_mut(&id).expect("it was just stepped");
                group.learn_homes(&offer.roster.1);
                group.displace(offer.covers.index.next());
                group.log.install(offer.covers);
                // What waited for slots that the snapshot covers is not told apart any more.
                group.superseded(offer.covers.index, &mut pending.replies);
                group.installing = Installing::Placed(offer);
                true
            }
            Ok(_) => false,
            Err(why) => {
                self.refused += 1;
                tracing::warn!(group = %id, from = %frame.from, %why, "snapshot refused");
                false
            }
        }
    }
}

/// Messages that only a member says to a member make one that is not here yet: the first it hears
/// of its group is one of these.
fn creates(body: RaftBody) -> bool {
    matches!(
        body,
        RaftBody::PreVote { .. }
            | RaftBody::Vote { .. }
            | RaftBody::Append { .. }
            | RaftBody::Beat { .. }
    )
}

fn reply(frame: &SnapshotFrame, body: SnapshotBody) -> SnapshotFrame {
    let SnapshotFrame { group, from, to, session, .. } = *frame;
    SnapshotFrame { group, from: to, to: from, session, body }
}
