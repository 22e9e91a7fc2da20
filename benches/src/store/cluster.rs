//! Three stores in this process, each with an engine on disk, and their groups.
//!
//! Group `g` has a replica on each store and is led from store `g % 3`.
//!
//! Invariant: after `create`, every group has a leader.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use multiraft::{Beginning, Config, Counts, Handle, LocalNetwork, Outcome, Parts, Roster, Store};
use storage::{Engine, Health, RocksEngine};
use tempfile::TempDir;
use types::{ClusterId, EntryId, GroupId, Index, PeerId, StoreId, Term};

use super::led::Led;
use super::machine::Values;

/// Replicas of each group, one per store.
pub const STORES: usize = 3;
/// Groups that are created, or asked, at a time.
const WINDOW: u64 = 1_000;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Three stores.
pub struct Cluster {
    settings: (Config, storage::Config),
    network: LocalNetwork,
    nodes: Vec<Node>,
    groups: u64,
    led: Led,
    dir: TempDir,
}

struct Node {
    engine: Arc<dyn Engine>,
    store: Store,
}

/// What a store says of itself, all stores together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Syncs of the log.
    pub syncs: f64,
    /// Bytes of the log.
    pub log_bytes: f64,
    /// Messages of groups.
    pub envelopes: f64,
}

/// A group by number, from 1.
pub fn group(number: u64) -> GroupId {
    GroupId::new(number).expect("groups are numbered from 1")
}

fn store(nth: usize) -> StoreId {
    StoreId::new(nth as u64 + 1).expect("not zero")
}

fn peer(number: u64, nth: usize) -> PeerId {
    PeerId::new(number * 8 + nth as u64 + 1).expect("not zero")
}

impl Cluster {
    /// Three stores without groups, with files in `dir`.
    pub fn start(dir: &Path, config: Config, engine: storage::Config) -> Cluster {
        let dir = tempfile::tempdir_in(dir).expect("the disk takes files");
        let network = LocalNetwork::new();
        let (nodes, led) = (Vec::new(), Led::default());
        let mut cluster =
            Cluster { settings: (config, engine), network, nodes, groups: 0, led, dir };
        for nth in 0..STORES {
            let engine = cluster.open_engine(nth);
            let node = cluster.open_store(nth, engine);
            cluster.nodes.push(node);
        }
        cluster
    }

    fn path(&self, nth: usize) -> PathBuf {
        self.dir.path().join(nth.to_string())
    }

    fn open_engine(&self, nth: usize) -> Arc<dyn Engine> {
        let opened = RocksEngine::open(&self.path(nth), &self.settings.1);
        let (engine, _audit) = opened.expect("the engine opens");
        Arc::new(engine)
    }

    fn open_store(&self, nth: usize, engine: Arc<dyn Engine>) -> Node {
        let store_opened = Store::open(Parts {
            config: self.settings.0.clone(),
            identity: (ClusterId::new(1).expect("not zero"), store(nth)),
            engine: Arc::clone(&engine),
            machines: Arc::new(Values),
            transport: self.network.transport(store(nth)),
            observer: Some(self.led.watcher(nth)),
            on_fatal: None,
        });
        let opened = store_opened.expect("the store opens");
        assert_eq!(opened.damaged(), [], "groups were set aside");
        self.network.join(store(nth), opened.inbox());
        Node { engine, store: opened }
    }

    /// Creates groups until there are so many, and waits until all are led.
    pub fn create(&mut self, groups: u64) {
        while self.groups < groups {
            let first = self.groups + 1;
            let last = groups.min(self.groups + WINDOW);
            let created: Vec<_> = (first..=last).flat_map(|g| self.begin(g)).collect();
            for pending in created {
                assert_eq!(pending.wait(), Outcome::Done, "a group is created");
            }
            // Refused if it was quicker by itself.
            let led = (first..=last).map(|g| self.handle(home(g)).campaign(group(g)));
            led.collect::<Vec<_>>().into_iter().for_each(|pending| drop(pending.wait()));
            self.groups = last;
        }
        self.wait_led(&[0, 1, 2]);
    }

