//! Processes of a cluster on this machine: started, watched, killed.
//!
//! Each is killed when its owner is dropped: a bench leaves nothing behind.

use std::fs::{self, File, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::Result;

/// One process, and how to start it again.
pub struct Node {
    command: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Node {
    /// Starts it; what it says goes to a file.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(under: &[String], command: &[String], log: PathBuf) -> Result<Node> {
        let command = under.iter().chain(command).cloned().collect();
        let mut node = Node { command, log, child: None };
        node.again()?;
        Ok(node)
    }

    /// Starts it once more, over the files that it has left.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn again(&mut self) -> Result<()> {
        let open = |path: &Path| OpenOptions::new().create(true).append(true).open(path);
        let cannot = |error: std::io::Error| format!("cannot start {}: {error}", self.command[0]);
        let log: File = open(&self.log).map_err(cannot)?;
        let child = Command::new(&self.command[0])
            .args(&self.command[1..])
            .stdin(Stdio::piped())
            .stdout(log.try_clone().map_err(cannot)?)
            .stderr(log)
            .spawn()
            .map_err(cannot)?;
        self.child = Some(child);
        Ok(())
    }

    /// Ends it at once: it does not notice.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Its process id.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether it runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Complains if one of these has ended.
///
/// # Errors
/// With what it said last.
pub fn check_alive(nodes: &mut [Node]) -> Result<()> {
    for node in nodes {
        if !node.is_alive() {
            let log = fs::read_to_string(&node.log).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(3).collect();
            return Err(format!("a node of {} has ended: {last:?}", node.command[0]));
        }
    }
    Ok(())
}

/// Addresses on this machine where nobody listens.
///
/// # Errors
/// If there are none.
pub fn free_addresses(count: usize) -> Result<Vec<String>> {
    // All are held until all are known, so that they differ.
    let listeners: std::io::Result<Vec<TcpListener>> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
    let addresses = listeners
        .and_then(|all| {
            all.iter().map(TcpListener::local_addr).collect::<std::io::Result<Vec<_>>>()
        })
        .map_err(|error| format!("no free port: {error}"))?;
    Ok(addresses.iter().map(ToString::to_string).collect())
}
