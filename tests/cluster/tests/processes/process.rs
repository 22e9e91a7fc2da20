//! A node that runs: its process, and the lines that go in and out.
//!
//! Invariant: no process outlives its handle.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::cluster::PATIENCE;

/// Those who wait for answers, by the number of their request; `None` once no answer can come.
type Waiting = Arc<Mutex<Option<BTreeMap<u64, Sender<String>>>>>;

pub(crate) struct Process {
    child: Mutex<Child>,
    input: Mutex<Option<ChildStdin>>,
    waiting: Waiting,
    next: AtomicU64,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts a node and waits until it is ready; `None` if it ended before.
    pub(crate) fn start(args: &[String], log: File) -> Option<Process> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_crib-node"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the node's program is built");
        let (ready, is_ready) = channel();
        let waiting: Waiting = Arc::new(Mutex::new(Some(BTreeMap::from([(0, ready)]))));
        let (output, shared) = (child.stdout.take().expect("piped"), Arc::clone(&waiting));
        let reader = std::thread::spawn(move || hand_out(output, &shared));
        let process = Process {
            input: Mutex::new(child.stdin.take()),
            child: Mutex::new(child),
            waiting,
            next: AtomicU64::new(1),
            reader: Some(reader),
        };
        receive(&is_ready, "to be ready").map(|_| process)
    }

    /// Asks; `None` if the process ended without an answer.
    pub(crate) fn ask(&self, request: &str) -> Option<String> {
        receive(&self.send(request)?, request)
    }

    /// Asks; `None` if no answer came in time.
    pub(crate) fn ask_within(&self, request: &str, patience: Duration) -> Option<String> {
        self.send(request)?.recv_timeout(patience).ok()
    }

    fn send(&self, request: &str) -> Option<Receiver<String>> {
        let tag = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = channel();
        self.waiting.lock().as_mut()?.insert(tag, sender);
        let line = format!("{tag} {request}\n");
        self.input.lock().as_mut()?.write_all(line.as_bytes()).ok()?;
        Some(answer)
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child.lock())
    }

    /// Tells the process to stand still.
    pub(crate) fn pause(&self) {
        kill_process(self.pid(), Signal::STOP).expect("it runs");
    }

    /// Waits until all its threads stand still.
    pub(crate) fn wait_paused(&self) {
        let status = waitpid(Some(self.pid()), WaitOptions::UNTRACED).expect("it is our child");
        assert!(status.is_some_and(|(_, status)| status.stopped()), "{status:?}");
    }

    /// Ends it at once.
    pub(crate) fn kill(&self) {
        let mut child = self.child.lock();
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Whether it ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.child.lock().try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn receive(answer: &Receiver<String>, what: &str) -> Option<String> {
    use std::sync::mpsc::RecvTimeoutError;
    match answer.recv_timeout(PATIENCE) {
        Ok(answer) => Some(answer),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => {
            panic!("a node takes for ever: {}", what.get(..40).unwrap_or(what))
        }
    }
}

/// Reads to the end: what was said before a process was killed counts.
fn hand_out(output: ChildStdout, waiting: &Waiting) {
    let mut output = BufReader::new(output);
    let mut line = String::new();
    while output.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
        // The last line may be cut off.
        let Some(whole) = line.strip_suffix('\n') else { break };
        let (tag, said) = whole.split_once(' ').expect("an answer begins with its number");
        let tag: u64 = tag.parse().expect("a number");
        let waiter = waiting.lock().as_mut().and_then(|waiting| waiting.remove(&tag));
        // Whoever does not listen any more has panicked, or was impatient.
        let _ = waiter.expect("an answer to a request").send(said.to_owned());
        line.clear();
    }
    waiting.lock().take();
}
