//! Three nodes in one process, each with its own engine on disk, its store and its state machines.
//!
//! ```text
//!   node 1 ── node 2 ── node 3      LocalNetwork
//!     └─────────┴─────────┘
//!   groups 1…16, a voter of each on every node
//! ```
//!
//! A node that is killed is heard no more, its callers hear that nobody knows, and its memory is
//! gone; its directory stays as it is, and restarting begins from there. What a loss of power adds
//! to that, the loss of buffered writes, cannot be shown within one process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use multiraft::{
    Beginning, Config, GroupStatus, Handle, LocalNetwork, Machines, Outcome, Parts, Roster, Store,
};
use parking_lot::{Mutex, RwLock};
use storage::{Engine, RocksEngine};
use tempfile::TempDir;
use types::{ClusterId, EntryId, GroupId, Index, PeerId, StoreId, Term};

use crate::client::until;
use crate::failed::{Failed, ensure};

/// Nodes of a cluster.
pub const NODES: u64 = 3;
/// Groups of a cluster.
pub const GROUPS: u64 = 16;
/// The first of them.
pub const FIRST_GROUP: GroupId = GroupId::new(1).expect("not zero");

/// Three nodes and sixteen groups, whose machines are made by `M`. Its directory vanishes with it.
pub struct Cluster<M> {
    network: LocalNetwork,
    nodes: Vec<RwLock<Option<Node<M>>>>,
    /// By node: the last entry of each group's log when the node was killed.
    ends: Mutex<BTreeMap<u64, BTreeMap<GroupId, Index>>>,
    /// By group: the node that is asked first.
    pub(crate) guesses: Vec<AtomicU64>,
    machines: fn(&Path) -> M,
    dir: TempDir,
}

/// A node that runs.
pub struct Node<M> {
    // Dropped in this order: threads end before the engine closes.
    store: Store,
    /// What its state machines were made by.
    pub machines: Arc<M>,
    /// Its engine.
    pub engine: Arc<dyn Engine>,
}

