//! A store's copy of one group's log: payloads, and where each ends in bytes.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use raft::LogSizes;
use types::{Index, Term};

/// A proposal's bytes, as a log holds them.
pub(super) trait Payload: Sized + 'static {
    /// The copy every request owns.
    fn of(bytes: &[u8]) -> Self;
    /// What another replica's log holds.
    fn pass_on(&self) -> Self;
    /// The bytes.
    fn bytes(&self) -> &[u8];
}

impl Payload for Arc<[u8]> {
    fn of(bytes: &[u8]) -> Self {
        bytes.into()
    }

    fn pass_on(&self) -> Self {
        Self::clone(self)
    }

    fn bytes(&self) -> &[u8] {
        self
    }
}

impl Payload for Box<[u8]> {
    fn of(bytes: &[u8]) -> Self {
        bytes.into()
    }

    fn pass_on(&self) -> Self {
        self.clone()
    }

    fn bytes(&self) -> &[u8] {
        self
    }
}

/// One entry; a leader's own first entry has no payload.
pub(super) struct Slot<P> {
    pub term: Term,
    pub payload: Option<P>,
}

/// Entries behind a base.
pub(super) struct Log<P> {
    base: Index,
    slots: VecDeque<Slot<P>>,
    /// Sum of payload bytes up to and including each slot, from some origin.
    ends: VecDeque<u64>,
}

impl<P: Payload> Log<P> {
    pub(super) fn new(base: Index) -> Self {
        Self { base, slots: VecDeque::new(), ends: VecDeque::new() }
    }

    fn offset(&self, index: Index) -> usize {
        usize::try_from(index.0 - self.base.0 - 1).expect("logs fit in memory")
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn push(&mut self, slot: Slot<P>) {
        let size = slot.payload.as_ref().map_or(0, |payload| payload.bytes().len() as u64);
        self.ends.push_back(self.ends.back().copied().unwrap_or(0) + size);
        self.slots.push_back(slot);
    }

    pub(super) fn cut(&mut self, from: Index) {
        let keep = self.offset(from);
        self.slots.truncate(keep);
        self.ends.truncate(keep);
    }

    pub(super) fn range(&self, range: Range<Index>) -> impl Iterator<Item = &Slot<P>> {
        self.slots.range(self.offset(range.start)..self.offset(range.end))
    }

    pub(super) fn compact(&mut self, upto: Index) {
        let drop = self.offset(upto.next());
        self.slots.drain(..drop);
        self.ends.drain(..drop);
        self.base = upto;
    }

    pub(super) fn shrink(&mut self) {
        self.slots.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

impl<P: Payload> LogSizes for Log<P> {
    fn fit(&self, entries: Range<Index>, bytes_max: u64) -> (Index, u64) {
        let (first, end) = (self.offset(entries.start), self.offset(entries.end));
        let before = match first.checked_sub(1) {
            Some(before) => self.ends[before],
            None => 0,
        };
        let all = self.ends[end - 1].saturating_sub(before);
        if all <= bytes_max {
            return (entries.end, all);
        }
        let limit = before.saturating_add(bytes_max);
        let fitting = self.ends.partition_point(|&end| end <= limit).clamp(first, end);
        let bytes = if fitting == first { 0 } else { self.ends[fitting - 1] - before };
        (Index(entries.start.0 + (fitting - first) as u64), bytes)
    }
}
