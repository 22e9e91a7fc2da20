//! Why a region does not do what it is asked to, in plain types.
//!
//! Whoever serves turns them into those of a protocol. All but [`RegionError::Undetermined`] say
//! that nothing was done.

use std::fmt;

use bytes::Bytes;
use multiraft::Refusal;
use types::{Escaped, GroupId, Region, RegionPeer, StoreId};

use crate::reply::Reply;

/// Why a request for a region was not carried out here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegionError {
    /// Another peer leads; the one that does, if it is known. *Ask it.*
    NotLeader {
        /// The region.
        region: GroupId,
        /// Who leads.
        leader: Option<RegionPeer>,
    },
    /// This store has no peer of the region. *Ask placement.*
    RegionNotFound(GroupId),
    /// This store has a peer of the region, without its data. *Ask another store.*
    NotInitialized(GroupId),
    /// The region is not what the request takes it for: what it is, and those beside it that are
    /// known here. *Learn them and ask again.*
    EpochNotMatch(Vec<Region>),
    /// The region does not hold this engine key. *Ask placement.*
    KeyNotInRegion {
        /// The key.
        key: Vec<u8>,
        /// The region.
        region: Box<Region>,
    },
    /// The request is for another store. *Ask placement.*
    StoreNotMatch {
        /// Whom it was for.
        asked: StoreId,
        /// Who this is.
        own: StoreId,
    },
    /// The command was overtaken, as by a change of leader. *Ask again.*
    StaleCommand,
    /// Too much is under way; of what. *Ask again later.*
    Busy(&'static str),
    /// The disk of this store has too little room for what writes. *Ask again later.*
    DiskFull(StoreId),
    /// The command is too large, for good. *Make it smaller.*
    EntryTooLarge {
        /// The region.
        region: GroupId,
        /// Bytes of the command.
        bytes: usize,
        /// Most bytes of a command.
        limit: usize,
    },
    /// It may have been done, or may yet be. *To repeat it may do it twice.*
    Undetermined,
}

impl RegionError {
    /// What a refusal of the engine of `own`, this store, means for a region; `region` is what is
    /// known of it here.
    #[must_use]
    pub fn of_refusal(
        refusal: &Refusal,
        own: StoreId,
        id: GroupId,
        region: Option<&Region>,
    ) -> RegionError {
        match refusal {
            Refusal::NoGroup(_) | Refusal::Destroyed(_) | Refusal::Stopping => {
                RegionError::RegionNotFound(id)
            }
            Refusal::NotLeader(leader) => {
                let known =
                    leader.and_then(|(peer, _)| region.and_then(|region| region.peer(peer)));
                RegionError::NotLeader { region: id, leader: known }
            }
            Refusal::Busy(what) => RegionError::Busy(what),
            Refusal::Full => RegionError::DiskFull(own),
            &Refusal::TooLarge { bytes, limit } => {
                RegionError::EntryTooLarge { region: id, bytes, limit }
            }
            Refusal::Raft(_)
            | Refusal::Superseded
            | Refusal::Exists(_)
            | Refusal::Changed(_)
            | Refusal::OutOfReach(_)
            | Refusal::Invalid(_) => RegionError::StaleCommand,
        }
    }

    /// The error of a reply; the reply itself if it is the answer to what was asked, or says that
    /// the command made no sense.
    ///
    /// # Errors
    /// The error that the reply says.
    pub fn of_reply(reply: Reply, region: &Region) -> Result<Reply, RegionError> {
        match reply {
            Reply::EpochNotMatch(current) => Err(RegionError::EpochNotMatch(vec![current])),
            Reply::KeyNotInRegion(key) => Err(RegionError::outside(region, &key)),
            Reply::Uninitialized => Err(RegionError::NotInitialized(region.id)),
            Reply::Done | Reply::Cas { .. } | Reply::Split(_) | Reply::Refused(_) => Ok(reply),
        }
    }

