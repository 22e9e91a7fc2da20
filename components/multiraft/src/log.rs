//! The part of a group's log that is in memory: a suffix. What is older is in the engine.
//!
//! Everything that is not durable is here, and what is not applied, unless the apply lane has more
//! than enough to do; the rest goes when the cache is over its budget, or when nobody needs it any
//! more. A group at rest holds nothing.
//!
//! Invariants: slots are consecutive and end with the last of the log; `base ≤ before the first`.

use std::collections::VecDeque;
use std::ops::Range;

use raft::LogSizes;
use types::{EntryId, Index};

use crate::entry::Entry;

/// Entries of one group that are in memory.
#[derive(Debug)]
pub(crate) struct GroupLog {
    /// The slot before the first one in memory.
    before: Index,
    entries: VecDeque<Entry>,
    /// Bytes of the entries in memory.
    bytes: u64,
    /// The entry up to which the stored log is compacted.
    base: EntryId,
    /// Bytes of the entries behind the base, stored or not.
    log_bytes: u64,
    /// The last slot that was given to the engine, whether or not it holds still.
    written: Index,
}

impl GroupLog {
    /// A log that is stored up to `last`, with `bytes` behind its base.
    pub(crate) fn new(base: EntryId, last: Index, bytes: u64) -> GroupLog {
        let entries = VecDeque::new();
        GroupLog { before: last, entries, bytes: 0, base, log_bytes: bytes, written: last }
    }

    /// The last slot.
    pub(crate) fn last(&self) -> Index {
        Index(self.before.0 + self.entries.len() as u64)
    }

    /// The entry up to which the stored log is compacted.
    pub(crate) fn base(&self) -> EntryId {
        self.base
    }

    /// Bytes of entries behind the base.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    /// Bytes in memory.
    pub(crate) fn cached_bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends one entry.
    pub(crate) fn push(&mut self, entry: Entry) {
        assert_eq!(entry.id.index, self.last().next(), "a gap in the log");
        self.bytes += entry.payload.bytes();
        self.log_bytes += entry.payload.bytes();
        self.entries.push_back(entry);
    }

    /// Drops everything from `from` on; what is dropped and stored counts as the average.
    pub(crate) fn cut(&mut self, from: Index) {
        while self.last() >= from && !self.entries.is_empty() {
            let entry = self.entries.pop_back().expect("checked in the condition");
            self.bytes -= entry.payload.bytes();
            self.log_bytes = self.log_bytes.saturating_sub(entry.payload.bytes());
        }
        if self.before >= from {
            let gone = self.before.0 + 1 - from.0;
            self.log_bytes = self.log_bytes.saturating_sub(gone * self.average());
            self.before = from.prev();
        }
    }

    /// Slots up to `last` are given to the engine, from `first` on. Returns whether older contents
    /// of such slots may be there, and have to go first.
    pub(crate) fn write(&mut self, first: Index, last: Index) -> bool {
        let overwrites = first <= self.written;
        self.written = last;
        overwrites
    }

    /// The log is replaced by a snapshot.
    pub(crate) fn install(&mut self, snapshot: EntryId) {
        *self = GroupLog::new(snapshot, snapshot.index, 0);
    }

    /// The stored log begins behind `base` now.
    pub(crate) fn compact(&mut self, base: EntryId) {
        if base.index <= self.base.index {
            return;
        }
        self.evict(base.index);
        let total = self.last().since(self.base.index);
        let stays = self.last().since(base.index);
        self.log_bytes = if stays == 0 { 0 } else { self.log_bytes / total.max(1) * stays };
        self.base = base;
    }

    /// Forgets the entries up to `upto`, which are stored.
    pub(crate) fn evict(&mut self, upto: Index) {
        while self.before < upto
            && let Some(entry) = self.entries.pop_front()
        {
            self.before = entry.id.index;
            self.bytes -= entry.payload.bytes();
        }
        if self.entries.is_empty() {
            // A group at rest keeps no buffer.
            self.entries = VecDeque::new();
        }
    }

    /// The entries of `range` that are in memory, if all of them are.
    pub(crate) fn slice(&self, range: &Range<Index>) -> Option<impl Iterator<Item = &Entry>> {
        if range.start <= self.before && range.start < range.end {
            return None;
        }
        let skip = usize::try_from(range.start.0 - self.before.0 - 1).ok()?;
        let count = usize::try_from(range.end.since(range.start)).ok()?;
        (skip + count <= self.entries.len() || count == 0)
            .then(|| self.entries.iter().skip(skip).take(count))
    }

    fn average(&self) -> u64 {
        (self.log_bytes / self.last().since(self.base.index).max(1)).max(1)
    }
}

impl LogSizes for GroupLog {
    fn fit(&self, entries: Range<Index>, bytes_max: u64) -> (Index, u64) {
        let average = self.average();
        let mut total = 0;
        let mut at = entries.start;
        while at < entries.end {
            let cached = at.0.checked_sub(self.before.0 + 1);
            let size = cached
                .and_then(|nth| self.entries.get(usize::try_from(nth).ok()?))
                .map_or(average, |entry| entry.payload.bytes());
            if total + size > bytes_max {
                break;
            }
            total += size;
            at = at.next();
        }
        (at, total)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use types::Term;

    use super::*;
    use crate::entry::Payload;

    fn entry(index: u64) -> Entry {
        let payload = Payload::Command(Bytes::from(vec![0; 84]));
        Entry { id: EntryId::new(Term(1), Index(index)), payload }
    }

    #[test]
    fn what_is_evicted_is_estimated_and_not_sliced() {
        let mut log = GroupLog::new(EntryId::new(Term(1), Index(4)), Index(4), 0);
        (5..=14).for_each(|index| log.push(entry(index)));
        log.evict(Index(9));
        assert_eq!((log.cached_bytes(), log.log_bytes()), (500, 1_000));
        assert!(log.slice(&(Index(9)..Index(12))).is_none());
        assert_eq!(log.slice(&(Index(10)..Index(15))).unwrap().count(), 5);
        assert!(log.slice(&(Index(10)..Index(16))).is_none());
        assert_eq!(log.fit(Index(5)..Index(15), 350), (Index(8), 300));
        log.cut(Index(8));
        assert_eq!((log.last(), log.log_bytes()), (Index(7), 300));
        log.push(entry(8));
        log.compact(EntryId::new(Term(1), Index(6)));
        assert_eq!((log.base().index, log.log_bytes()), (Index(6), 200));
    }
}
