//! A cluster of one's own, for as long as a run: processes of this binary that may be killed.
//!
//! Loopback has many addresses, and each node listens at one of its own, chosen by the number of
//! this process: so a node that is away for a while finds its ports free when it comes back.
//!
//! Invariant: no process outlives this one, and what they wrote goes with it unless it is kept.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use verify::faults::{Nodes, in_peace};

use crate::config::ApiVersion;
use crate::demo::children::{Spec, command};
use crate::demo::plan::founders_of;
use crate::errors::{self, Failure};

/// How long a node may take to stop. It gives itself twenty seconds.
const STOP_MAX: Duration = Duration::from_secs(25);
const PAUSE: Duration = Duration::from_millis(20);
/// Nodes of one process have as many addresses.
const NODES_MAX: u8 = 250;

/// The processes.
pub(super) struct Local {
    dir: PathBuf,
    nodes: Vec<Node>,
    /// How nodes ended that nobody ended, in words, until somebody asks.
    deaths: Mutex<Vec<String>>,
}

struct Node {
    spec: Spec,
    log: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Local {
    /// Starts so many nodes in a new directory.
    ///
    /// # Errors
    /// If the directory cannot be made, or a node cannot be started; then none runs.
    pub(super) fn start(count: u16) -> Result<Local, Failure> {
        let pid = std::process::id();
        let dir = std::env::temp_dir().join(format!("crib-verify-{pid}"));
        fs::create_dir_all(&dir).map_err(|error| {
            Failure::new(&errors::DIR_UNUSABLE, format!("cannot use {}", dir.display()))
                .why(error.to_string())
        })?;
        let [.., high, low] = pid.to_be_bytes();
        let numbers = 1..=u8::try_from(count).unwrap_or(NODES_MAX).min(NODES_MAX);
        let hosts: Vec<String> = numbers.map(|nth| format!("127.{high}.{low}.{nth}")).collect();
        let founders = usize::from(founders_of(count));
        let addresses: Vec<String> =
            hosts.iter().take(founders).map(|host| format!("{host}:6710")).collect();
        let node = |(at, host): (usize, &String)| {
            let number = at + 1;
            let flag = if at < founders { "--founders" } else { "--join" };
            let spec = Spec {
                dir: dir.join(format!("node{number}")),
                grpc: format!("{host}:6710"),
                http: format!("{host}:6780"),
                api_version: ApiVersion::V2,
                replicas: if hosts.len() < 3 { 1 } else { 3 },
                token: format!("verify {pid}"),
                flag,
                others: addresses.join(","),
                set: Vec::new(),
            };
            Node { spec, log: dir.join(format!("node{number}.log")), child: Mutex::new(None) }
        };
        let nodes = hosts.iter().enumerate().map(node).collect();
        let local = Local { nodes, dir, deaths: Mutex::default() };
        for at in 0..local.nodes.len() {
            Nodes::start(&local, at).map_err(|why| {
                Failure::new(&errors::CHILD_DIED, format!("cannot start node {}", at + 1)).why(why)
            })?;
        }
        Ok(local)
    }

    /// Where all nodes are.
    pub(super) fn endpoints(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.spec.grpc.clone()).collect()
    }

    /// Where everything is that they wrote.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Ends all at once: nobody needs them any more.
    pub(super) fn end(&self) {
        self.nodes.iter().for_each(Node::end);
    }

    fn died(&self, at: usize, how: &str) {
        self.deaths.lock().push(format!("{}: {how}", self.nodes[at].spec.grpc));
    }

    /// Removes what they wrote.
    pub(super) fn remove(&self) {
        // It lies where temporary things lie: another time.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Node {
    fn start(&self) -> Result<(), String> {
        let mut child = self.child.lock();
        if child.is_some() {
            return Err("it runs already".to_owned());
        }
        let open = || -> std::io::Result<Child> {
            let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
            let other = log.try_clone()?;
            command(&self.spec)?.stdin(Stdio::piped()).stdout(log).stderr(other).spawn()
        };
        *child = Some(open().map_err(|error| error.to_string())?);
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<(), String> {
        let child = self.child.lock();
        let child = child.as_ref().ok_or("it does not run")?;
        kill_process(Pid::from_child(child), signal).map_err(|error| error.to_string())
    }

    /// Waits until it has ended, for as long as that may take.
    fn ended(&self) -> Result<ExitStatus, String> {
        let begun = Instant::now();
        while begun.elapsed() < STOP_MAX {
            let mut child = self.child.lock();
            let running = child.as_mut().ok_or("it does not run")?;
            if let Some(status) = running.try_wait().map_err(|error| error.to_string())? {
                child.take();
                return Ok(status);
            }
            drop(child);
            std::thread::sleep(PAUSE);
        }
        Err(format!("it does not stop within {} s", STOP_MAX.as_secs()))
    }

    /// Ends it, whatever it does.
    fn end(&self) {
        if let Some(mut child) = self.child.lock().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Nodes for Local {
    fn count(&self) -> usize {
        self.nodes.len()
    }

    fn address(&self, at: usize) -> String {
        self.nodes[at].spec.grpc.clone()
    }

    fn pid(&self, at: usize) -> Option<u32> {
        let mut child = self.nodes[at].child.lock();
        let running = child.as_mut()?;
        match running.try_wait() {
            Ok(None) => Some(running.id()),
            _ => None,
        }
    }

    fn kill(&self, at: usize) -> Result<(), String> {
        let mut child = self.nodes[at].child.lock().take().ok_or("it does not run")?;
        if let Ok(Some(status)) = child.try_wait() {
            let why = format!("it had ended by itself: {status}");
            self.died(at, &why);
            return Err(why);
        }
        child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
        Ok(())
    }

    fn stop(&self, at: usize) -> Result<(), String> {
        self.nodes[at].signal(Signal::TERM)?;
        let status = self.nodes[at].ended()?;
        in_peace(status).inspect_err(|why| self.died(at, why))
    }

    fn start(&self, at: usize) -> Result<(), String> {
        self.nodes[at].start()
    }

    fn pause(&self, at: usize) -> Result<(), String> {
        self.nodes[at].signal(Signal::STOP)
    }

    fn resume(&self, at: usize) -> Result<(), String> {
        self.nodes[at].signal(Signal::CONT)
    }

    fn deaths(&self) -> Vec<String> {
        for (at, node) in self.nodes.iter().enumerate() {
            let mut child = node.child.lock();
            if let Some(Ok(Some(status))) = child.as_mut().map(Child::try_wait) {
                child.take();
                self.died(at, &format!("it ended by itself: {status}"));
            }
        }
        std::mem::take(&mut self.deaths.lock())
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.end();
    }
}
