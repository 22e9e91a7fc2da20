//! Regions as they lie on disk, stand in replies and head snapshots.
//!
//! What is decoded here comes from a disk or another store: it is refused if it is no region.

use std::fmt;

use bytes::Bytes;
use prost::Message as _;
use proto::crib::kv::v1;
use storage::Cf;
use types::{Epoch, GroupId, KeyRange, PeerId, PeerRole, Region, RegionPeer, StoreId};

/// The families in which data lies, by their order in snapshots.
pub const FAMILIES: [Cf; 3] = [Cf::Default, Cf::Lock, Cf::Write];

/// Version of the chunks of a snapshot.
const SNAPSHOT_FORMAT: u32 = 1;

/// What was decoded makes no sense; why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

/// A region as its record has it.
#[must_use]
pub fn encode_record(region: &Region) -> Vec<u8> {
    to_proto(region).encode_to_vec()
}

/// The region of a record.
///
/// # Errors
/// If it is none.
pub fn decode_record(record: &[u8]) -> Result<Region, Malformed> {
    from_proto(v1::RegionRecord::decode(record)?)
}

/// What a receiver is told of a snapshot.
pub(crate) fn encode_header(region: &Region) -> Bytes {
    let header = v1::SnapshotHeader { format: SNAPSHOT_FORMAT, region: Some(to_proto(region)) };
    header.encode_to_vec().into()
}

/// The region that a snapshot is of.
pub(crate) fn decode_header(header: &[u8]) -> Result<Region, Malformed> {
    let header = v1::SnapshotHeader::decode(header)?;
    if header.format != SNAPSHOT_FORMAT {
        return Err(Malformed(format!("a snapshot of format {}", header.format)));
    }
    from_proto(header.region.ok_or_else(|| Malformed::from("a snapshot of no region"))?)
}

pub(crate) fn to_proto(region: &Region) -> v1::RegionRecord {
    v1::RegionRecord {
        id: region.id.get(),
        start: Bytes::copy_from_slice(&region.range.start),
        end: Bytes::copy_from_slice(&region.range.end),
        version: region.epoch.version,
        conf_ver: region.epoch.conf_ver,
        peers: region.peers.iter().map(peer_to_proto).collect(),
    }
}

pub(crate) fn from_proto(record: v1::RegionRecord) -> Result<Region, Malformed> {
    let range = KeyRange::new(record.start, record.end);
    if range.is_empty() {
        return Err(Malformed(format!("a region without keys: {range}")));
    }
    let peers: Vec<RegionPeer> =
        record.peers.iter().map(peer_from_proto).collect::<Result<_, _>>()?;
    if !peers.is_sorted_by(|one, other| one.id < other.id) {
        return Err(Malformed::from("the peers of a region do not rise"));
    }
    Ok(Region {
        id: GroupId::new(record.id).ok_or_else(|| Malformed::from("region 0"))?,
        range,
        epoch: Epoch { version: record.version, conf_ver: record.conf_ver },
        peers,
    })
}

fn peer_to_proto(peer: &RegionPeer) -> v1::RegionPeer {
    let role = match peer.role {
        PeerRole::Voter => v1::Role::Voter,
        PeerRole::Learner => v1::Role::Learner,
        PeerRole::Incoming => v1::Role::Incoming,
        PeerRole::Demoting => v1::Role::Demoting,
    };
    v1::RegionPeer { id: peer.id.get(), store: peer.store.get(), role: role.into() }
}

fn peer_from_proto(peer: &v1::RegionPeer) -> Result<RegionPeer, Malformed> {
    let role = match v1::Role::try_from(peer.role) {
        Ok(v1::Role::Voter) => PeerRole::Voter,
        Ok(v1::Role::Learner) => PeerRole::Learner,
        Ok(v1::Role::Incoming) => PeerRole::Incoming,
        Ok(v1::Role::Demoting) => PeerRole::Demoting,
        Err(_) => return Err(Malformed(format!("a peer with role {}", peer.role))),
    };
    Ok(RegionPeer {
        id: PeerId::new(peer.id).ok_or_else(|| Malformed::from("peer 0"))?,
        store: StoreId::new(peer.store).ok_or_else(|| Malformed::from("a peer on store 0"))?,
        role,
    })
}

pub(crate) fn family_to_proto(family: Cf) -> v1::Family {
    match family {
        Cf::Lock => v1::Family::Lock,
        Cf::Write => v1::Family::Write,
        Cf::Default => v1::Family::Default,
        Cf::Raft | Cf::Meta => unreachable!("no data lies in {}", family.name()),
    }
}

pub(crate) fn family_from_proto(family: i32) -> Result<Cf, Malformed> {
    match v1::Family::try_from(family) {
        Ok(v1::Family::Default) => Ok(Cf::Default),
        Ok(v1::Family::Lock) => Ok(Cf::Lock),
        Ok(v1::Family::Write) => Ok(Cf::Write),
        Err(_) => Err(Malformed(format!("family {family}"))),
    }
}

impl From<&str> for Malformed {
    fn from(why: &str) -> Malformed {
        Malformed(why.to_owned())
    }
}

impl From<prost::DecodeError> for Malformed {
    fn from(_: prost::DecodeError) -> Malformed {
        // Its own words may change, and replies are the same on stores of different versions.
        Malformed::from("not of its form")
    }
}

impl From<Malformed> for multiraft::Corrupt {
    fn from(why: Malformed) -> multiraft::Corrupt {
        multiraft::Corrupt(why.0)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::error::Error for Malformed {}
