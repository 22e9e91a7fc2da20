//! What the stores have and what placement knows.

use std::collections::BTreeMap;

use bytes::Bytes;
use proto::kvrpcpb::Context;
use proto::{errorpb, metapb};
use types::encode_key;

use super::STORES;

/// A region. It has a peer on every store, whose id is ten times its own and the store's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Region {
    pub(crate) id: u64,
    pub(crate) start: Vec<u8>,
    pub(crate) end: Vec<u8>,
    pub(crate) version: u64,
    /// The store that leads.
    pub(crate) leader: u64,
}

/// What goes wrong with a command.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This error of the region, in place of doing it.
    Region(Box<errorpb::Error>),
    /// This error in words, in place of doing it.
    Text(&'static str),
    /// This status, in place of doing it. On a stream it is the end of it.
    Status(tonic::Code),
    /// It is done, and the answer is lost: as if the connection broke.
    LoseAnswer,
    /// It is not done and not answered.
    Silence,
    /// Before it is looked at, its region splits at this key.
    Split(&'static str),
}

/// A command that arrived.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) command: &'static str,
    pub(crate) store: u64,
    pub(crate) region: u64,
    pub(crate) keys: usize,
}

pub(crate) struct State {
    pub(crate) is_encoded: bool,
    /// By key, as requests have it: the value, and seconds to live.
    pub(crate) data: BTreeMap<Bytes, (Bytes, u64)>,
    pub(crate) regions: Vec<Region>,
    /// The regions as placement knows them.
    pub(crate) told: Vec<Region>,
    pub(crate) next_region: u64,
    /// Where members of placement are, and which one leads.
    pub(crate) members: Vec<String>,
    pub(crate) leading: Option<usize>,
    /// Where stores are, as placement knows.
    pub(crate) addresses: BTreeMap<u64, String>,
    pub(crate) faults: Vec<(&'static str, Fault)>,
    pub(crate) seen: Vec<Seen>,
    pub(crate) manners: Manners,
    /// Requests to `Admin`, by name, with their cluster.
    pub(crate) asked: Vec<(&'static str, u64)>,
}

/// How helpful stores are.
pub(crate) struct Manners {
    /// A peer that does not lead says who does.
    pub(crate) has_hints: bool,
    /// A store names the regions that are there instead.
    pub(crate) tells_regions: bool,
    /// Stores serve the stream of commands.
    pub(crate) has_stream: bool,
}

/// What is to be done with a command.
pub(crate) enum Entry {
    Go,
    /// Do it, and answer nothing: the connection ends.
    GoAndBreak,
    RegionError(Box<errorpb::Error>),
    Text(&'static str),
    Status(tonic::Code),
    Silence,
}

impl Fault {
    pub(crate) fn region(error: errorpb::Error) -> Fault {
        Fault::Region(Box::new(error))
    }
}

impl State {
    pub(crate) fn new(is_encoded: bool, bounds: Vec<Vec<u8>>) -> State {
        let starts = std::iter::once(Vec::new()).chain(bounds.iter().cloned());
        let ends = bounds.iter().cloned().chain(std::iter::once(Vec::new()));
        let regions: Vec<Region> = (1..)
            .zip(starts.zip(ends))
            .map(|(id, (start, end))| Region {
                id,
                start,
                end,
                version: 1,
                leader: id % STORES + 1,
            })
            .collect();
        State {
            is_encoded,
            data: BTreeMap::new(),
            next_region: regions.len() as u64 + 1,
            told: regions.clone(),
            regions,
            members: Vec::new(),
            leading: Some(0),
            addresses: BTreeMap::new(),
            faults: Vec::new(),
            seen: Vec::new(),
            manners: Manners { has_hints: true, tells_regions: true, has_stream: true },
            asked: Vec::new(),
        }
    }

    /// A key of requests as bounds have it.
    pub(crate) fn bound(&self, key: &[u8]) -> Vec<u8> {
        if self.is_encoded { encode_key(key) } else { key.to_vec() }
    }

    /// A key of users as requests have it.
    pub(crate) fn request(&self, key: &[u8]) -> Vec<u8> {
        if self.is_encoded { [b"r\0\0\0", key].concat() } else { key.to_vec() }
    }

    fn region_at(&mut self, user_key: &[u8]) -> &mut Region {
        let bound = self.bound(&self.request(user_key));
        self.regions.iter_mut().find(|it| it.has(&bound)).expect("regions cover all keys")
    }

    pub(crate) fn split(&mut self, user_key: &[u8]) {
        let bound = self.bound(&self.request(user_key));
        let id = self.next_region;
        let region = self.region_at(user_key);
        if region.start == bound {
            return;
        }
        region.version += 1;
        let mut right = Region { id, start: bound.clone(), ..region.clone() };
        right.leader = region.leader;
        region.end = bound;
        self.next_region += 1;
        self.regions.push(right);
        self.regions.sort_by(|one, other| one.start.cmp(&other.start));
    }

    pub(crate) fn lead(&mut self, user_key: &[u8], store: u64) {
        self.region_at(user_key).leader = store;
    }

    /// Placement hears of everything.
    pub(crate) fn tell(&mut self) {
        self.told = self.regions.clone();
    }

    /// Looks at a command as a store does before it carries it out.
    pub(crate) fn enter(
        &mut self,
        store: u64,
        command: &'static str,
        context: Option<&Context>,
        keys: &[&Bytes],
    ) -> Entry {
        let context = context.cloned().unwrap_or_default();
        let region = context.region_id;
        self.seen.push(Seen { command, store, region, keys: keys.len() });
        // One that another store must do is not counted.
        if let Some(error) = self.check(store, &context, keys) {
            return Entry::RegionError(Box::new(error));
        }
        let fault = self.faults.iter().position(|(name, _)| *name == command);
        match fault.map(|at| self.faults.remove(at).1) {
            None => Entry::Go,
            Some(Fault::Region(error)) => Entry::RegionError(error),
            Some(Fault::Text(text)) => Entry::Text(text),
            Some(Fault::Status(code)) => Entry::Status(code),
            Some(Fault::Silence) => Entry::Silence,
            Some(Fault::LoseAnswer) => Entry::GoAndBreak,
            Some(Fault::Split(key)) => {
                self.split(key.as_bytes());
                let error = self.check(store, &context, keys);
                error.map_or(Entry::Go, |error| Entry::RegionError(Box::new(error)))
            }
        }
    }

    fn check(&self, store: u64, context: &Context, keys: &[&Bytes]) -> Option<errorpb::Error> {
        let of = errorpb::Error::default;
        let peer = context.peer.unwrap_or_default();
        if peer.store_id != store {
            let (request_store_id, actual_store_id) = (peer.store_id, store);
            let error = errorpb::StoreNotMatch { request_store_id, actual_store_id };
            return Some(errorpb::Error { store_not_match: Some(error), ..of() });
        }
        let Some(region) = self.regions.iter().find(|it| it.id == context.region_id) else {
            let error = errorpb::RegionNotFound { region_id: context.region_id };
            return Some(errorpb::Error { region_not_found: Some(error), ..of() });
        };
        if region.leader != store {
            let leader = self.manners.has_hints.then(|| region.peer(region.leader));
            let error = errorpb::NotLeader { region_id: region.id, leader };
            return Some(errorpb::Error { not_leader: Some(error), ..of() });
        }
        let version = context.region_epoch.unwrap_or_default().version;
        if version != region.version {
            // What the range of the client was, is not in the request: all of them.
            let current = self.regions.iter().filter(|_| self.manners.tells_regions);
            let current_regions = current.map(Region::out).collect();
            let error = errorpb::EpochNotMatch { current_regions };
            return Some(errorpb::Error { epoch_not_match: Some(error), ..of() });
        }
        let stray = keys.iter().find(|key| !region.has(&self.bound(key)));
        stray.map(|key| {
            let error = errorpb::KeyNotInRegion { key: (*key).clone(), ..Default::default() };
            errorpb::Error { key_not_in_region: Some(error), ..of() }
        })
    }

    /// The pairs of a part of a region, in order. The bounds are as requests have them.
    pub(crate) fn pairs(&self, region: u64, low: &[u8], high: &[u8]) -> Vec<(Bytes, Bytes)> {
        let region = self.regions.iter().find(|it| it.id == region).expect("it was checked");
        let is_in = |key: &Bytes| {
            region.has(&self.bound(key)) && &key[..] >= low && (high.is_empty() || &key[..] < high)
        };
        let pairs = self.data.iter().filter(|(key, _)| is_in(key));
        pairs.map(|(key, (value, _))| (key.clone(), value.clone())).collect()
    }
}

impl Region {
    pub(crate) fn has(&self, bound: &[u8]) -> bool {
        bound >= self.start.as_slice() && (self.end.is_empty() || bound < self.end.as_slice())
    }

    pub(crate) fn peer(&self, store: u64) -> metapb::Peer {
        metapb::Peer { id: self.id * 10 + store, store_id: store, ..Default::default() }
    }

    pub(crate) fn out(&self) -> metapb::Region {
        metapb::Region {
            id: self.id,
            start_key: self.start.clone().into(),
            end_key: self.end.clone().into(),
            region_epoch: Some(metapb::RegionEpoch { conf_ver: 1, version: self.version }),
            peers: (1..=STORES).map(|store| self.peer(store)).collect(),
        }
    }
}