    fn begin(&self, number: u64) -> Vec<multiraft::Pending> {
        let voters: Vec<_> = (0..STORES).map(|nth| (peer(number, nth), store(nth))).collect();
        let roster = Roster::of_voters(&voters).expect("three voters");
        let at = EntryId::new(Term(1), Index(1));
        (0..STORES)
            .map(|nth| {
                let beginning = Beginning { peer: peer(number, nth), at, roster: roster.clone() };
                self.handle(nth).create(group(number), beginning)
            })
            .collect()
    }

    /// Waits until each group is led, as far as stores that run tell by themselves.
    ///
    /// # Panics
    /// If it does not come about.
    pub fn wait_told_led(&self) {
        let groups = usize::try_from(self.groups).expect("few");
        assert!(self.led.wait(groups, PATIENCE), "groups without leader");
    }

    /// Waits until each group is led from one of these stores; returns from which, by group.
    ///
    /// # Panics
    /// If it does not come about.
    pub fn wait_led(&self, stores: &[usize]) -> Vec<usize> {
        let start = Instant::now();
        let mut leaders = vec![usize::MAX; usize::try_from(self.groups).expect("few")];
        let mut waiting: Vec<u64> = (1..=self.groups).collect();
        while !waiting.is_empty() {
            let mut still = Vec::new();
            for window in waiting.chunks(usize::try_from(WINDOW).expect("small")) {
                for (number, leader) in self.look(window, stores) {
                    match leader {
                        Some(nth) => leaders[slot(number)] = nth,
                        None => still.push(number),
                    }
                }
            }
            assert!(start.elapsed() < PATIENCE, "{} groups without leader", still.len());
            if !still.is_empty() {
                std::thread::sleep(Duration::from_millis(20));
            }
            waiting = still;
        }
        leaders
    }

    fn look(&self, window: &[u64], stores: &[usize]) -> Vec<(u64, Option<usize>)> {
        let asked = window.iter().map(|&number| {
            let asked = stores.iter().map(|&nth| (nth, self.handle(nth).status(group(number))));
            (number, asked.collect::<Vec<_>>())
        });
        let asked: Vec<_> = asked.collect();
        let leads = |outcome| matches!(outcome, Outcome::Status(status) if status.leads);
        let answer = asked.into_iter().map(|(number, asked)| {
            let mut answers = asked.into_iter().map(|(nth, pending)| (nth, pending.wait()));
            (number, answers.find_map(|(nth, outcome)| leads(outcome).then_some(nth)))
        });
        answer.collect()
    }

    /// How many groups there are.
    pub fn groups(&self) -> u64 {
        self.groups
    }

    /// A store, for callers.
    pub fn handle(&self, nth: usize) -> Handle {
        self.nodes[nth].store.handle()
    }

    /// What the stores counted.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for node in &self.nodes {
            let Counts { syncs, log_bytes, envelopes, .. } = node.store.handle().counts();
            totals.syncs += syncs as f64;
            totals.log_bytes += log_bytes as f64;
            totals.envelopes += envelopes as f64;
        }
        totals
    }

    /// How the engine of a store is.
    pub fn health(&self, nth: usize) -> Health {
        self.nodes[nth].engine.health()
    }

    /// Stops the last store; the others go on.
    pub fn stop_last(&mut self) {
        let node = self.nodes.pop().expect("it runs");
        self.network.leave(store(self.nodes.len()));
        node.store.stop();
        self.led.forget(self.nodes.len());
    }

    /// Opens the last store again; how long its engine took, and the store.
    pub fn open_last(&mut self) -> (Duration, Duration) {
        let nth = self.nodes.len();
        let start = Instant::now();
        let engine = self.open_engine(nth);
        let engine_took = start.elapsed();
        let node = self.open_store(nth, engine);
        let store_took = start.elapsed() - engine_took;
        self.nodes.push(node);
        (engine_took, store_took)
    }
}

/// The store that a group should be led from.
fn home(number: u64) -> usize {
    slot(number) % STORES
}

/// The place of a group in lists by group.
pub fn slot(number: u64) -> usize {
    usize::try_from(number - 1).expect("groups are few")
}
