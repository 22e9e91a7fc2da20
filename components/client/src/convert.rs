//! What placement says, checked.

use proto::{metapb, pdpb};
use tracing::warn;
use types::{Region, RegionPeer};

use crate::region_cache::Route;

/// A peer; `None` if it makes no sense, as an empty one that stands for none.
pub(crate) fn peer(peer: &metapb::Peer) -> Option<RegionPeer> {
    RegionPeer::try_from(peer).ok()
}

/// A region; `None` if it makes no sense.
pub(crate) fn region(region: &metapb::Region) -> Option<Region> {
    match Region::try_from(region) {
        Ok(region) => Some(region),
        Err(problem) => {
            warn!(region = region.id, %problem, "cannot make sense of a region");
            None
        }
    }
}

/// A region with its leader. A leader that is none of its peers is none.
pub(crate) fn route(of: Option<metapb::Region>, leader: Option<metapb::Peer>) -> Option<Route> {
    let region = region(&of?)?;
    let leader = leader.as_ref().and_then(peer);
    let leader = leader.filter(|leader| region.peer(leader.id).is_some());
    Some(Route { region, leader })
}

/// A region of a list. Those that make no sense are left out.
pub(crate) fn listed(each: pdpb::Region) -> Option<Route> {
    route(each.region, each.leader)
}
