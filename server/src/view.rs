//! What commands and the HTTP port tell of a cluster: one form in JSON for both.
//!
//! Sizes are in bytes, times in seconds. The id of a cluster is a string, since it is larger than
//! what readers of JSON take for a number; ids of stores, regions, peers and operators are handed
//! out from one upwards and are numbers. Keys are escaped as everywhere; those of a `v2` cluster
//! are shown without the encoding that regions are bounded by.

use std::collections::BTreeMap;

use proto::crib::placement::v1;
use proto::metapb;
use serde::Serialize;
use types::{Escaped, decode_key};

/// A cluster as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Which.
    pub cluster_id: String,
    /// Whether all is well.
    pub healthy: bool,
    /// How keys are formed.
    pub api_version: String,
    /// Replicas that a region is to have.
    pub replicas: u32,
    /// The store that leads placement.
    pub placement_leader: Option<u64>,
    /// The stores of all its members.
    pub placement_stores: Vec<u64>,
    /// How many members it is to have.
    pub placement_seats: u32,
    /// Labels in which replicas of a region are kept apart, the widest first.
    pub location_labels: Vec<String>,
    /// Whether placement knows enough to plan.
    pub prepared: bool,
    /// How many regions.
    pub regions: u64,
    /// Of them, without a leader.
    pub regions_without_leader: u64,
    /// Of them, with too few replicas.
    pub regions_under_replicated: u64,
    /// Those that have more replicas than they should.
    pub regions_over_replicated: u64,
    /// Operators that run.
    pub operators: u64,
    /// What is wrong, in words.
    pub problems: Vec<String>,
    /// All stores.
    pub stores: Vec<Store>,
}

/// A store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Store {
    /// Which.
    pub id: u64,
    /// Where gRPC listens.
    pub address: String,
    /// Where HTTP listens.
    pub http_address: String,
    /// `joining up disconnected down draining removed`.
    pub state: &'static str,
    /// Where it is.
    pub labels: BTreeMap<String, String>,
    /// Version of the binary.
    pub version: String,
    /// How often it was started.
    pub life: u64,
    /// Since when nothing was heard.
    pub silent_seconds: u64,
    /// Regions that it has a replica of.
    pub regions: u64,
    /// Of them, led by it.
    pub leaders: u64,
    /// Size of the disk.
    pub capacity_bytes: u64,
    /// Free on it.
    pub available_bytes: u64,
    /// Used by the store.
    pub used_bytes: u64,
    /// Written to it, per second.
    pub written_bytes_per_second: u64,
    /// Read from it, per second.
    pub read_bytes_per_second: u64,
    /// No room for data.
    pub full: bool,
    /// Regions that have to leave it yet; only while it drains.
    pub regions_left: Option<u64>,
    /// About how long that takes, where it is known.
    pub seconds_left: Option<u64>,
    /// What it is for placement: `none learner member leader`.
    pub placement: &'static str,
    /// The stores that it does not reach, as it says.
    pub unreached: Vec<Unreached>,
}

/// A store that another one does not reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreached {
    /// Which.
    pub store: u64,
    /// For how long.
    pub seconds: u64,
    /// Why, in words.
    pub why: String,
}

/// A region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Region {
    /// Which.
    pub id: u64,
    /// Its first key.
    pub start_key: String,
    /// The first key behind it; empty for none.
    pub end_key: String,
    /// The same as the engine has it, in hex.
    pub start_key_hex: String,
    /// The same.
    pub end_key_hex: String,
    /// Changes of its range.
    pub version: u64,
    /// Changes of its members.
    pub conf_version: u64,
    /// Term of its leader.
    pub term: u64,
    /// The store that leads it.
    pub leader: Option<u64>,
    /// Its replicas.
    pub peers: Vec<Peer>,
    /// About how much it holds.
    pub bytes: u64,
    /// About how many keys.
    pub keys: u64,
    /// Written to it, per second.
    pub written_bytes_per_second: u64,
    /// Read from it, per second.
    pub read_bytes_per_second: u64,
}

/// A replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// Which.
    pub id: u64,
    /// Where.
    pub store: u64,
    /// `voter learner incoming demoting`.
    pub role: &'static str,
    /// It is so far behind that it does not count.
    pub pending: bool,
    /// Since when nothing was heard of it; absent if it is well.
    pub down_seconds: Option<u64>,
}

/// What is being done to a region, or was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operator {
    /// Which.
    pub id: u64,
    /// To which region.
    pub region: u64,
    /// Who made it.
    pub origin: String,
    /// What for.
    pub reason: String,
    /// All steps, in words.
    pub steps: Vec<String>,
    /// The one that it is at, from zero.
    pub step: u32,
    /// `running`, `done`, or how else it ended.
    pub state: String,
    /// How old it is.
    pub age_seconds: u64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// To which region; 0 for none.
    pub region: u64,
    /// `split leader members operator store`.
    pub kind: String,
    /// In words.
    pub text: String,
}

