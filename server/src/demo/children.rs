//! The processes of a demo: how they are started, watched and stopped.
//!
//! Each is in a process group of its own: what is typed at the terminal reaches the demo alone, and
//! it stops them in order. Each holds the other end of a pipe from here, and stops when that ends.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures_util::future::{join_all, select_all};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use super::plan::{Node, Plan};
use crate::config::ApiVersion;
use crate::errors::{self, Failure};
use crate::run::Signals;

/// How long a node may take to stop. It gives itself twenty seconds.
const STOP_MAX: Duration = Duration::from_secs(25);
/// How much of a log is shown.
const TAIL_LINES: usize = 10;
const TAIL_BYTES: u64 = 8 << 10;

/// All that run.
pub(super) struct Children {
    running: Vec<(Node, Child)>,
    /// By the number of the node, also of those that have ended.
    pids: Vec<(u16, u32)>,
    /// The ends of the pipes. Apart from the processes: waiting for one closes what it holds.
    pipes: Vec<ChildStdin>,
}

impl Children {
    /// Starts all nodes of a plan.
    ///
    /// # Errors
    /// If one cannot be started; then none runs.
    pub(super) fn start(plan: &Plan) -> Result<Children, Failure> {
        let mut children = Children { running: Vec::new(), pids: Vec::new(), pipes: Vec::new() };
        for node in &plan.nodes {
            let mut child = start(plan, node).map_err(|error| {
                Failure::new(&errors::CHILD_DIED, format!("cannot start node {}", node.number))
                    .why(error.to_string())
            })?;
            children.pids.push((node.number, child.id().unwrap_or(0)));
            children.pipes.extend(child.stdin.take());
            children.running.push((node.clone(), child));
        }
        Ok(children)
    }

    pub(super) fn pid(&self, number: u16) -> u32 {
        let found = self.pids.iter().find(|(of, _)| *of == number);
        found.map_or(0, |(_, pid)| *pid)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Waits until one ends, and tells of it. May be dropped and called again.
    pub(super) async fn death(&mut self) -> (Node, Failure) {
        if self.running.is_empty() {
            return std::future::pending().await;
        }
        let waits = self.running.iter_mut().map(|(_, child)| Box::pin(child.wait()));
        let (ended, at, _) = select_all(waits).await;
        let (node, _) = self.running.remove(at);
        let how = ended.map_or_else(|error| error.to_string(), how);
        let what = format!("node {} ended: {how}", node.number);
        let failure = Failure::new(&errors::CHILD_DIED, what);
        let failure = tail(&node.log).into_iter().fold(failure, Failure::why);
        let failure = failure.next(format!("read its log as a whole: {}", node.log.display()));
        (node, failure)
    }

    /// Stops all: in peace, or at once if there is another signal or it takes too long.
    pub(super) async fn stop(&mut self, signals: &mut Signals) {
        for (_, child) in &self.running {
            terminate(child);
        }
        let all = join_all(self.running.iter_mut().map(|(_, child)| child.wait()));
        tokio::select! {
            _ = timeout(STOP_MAX, all) => {}
            () = signals.next() => {}
        }
        self.pipes.clear();
        for (_, child) in &mut self.running {
            // Those that have ended are not touched by this.
            let _ = child.kill().await;
        }
    }
}

/// What a node is told when it is started.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) dir: PathBuf,
    pub(crate) grpc: String,
    pub(crate) http: String,
    pub(crate) api_version: ApiVersion,
    pub(crate) replicas: u16,
    pub(crate) token: String,
    /// `--founders` or `--join`, and of whom.
    pub(crate) flag: &'static str,
    pub(crate) others: String,
    pub(crate) set: Vec<String>,
}

/// The command that runs a node of this binary, which ends with its standard input.
pub(crate) fn command(spec: &Spec) -> std::io::Result<std::process::Command> {
    use std::os::unix::process::CommandExt as _;
    let mut command = std::process::Command::new(std::env::current_exe()?);
    // What is set here for commands, or for another node, is not meant for these.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CRIB_") {
            command.env_remove(name);
        }
    }
    command
        .arg("server")
        .arg("--exit-with-parent")
        .arg("--data-dir")
        .arg(&spec.dir)
        .args(["--listen", &spec.grpc, "--http", &spec.http])
        .args(["--api-version", spec.api_version.name()])
        .args(["--replicas", &spec.replicas.to_string()])
        .args(["--log-format", "text"])
        .args([spec.flag, &spec.others])
        // Not as an argument: those can be seen by everybody on the machine.
        .env("CRIB_CLUSTER_TOKEN", &spec.token)
        .env("NO_COLOR", "1");
    for set in &spec.set {
        command.args(["--set", set]);
    }
    command.process_group(0);
    Ok(command)
}

fn start(plan: &Plan, node: &Node) -> std::io::Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(&node.log)?;
    let saved = &plan.saved;
    let spec = Spec {
        dir: node.dir.clone(),
        grpc: node.grpc.clone(),
        http: node.http.clone(),
        api_version: saved.api_version,
        replicas: saved.replicas,
        token: saved.token.clone(),
        flag: if node.number <= saved.founders { "--founders" } else { "--join" },
        others: plan.founders(),
        set: plan.set.clone(),
    };
    Command::from(command(&spec)?)
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
}

fn terminate(child: &Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended by itself in this moment.
        let _ = kill_process(pid, Signal::TERM);
    }
}

fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// The last lines of a file.
fn tail(path: &Path) -> Vec<String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(TAIL_LINES);
    lines[skipped..].iter().map(|&line| line.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_is_the_last_lines_and_a_missing_log_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node1.log");
        assert!(tail(&path).is_empty());
        let lines: Vec<String> = (0..5_000).map(|line| format!("line {line}")).collect();
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        let tail = tail(&path);
        assert_eq!((tail.len(), tail[9].as_str()), (TAIL_LINES, "line 4999"));
    }
}
