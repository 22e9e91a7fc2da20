//! Identities. Handed out once by the cluster, never reused, never zero.

use core::fmt;
use core::num::NonZeroU64;

/// One member of one Raft group, on one store.
///
/// Never zero, so that `Option<PeerId>` costs no more than a `PeerId` and "no leader" is `None`
/// rather than a magic number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(NonZeroU64);

impl PeerId {
    /// The peer with this id, or `None` for zero, which names nobody.
    #[must_use]
    pub const fn new(id: u64) -> Option<PeerId> {
        match NonZeroU64::new(id) {
            Some(id) => Some(PeerId(id)),
            None => None,
        }
    }

    /// The id as a number, for codecs.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}

/// One Raft instance across stores.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(NonZeroU64);

/// One server process's data and groups.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(NonZeroU64);

/// One cluster. What belongs to another cluster is refused, on a wire and on a disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(NonZeroU64);

impl GroupId {
    /// The group with this id, or `None` for zero, which names nobody.
    #[must_use]
    pub const fn new(id: u64) -> Option<GroupId> {
        match NonZeroU64::new(id) {
            Some(id) => Some(GroupId(id)),
            None => None,
        }
    }

    /// The id as a number, for codecs.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g{}", self.0)
    }
}

impl StoreId {
    /// The store with this id, or `None` for zero, which names nobody.
    #[must_use]
    pub const fn new(id: u64) -> Option<StoreId> {
        match NonZeroU64::new(id) {
            Some(id) => Some(StoreId(id)),
            None => None,
        }
    }

    /// The id as a number, for codecs.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

impl ClusterId {
    /// The cluster with this id, or `None` for zero, which names nobody.
    #[must_use]
    pub const fn new(id: u64) -> Option<ClusterId> {
        match NonZeroU64::new(id) {
            Some(id) => Some(ClusterId(id)),
            None => None,
        }
    }

    /// The id as a number, for codecs.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_names_nobody_and_none_costs_nothing() {
        assert_eq!(PeerId::new(0), None);
        assert_eq!(PeerId::new(7).map(PeerId::get), Some(7));
        assert_eq!(size_of::<Option<PeerId>>(), size_of::<u64>());
    }
}