impl From<v1::StatusResponse> for Status {
    fn from(of: v1::StatusResponse) -> Status {
        let mut stores: Vec<Store> = of.stores.into_iter().map(Store::from).collect();
        stores.sort_by_key(|store| store.id);
        let is_well = |store: &Store| matches!(store.state, "up" | "draining" | "removed");
        let healthy = of.problems.is_empty()
            && of.placement_leader > 0
            && of.regions > 0
            && of.regions_without_leader == 0
            && of.regions_under_replicated == 0
            && stores.iter().all(is_well);
        Status {
            cluster_id: of.cluster_id.to_string(),
            healthy,
            api_version: of.api_version,
            replicas: of.replicas,
            placement_leader: some(of.placement_leader),
            placement_stores: of.placement_stores,
            placement_seats: of.placement_seats,
            location_labels: of.location_labels,
            prepared: of.is_prepared,
            regions: of.regions,
            regions_without_leader: of.regions_without_leader,
            regions_under_replicated: of.regions_under_replicated,
            regions_over_replicated: of.regions_over_replicated,
            operators: of.operators,
            problems: of.problems,
            stores,
        }
    }
}

impl From<v1::Store> for Store {
    fn from(of: v1::Store) -> Store {
        let state = state_name(of.state());
        let placement = match of.placement() {
            v1::PlacementSeat::None => "none",
            v1::PlacementSeat::Learner => "learner",
            v1::PlacementSeat::Member => "member",
            v1::PlacementSeat::Leader => "leader",
        };
        let stats = of.stats.unwrap_or_default();
        let drains = state == "draining";
        Store {
            id: of.id,
            address: of.address,
            http_address: of.http_address,
            state,
            labels: of.labels.into_iter().map(|label| (label.key, label.value)).collect(),
            version: of.version,
            life: of.life,
            silent_seconds: of.silent_seconds,
            regions: stats.regions,
            leaders: stats.leaders,
            capacity_bytes: stats.capacity_bytes,
            available_bytes: stats.available_bytes,
            used_bytes: stats.used_bytes,
            written_bytes_per_second: stats.written_bytes_per_second,
            read_bytes_per_second: stats.read_bytes_per_second,
            full: stats.is_full,
            regions_left: drains.then_some(of.regions_left),
            seconds_left: some(of.seconds_left).filter(|_| drains),
            placement,
            unreached: of.unreached.into_iter().map(Unreached::from).collect(),
        }
    }
}

impl From<v1::Unreached> for Unreached {
    fn from(of: v1::Unreached) -> Unreached {
        Unreached { store: of.store_id, seconds: of.seconds, why: of.why }
    }
}

impl Region {
    /// A region of a cluster whose keys have this form.
    #[must_use]
    pub fn new(of: v1::RegionReport, api_version: &str) -> Region {
        let region = of.region.unwrap_or_default();
        let epoch = region.region_epoch.unwrap_or_default();
        let peer = |peer: &metapb::Peer| Peer {
            id: peer.id,
            store: peer.store_id,
            role: match peer.role() {
                metapb::PeerRole::Voter => "voter",
                metapb::PeerRole::Learner => "learner",
                metapb::PeerRole::IncomingVoter => "incoming",
                metapb::PeerRole::DemotingVoter => "demoting",
            },
            pending: of.pending_peers.iter().any(|pending| pending.id == peer.id),
            down_seconds: of
                .down_peers
                .iter()
                .find(|down| down.peer.as_ref().is_some_and(|down| down.id == peer.id))
                .map(|down| down.seconds),
        };
        Region {
            id: region.id,
            start_key: bound(&region.start_key, api_version),
            end_key: bound(&region.end_key, api_version),
            start_key_hex: hex(&region.start_key),
            end_key_hex: hex(&region.end_key),
            version: epoch.version,
            conf_version: epoch.conf_ver,
            term: of.term,
            leader: of.leader.as_ref().and_then(|leader| some(leader.store_id)),
            peers: region.peers.iter().map(peer).collect(),
            bytes: of.approximate_bytes,
            keys: of.approximate_keys,
            written_bytes_per_second: of.written_bytes_per_second,
            read_bytes_per_second: of.read_bytes_per_second,
        }
    }
}

impl From<v1::Operator> for Operator {
    fn from(of: v1::Operator) -> Operator {
        Operator {
            id: of.id,
            region: of.region_id,
            origin: of.origin,
            reason: of.reason,
            steps: of.steps,
            step: of.step,
            state: of.state,
            age_seconds: of.age_seconds,
        }
    }
}

impl From<v1::Event> for Event {
    fn from(of: v1::Event) -> Event {
        Event { at_ms: of.at_ms, region: of.region_id, kind: of.kind, text: of.text }
    }
}

