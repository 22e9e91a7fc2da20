//! What is sent beside the parcels of groups: questions and answers of clients, stores, placement.

use bytes::Bytes;
use kv::RegionError;
use kv::edge::Target;
use placement::scheduler::Order;
use placement::table::RegionReport;
use types::{GroupId, Index, KeyRange, PeerId, Region, RegionPeer, StoreId, Timestamp};

/// Whoever sends or hears: a store by its place, or a client by its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Host(usize),
    Client(usize),
}

/// What a client wants of one region.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Get(Vec<u8>),
    Scan(KeyRange),
    Put(Vec<u8>, Bytes),
    Delete(Vec<u8>),
    Cas { key: Vec<u8>, expected: Option<Bytes>, value: Bytes },
    DeleteRange(KeyRange),
}

/// A request to one region.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub client: usize,
    pub serial: u64,
    pub target: Target,
    pub ask: Ask,
}

/// What came of a request.
#[derive(Clone, Debug)]
pub(crate) enum Got {
    /// Done, in this slot of this region.
    Done(GroupId, Index),
    Cas {
        at: (GroupId, Index),
        succeeded: bool,
        previous: Option<Bytes>,
    },
    Value(Option<Vec<u8>>),
    /// What a range of this region has.
    Pairs(KeyRange, Vec<(Vec<u8>, Vec<u8>)>),
    Failed(RegionError),
}

/// New regions and their peers.
pub(crate) type NewIds = Vec<(GroupId, Vec<PeerId>)>;

/// Placement is led elsewhere, perhaps there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elsewhere(pub Option<StoreId>);

/// A message.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Ask(Request),
    Got { serial: u64, got: Got },
    Route { serial: u64, key: Vec<u8> },
    Routed { serial: u64, route: Result<Option<(Region, RegionPeer)>, Elsewhere> },
    Stamp { serial: u64 },
    Stamped { serial: u64, at: Result<Timestamp, Elsewhere> },
    Beat { store: StoreId, leaders: u64 },
    Beaten(Result<(), Elsewhere>),
    Reports { store: StoreId, stream: u64, nth: u64, reports: Vec<RegionReport> },
    StreamEnds(u64),
    Order(Box<Order>),
    AskSplit { serial: u64, region: Region, count: usize },
    SplitIds { serial: u64, ids: Result<NewIds, Elsewhere> },
    Join { nonce: u64 },
    Joined(Result<StoreId, Elsewhere>),
}
