//! Three nodes with their directories, and a caller that finds leaders.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tempfile::TempDir;

use crate::process::Process;

/// Nodes of a cluster.
pub(crate) const NODES: u64 = 3;
/// Groups of a cluster.
pub(crate) const GROUPS: u64 = 16;
/// How long anything may take. Far above what it takes: a machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Cluster {
    // Dropped in this order: processes end before what they stand on vanishes.
    nodes: Vec<Mutex<Option<Arc<Process>>>>,
    dirs: Vec<PathBuf>,
    addresses: Vec<String>,
    logs: TempDir,
}

/// Asks again and again until there is an answer. The pause is a wait on a channel.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: does not come about");
        pause(Duration::from_millis(10));
    }
}

/// Lets time pass for others.
pub(crate) fn pause(time: Duration) {
    let (_keep, nothing) = std::sync::mpsc::channel::<()>();
    let _ = nothing.recv_timeout(time);
}

/// Where a process of this test may listen and nobody else does: loopback has many addresses, so no
/// port has to be found free and kept so.
pub(crate) fn new_address() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    format!("127.{high}.{low}.{}:6710", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The arguments of a node.
pub(crate) fn args(cluster: u64, store: u64, dir: &Path, addresses: &[String]) -> Vec<String> {
    let dir = dir.to_str().expect("readable").to_owned();
    let mut args = vec![cluster.to_string(), store.to_string(), dir, GROUPS.to_string()];
    args.extend((1..).zip(addresses).map(|(id, address)| format!("{id}={address}")));
    args
}

impl Cluster {
    /// Starts nodes on these directories.
    pub(crate) fn start(dirs: &[PathBuf]) -> Cluster {
        let cluster = Cluster {
            nodes: (0..NODES).map(|_| Mutex::new(None)).collect(),
            dirs: dirs.iter().map(|dir| dir.join("store")).collect(),
            addresses: (0..NODES).map(|_| new_address()).collect(),
            logs: TempDir::new().expect("a directory"),
        };
        cluster.restart_all();
        cluster
    }

    pub(crate) fn addresses(&self) -> &[String] {
        &self.addresses
    }

    pub(crate) fn dir(&self, id: u64) -> &Path {
        &self.dirs[slot(id)]
    }

    fn log(&self, id: u64) -> PathBuf {
        self.logs.path().join(format!("node-{id}"))
    }

    /// Starts a node from what is in its directory.
    pub(crate) fn restart(&self, id: u64) {
        let args = args(7, id, &self.dirs[slot(id)], &self.addresses);
        let log = OpenOptions::new().create(true).append(true).open(self.log(id));
        let process = Process::start(&args, log.expect("a file"));
        let process = process.unwrap_or_else(|| panic!("node {id}: {}", self.last_words(id)));
        *self.nodes[slot(id)].lock() = Some(Arc::new(process));
    }

    pub(crate) fn restart_all(&self) {
        std::thread::scope(|scope| {
            (1..=NODES).for_each(|id| {
                scope.spawn(move || self.restart(id));
            });
        });
    }

    /// What a node wrote on its error output.
    pub(crate) fn last_words(&self, id: u64) -> String {
        std::fs::read_to_string(self.log(id)).unwrap_or_default()
    }

    pub(crate) fn node(&self, id: u64) -> Option<Arc<Process>> {
        self.nodes[slot(id)].lock().clone()
    }

    /// Ends a node at once.
    pub(crate) fn kill(&self, id: u64) {
        let process = self.nodes[slot(id)].lock().take().expect("it runs");
        assert!(!process.has_ended(), "node {id} ended by itself: {}", self.last_words(id));
        process.kill();
    }

    pub(crate) fn kill_all(&self) {
        (1..=NODES).for_each(|id| self.kill(id));
    }

    /// Makes all nodes stand still.
    pub(crate) fn pause_all(&self) {
        let nodes: Vec<_> = (1..=NODES).filter_map(|id| self.node(id)).collect();
        nodes.iter().for_each(|node| node.pause());
        nodes.iter().for_each(|node| node.wait_paused());
    }

    pub(crate) fn ask(&self, id: u64, request: &str) -> Option<String> {
        self.node(id)?.ask(request)
    }

    /// What is in a group, as its leader says: slots and values.
    pub(crate) fn list(&self, group: u64) -> Vec<(u64, String)> {
        let request = format!("list {group}");
        until(&format!("a read of group {group}"), || {
            (1..=NODES).find_map(|id| parse_list(&self.ask(id, &request)?))
        })
    }

    /// What a node has of a group.
    pub(crate) fn local(&self, id: u64, group: u64) -> Option<Vec<(u64, String)>> {
        parse_list(&self.ask(id, &format!("local {group}"))?)
    }

    /// Waits until every group is the same on all nodes.
    pub(crate) fn wait_equal(&self) {
        for group in 1..=GROUPS {
            until(&format!("group {group}: equal replicas"), || {
                let first = self.local(1, group)?;
                let mut others = 2..=NODES;
                others.all(|id| self.local(id, group).as_ref() == Some(&first)).then_some(())
            });
        }
    }

    /// The terms of all groups, as a node knows them.
    pub(crate) fn terms(&self, id: u64) -> Vec<String> {
        let status = |group| self.ask(id, &format!("status {group}")).expect("it runs");
        (1..=GROUPS)
            .map(|group| status(group).split(' ').nth(2).expect("a term").to_owned())
            .collect()
    }
}

pub(crate) fn slot(id: u64) -> usize {
    usize::try_from(id - 1).expect("few nodes")
}

fn parse_list(said: &str) -> Option<Vec<(u64, String)>> {
    let pair = |word: &str| {
        let (index, value) = word.split_once(':').expect("INDEX:VALUE");
        (index.parse().expect("a slot"), value.to_owned())
    };
    let pairs = said.strip_prefix("list")?;
    Some(pairs.split_whitespace().map(pair).collect())
}
