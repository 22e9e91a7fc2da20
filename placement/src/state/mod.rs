//! What placement's members agree on: the cluster, its stores, ids, timestamps, the safe point.
//!
//! A value that commands change, one after the other, the same on every replica. Nothing that was
//! observed is in it: which store is silent, which peer leads a region. Those are learned anew by
//! every leader.
//!
//! Invariants: a cluster is born once; ids, windows and the safe point only rise; a store that was
//! removed stays so; no two stores that were not removed have the same address.
//!
//! Reading order: this file, `command`, `rules`, `record`, `keys`.

mod command;
pub mod keys;
mod record;
mod rules;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;

use types::{ApiVersion, ClusterId, PeerId, Region, StoreId, Term};

pub use command::{Bootstrap, Command, Refused, Reply, Senseless, Window};
pub use record::{BadRecord, LABELS_MAX};
pub use rules::check_location_labels;

/// The first id that is handed out; lower ones are the founders'.
pub const FIRST_ID: u64 = 1_000;
/// Most stores, those that were removed included.
pub const STORES_MAX: usize = 10_000;
/// Most regions that a cluster begins with.
pub const FIRST_REGIONS_MAX: usize = 64;
/// Most ids that one command hands out.
pub const IDS_MAX: u32 = 100_000;

/// What was decided when the cluster was born.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its id.
    pub id: ClusterId,
    /// How it forms keys.
    pub api_version: ApiVersion,
    /// How many replicas a region is to have.
    pub replicas: u32,
    /// The regions that it began with.
    pub regions: Vec<Region>,
    /// How many members placement is to have.
    pub seats: u32,
    /// Keys of the labels that tell where a store is, the widest first; `None` if nobody has said
    /// it yet, as in a cluster that is older.
    pub location_labels: Option<Vec<String>>,
}

/// A member of placement's group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where it lives.
    pub store: StoreId,
    /// Whether it votes; one that is being filled does not.
    pub votes: bool,
}

/// What is decided about a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It takes part.
    Live,
    /// Everything is to move away from it.
    Draining,
    /// It has left for good.
    Removed,
}

/// A store, as far as it is agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Its id; `None` in the command with which it joins.
    pub id: Option<StoreId>,
    /// Chosen by it when its disk was empty; 0 if it is not known.
    pub nonce: u64,
    /// Where others reach it, `host:port`.
    pub address: String,
    /// Where it answers over HTTP; empty if nowhere.
    pub http_address: String,
    /// Where it is: names and values.
    pub labels: Vec<(String, String)>,
    /// The version of its program.
    pub version: String,
    /// What is decided about it.
    pub life: Life,
}

/// The replicated state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// `None` before the cluster is born.
    pub cluster: Option<Cluster>,
    /// All stores that ever were.
    pub stores: BTreeMap<StoreId, Store>,
    /// The next id that nobody has had.
    pub next_id: u64,
    /// No timestamp beyond this millisecond was given out.
    pub window_until_ms: u64,
    /// The leader that saved that window.
    pub window_term: Term,
    /// What was overwritten before this timestamp may be forgotten.
    pub safe_point: u64,
    /// Changes with every change of a store.
    pub book_version: u64,
    /// Peers of placement's group; empty before a membership was applied: then they are the
    /// founders'.
    pub members: BTreeMap<PeerId, Member>,
}

impl Default for State {
    fn default() -> State {
        State {
            cluster: None,
            stores: BTreeMap::new(),
            next_id: FIRST_ID,
            window_until_ms: 0,
            window_term: Term(0),
            safe_point: 0,
            book_version: 1,
            members: BTreeMap::new(),
        }
    }
}

impl State {
    /// The stores that were not removed.
    pub fn stores_here(&self) -> impl Iterator<Item = (StoreId, &Store)> {
        let here = self.stores.iter().filter(|(_, store)| store.life != Life::Removed);
        here.map(|(&id, store)| (id, store))
    }

    /// How many members placement is to have: what was decided, or as many as there were founders.
    #[must_use]
    pub fn seats(&self) -> usize {
        let decided = self.cluster.as_ref().map_or(0, |cluster| cluster.seats);
        let is_founder = |id: &&StoreId| id.get() < FIRST_ID;
        match usize::try_from(decided).unwrap_or(usize::MAX) {
            0 => self.stores.keys().filter(is_founder).count(),
            decided => decided,
        }
    }
}
