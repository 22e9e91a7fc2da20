//! Stores of one process, and a caller that finds leaders and asks again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use multiraft::{
    Beginning, Config, GroupStatus, Handle, LocalNetwork, Observer, Outcome, Parts, Refusal,
    Roster, Standing, Store,
};
use parking_lot::{Mutex, MutexGuard};
use prost::Message as _;
use proto::crib::store::v1;
use raft::Change;
use storage::{Cf, Crash, Engine, Faults, MemoryDisk, MemoryEngine, SyncFault};
use types::{ClusterId, EntryId, GroupId, Index, PeerId, StoreId, Term};

use crate::ledger::{Ledgers, Ways, commands};

/// Groups of a test that wants many.
pub(crate) const GROUPS: u64 = 48;
/// How long anything may take. Far above what it takes: a machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Cluster {
    network: LocalNetwork,
    config: Config,
    nodes: Vec<Node>,
    watches: Arc<Watches>,
}

/// What the stores told of who leads, in order; `None` if a group is gone.
#[derive(Default)]
struct Watches(Mutex<Vec<(StoreId, GroupId, Option<Standing>)>>);

struct Watch(StoreId, Arc<Watches>);

impl Observer for Watch {
    fn standing(&self, group: GroupId, standing: Standing) {
        self.1.0.lock().push((self.0, group, Some(standing)));
    }

    fn gone(&self, group: GroupId) {
        self.1.0.lock().push((self.0, group, None));
    }
}

struct Node {
    disk: MemoryDisk,
    engine: Arc<dyn Engine>,
    machines: Ledgers,
    store: Option<Store>,
}

pub(crate) fn group(id: u64) -> GroupId {
    GroupId::new(id).expect("ids of a test are not zero")
}

pub(crate) fn peer(id: u64) -> PeerId {
    PeerId::new(id).expect("ids of a test are not zero")
}

pub(crate) fn store(id: u64) -> StoreId {
    StoreId::new(id).expect("ids of a test are not zero")
}

fn config() -> Config {
    let raft = raft::Config {
        election_timeout: Duration::from_millis(300),
        campaign_after: Duration::from_millis(300),
        campaign_spread: Duration::from_millis(300),
        heartbeat_interval: Duration::from_millis(50),
        restart_wait: Duration::from_millis(300),
        ..raft::Config::default()
    };
    Config {
        raft: Arc::new(raft),
        workers: 2,
        appliers: 2,
        compact_bytes: 16 << 10,
        compact_entries: 64,
        lag_bytes_max: 32 << 10,
        cache_bytes: 8 << 10,
        snapshot_chunk_bytes: 4 << 10,
        liveness_interval: Duration::from_millis(100),
        support_span: Duration::from_millis(500),
        undetermined_after: Duration::from_secs(2),
        disk_stall_after: Duration::from_millis(500),
        ..Config::default()
    }
}

/// Asks again and again until there is an answer. The pause is a wait on a channel.
fn until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    until_or(|| what.to_owned(), ask)
}

fn until_or<T>(what: impl Fn() -> String, mut ask: impl FnMut() -> Option<T>) -> T {
    let (_keep, pause) = std::sync::mpsc::channel::<()>();
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "{} does not come about", what());
        let _ = pause.recv_timeout(Duration::from_millis(5));
    }
}

impl Cluster {
    pub(crate) fn start(stores: u64) -> Cluster {
        Cluster::start_with(stores, |_| {})
    }

    /// With other settings than usual.
    pub(crate) fn start_with(stores: u64, change: impl FnOnce(&mut Config)) -> Cluster {
        let (network, mut config) = (LocalNetwork::new(), config());
        change(&mut config);
        let mut cluster = Cluster { network, config, nodes: Vec::new(), watches: Arc::default() };
        for _ in 0..stores {
            let disk = MemoryDisk::new();
            let engine = Arc::new(MemoryEngine::open(disk.clone()).expect("a new disk opens"));
            let machines = Ledgers::of(store(cluster.nodes.len() as u64 + 1));
            cluster.nodes.push(Node { disk, engine, machines, store: None });
        }
        (1..=stores).for_each(|id| cluster.open(id));
        cluster
    }

    fn node(&mut self, id: u64) -> &mut Node {
        &mut self.nodes[usize::try_from(id - 1).expect("few stores")]
    }

