//! The nodes of a cluster under test, as faults see them.

use std::sync::Arc;

use cluster::crib::{Cluster, Node};
use parking_lot::Mutex;
use verify::faults::{Nodes, in_peace};

/// Nodes, and the runtime on which their ends are awaited.
pub(crate) struct Processes {
    nodes: Vec<Arc<Node>>,
    runtime: tokio::runtime::Handle,
    deaths: Mutex<Vec<String>>,
}

impl Processes {
    /// All nodes of a cluster. Called within a runtime.
    pub(crate) fn of(cluster: &Cluster) -> Processes {
        let runtime = tokio::runtime::Handle::current();
        Processes { nodes: cluster.nodes(), runtime, deaths: Mutex::default() }
    }

    fn running(&self, at: usize) -> Result<&Node, String> {
        let node = &self.nodes[at];
        match node.runs() {
            true => Ok(node),
            false => Err("it does not run".to_owned()),
        }
    }
}

impl Nodes for Processes {
    fn count(&self) -> usize {
        self.nodes.len()
    }

    fn address(&self, at: usize) -> String {
        self.nodes[at].address.clone()
    }

    fn pid(&self, at: usize) -> Option<u32> {
        self.running(at).ok().map(Node::pid)
    }

    fn kill(&self, at: usize) -> Result<(), String> {
        self.running(at)?.kill();
        Ok(())
    }

    fn stop(&self, at: usize) -> Result<(), String> {
        let node = self.running(at)?;
        let status = self.runtime.block_on(node.stop());
        let died = |why: &String| self.deaths.lock().push(format!("{}: {why}", node.address));
        in_peace(status).inspect_err(died)
    }

    fn start(&self, at: usize) -> Result<(), String> {
        self.nodes[at].start();
        Ok(())
    }

    fn pause(&self, at: usize) -> Result<(), String> {
        self.running(at)?.pause();
        Ok(())
    }

    fn resume(&self, at: usize) -> Result<(), String> {
        self.running(at)?.resume();
        Ok(())
    }

    fn deaths(&self) -> Vec<String> {
        let mut deaths = std::mem::take(&mut *self.deaths.lock());
        for node in &self.nodes {
            if let Some(status) = node.has_ended() {
                deaths.push(format!("{} ended by itself: {status}", node.address));
            }
        }
        deaths
    }
}
