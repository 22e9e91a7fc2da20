//! One store in one process, to be killed. What it is told and answers: see the crate.
//!
//! ```text
//! crib-node CLUSTER STORE DIRECTORY GROUPS STORE=ADDRESS…
//! ```
//!
//! Its own address is where it listens. Groups are numbered from 1, each with a voter on every
//! store that is named. The end of its input ends it, so none outlives its test. What it cannot
//! start with, it says on its error output.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cluster::ledger::{Ledgers, commands};
use multiraft::{Beginning, Config, Handle, Outcome, Parts, Refusal, Roster, Store};
use storage::{Engine, RocksEngine};
use transport::{Network, Resolver};
use types::{ClusterId, EntryId, GroupId, Index, PeerId, StoreId, Term};

/// What the command line says.
struct Options {
    identity: (ClusterId, StoreId),
    dir: PathBuf,
    groups: u64,
    addresses: Addresses,
}

#[derive(Clone)]
struct Addresses(BTreeMap<StoreId, String>);

impl Resolver for Addresses {
    fn address(&self, store: StoreId) -> Option<String> {
        self.0.get(&store).cloned()
    }
}

/// What answers requests.
struct Node {
    handle: Handle,
    engine: Arc<dyn Engine>,
    network: Network,
}

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("crib-node: {why}");
            ExitCode::FAILURE
        }
    }
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut next = |what: &str| args.next().ok_or_else(|| format!("{what} is missing"));
        let cluster = ClusterId::new(number(&next("CLUSTER")?)?).ok_or("no cluster is 0")?;
        let store = store_id(&next("STORE")?)?;
        let dir = PathBuf::from(next("DIRECTORY")?);
        let groups = number(&next("GROUPS")?)?;
        let mut addresses = BTreeMap::new();
        for pair in args {
            let (id, address) = pair.split_once('=').ok_or("an address is STORE=ADDRESS")?;
            addresses.insert(store_id(id)?, address.to_owned());
        }
        let addresses = Addresses(addresses);
        Ok(Options { identity: (cluster, store), dir, groups, addresses })
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}

fn store_id(text: &str) -> Result<StoreId, String> {
    StoreId::new(number(text)?).ok_or_else(|| "no store is 0".to_owned())
}

fn run(options: &Options) -> Result<(), String> {
    let (_, me) = options.identity;
    let listen = options.addresses.address(me).ok_or("the own address is missing")?;
    let network_config = transport::Config { listen, ..transport::Config::default() };
    let resolver = Arc::new(options.addresses.clone());
    let mut network = Network::bind(network_config, options.identity, resolver)
        .map_err(|error| error.to_string())?;
    let engine = open_engine(&options.dir)?;
    let store = Store::open(Parts {
        config: config(),
        identity: options.identity,
        engine: Arc::clone(&engine),
        machines: Arc::new(Ledgers),
        transport: network.transport(),
        observer: None,
        on_fatal: Some(Arc::new(|why| {
            eprintln!("crib-node: {why}");
            std::process::abort();
        })),
    })
    .map_err(|error| error.to_string())?;
    if let Some((group, why)) = store.damaged().first() {
        return Err(format!("group {group} is damaged: {why}"));
    }
    network.serve(store.inbox()).map_err(|error| error.to_string())?;
    let handle = store.handle();
    for id in 1..=options.groups {
        create(&handle, id, options)?;
    }
    answer(0, "ready");
    let node = Arc::new(Node { handle, engine, network });
    listen_to_requests(&node);
    // Threads that still answer are cut off: this is the end of the process.
    store.stop();
    Ok(())
}

fn open_engine(dir: &Path) -> Result<Arc<dyn Engine>, String> {
    let config = storage::Config {
        block_cache_bytes: 8 << 20,
        memory_bytes_max: 32 << 20,
        raft_memory_bytes: 8 << 20,
        data_memory_bytes: 4 << 20,
        log_bytes_max: 32 << 20,
        ..storage::Config::default()
    };
    let (engine, _) = RocksEngine::open(dir, &config).map_err(|error| error.to_string())?;
    Ok(Arc::new(engine))
}

