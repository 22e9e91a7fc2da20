//! Regions: which keys a group serves, and who serves them.

use alloc::vec::Vec;
use core::fmt;

use crate::{GroupId, KeyRange, PeerId, StoreId};

/// Which form of a region a request was meant for. Both numbers only rise; those of a region never
/// fall, whatever happens to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch {
    /// Rises with every change of the range: split, merge.
    pub version: u64,
    /// Rises with every change of the members.
    pub conf_ver: u64,
}

/// What a peer may do in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerRole {
    /// It votes.
    Voter,
    /// It receives, and does not vote.
    Learner,
    /// It votes in the new half of a membership that is changing.
    Incoming,
    /// It votes in the old half alone, and will be a learner.
    Demoting,
}

/// A peer of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegionPeer {
    /// Who.
    pub id: PeerId,
    /// Where it lives.
    pub store: StoreId,
    /// What it may do.
    pub role: PeerRole,
}

/// A region: a range of keys, and the group that serves it. Its id is that of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The group.
    pub id: GroupId,
    /// Its keys, as the engine has them.
    pub range: KeyRange,
    /// Which form of it this is.
    pub epoch: Epoch,
    /// Its members, by ascending peer.
    pub peers: Vec<RegionPeer>,
}

impl Epoch {
    /// What a region begins with.
    pub const FIRST: Epoch = Epoch { version: 1, conf_ver: 1 };

    /// Whether one of the numbers is lower than the other's: what carries it is out of date.
    #[must_use]
    pub fn is_older(self, than: Epoch) -> bool {
        self.version < than.version || self.conf_ver < than.conf_ver
    }
}

impl Region {
    /// Its peer on a store.
    #[must_use]
    pub fn peer_on(&self, store: StoreId) -> Option<RegionPeer> {
        self.peers.iter().copied().find(|peer| peer.store == store)
    }

    /// Its peer with this id.
    #[must_use]
    pub fn peer(&self, id: PeerId) -> Option<RegionPeer> {
        self.peers.iter().copied().find(|peer| peer.id == id)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.version, self.conf_ver)
    }
}
