//! The receiving half of a courier.

use std::time::Duration;

use storage::{Batch, Durability};
use types::{StoreId, Time};

use super::{Courier, CourierEffects, frame};
use crate::disk;
use crate::message::{SnapshotBody, SnapshotChunk, SnapshotFrame, SnapshotOffer, SnapshotRefusal};
use crate::shard::Event;

/// A snapshot that is being received.
pub(super) struct Receiving {
    from: StoreId,
    /// The frame that offered it.
    opened_by: SnapshotFrame,
    offer: Box<SnapshotOffer>,
    /// The next chunk.
    next: u64,
    crc: u32,
    /// All of it was handed to the shard.
    is_whole: bool,
    pub(super) heard_at: Time,
}

impl Receiving {
    /// When it is given up; never once all of it is here, since it may be on its way into the log.
    pub(super) fn ends_at(&self, patience: Duration) -> Option<Time> {
        (!self.is_whole).then(|| self.heard_at.after(patience))
    }
}

impl Courier {
    pub(super) fn receive_offer(
        &mut self,
        now: Time,
        from: StoreId,
        opened_by: SnapshotFrame,
        offer: Box<SnapshotOffer>,
        out: &mut CourierEffects,
    ) -> Result<(), storage::Error> {
        let group = opened_by.group;
        if let Some(session) = self.receiving.get_mut(&group)
            && session.from == from
            && session.opened_by.session == opened_by.session
        {
            // Repeated: the sender has not heard how far we are.
            session.heard_at = now;
            let next = session.next;
            out.sends.push(reply(from, &opened_by, SnapshotBody::Accept(next)));
            return Ok(());
        }
        let others = self.receiving.keys().filter(|&&other| other != group).count();
        if others >= self.config.snapshots_received_max {
            out.sends.push(reply(from, &opened_by, SnapshotBody::Refuse(SnapshotRefusal::Busy)));
            return Ok(());
        }
        if self.receiving.get(&group).is_some_and(|session| session.is_whole) {
            // The one before is on its way into the log.
            out.sends.push(reply(from, &opened_by, SnapshotBody::Refuse(SnapshotRefusal::Busy)));
            return Ok(());
        }
        let format = self.machines.format();
        if offer.format != format {
            tracing::warn!(%group, found = offer.format, supported = format, "snapshot refused");
        }
        if offer.format != format || !self.machines.admit(group, &offer.header, false) {
            out.sends.push(reply(from, &opened_by, SnapshotBody::Refuse(SnapshotRefusal::Busy)));
            return Ok(());
        }
        self.discard(group)?;
        out.sends.push(reply(from, &opened_by, SnapshotBody::Accept(0)));
        let session =
            Receiving { from, opened_by, offer, next: 0, crc: 0, is_whole: false, heard_at: now };
        self.receiving.insert(group, session);
        Ok(())
    }

    pub(super) fn on_chunk(
        &mut self,
        now: Time,
        from: StoreId,
        frame: SnapshotFrame,
        out: &mut CourierEffects,
    ) -> Result<(), storage::Error> {
        let SnapshotBody::Chunk(chunk) = &frame.body else { return Ok(()) };
        let Some(session) = self.receiving.get_mut(&frame.group) else {
            let refusal = SnapshotBody::Refuse(SnapshotRefusal::Absent);
            out.sends.push(reply(from, &frame, refusal));
            return Ok(());
        };
        if session.from != from || session.opened_by.session != frame.session || session.is_whole {
            return Ok(());
        }
        session.heard_at = now;
        if chunk.nth != session.next {
            // Repeated, or behind one that was lost: say where we are.
            let next = session.next;
            out.sends.push(reply(from, &frame, SnapshotBody::Accept(next)));
            return Ok(());
        }
        let SnapshotChunk { data, crc, is_last, .. } = chunk;
        session.crc = crc32c::crc32c_append(session.crc, data);
        if session.crc != *crc {
            self.counts.failed += 1;
            self.discard(frame.group)?;
            let refusal = SnapshotBody::Refuse(SnapshotRefusal::Corrupt);
            out.sends.push(reply(from, &frame, refusal));
            return Ok(());
        }
        let mut batch = Batch::new();
        disk::put_chunk(&mut batch, frame.group, chunk);
        match self.engine.write(&batch, Durability::Buffered) {
            Ok(()) => {}
            Err(storage::Error::Full(_)) => {
                self.counts.failed += 1;
                self.receiving.remove(&frame.group);
                let refusal = SnapshotBody::Refuse(SnapshotRefusal::Full);
                out.sends.push(reply(from, &frame, refusal));
                return Ok(());
            }
            Err(why) => return Err(why),
        }
        session.next += 1;
        if *is_last && !self.machines.admit(frame.group, &session.offer.header, true) {
            // What it is about was taken meanwhile.
            self.counts.failed += 1;
            self.discard(frame.group)?;
            out.sends.push(reply(from, &frame, SnapshotBody::Refuse(SnapshotRefusal::Busy)));
            return Ok(());
        }
        if *is_last {
            session.is_whole = true;
            self.counts.received += 1;
            let (from, frame) = (session.from, session.opened_by.clone());
            out.events.push(Event::Staged { from, frame, offer: session.offer.clone() });
        } else {
            let next = session.next;
            out.sends.push(reply(from, &frame, SnapshotBody::Accept(next)));
        }
        Ok(())
    }

    /// The shard has taken over what was staged, and will read it when its place in the log is
    /// durable; the chunks are deleted with the install.
    pub fn taken_over(&mut self, group: types::GroupId) {
        self.receiving.remove(&group);
    }
}

fn reply(store: StoreId, to: &SnapshotFrame, body: SnapshotBody) -> (StoreId, SnapshotFrame) {
    (store, frame(to.group, (to.to, to.from), to.session, body))
}
