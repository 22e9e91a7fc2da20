//! Regions between their form in the public protocol and ours.
//!
//! Ours is stricter: what comes from outside is refused if it is no region.

use std::fmt;

use types::{Epoch, GroupId, KeyRange, PeerId, PeerRole, Region, RegionPeer, StoreId};

use crate::metapb;

/// What is not a region, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRegion(pub &'static str);

impl fmt::Display for NoRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a region: {}", self.0)
    }
}

impl std::error::Error for NoRegion {}

impl From<Epoch> for metapb::RegionEpoch {
    fn from(epoch: Epoch) -> metapb::RegionEpoch {
        metapb::RegionEpoch { conf_ver: epoch.conf_ver, version: epoch.version }
    }
}

impl From<metapb::RegionEpoch> for Epoch {
    fn from(epoch: metapb::RegionEpoch) -> Epoch {
        Epoch { version: epoch.version, conf_ver: epoch.conf_ver }
    }
}

impl From<RegionPeer> for metapb::Peer {
    fn from(peer: RegionPeer) -> metapb::Peer {
        let role = match peer.role {
            PeerRole::Voter => metapb::PeerRole::Voter,
            PeerRole::Learner => metapb::PeerRole::Learner,
            PeerRole::Incoming => metapb::PeerRole::IncomingVoter,
            PeerRole::Demoting => metapb::PeerRole::DemotingVoter,
        };
        metapb::Peer {
            id: peer.id.get(),
            store_id: peer.store.get(),
            role: role.into(),
            is_witness: false,
        }
    }
}

impl TryFrom<&metapb::Peer> for RegionPeer {
    type Error = NoRegion;

    fn try_from(peer: &metapb::Peer) -> Result<RegionPeer, NoRegion> {
        let role = match peer.role() {
            metapb::PeerRole::Voter => PeerRole::Voter,
            metapb::PeerRole::Learner => PeerRole::Learner,
            metapb::PeerRole::IncomingVoter => PeerRole::Incoming,
            metapb::PeerRole::DemotingVoter => PeerRole::Demoting,
        };
        Ok(RegionPeer {
            id: PeerId::new(peer.id).ok_or(NoRegion("peer 0"))?,
            store: StoreId::new(peer.store_id).ok_or(NoRegion("a peer on store 0"))?,
            role,
        })
    }
}

impl From<&Region> for metapb::Region {
    fn from(region: &Region) -> metapb::Region {
        metapb::Region {
            id: region.id.get(),
            start_key: region.range.start.clone().into(),
            end_key: region.range.end.clone().into(),
            region_epoch: Some(region.epoch.into()),
            peers: region.peers.iter().map(|&peer| peer.into()).collect(),
        }
    }
}

impl TryFrom<&metapb::Region> for Region {
    type Error = NoRegion;

    fn try_from(region: &metapb::Region) -> Result<Region, NoRegion> {
        let range = KeyRange::new(region.start_key.as_ref(), region.end_key.as_ref());
        if range.is_empty() {
            return Err(NoRegion("its end is not behind its start"));
        }
        let mut peers: Vec<RegionPeer> =
            region.peers.iter().map(RegionPeer::try_from).collect::<Result<_, _>>()?;
        peers.sort_unstable_by_key(|peer| peer.id);
        if peers.windows(2).any(|pair| pair[0].id == pair[1].id) {
            return Err(NoRegion("a peer is named twice"));
        }
        Ok(Region {
            id: GroupId::new(region.id).ok_or(NoRegion("region 0"))?,
            range,
            epoch: region.region_epoch.ok_or(NoRegion("it has no epoch"))?.into(),
            peers,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region() -> Region {
        let peer = |id, store, role| RegionPeer {
            id: PeerId::new(id).expect("not zero"),
            store: StoreId::new(store).expect("not zero"),
            role,
        };
        Region {
            id: GroupId::new(7).expect("not zero"),
            range: KeyRange::new("a", ""),
            epoch: Epoch { version: 3, conf_ver: 4 },
            peers: vec![peer(1, 1, PeerRole::Voter), peer(2, 2, PeerRole::Learner)],
        }
    }

    #[test]
    fn region_comes_back_as_it_went() {
        assert_eq!(Region::try_from(&metapb::Region::from(&region())), Ok(region()));
    }

    #[test]
    fn what_is_no_region_is_refused() {
        let wire = metapb::Region::from(&region());
        let changed = |change: fn(&mut metapb::Region)| {
            let mut region = wire.clone();
            change(&mut region);
            Region::try_from(&region).expect_err("refused").0
        };
        assert_eq!(changed(|region| region.id = 0), "region 0");
        assert_eq!(changed(|region| region.region_epoch = None), "it has no epoch");
        assert_eq!(changed(|region| region.peers[0].id = 0), "peer 0");
        assert_eq!(changed(|region| region.peers[1].id = 1), "a peer is named twice");
        assert_eq!(
            changed(|region| region.end_key = "a".into()),
            "its end is not behind its start"
        );
    }
}
