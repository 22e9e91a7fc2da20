//! The regions of a large cluster, evenly spread.

use types::{Epoch, GroupId, KeyRange, PeerId, PeerRole, Region, RegionPeer, StoreId};

use super::Settings;

/// Stores 1, 2 and so on, where nobody else names them.
pub(super) fn stores(settings: &Settings) -> Vec<StoreId> {
    (1..=settings.stores).map(|id| StoreId::new(id).expect("not zero")).collect()
}

/// A key inside the region of number `at`, and its first one but for the first region.
pub(super) fn key(at: u64) -> Vec<u8> {
    at.to_be_bytes().to_vec()
}

/// The region of number `at`, from 0, on these stores. Its first peer leads.
pub(super) fn region(settings: &Settings, stores: &[StoreId], at: u64) -> Region {
    let store = |at: u64| stores[usize::try_from(at % settings.stores).expect("few")];
    let peer = |nth: u64| RegionPeer {
        id: PeerId::new(1_000_000 + at * 3 + nth).expect("not zero"),
        store: store(at + nth),
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