/// The state of a store, as people are told it.
#[must_use]
pub fn state_name(state: v1::StoreState) -> &'static str {
    match state {
        v1::StoreState::Unspecified => "unknown",
        v1::StoreState::Joining => "joining",
        v1::StoreState::Up => "up",
        v1::StoreState::Disconnected => "disconnected",
        v1::StoreState::Down => "down",
        v1::StoreState::Draining => "draining",
        v1::StoreState::Removed => "removed",
    }
}

/// An engine key as it is shown.
fn bound(key: &[u8], api_version: &str) -> String {
    match decode_key(key).filter(|_| api_version == "v2") {
        Some((decoded, [])) => Escaped(&decoded).to_string(),
        _ => Escaped(key).to_string(),
    }
}

/// Bytes in hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Zero stands for nobody.
fn some(id: u64) -> Option<u64> {
    (id > 0).then_some(id)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A store of a small cluster.
    pub(crate) fn store(id: u64, state: v1::StoreState) -> v1::Store {
        v1::Store {
            id,
            address: format!("127.0.0.1:{}", 6_710 + id),
            http_address: format!("127.0.0.1:{}", 6_780 + id),
            state: state.into(),
            labels: vec![v1::Label { key: "zone".to_owned(), value: format!("z{id}") }],
            version: "0.1.0".to_owned(),
            stats: Some(v1::StoreStats {
                capacity_bytes: 100 << 30,
                available_bytes: 60 << 30,
                used_bytes: 3 << 19,
                regions: 5,
                leaders: if id == 1 { 3 } else { 1 },
                ..v1::StoreStats::default()
            }),
            life: 1,
            ..v1::Store::default()
        }
    }

    /// A small cluster in which all is well.
    pub(crate) fn status() -> v1::StatusResponse {
        v1::StatusResponse {
            cluster_id: 7_383_792_418_829_112_008,
            api_version: "v2".to_owned(),
            replicas: 3,
            placement_stores: vec![1, 2, 3],
            placement_seats: 3,
            placement_leader: 1,
            stores: (1..4).map(|id| store(id, v1::StoreState::Up)).collect(),
            regions: 5,
            is_prepared: true,
            ..v1::StatusResponse::default()
        }
    }

    /// A region of it.
    pub(crate) fn region() -> v1::RegionReport {
        let peer = |id: u64| metapb::Peer { id, store_id: id - 10, ..metapb::Peer::default() };
        v1::RegionReport {
            region: Some(metapb::Region {
                id: 4,
                start_key: types::encode_key(b"r\0\0\0user/0417").into(),
                end_key: types::encode_key(b"s").into(),
                region_epoch: Some(metapb::RegionEpoch { conf_ver: 1, version: 2 }),
                peers: vec![peer(11), peer(12), peer(13)],
            }),
            leader: Some(peer(12)),
            term: 6,
            down_peers: vec![v1::DownPeer { peer: Some(peer(13)), seconds: 40 }],
            pending_peers: vec![peer(13)],
            approximate_bytes: 50 << 20,
            approximate_keys: 51_200,
            ..v1::RegionReport::default()
        }
    }

    #[test]
    fn health_needs_every_store_every_leader_and_no_problem() {
        let healthy = |change: fn(&mut v1::StatusResponse)| {
            let mut of = status();
            change(&mut of);
            Status::from(of).healthy
        };
        assert!(healthy(|_| ()));
        assert!(!healthy(|of| of.regions = 0));
        assert!(!healthy(|of| of.placement_leader = 0));
        assert!(!healthy(|of| of.regions_without_leader = 1));
        assert!(!healthy(|of| of.regions_under_replicated = 1));
        assert!(!healthy(|of| of.problems.push("smoke".to_owned())));
        assert!(!healthy(|of| of.stores[2].set_state(v1::StoreState::Disconnected)));
        assert!(healthy(|of| of.stores[2].set_state(v1::StoreState::Draining)));
    }

    #[test]
    fn bounds_are_shown_decoded_where_they_are_encoded() {
        let region = Region::new(region(), "v2");
        assert_eq!(region.start_key, "r\\x00\\x00\\x00user/0417");
        assert_eq!(region.end_key, "s");
        assert_eq!(region.end_key_hex, "7300000000000000f8");
        assert_eq!(region.leader, Some(2));
        assert_eq!(region.peers[2].down_seconds, Some(40));
        assert_eq!(bound(b"s\0", "v1"), "s\\x00");
        assert_eq!(bound(b"", "v2"), "");
    }

    #[test]
    fn cluster_id_is_a_string_in_json() {
        let json = serde_json::to_value(Status::from(status())).unwrap();
        assert_eq!(json["cluster_id"], "7383792418829112008");
        assert_eq!(json["stores"][0]["labels"]["zone"], "z1");
        assert_eq!(json["stores"][0]["regions_left"], serde_json::Value::Null);
    }
}
