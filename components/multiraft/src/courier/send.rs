//! The sending half of a courier.

use std::collections::VecDeque;
use std::ops::Bound;
use std::time::Duration;

use bytes::Bytes;
use types::{StoreId, Time};

use super::{Courier, CourierEffects, WINDOW, ended, frame, repeat_after};
use crate::apply::SnapshotBegun;
use crate::config::Config;
use crate::message::{SnapshotBody, SnapshotChunk, SnapshotFrame};
use crate::shard::Event;

/// A snapshot that is being sent.
pub(super) struct Sending {
    begun: SnapshotBegun,
    /// Chunks from `first` on, until the receiver has them.
    chunks: VecDeque<SnapshotChunk>,
    first: u64,
    /// The next chunk to send.
    next: u64,
    /// Read ahead, to know which chunk is the last.
    ahead: Option<Bytes>,
    is_read: bool,
    crc: u32,
    is_accepted: bool,
    /// When the receiver last said something new.
    pub(super) progress_at: Time,
    /// When something was last sent.
    pub(super) said_at: Time,
}

impl Sending {
    fn new(begun: SnapshotBegun, now: Time) -> Sending {
        Sending {
            begun,
            chunks: VecDeque::new(),
            first: 0,
            next: 0,
            ahead: None,
            is_read: false,
            crc: 0,
            is_accepted: false,
            progress_at: now,
            said_at: now,
        }
    }

    pub(super) fn begun(&self) -> &SnapshotBegun {
        &self.begun
    }

    pub(super) fn deadline(&self, config: &Config) -> Time {
        let patience = config.snapshot_patience;
        let ends_at = self.progress_at.after(patience);
        // What waits for its turn says nothing in between.
        if self.wants_to_send() {
            return ends_at;
        }
        ends_at.min(self.said_at.after(repeat_after(patience)))
    }

    pub(super) fn offer_frame(&self, session: u64) -> (StoreId, SnapshotFrame) {
        let body = SnapshotBody::Offer(self.begun.offer.clone());
        (self.begun.store, self.frame(session, body))
    }

    fn frame(&self, session: u64, body: SnapshotBody) -> SnapshotFrame {
        frame(self.begun.group, (self.begun.peer, self.begun.to), session, body)
    }

    /// Whether a chunk may go out now.
    pub(super) fn wants_to_send(&self) -> bool {
        let last = self.first + self.chunks.len() as u64;
        self.is_accepted && self.next < self.first + WINDOW && (self.next < last || !self.is_read)
    }

    /// The chunk to send next, read if it has to be.
    fn next_chunk(&mut self, bytes: usize) -> Result<SnapshotChunk, storage::Error> {
        let nth = usize::try_from(self.next - self.first).expect("a window is small");
        if nth == self.chunks.len() {
            let data = match self.ahead.take() {
                Some(data) => Some(data),
                None => self.begun.reader.next(bytes)?,
            };
            // Behind its end a reader is not asked any more; an empty state is one empty chunk.
            self.ahead = if data.is_some() { self.begun.reader.next(bytes)? } else { None };
            self.is_read = self.ahead.is_none();
            let data = data.unwrap_or_default();
            self.crc = crc32c::crc32c_append(self.crc, &data);
            let (nth, crc, is_last) = (self.next, self.crc, self.is_read);
            self.chunks.push_back(SnapshotChunk { nth, data, crc, is_last });
        }
        self.next += 1;
        Ok(self.chunks[nth].clone())
    }
}

impl Courier {
    pub(super) fn start_waiting(&mut self, now: Time, out: &mut CourierEffects) {
        while self.sending.len() < self.config.snapshots_sent_max
            && let Some(begun) = self.waiting.pop_front()
        {
            let id = self.next_session;
            self.next_session += 1;
            let session = Sending::new(begun, now);
            out.sends.push(session.offer_frame(id));
            self.sending.insert(id, session);
        }
    }