impl<M: Machines + 'static> Cluster<M> {
    /// Starts the nodes and creates the groups. `machines` is given the directory of a node.
    ///
    /// # Errors
    /// If a node cannot be started, or a group not be created.
    pub fn start(machines: fn(&Path) -> M) -> Result<Cluster<M>, Failed> {
        let cluster = Cluster {
            network: LocalNetwork::new(),
            nodes: (0..NODES).map(|_| RwLock::new(None)).collect(),
            ends: Mutex::default(),
            guesses: (0..GROUPS).map(|nth| AtomicU64::new(nth % NODES + 1)).collect(),
            machines,
            dir: TempDir::new().map_err(Failed::because)?,
        };
        (1..=NODES).try_for_each(|id| cluster.restart(id))?;
        (1..=GROUPS).try_for_each(|id| cluster.create(id))?;
        Ok(cluster)
    }

    fn create(&self, id: u64) -> Result<(), Failed> {
        let peer = |node: u64| PeerId::new(id * 10 + node).expect("not zero");
        let voters: Vec<_> = (1..=NODES).map(|node| (peer(node), store_id(node))).collect();
        let roster = Roster::of_voters(&voters).map_err(Failed::because)?;
        for node in 1..=NODES {
            let at = EntryId::new(Term(1), Index(1));
            let beginning = Beginning { peer: peer(node), at, roster: roster.clone() };
            let handle = self.handle(node).ok_or_else(|| down(node))?;
            let outcome = handle.create(group_id(id), beginning).wait();
            ensure(outcome == Outcome::Done, || format!("group {id}: {outcome:?}"))?;
        }
        Ok(())
    }

    /// Ends a node at once: it is cut off, and what it has in memory is lost.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill(&self, id: u64) -> Result<(), Failed> {
        self.network.leave(store_id(id));
        let ends = (1..=GROUPS).map(group_id);
        let ends = ends.filter_map(|group| Some((group, self.status(id, group)?.last.index)));
        self.ends.lock().insert(id, ends.collect());
        let node = self.nodes[slot(id)].write().take();
        node.map(drop).ok_or_else(|| down(id))
    }

    /// Starts a node from what is in its directory.
    ///
    /// # Errors
    /// If what is there does not open, or a group on it is damaged.
    pub fn restart(&self, id: u64) -> Result<(), Failed> {
        let dir = self.dir.path().join(format!("node-{id}"));
        // A caller of the node that was killed may keep its engine open for a moment.
        let engine: Arc<dyn Engine> = until(&format!("node {id}: its engine"), || {
            RocksEngine::open(&dir.join("engine"), &engine_config())
                .map(|(engine, _)| Arc::new(engine) as Arc<dyn Engine>)
                .map_err(Failed::because)
        })?;
        let machines = Arc::new((self.machines)(&dir));
        let store = Store::open(Parts {
            config: config(),
            identity: (ClusterId::new(1).expect("not zero"), store_id(id)),
            engine: Arc::clone(&engine),
            machines: Arc::clone(&machines) as Arc<dyn Machines>,
            transport: self.network.transport(store_id(id)),
            observer: None,
            on_fatal: None,
        })
        .map_err(|why| Failed(format!("node {id}: {why}")))?;
        ensure(store.damaged().is_empty(), || format!("node {id}: {:?}", store.damaged()))?;
        self.network.join(store_id(id), store.inbox());
        *self.nodes[slot(id)].write() = Some(Node { store, machines, engine });
        Ok(())
    }

    /// How many groups went on so far without a node that is down that they can only be brought to
    /// it by a snapshot: what it lacks is in no log any more.
    #[must_use]
    pub fn needing_snapshot(&self, id: u64) -> usize {
        let ends = self.ends.lock().get(&id).cloned().unwrap_or_default();
        let base_of = |group| {
            let others = (1..=NODES).filter_map(|node| self.status(node, group));
            others.filter(|status| status.leads).map(|status| status.base.index).max()
        };
        ends.into_iter().filter(|&(group, end)| base_of(group) > Some(end)).count()
    }

    /// Waits until every group has the same state on all nodes.
    ///
    /// # Errors
    /// If that does not come about.
    pub fn wait_equal<S: PartialEq>(
        &self,
        state: impl Fn(&Node<M>, GroupId) -> S,
    ) -> Result<(), Failed> {
        (1..=GROUPS).map(group_id).try_for_each(|group| {
            until(&format!("group {group}: equal states"), || {
                let states: Option<Vec<S>> =
                    (1..=NODES).map(|id| self.on(id, |node| state(node, group))).collect();
                let states = states.ok_or_else(|| Failed("a node is down".to_owned()))?;
                let are_equal = states.windows(2).all(|pair| pair[0] == pair[1]);
                ensure(are_equal, || "they differ".to_owned())
            })
        })
    }

    /// Does something with a node, if it runs; it is not killed meanwhile.
    pub fn on<T>(&self, id: u64, work: impl FnOnce(&Node<M>) -> T) -> Option<T> {
        self.nodes[slot(id)].read().as_ref().map(work)
    }

    pub(crate) fn handle(&self, id: u64) -> Option<Handle> {
        self.on(id, |node| node.store.handle())
    }

    fn status(&self, id: u64, group: GroupId) -> Option<GroupStatus> {
        match self.handle(id)?.status(group).wait() {
            Outcome::Status(status) => Some(*status),
            _ => None,
        }
    }

    pub(crate) fn guess(&self, group: GroupId) -> &AtomicU64 {
        &self.guesses[slot(group.get())]
    }

    /// Another node is asked from now on.
    pub(crate) fn guess_next(&self, group: GroupId, wrong: u64) {
        self.guess(group).store(wrong % NODES + 1, Ordering::Relaxed);
    }
}

/// The group with this number.
pub(crate) fn group_id(id: u64) -> GroupId {
    GroupId::new(id).expect("groups are counted from 1")
}

fn store_id(id: u64) -> StoreId {
    StoreId::new(id).expect("nodes are counted from 1")
}

fn slot(id: u64) -> usize {
    usize::try_from(id - 1).expect("few")
}

fn down(id: u64) -> Failed {
    Failed(format!("node {id} is down"))
}

/// Logs are cut early, so that a node that was down needs snapshots, and leaders are replaced soon.
fn config() -> Config {
    let raft = raft::Config {
        election_timeout: Duration::from_millis(500),
        campaign_after: Duration::from_millis(500),
        campaign_spread: Duration::from_millis(500),
        heartbeat_interval: Duration::from_millis(100),
        restart_wait: Duration::from_millis(500),
        ..raft::Config::default()
    };
    Config {
        raft: Arc::new(raft),
        compact_bytes: 16 << 10,
        compact_entries: 32,
        lag_bytes_max: 1 << 10,
        cache_bytes: 4 << 10,
        snapshot_chunk_bytes: 4 << 10,
        liveness_interval: Duration::from_millis(200),
        support_span: Duration::from_secs(1),
        undetermined_after: Duration::from_secs(2),
        ..Config::default()
    }
}

/// Three engines in one process.
fn engine_config() -> storage::Config {
    storage::Config {
        block_cache_bytes: 8 << 20,
        memory_bytes_max: 32 << 20,
        raft_memory_bytes: 8 << 20,
        data_memory_bytes: 4 << 20,
        log_bytes_max: 64 << 20,
        ..storage::Config::default()
    }
}
