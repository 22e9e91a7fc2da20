//! The peer: three nodes of etcd with default settings.
//!
//! It is called as `crib bench` does it, over the same stack as ours.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::nodes::{self, Node};
use super::{Result, Settings};

/// How long a call may take.
const CALL_MAX: Duration = Duration::from_secs(10);
/// How long it may take to begin.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// Three nodes.
pub struct Etcd {
    /// Their processes.
    pub nodes: Vec<Node>,
    addresses: Vec<String>,
}

impl Etcd {
    /// Starts a cluster in this directory, and waits until it has a leader.
    ///
    /// # Errors
    /// If it does not get one.
    pub fn start(settings: &Settings, binary: &Path, dir: &Path, runtime: &Handle) -> Result<Etcd> {
        fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let addresses = nodes::free_addresses(6)?;
        let (clients, peers) = addresses.split_at(3);
        let all: Vec<String> =
            peers.iter().enumerate().map(|(nth, peer)| format!("n{nth}=http://{peer}")).collect();
        let (binary, all) = (binary.display().to_string(), all.join(","));
        let node = |nth: usize| {
            let name = format!("n{nth}");
            let here = format!("http://{}", clients[nth]);
            let peer = format!("http://{}", peers[nth]);
            let data = dir.join(&name).display().to_string();
            let words: [&str; 15] = [
                &binary,
                "--name",
                &name,
                "--data-dir",
                &data,
                "--listen-client-urls",
                &here,
                "--advertise-client-urls",
                &here,
                "--listen-peer-urls",
                &peer,
                "--initial-advertise-peer-urls",
                &peer,
                "--initial-cluster",
                &all,
            ];
            let command = words.map(str::to_owned);
            Node::start(&settings.under, &command, dir.join(format!("{name}.log")))
        };
        let nodes = (0..3).map(node).collect::<Result<_>>()?;
        let mut etcd = Etcd { nodes, addresses: clients.to_vec() };
        let until = Instant::now() + PATIENCE;
        while let Err(why) = etcd.leader(runtime) {
            if Instant::now() > until {
                return Err(format!("etcd did not begin: {why}"));
            }
            nodes::check_alive(&mut etcd.nodes)?;
            std::thread::sleep(POLL);
        }
        Ok(etcd)
    }

    /// Connections to all nodes in turn.
    ///
    /// # Errors
    /// If one cannot be made.
    pub fn spread(&self, runtime: &Handle) -> Result<load::Etcd> {
        let connect = load::Etcd::connect(&self.addresses, CALL_MAX);
        runtime.block_on(connect).map_err(|failed| failed.to_string())
    }

    /// Connections to the leader alone.
    ///
    /// # Errors
    /// If there is none.
    pub fn direct(&self, runtime: &Handle) -> Result<load::Etcd> {
        let spread = self.spread(runtime)?;
        runtime.block_on(spread.direct()).map_err(|failed| failed.to_string())
    }

    /// Complains if the cluster is not well: each node must answer, and know who leads.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check_well(&mut self, runtime: &Handle) -> Result<()> {
        nodes::check_alive(&mut self.nodes)?;
        self.leader(runtime)
    }

    fn leader(&self, runtime: &Handle) -> Result<()> {
        let spread = self.spread(runtime)?;
        let about = runtime.block_on(spread.about()).map_err(|failed| failed.to_string())?;
        about.leader.map(drop).ok_or_else(|| "no node leads".to_owned())
    }
}
