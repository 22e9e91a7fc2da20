//! A cluster of three nodes on loopback, and how to meddle with it.
//!
//! The nodes are told what to do by `crib` commands, as a person would.
//!
//! Invariant: no node outlives the process that started it: their standard input is a pipe from
//! here, and they end with it.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::program;

/// Stores of a cluster.
const STORES: u64 = 3;
/// After so long something hangs. Nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// How often a cluster is started: between the choice of a port and its use another may take it.
const STARTS_MAX: usize = 5;
/// Lines of a node's log that are shown when a test fails.
const TAIL_LINES: usize = 15;

/// How keys are formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// As they are.
    V1,
    /// As they are, and values may expire.
    V1Ttl,
    /// Behind a keyspace.
    V2,
}

impl Api {
    fn name(self) -> &'static str {
        match self {
            Api::V1 => "v1",
            Api::V1Ttl => "v1ttl",
            Api::V2 => "v2",
        }
    }
}

/// A region, as `crib region list` prints it.
#[derive(Clone, Debug, Deserialize)]
pub struct Region {
    /// Its id.
    pub id: u64,
    /// The store that leads it.
    pub leader: Option<u64>,
    /// Where its replicas are.
    pub peers: Vec<Replica>,
    /// Rises when it splits.
    pub version: u64,
}

/// A replica of a region.
#[derive(Clone, Debug, Deserialize)]
pub struct Replica {
    /// Its store.
    pub store: u64,
}

/// Three nodes that run, until this is dropped.
pub struct Cluster {
    api: Api,
    settings: Vec<String>,
    nodes: BTreeMap<u64, Node>,
    dir: tempfile::TempDir,
}

struct Node {
    grpc: String,
    http: String,
    child: Option<Child>,
}

impl Cluster {
    /// Starts a cluster and waits until all is well with it.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(api: Api, settings: &[&str]) -> Cluster {
        let program = program();
        for _ in 0..STARTS_MAX {
            let dir = tempfile::tempdir().expect("a directory");
            let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
            let nodes = (1..=STORES).map(|store| (store, Node::new()));
            let mut cluster = Cluster { api, settings, nodes: nodes.collect(), dir };
            (1..=STORES).for_each(|store| cluster.start_store(store));
            if cluster.is_well_in_time() {
                return cluster;
            }
            cluster.show_logs();
        }
        panic!("{} does not come to life", program.display());
    }

    /// How its keys are formed.
    pub fn api(&self) -> Api {
        self.api
    }

    /// Where its nodes serve gRPC, host:port.
    pub fn endpoints(&self) -> Vec<String> {
        self.nodes.values().map(|node| node.grpc.clone()).collect()
    }

    /// The stores, by id.
    pub fn stores(&self) -> Vec<u64> {
        self.nodes.keys().copied().collect()
    }

    /// Runs a command of `crib` on it; what it printed, or what it complained of.
    ///
    /// # Errors
    /// If it did not end with 0.
    pub fn crib(&self, args: &[&str]) -> Result<String, String> {
        let mut command = Command::new(program());
        without_settings(&mut command);
        let output = command
            .args(["--endpoints", &self.endpoints().join(",")])
            .args(args)
            .output()
            .expect("crib runs");
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
    }

    /// All regions, in the order of their keys.
    ///
    /// # Panics
    /// If nobody tells them for too long.
    pub fn regions(&self) -> Vec<Region> {
        let mut found = None;
        wait_until("the list of regions", || {
            let json = self.crib(&["region", "list", "--limit", "0", "-o", "json"]);
            found = json.ok().and_then(|json| serde_json::from_str(&json).ok());
            found.is_some()
        });
        found.expect("it was waited for")
    }

    /// Splits regions at keys, as `crib` takes them with `--escaped`, and waits until it is done.
    ///
    /// # Panics
    /// If that does not happen.
    pub fn split_at(&self, keys: &[&str]) {
        for key in keys {
            let before = self.regions().len();
            let mut why = String::new();
            wait_until(&format!("a split at {key}"), || {
                if self.regions().len() > before {
                    return true;
                }
                // Placement may have something else to do with this region, and refuse.
                if let Err(refused) = self.crib(&["region", "split", "--escaped", "--at", key])
                    && why != refused
                {
                    eprintln!("{refused}");
                    why = refused;
                }
                false
            });
        }
    }

    /// Asks for another leader; whether that was accepted. Not whether it happened.
    pub fn transfer_leader(&self, region: u64, store: u64) -> bool {
        let (region, store) = (region.to_string(), store.to_string());
        self.crib(&["region", "transfer-leader", &region, "--to", &store]).is_ok()
    }

    /// Ends a node as a crash does.
    ///
    /// # Panics
    /// If it does not run.
    pub fn kill(&mut self, store: u64) {
        let node = self.nodes.get_mut(&store).expect("a store of this cluster");
        let mut child = node.child.take().expect("a node that runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }

    /// Starts a node that was killed, and waits until all is well.
    ///
    /// # Panics
    /// If that does not happen.
    pub fn revive(&mut self, store: u64) {
        self.start_store(store);
        assert!(self.is_well_in_time(), "a node does not come back");
    }

    fn start_store(&mut self, store: u64) {
        let founders = self.endpoints().join(",");
        let (data, log) = (self.dir.path().join(format!("store{store}")), self.log(store));
        let node = self.nodes.get_mut(&store).expect("a store of this cluster");
        let log = OpenOptions::new().create(true).append(true).open(log).expect("a log");
        let mut command = Command::new(program());
        without_settings(&mut command);
        command
            .args(["server", "--exit-with-parent", "--data-dir"])
            .arg(data)
            .args(["--listen", &node.grpc, "--http", &node.http])
            .args(["--founders", &founders])
            .args(["--cluster-token", "foreign"])
            .args(["--api-version", self.api.name()]);
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        command.stdin(Stdio::piped()).stdout(log.try_clone().expect("a file")).stderr(log);
        node.child = Some(command.spawn().expect("crib runs"));
    }

    fn log(&self, store: u64) -> PathBuf {
        self.dir.path().join(format!("store{store}.log"))
    }

    /// Waits until all is well; `false` if a node ended or it takes for ever.
    fn is_well_in_time(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.crib(&["status", "--exit-when-healthy", "--timeout", "2s"]).is_ok() {
                return true;
            }
            let mut children = self.nodes.values_mut().filter_map(|node| node.child.as_mut());
            if children.any(|child| child.try_wait().is_ok_and(|ended| ended.is_some())) {
                return false;
            }
        }
        false
    }

    fn show_logs(&self) {
        for &store in self.nodes.keys() {
            let text = std::fs::read_to_string(self.log(store)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
            eprintln!("the log of store {store} ends:\n{}", tail.join("\n"));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_logs();
        }
        for child in self.nodes.values_mut().filter_map(|node| node.child.as_mut()) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Node {
    fn new() -> Node {
        let address = || format!("127.0.0.1:{}", free_port());
        Node { grpc: address(), http: address(), child: None }
    }
}

/// A port on which nobody listens. Below those that systems give out by themselves: a node that
/// was killed must find its own free when it comes back.
fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 10_000;
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    // Another run of these tests begins elsewhere.
    let offset = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or(0);
    loop {
        let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + offset.wrapping_mul(7).wrapping_add(taken) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// What is set for others is not meant for these.
fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CRIB_") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1");
}

fn wait_until(what: &str, mut is_done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_done() {
        assert!(begun.elapsed() < PATIENCE, "waited too long for {what}");
        sleep(PAUSE);
    }
}
