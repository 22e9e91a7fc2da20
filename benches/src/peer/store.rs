//! Where the peer keeps its log: the crate's own `MemStorage`, or a leaner one.
//!
//! `MemStorage` copies every entry it is given and takes a lock on each access. `LeanStorage` takes
//! the entries over by value and has no lock: what a user who profiles would write.
//!
//! Invariant (both): at least the last applied entry is kept, because the peer asks for the term of
//! the entry before the first one it sends.

use raft_rs::prelude::{ConfState, Entry, HardState, Snapshot};
use raft_rs::storage::MemStorage;
use raft_rs::util::limit_size;
use raft_rs::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};

/// A `Storage` that the host can write.
pub(super) trait LogStore: Storage + Sized {
    /// An empty log of a group with these voters.
    fn with_voters(voters: Vec<u64>) -> Self;
    /// Adds entries at the end, replacing what overlaps.
    fn append(&mut self, entries: Vec<Entry>);
    /// Replaces term, vote and commit.
    fn set_hard_state(&mut self, hard_state: HardState);
    /// Raises the commit index.
    fn set_commit(&mut self, commit: u64);
    /// Forgets entries below `index`.
    fn compact(&mut self, index: u64);
    /// The contents, so that they can outlive the node.
    fn detach(&mut self) -> Self;
}

impl LogStore for MemStorage {
    fn with_voters(voters: Vec<u64>) -> Self {
        Self::new_with_conf_state((voters, Vec::new()))
    }

    fn append(&mut self, entries: Vec<Entry>) {
        self.wl().append(&entries).expect("MemStorage::append only panics");
    }

    fn set_hard_state(&mut self, hard_state: HardState) {
        self.wl().set_hardstate(hard_state);
    }

    fn set_commit(&mut self, commit: u64) {
        self.wl().mut_hard_state().commit = commit;
    }

    fn compact(&mut self, index: u64) {
        self.wl().compact(index).expect("MemStorage::compact only panics");
    }

    fn detach(&mut self) -> Self {
        self.clone()
    }
}

/// A log in a `Vec`, owned by the node.
#[derive(Default)]
pub(super) struct LeanStorage {
    state: RaftState,
    /// Index and term of the entry before the first one kept.
    base: (u64, u64),
    entries: Vec<Entry>,
}

impl LeanStorage {
    /// Position of `index` in `entries`.
    fn offset(&self, index: u64) -> Result<usize> {
        let offset = index.checked_sub(self.base.0 + 1);
        let offset = offset.ok_or(Error::Store(StorageError::Compacted))?;
        Ok(usize::try_from(offset).expect("a log in memory is addressable"))
    }
}

impl LogStore for LeanStorage {
    fn with_voters(voters: Vec<u64>) -> Self {
        let conf_state = ConfState::from((voters, Vec::new()));
        Self { state: RaftState::new(HardState::default(), conf_state), ..Self::default() }
    }

    fn append(&mut self, mut entries: Vec<Entry>) {
        let Some(first) = entries.first() else { return };
        let keep = self.offset(first.index).expect("compacted entries are never rewritten");
        self.entries.truncate(keep);
        self.entries.append(&mut entries);
    }

    fn set_hard_state(&mut self, hard_state: HardState) {
        self.state.hard_state = hard_state;
    }

    fn set_commit(&mut self, commit: u64) {
        self.state.hard_state.commit = commit;
    }

    fn compact(&mut self, index: u64) {
        let count = self.offset(index).unwrap_or(0);
        if count > 0 {
            let last = &self.entries[count - 1];
            self.base = (last.index, last.term);
            self.entries.drain(..count);
        }
    }

    fn detach(&mut self) -> Self {
        std::mem::take(self)
    }
}

impl Storage for LeanStorage {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(self.state.clone())
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        let mut entries = self.entries[self.offset(low)?..self.offset(high)?].to_vec();
        limit_size(&mut entries, max_size.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> Result<u64> {
        if index == self.base.0 {
            return Ok(self.base.1);
        }
        let entry = self.entries.get(self.offset(index)?);
        entry.map(|entry| entry.term).ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.base.0 + 1)
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.base.0 + self.entries.len() as u64)
    }

    fn snapshot(&self, _request_index: u64, _to: u64) -> Result<Snapshot> {
        Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}
