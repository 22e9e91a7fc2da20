//! The regions of a large cluster, evenly spread.

use types::{Epoch, GroupId, KeyRange, PeerId, PeerRole, Region, RegionPeer, StoreId};

use super::Settings;

/// The store of number `at`, from 0.
pub(super) fn store(at: u64) -> StoreId {
    StoreId::new(at + 1).expect("not zero")
}

/// A key inside the region of number `at`, and its first one but for the first region.
pub(super) fn key(at: u64) -> Vec<u8> {
    at.to_be_bytes().to_vec()
}

/// The region of number `at`, from 0. Its first peer leads.
pub(super) fn region(settings: &Settings, at: u64) -> Region {
    let peer = |nth: u64| RegionPeer {
        id: PeerId::new(1_000_000 + at * 3 + nth).expect("not zero"),
        store: store((at + nth) % settings.stores),
        role: PeerRole::Voter,
    };
    let bound = |at: u64| if at == 0 || at == settings.regions { Vec::new() } else { key(at) };
    Region {
        id: GroupId::new(1_000 + at).expect("not zero"),
        range: KeyRange::new(bound(at), bound(at + 1)),
        epoch: Epoch::FIRST,
        peers: (0..3).map(peer).collect(),
    }
}

/// Numbers that visit all regions in no order that memory is kind to.
pub(super) fn scattered(settings: &Settings) -> impl Iterator<Item = u64> {
    // Coprime to any count of regions that is not a multiple of it.
    const STRIDE: u64 = 611_953;
    let regions = settings.regions;
    (0..).map(move |turn: u64| turn.wrapping_mul(STRIDE) % regions)
}
