//! A region as the rest of a store sees it: what it is, and how much it has and gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use types::Region;

/// Nothing was measured yet.
const UNKNOWN: u64 = u64::MAX;

/// A region on this store, at an instant. What it is does not change in a value of this type;
/// [`crate::Regions::check_still`] says whether it is out of date.
#[derive(Debug)]
pub struct RegionState {
    /// What it is, as applied here.
    pub region: Region,
    /// What it has and gets; shared by all states of the region.
    pub load: Arc<Load>,
    /// Which of the region's lives on this store: data that was replaced as a whole begins another.
    pub(crate) life: u64,
}

/// How much a region has on this store, and what was written to it. Approximate, in memory alone,
/// and different on each store. Numbers are read one by one: together they are of no one instant.
#[derive(Debug)]
pub struct Load {
    bytes: AtomicU64,
    keys: AtomicU64,
    written_bytes: AtomicU64,
    written_keys: AtomicU64,
}

impl Load {
    /// Of a region of which nothing is known.
    pub(crate) fn unknown() -> Load {
        Load {
            bytes: AtomicU64::new(UNKNOWN),
            keys: AtomicU64::new(UNKNOWN),
            written_bytes: AtomicU64::new(0),
            written_keys: AtomicU64::new(0),
        }
    }

    /// Bytes of keys and values, as far as writes tell since they were measured: what was deleted
    /// or written over still counts. `None` until they were measured.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        Some(self.bytes.load(Ordering::Relaxed)).filter(|&bytes| bytes != UNKNOWN)
    }

    /// Keys, likewise.
    #[must_use]
    pub fn keys(&self) -> Option<u64> {
        Some(self.keys.load(Ordering::Relaxed)).filter(|&keys| keys != UNKNOWN)
    }

    /// Bytes of keys and values of all commands applied since the store was opened; only rises.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Ordering::Relaxed)
    }

    /// Keys that these commands set or deleted; only rises.
    #[must_use]
    pub fn written_keys(&self) -> u64 {
        self.written_keys.load(Ordering::Relaxed)
    }

    /// It was measured.
    pub(crate) fn set(&self, bytes: u64, keys: u64) {
        self.bytes.store(bytes.min(UNKNOWN - 1), Ordering::Relaxed);
        self.keys.store(keys.min(UNKNOWN - 1), Ordering::Relaxed);
    }

    /// A command was applied: what it wrote, and which of that was added.
    pub(crate) fn wrote(&self, written: Amount, added: Amount) {
        self.written_bytes.fetch_add(written.bytes, Ordering::Relaxed);
        self.written_keys.fetch_add(written.keys, Ordering::Relaxed);
        if let (Some(bytes), Some(keys)) = (self.bytes(), self.keys()) {
            // A measurement in between is overwritten, and the next one sets it right.
            self.set(bytes.saturating_add(added.bytes), keys.saturating_add(added.keys));
        }
    }

    /// The region was cut into this many parts. Returns what each has; of which that is cannot be
    /// known without looking.
    pub(crate) fn share(&self, parts: u64) -> Load {
        let part = Load::unknown();
        if let (Some(bytes), Some(keys)) = (self.bytes(), self.keys()) {
            self.set(bytes / parts, keys / parts);
            part.set(bytes / parts, keys / parts);
        }
        part
    }
}

/// Some bytes of some keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) bytes: u64,
    pub(crate) keys: u64,
}

impl Amount {
    /// One more key.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.keys += 1;
    }
}