/// Quick to elect, so that tests are quick; small logs, so that who was away needs snapshots.
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
        workers: 2,
        appliers: 2,
        compact_bytes: 16 << 10,
        compact_entries: 64,
        lag_bytes_max: 32 << 10,
        cache_bytes: 8 << 10,
        snapshot_chunk_bytes: 16 << 10,
        liveness_interval: Duration::from_millis(200),
        support_span: Duration::from_secs(1),
        undetermined_after: Duration::from_secs(2),
        ..Config::default()
    }
}

fn create(handle: &Handle, id: u64, options: &Options) -> Result<(), String> {
    let peer = |store: StoreId| PeerId::new(id * 10 + store.get()).expect("not zero");
    let stores = options.addresses.0.keys();
    let voters: Vec<_> = stores.map(|&store| (peer(store), store)).collect();
    let roster = Roster::of_voters(&voters).map_err(|error| format!("{error:?}"))?;
    let at = EntryId::new(Term(1), Index(1));
    let beginning = Beginning { peer: peer(options.identity.1), at, roster };
    match handle.create(group_id(id)?, beginning).wait() {
        Outcome::Done | Outcome::Refused(Refusal::Exists(_)) => Ok(()),
        other => Err(format!("group {id} was not created: {other:?}")),
    }
}

fn group_id(id: u64) -> Result<GroupId, String> {
    GroupId::new(id).ok_or_else(|| "no group is 0".to_owned())
}

/// One thread for each request: it is the test that bounds how many are under way.
fn listen_to_requests(node: &Arc<Node>) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let Some((tag, request)) = line.split_once(' ') else { return };
        let Ok(tag) = tag.parse() else { return };
        if request == "stop" {
            return;
        }
        let (node, request) = (Arc::clone(node), request.to_owned());
        std::thread::spawn(move || {
            let said = node.respond(&request).unwrap_or_else(|why| format!("refused {why}"));
            answer(tag, &said);
        });
    }
}

fn answer(tag: u64, said: &str) {
    let mut out = std::io::stdout().lock();
    // A test that does not listen any more is about to end this process.
    let _ = out.write_all(format!("{tag} {said}\n").as_bytes()).and_then(|()| out.flush());
}

impl Node {
    fn respond(&self, request: &str) -> Result<String, String> {
        let mut words = request.splitn(3, ' ');
        let verb = words.next().unwrap_or_default();
        let mut id = || number(words.next().unwrap_or_default());
        match verb {
            "put" => {
                let group = group_id(id()?)?;
                let value = words.next().ok_or("a value is missing")?.to_owned();
                self.told(group, self.handle.propose(group, value.into()).wait())
            }
            "list" => {
                let group = group_id(id()?)?;
                self.told(group, self.handle.read(group).wait())
            }
            "local" => self.list(group_id(id()?)?),
            "status" => {
                let group = group_id(id()?)?;
                self.told(group, self.handle.status(group).wait())
            }
            "health" => {
                let health = self.engine.health();
                Ok(format!("health failed={:?} stalled={:?}", health.failed, health.stalled))
            }
            "problem" => {
                let store = StoreId::new(id()?).ok_or("no store is 0")?;
                let unreached = self.network.traffic().unreached();
                let problem = unreached.into_iter().find(|of| of.store == store);
                Ok(format!("problem {}", problem.map(|of| of.why).unwrap_or_default()))
            }
            _ => Err(format!("{verb} is no request")),
        }
    }

    fn told(&self, group: GroupId, outcome: Outcome) -> Result<String, String> {
        match outcome {
            Outcome::Applied { index, .. } => Ok(format!("ok {}", index.0)),
            Outcome::Readable(_) => self.list(group),
            Outcome::Status(status) => Ok(format!(
                "status leads={} term={} commit={} applied={}",
                status.leads, status.term.0, status.commit.0, status.applied.0
            )),
            Outcome::Refused(Refusal::NotLeader(Some((_, Some(home))))) => {
                Err(format!("leader {}", home.get()))
            }
            Outcome::Refused(why) => Err(why.to_string()),
            Outcome::Undetermined => Ok("unknown".to_owned()),
            Outcome::Done => Err("nothing was asked".to_owned()),
        }
    }

    fn list(&self, group: GroupId) -> Result<String, String> {
        let mut said = "list".to_owned();
        for (index, value) in commands(&*self.engine, group).map_err(|error| error.to_string())? {
            let _ = write!(said, " {}:{}", index.0, String::from_utf8_lossy(&value));
        }
        Ok(said)
    }
}
