//! A cluster: its nodes, started and watched.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use client::{Client, KeyMode};
use parking_lot::{Mutex, RwLock};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::certificates::{Files, Holders};
use super::node::{Node, pause};
use super::options::{Options, new_host};
use super::proxy::Proxies;

/// How long anything may take. Far above what it takes: a machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// Clusters that run at a time, whatever number of tests does. They wait more than they compute, so
/// two cores have time for them.
static ROOM: Semaphore = Semaphore::const_new(4);

/// A cluster that runs.
pub struct Cluster {
    nodes: RwLock<Vec<Arc<Node>>>,
    /// Nodes that were ever made: directories are not used again.
    made: AtomicUsize,
    /// The ways between nodes, if they are proxied.
    pub proxies: Proxies,
    /// How it was to be.
    pub options: Options,
    dir: Mutex<Option<TempDir>>,
    holders: Holders,
    _room: SemaphorePermit<'static>,
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// If there is none for [`PATIENCE`].
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: does not come about");
        pause(Duration::from_millis(50)).await;
    }
}

impl Cluster {
    /// Starts a cluster, and waits until it is well.
    pub async fn start(options: Options) -> Cluster {
        let cluster = Cluster::prepare(options).await;
        cluster.nodes().iter().for_each(|node| node.start());
        cluster.wait_healthy().await;
        cluster
    }

    /// Decides what the founders are, and starts none.
    ///
    /// # Panics
    /// If there is no room for a directory.
    pub async fn prepare(options: Options) -> Cluster {
        let room = ROOM.acquire().await.expect("it is never closed");
        let dir = TempDir::new().expect("a directory");
        let cluster = Cluster {
            nodes: RwLock::new(Vec::new()),
            made: AtomicUsize::new(0),
            proxies: Proxies::default(),
            options,
            dir: Mutex::new(Some(dir)),
            holders: Holders::default(),
            _room: room,
        };
        let hosts: Vec<(String, String)> =
            (0..cluster.options.stores).map(|at| cluster.new_addresses(at)).collect();
        let founders: Vec<&str> = hosts.iter().map(|(address, _)| address.as_str()).collect();
        let args = ["--founders".to_owned(), founders.join(",")];
        for (address, listen) in &hosts {
            cluster.add(address, listen, &args);
        }
        cluster
    }

    /// Where a new node with this number, from zero, is reached, and where it listens.
    fn new_addresses(&self, at: usize) -> (String, String) {
        if let Some(place) = self.options.places.get(at) {
            return place.clone();
        }
        let host = new_host();
        let port = if self.options.is_proxied { 6709 } else { 6710 };
        (format!("{host}:{port}"), format!("{host}:6710"))
    }

    fn add(&self, address: &str, listen: &str, args: &[String]) -> Arc<Node> {
        let at = self.made.fetch_add(1, Ordering::Relaxed);
        let number = at + 1;
        let dir = self.dir();
        let data = self.options.dirs.get(at).cloned();
        let mut args = args.to_vec();
        args.push("--api-version".to_owned());
        args.push(self.options.api_version.to_owned());
        args.extend(self.options.settings().into_iter().flat_map(|set| ["--set".to_owned(), set]));
        let host = listen.split(':').next().expect("host:port");
        if let Some(signer) = &self.options.signer {
            let files = Files::new(&dir, &format!("node{number}"), host, signer);
            args.extend(files.settings().into_iter().flat_map(|set| ["--set".to_owned(), set]));
            self.holders.nodes.lock().push(files);
        }
        let node = Arc::new(Node {
            address: address.to_owned(),
            listen: listen.to_owned(),
            http: format!("{host}:6780"),
            dir: data.unwrap_or_else(|| dir.join(format!("node{number}"))),
            log: dir.join(format!("node{number}.log")),
            args,
            env: self.options.env.get(at).cloned().unwrap_or_default(),
            token: "under test".to_owned(),
            program: self.options.program.clone(),
            child: Mutex::new(None),
        });
        self.nodes.write().push(Arc::clone(&node));
        if self.options.is_proxied {
            self.proxies.open(&node);
        }
        node
    }

    /// Makes a node that joins, and does not start it.
    pub fn add_joining(&self) -> Arc<Node> {
        let (address, listen) = self.new_addresses(self.made.load(Ordering::Relaxed));
        let args = ["--join".to_owned(), self.endpoints().join(",")];
        self.add(&address, &listen, &args)
    }

    /// Ends a node for good: it is none of the cluster's any more.
    pub fn retire(&self, node: &Node) {
        self.nodes.write().retain(|other| other.address != node.address);
        node.end();
    }

    /// All nodes, those that joined later last.
    pub fn nodes(&self) -> Vec<Arc<Node>> {
        self.nodes.read().clone()
    }

    /// A node by its number, from zero.
    pub fn node(&self, at: usize) -> Arc<Node> {
        Arc::clone(&self.nodes.read()[at])
    }

    /// The directory of logs and data.
    fn dir(&self) -> PathBuf {
        self.dir.lock().as_ref().map(|dir| dir.path().to_owned()).expect("kept to the end")
    }

    /// The certificates of nodes, in their order; of none, if nobody signs.
    pub fn certificates(&self) -> Vec<Files> {
        self.holders.nodes.lock().clone()
    }

    /// The certificates of clients.
    ///
    /// # Panics
    /// If nobody signs.
    pub fn client_certificates(&self) -> Files {
        let signer = self.options.signer.as_ref().expect("somebody signs");
        let mut files = self.holders.client.lock();
        files.get_or_insert_with(|| Files::new(&self.dir(), "client", "client", signer)).clone()
    }

    /// Where all nodes are.
    pub fn endpoints(&self) -> Vec<String> {
        self.nodes.read().iter().map(|node| node.address.clone()).collect()
    }

    /// A new client that tells unknown outcomes, and repeats no write that may have been done.
    pub async fn client(&self) -> Client {
        let budget = Duration::from_secs(10);
        self.client_with(client::Options { resend_writes: false, budget, ..Default::default() })
            .await
    }

    /// A new client with these settings; the form of keys is the cluster's.
    pub async fn client_with(&self, options: client::Options) -> Client {
        let mode = match self.options.api_version {
            "v1" => KeyMode::V1,
            "v1ttl" => KeyMode::V1Ttl,
            _ => KeyMode::V2 { keyspace: "DEFAULT".to_owned() },
        };
        let signed = self.options.signer.as_ref().map(|_| self.client_certificates().tls());
        let options = client::Options { mode, tls: options.tls.clone().or(signed), ..options };
        let endpoints = self.endpoints();
        until("a client", async || Client::connect(&endpoints, options.clone()).await.ok()).await
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // Here, since proxies hold nodes for longer than this.
            self.nodes().iter().for_each(|node| node.end());
            return;
        }
        for node in self.nodes() {
            let state = if node.runs() { "runs" } else { "does not run" };
            eprintln!("==== {} {state}; its log ends:\n{}", node.address, node.last_words());
            node.end();
        }
        if let Some(dir) = self.dir.lock().take() {
            eprintln!(
                "==== {}: logs and data are kept in {}",
                self.options.test,
                dir.keep().display()
            );
        }
    }
}