    fn open(&mut self, id: u64) {
        let cluster = ClusterId::new(7).expect("not zero");
        let transport = self.network.transport(store(id));
        let (config, watches) = (self.config.clone(), Arc::clone(&self.watches));
        let node = self.node(id);
        let opened = Store::open(Parts {
            config,
            identity: (cluster, store(id)),
            engine: Arc::clone(&node.engine),
            machines: Arc::new(node.machines.clone()),
            transport,
            observer: Some(Arc::new(Watch(store(id), watches))),
            on_fatal: Some(Arc::new(|_| {})),
        })
        .expect("the store opens");
        assert_eq!(opened.damaged(), []);
        let inbox = opened.inbox();
        node.store = Some(opened);
        self.network.join(store(id), inbox);
    }

    pub(crate) fn handle(&self, id: u64) -> Handle {
        let node = &self.nodes[usize::try_from(id - 1).expect("few stores")];
        node.store.as_ref().expect("the store runs").handle()
    }

    fn running(&self) -> Vec<u64> {
        (1..).zip(&self.nodes).filter(|(_, node)| node.store.is_some()).map(|(id, _)| id).collect()
    }

    /// Groups of three voters on stores 1 to 3.
    pub(crate) fn create_groups(&mut self, count: u64) {
        for id in 1..=count {
            let created = self.create(id, &[(id * 10 + 1, 1), (id * 10 + 2, 2), (id * 10 + 3, 3)]);
            assert_eq!(created, Outcome::Done);
        }
    }

    pub(crate) fn create(&mut self, id: u64, peers: &[(u64, u64)]) -> Outcome {
        let voters: Vec<_> = peers.iter().map(|&(p, s)| (peer(p), store(s))).collect();
        let roster = Roster::of_voters(&voters).expect("voters");
        for &(p, s) in peers {
            let at = EntryId::new(Term(1), Index(1));
            let beginning = Beginning { peer: peer(p), at, roster: roster.clone() };
            let outcome = self.handle(s).create(group(id), beginning).wait();
            if outcome != Outcome::Done {
                return outcome;
            }
        }
        Outcome::Done
    }

    fn status(&self, at: u64, id: u64) -> Option<GroupStatus> {
        match self.handle(at).status(group(id)).wait() {
            Outcome::Status(status) => Some(*status),
            _ => None,
        }
    }

    /// The store that leads the latest term.
    pub(crate) fn leader(&self, id: u64) -> u64 {
        until("a leader", || {
            (self.running().into_iter())
                .filter_map(|at| Some((at, self.status(at, id)?)))
                .filter(|(_, status)| status.leads)
                .max_by_key(|(_, status)| status.term)
                .map(|(at, _)| at)
        })
    }

    pub(crate) fn wait_leader_among(&self, id: u64, stores: &[u64]) {
        until("a leader among the living", || {
            stores.iter().any(|&at| self.status(at, id).is_some_and(|s| s.leads)).then_some(())
        });
    }

    /// Writes until it is acknowledged. What is undetermined is looked for, not written again.
    pub(crate) fn write(&self, id: u64, command: &str) {
        let bytes = bytes::Bytes::copy_from_slice(command.as_bytes());
        let states = || {
            let status = |at| (at, self.status(at, id));
            let all: Vec<_> = self.running().into_iter().map(status).collect();
            format!("the write of {command:?}, with {all:?},")
        };
        until_or(states, || {
            let leader = self.leader(id);
            let pending = self.handle(leader).propose(group(id), bytes.clone());
            match pending.wait_for(Duration::from_secs(5)) {
                Ok(Outcome::Applied { reply, .. }) => {
                    assert_eq!(reply, bytes, "answered by another command");
                    Some(())
                }
                Ok(Outcome::Refused(_)) => None,
                Ok(Outcome::Undetermined) | Err(_) => {
                    let is_there = self.running().into_iter().any(|at| {
                        self.leader(id) == at && self.commands(at, id).contains(&bytes.to_vec())
                    });
                    is_there.then_some(())
                }
                Ok(other) => panic!("{other:?}"),
            }
        });
    }

    pub(crate) fn commands(&self, at: u64, id: u64) -> Vec<Vec<u8>> {
        let node = &self.nodes[usize::try_from(at - 1).expect("few stores")];
        commands(&*node.engine, group(id))
    }

    /// Waits until these stores have applied the same commands, so many.
    pub(crate) fn wait_equal(&self, id: u64, stores: &[u64], count: usize) {
        let states = || {
            let state = |&at| {
                let count = self.commands(at, id).len();
                let failure = self.handle(at).failure();
                format!("\n  s{at}: {count} commands, {failure:?}, {:?}", self.status(at, id))
            };
            format!(
                "equal states of {count} commands:{}",
                stores.iter().map(state).collect::<String>()
            )
        };
        until_or(states, || {
            let first = self.commands(stores[0], id);
            let are_equal = stores[1..].iter().all(|&at| self.commands(at, id) == first);
            (are_equal && first.len() == count).then_some(())
        });
    }