    /// A key is not in its region.
    #[must_use]
    pub fn outside(region: &Region, key: &[u8]) -> RegionError {
        RegionError::KeyNotInRegion { key: key.to_vec(), region: Box::new(region.clone()) }
    }
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegionError::NotLeader { region, leader: None } => {
                write!(f, "not the leader of region {region}, and none is known")
            }
            RegionError::NotLeader { region, leader: Some(peer) } => {
                write!(f, "not the leader of region {region}, {} on {} is", peer.id, peer.store)
            }
            RegionError::RegionNotFound(region) => {
                write!(f, "region {region} is not on this store")
            }
            RegionError::NotInitialized(region) => {
                write!(f, "region {region} has no data on this store yet")
            }
            RegionError::EpochNotMatch(regions) => {
                write!(f, "the region has changed; now")?;
                for region in regions {
                    write!(f, " {} {} at {}", region.id, region.range, region.epoch)?;
                }
                Ok(())
            }
            RegionError::KeyNotInRegion { key, region } => {
                write!(f, "key {} is not in region {} {}", Escaped(key), region.id, region.range)
            }
            RegionError::StoreNotMatch { asked, own } => {
                write!(f, "the request is for {asked}, this is {own}")
            }
            RegionError::StaleCommand => write!(f, "the command was overtaken"),
            RegionError::Busy(what) => write!(f, "too much is under way: {what}"),
            RegionError::DiskFull(own) => {
                write!(f, "the disk of {own} has no room for what writes")
            }
            RegionError::EntryTooLarge { bytes, limit, .. } => {
                write!(f, "the command has {bytes} bytes, {limit} is the most")
            }
            RegionError::Undetermined => write!(f, "it is not known whether it was done"),
        }
    }
}

impl std::error::Error for RegionError {}

/// A request that makes no sense in this cluster, whatever its regions are: the caller's fault, and
/// told in clear text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadRequest {
    /// It is made for another api-version than the cluster's; the version's name, the cluster's.
    ApiVersion(&'static str, &'static str),
    /// The key is empty, apart from what stands before every key.
    EmptyKey,
    /// The key is longer than allowed: its bytes, and the most.
    KeyTooLong(usize, usize),
    /// The value is longer than allowed: its bytes, and the most.
    ValueTooLong(usize, usize),
    /// The key is not one of raw keys in `v2`.
    KeyMode(Bytes),
    /// A bound of a range is not one of raw keys in `v2`.
    RangeMode(Bytes),
    /// The end of the range is not behind its start.
    InvertedRange,
    /// There is no such family.
    Family(String),
    /// Values do not expire in this cluster.
    NoTtl,
    /// There are this many times to live, for this many keys.
    Ttls(usize, usize),
}

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadRequest::ApiVersion(asked, own) => {
                write!(f, "the request is for api-version {asked}, the cluster has {own}")
            }
            BadRequest::EmptyKey => write!(f, "the key is empty"),
            BadRequest::KeyTooLong(bytes, limit) => {
                write!(f, "the key has {bytes} bytes, {limit} is the most")
            }
            BadRequest::ValueTooLong(bytes, limit) => {
                write!(f, "the value has {bytes} bytes, {limit} is the most")
            }
            BadRequest::KeyMode(key) => write!(
                f,
                "key {} is no raw key of api-version v2: those begin with r and a keyspace",
                Escaped(key)
            ),
            BadRequest::RangeMode(bound) => write!(
                f,
                "bound {} is not of raw keys of api-version v2: they lie between r and s",
                Escaped(bound)
            ),
            BadRequest::InvertedRange => write!(f, "the end of the range is before its start"),
            BadRequest::Family(name) => {
                write!(f, "no column family {name:?}: there are default, lock and write")
            }
            BadRequest::NoTtl => {
                write!(f, "values do not expire in api-version v1: it takes v1ttl or v2")
            }
            BadRequest::Ttls(ttls, keys) => {
                write!(f, "{ttls} times to live for {keys} keys")
            }
        }
    }
}

impl std::error::Error for BadRequest {}
