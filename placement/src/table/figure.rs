//! A number that is told anew while others read the table.

use std::sync::atomic::{AtomicU64, Ordering};

/// A figure of a region, or of many. Nothing is decided by two of them at once, so each is told by
/// itself, in no order with others.
#[derive(Debug, Default)]
pub struct Figure(AtomicU64);

impl Figure {
    /// What it is now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// It is another. Whoever derives it from the last one is to be the only one who does.
    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// It is more by `added` and less by `taken`; at most what there is room for.
    pub(super) fn shift(&self, taken: u64, added: u64) {
        self.set(self.get().saturating_sub(taken).saturating_add(added));
    }
}

impl From<u64> for Figure {
    fn from(value: u64) -> Figure {
        Figure(value.into())
    }
}

impl Clone for Figure {
    fn clone(&self) -> Figure {
        self.get().into()
    }
}

impl PartialEq for Figure {
    fn eq(&self, other: &Figure) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Figure {}