    /// Waits until these stores have applied the same: these commands, perhaps the others too.
    pub(crate) fn wait_equal_among(&self, id: u64, stores: &[u64], must: &[&str], may: &[&str]) {
        until("equal states", || {
            let first = self.commands(stores[0], id);
            let are_equal = stores[1..].iter().all(|&at| self.commands(at, id) == first);
            let mut certain = first.clone();
            certain.retain(|command| !may.iter().any(|text| text.as_bytes() == command));
            (are_equal && certain.iter().map(Vec::as_slice).eq(must.iter().map(|m| m.as_bytes())))
                .then_some(())
        });
    }

    pub(crate) fn change(&self, id: u64, changes: Vec<(Change, Option<StoreId>)>) {
        until("the change", || {
            let outcome = self.handle(self.leader(id)).change(group(id), changes.clone()).wait();
            match outcome {
                Outcome::Done => Some(()),
                Outcome::Refused(Refusal::Invalid(why)) => panic!("{why}"),
                _ => None,
            }
        });
    }

    pub(crate) fn wait_gone(&self, id: u64, at: u64) {
        until("the removed replica to go", || {
            (self.status(at, id).is_none() && self.commands(at, id).is_empty()).then_some(())
        });
    }

    pub(crate) fn wait_asleep(&self, count: u64) {
        for id in 1..=count {
            until("sleep", || self.status(self.leader(id), id)?.is_asleep.then_some(()));
        }
        // And nobody says anything any more.
        until("silence", || {
            let sent = || {
                let ids = self.running().into_iter();
                ids.map(|id| self.handle(id).counts().envelopes).sum::<usize>()
            };
            let before = sent();
            let (_keep, pause) = std::sync::mpsc::channel::<()>();
            let _ = pause.recv_timeout(Duration::from_millis(500));
            (sent() == before).then_some(())
        });
    }

    /// The process ends at once; what the disk was not made to keep is lost.
    pub(crate) fn power_loss(&mut self, id: u64) {
        self.network.leave(store(id));
        let node = self.node(id);
        node.disk.crash(Crash::Keep(0));
        drop(node.store.take());
        node.engine = Arc::new(MemoryEngine::open(node.disk.clone()).expect("it opens"));
        self.open(id);
    }

    pub(crate) fn stop(&mut self, id: u64) {
        self.network.leave(store(id));
        drop(self.node(id).store.take());
    }

    /// Waits until a store has told last that its peer of the group leads.
    pub(crate) fn wait_told_to_lead(&self, id: u64, at: u64) {
        until("word of who leads", || {
            let told = self.watches.0.lock();
            let last = told.iter().rev().find(|told| told.0 == store(at) && told.1 == group(id));
            last.and_then(|told| told.2).filter(Standing::leads).map(drop)
        });
    }

    pub(crate) fn fail_next_sync(&mut self, id: u64) {
        let faults = Faults { sync: Some(SyncFault::Lost), ..Faults::default() };
        self.node(id).disk.set_faults(faults);
    }

    /// Why it stopped.
    pub(crate) fn wait_failed(&self, id: u64) -> String {
        until("the store to stop", || self.handle(id).failure())
    }

    /// Waits until a store has found out, by a write that is no group's.
    pub(crate) fn wait_full(&self, id: u64) {
        until("the disk of a store is full", || {
            let asked = self.handle(id).propose(group(u64::MAX), bytes::Bytes::new());
            (asked.wait() == Outcome::Refused(Refusal::Full)).then_some(())
        });
    }

    /// Starts a store again, with other settings.
    pub(crate) fn start_again_with(&mut self, id: u64, change: impl FnOnce(&mut Config)) {
        self.stop(id);
        change(&mut self.config);
        self.open(id);
    }

    /// How long, by its disk, peers of a store may have promised to protect leaders.
    pub(crate) fn promised(&mut self, id: u64) -> Duration {
        let record = self.node(id).engine.get(Cf::Meta, b"i").expect("a memory disk reads");
        let identity = v1::Identity::decode(&*record.expect("the store was opened"));
        Duration::from_nanos(identity.expect("its own record").promised_ns)
    }

    pub(crate) fn wait_promised(&mut self, id: u64, wanted: Duration) {
        until("older promises to be outlived", || (self.promised(id) == wanted).then_some(()));
    }

    /// How the machines of a store behave.
    pub(crate) fn ways(&mut self, id: u64) -> MutexGuard<'_, Ways> {
        self.node(id).machines.ways.lock()
    }

    pub(crate) fn set_room(&mut self, id: u64, room_bytes: Option<u64>) {
        self.node(id).disk.set_faults(Faults { room_bytes, ..Faults::default() });
    }
}
