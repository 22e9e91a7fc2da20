//! Between what is on the wire and what planning works with.

use std::time::Duration;

use proto::crib::placement::v1;
use proto::{metapb, pdpb};
use types::{PeerId, Region, RegionPeer, Term};

use crate::scheduler::{Order, OrderStep, StoreState};
use crate::state::{Life, Store};
use crate::table::{RegionEntry, RegionReport};

/// Most down or pending peers that are looked at in one report.
const PEERS_MAX: usize = 64;

/// No region is taken for larger, whatever a store says: sums over all of them stay small.
const REGION_BYTES_MAX: u64 = 1 << 40;

/// A report of a region; `None` if it makes no sense.
pub(crate) fn report_from(report: &v1::RegionReport) -> Option<RegionReport> {
    let region = Region::try_from(report.region.as_ref()?).ok()?;
    let down = report.down_peers.iter().take(PEERS_MAX).filter_map(|down| {
        Some((PeerId::new(down.peer.as_ref()?.id)?, Duration::from_secs(down.seconds)))
    });
    let pending = report.pending_peers.iter().take(PEERS_MAX);
    Some(RegionReport {
        region,
        leader: RegionPeer::try_from(report.leader.as_ref()?).ok()?,
        term: Term(report.term),
        down: down.collect(),
        pending: pending.filter_map(|peer| PeerId::new(peer.id)).collect(),
        bytes: report.approximate_bytes.min(REGION_BYTES_MAX).into(),
        keys: report.approximate_keys.into(),
        written_per_second: report.written_bytes_per_second.into(),
        read_per_second: report.read_bytes_per_second.into(),
    })
}

/// A region as it was reported.
pub(crate) fn report_to(entry: &RegionEntry) -> v1::RegionReport {
    let report = &entry.report;
    let down = report.down.iter().filter_map(|(id, span)| {
        let peer = Some(report.region.peer(*id)?.into());
        Some(v1::DownPeer { peer, seconds: span.as_secs() })
    });
    v1::RegionReport {
        region: Some((&report.region).into()),
        leader: Some(report.leader.into()),
        term: report.term.0,
        down_peers: down.collect(),
        pending_peers: pending(entry),
        approximate_bytes: report.bytes.get(),
        approximate_keys: report.keys.get(),
        written_bytes_per_second: report.written_per_second.get(),
        read_bytes_per_second: report.read_per_second.get(),
    }
}

fn pending(entry: &RegionEntry) -> Vec<metapb::Peer> {
    let report = &entry.report;
    report.pending.iter().filter_map(|id| report.region.peer(*id)).map(Into::into).collect()
}

/// A region as clients are told of it.
pub(crate) fn region_to(entry: &RegionEntry) -> pdpb::Region {
    let report = &entry.report;
    let down = report.down.iter().filter_map(|(id, span)| {
        let peer = Some(report.region.peer(*id)?.into());
        Some(pdpb::PeerStats { peer, down_seconds: span.as_secs() })
    });
    pdpb::Region {
        region: Some((&report.region).into()),
        leader: Some(report.leader.into()),
        down_peers: down.collect(),
        pending_peers: pending(entry),
        buckets: None,
    }
}

/// An order.
pub(crate) fn order_to(order: &Order) -> v1::Order {
    use v1::order::Step;
    let peers = |peers: &[RegionPeer]| peers.iter().map(|&peer| peer.into()).collect();
    let step = match &order.step {
        OrderStep::TransferLeader { to } => {
            Step::TransferLeader(v1::TransferLeaderStep { to: Some((*to).into()) })
        }
        OrderStep::ChangePeers { set, remove } => {
            Step::ChangePeers(v1::ChangePeersStep { set: peers(set), remove: peers(remove) })
        }
        OrderStep::Split { keys } => {
            Step::Split(v1::SplitStep { keys: keys.iter().cloned().map(Into::into).collect() })
        }
    };
    v1::Order { region_id: order.region.get(), epoch: Some(order.epoch.into()), step: Some(step) }
}

/// A store as clients and other stores are told of it.
pub(crate) fn store_to(store: &Store) -> metapb::Store {
    let state = match store.life {
        Life::Live => metapb::StoreState::Up,
        Life::Draining => metapb::StoreState::Offline,
        Life::Removed => metapb::StoreState::Tombstone,
    };
    let label = |(key, value): &(String, String)| metapb::StoreLabel {
        key: key.clone(),
        value: value.clone(),
    };
    metapb::Store {
        id: store.id.map_or(0, types::StoreId::get),
        address: store.address.clone(),
        state: state.into(),
        labels: store.labels.iter().map(label).collect(),
        version: store.version.clone(),
        peer_address: store.address.clone(),
        status_address: store.http_address.clone(),
    }
}

/// A store as clients are told of it. One that was heard of elsewhere than where another is now has
/// no address until it speaks again. Clients take a store without one for an error of everything,
/// and so they are told a name that nobody has, which they find out.
pub(crate) fn store_to_client(store: &Store) -> metapb::Store {
    let mut said = store_to(store);
    if said.address.is_empty() {
        said.address = format!("store-{}.invalid:1", said.id);
        said.peer_address.clone_from(&said.address);
    }
    said
}

/// A state of a store.
pub(crate) fn state_to(state: StoreState) -> v1::StoreState {
    match state {
        StoreState::Joining => v1::StoreState::Joining,
        StoreState::Up => v1::StoreState::Up,
        StoreState::Disconnected => v1::StoreState::Disconnected,
        StoreState::Down => v1::StoreState::Down,
        StoreState::Draining => v1::StoreState::Draining,
        StoreState::Removed => v1::StoreState::Removed,
    }
}