    pub(super) fn on_accept(
        &mut self,
        now: Time,
        from: StoreId,
        id: u64,
        next: u64,
        out: &mut CourierEffects,
    ) {
        let Some(session) = self.sending.get_mut(&id) else { return };
        if session.begun.store != from {
            return;
        }
        let known = session.first + session.chunks.len() as u64;
        if next < session.first || next > known {
            // It lost what we have forgotten, or makes things up.
            return self.end_sending(now, id, false, out);
        }
        if next > session.first || !session.is_accepted {
            session.progress_at = now;
        }
        session.is_accepted = true;
        while session.first < next {
            session.chunks.pop_front();
            session.first += 1;
        }
        // What was sent behind may be under way, or lost: the repeated offer finds out.
        let stalled = now >= session.said_at.after(repeat_after(self.config.snapshot_patience) / 2);
        if session.next < next || stalled {
            session.next = next;
        }
        self.pump(now, out);
    }

    /// Sends what windows and rate allow.
    pub(super) fn pump(&mut self, now: Time, out: &mut CourierEffects) {
        let rate = i64::try_from(self.config.snapshot_bytes_per_second).unwrap_or(i64::MAX);
        let elapsed = i128::try_from(now.since(self.allowed_at).as_micros()).unwrap_or(i128::MAX);
        let earned = elapsed.saturating_mul(rate.into()) / 1_000_000;
        if earned > 0 {
            // No more than a second of it is saved up.
            let sum = i128::from(self.allowance).saturating_add(earned);
            self.allowance = i64::try_from(sum).unwrap_or(i64::MAX).min(rate);
            self.allowed_at = now;
        }
        let chunk_bytes = self.config.snapshot_chunk_bytes;
        // A chunk each, in turn, beginning behind who had one last: with little to send the first
        // would get all of it.
        while self.allowance > 0
            && let Some(id) = self.next_to_send()
        {
            self.served = id;
            let session = self.sending.get_mut(&id).expect("it was just found");
            match session.next_chunk(chunk_bytes) {
                Ok(chunk) => {
                    let bytes = i64::try_from(chunk.data.len()).unwrap_or(i64::MAX);
                    self.allowance = self.allowance.saturating_sub(bytes).saturating_sub(1);
                    // Until now it waited for its turn, and not for the receiver.
                    (session.said_at, session.progress_at) = (now, now);
                    let frame = session.frame(id, SnapshotBody::Chunk(chunk));
                    out.sends.push((session.begun.store, frame));
                }
                Err(why) => {
                    tracing::warn!(group = %session.begun.group, %why, "snapshot not read");
                    self.end_sending(now, id, false, out);
                }
            }
        }
    }

    /// The session whose turn it is.
    fn next_to_send(&self) -> Option<u64> {
        let behind = self.sending.range((Bound::Excluded(self.served), Bound::Unbounded));
        let mut turns = behind.chain(self.sending.range(..=self.served));
        turns.find(|(_, session)| session.wants_to_send()).map(|(&id, _)| id)
    }

    /// When something that waits for the rate may be sent.
    pub(super) fn allowed_again(&self) -> Option<Time> {
        let waits = self.sending.values().any(Sending::wants_to_send);
        let missing = u64::try_from(1_i64.checked_sub(self.allowance)?).ok()?;
        let rate = self.config.snapshot_bytes_per_second.max(1);
        let micros = u128::from(missing) * 1_000_000 / u128::from(rate) + 1;
        let span = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        waits.then(|| self.allowed_at.after(span))
    }

    pub(super) fn finish(
        &mut self,
        now: Time,
        from: StoreId,
        id: u64,
        arrived: bool,
        out: &mut CourierEffects,
    ) {
        if self.sending.get(&id).is_some_and(|session| session.begun.store == from) {
            self.end_sending(now, id, arrived, out);
        }
    }

    pub(super) fn end_sending(
        &mut self,
        now: Time,
        id: u64,
        arrived: bool,
        out: &mut CourierEffects,
    ) {
        let Some(session) = self.sending.remove(&id) else { return };
        let count = if arrived { &mut self.counts.sent } else { &mut self.counts.failed };
        *count += 1;
        let event: Event = ended(&session.begun);
        out.events.push(event);
        self.start_waiting(now, out);
    }
}
