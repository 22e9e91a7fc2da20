//! One node: where it is, how it is started, and its process while it runs.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::cluster::until;

/// A node. It may run or not; it is the same store whenever it does.
pub struct Node {
    /// Where others reach it.
    pub address: String,
    /// Where it listens: the same, if no proxy is between.
    pub listen: String,
    /// Where its HTTP is.
    pub http: String,
    /// Its data.
    pub dir: PathBuf,
    /// What it has written.
    pub log: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    /// With the founders it makes the cluster's id.
    pub token: String,
    pub(super) program: PathBuf,
    pub(super) child: Mutex<Option<Child>>,
}

impl Node {
    /// A node with the same settings that does not run, to be changed.
    #[must_use]
    pub fn twin(&self) -> Node {
        Node {
            address: self.address.clone(),
            listen: self.listen.clone(),
            http: self.http.clone(),
            dir: self.dir.clone(),
            log: self.log.clone(),
            args: self.args.clone(),
            env: self.env.clone(),
            token: self.token.clone(),
            program: self.program.clone(),
            child: Mutex::new(None),
        }
    }

    /// The same with one setting otherwise, `key=value`.
    #[must_use]
    pub fn with(&self, setting: &str) -> Node {
        let mut twin = self.twin();
        twin.args.extend(["--set".to_owned(), setting.to_owned()]);
        twin
    }

    /// The command that runs it.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        // What is set for the one who tests is not meant for those who are tested.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CRIB_") {
                command.env_remove(name);
            }
        }
        command
            .args(["server", "--exit-with-parent", "--log-format", "text", "--data-dir"])
            .arg(&self.dir)
            .args(["--listen", &self.listen, "--advertise", &self.address, "--http", &self.http])
            .args(&self.args)
            .env("CRIB_CLUSTER_TOKEN", &self.token)
            .env("NO_COLOR", "1")
            .env("RUST_BACKTRACE", "1")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped());
        command
    }

    /// Starts it from what is in its directory.
    ///
    /// # Panics
    /// If it runs already, or cannot be started.
    pub fn start(&self) {
        let mut child = self.child.lock();
        assert!(child.is_none(), "{} runs already", self.address);
        let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("a file");
        let other = log.try_clone().expect("a second handle");
        let started = self.command().stdout(log).stderr(other).spawn();
        *child = Some(started.expect("the program is built"));
    }

    /// Whether its process is there.
    pub fn runs(&self) -> bool {
        let mut child = self.child.lock();
        child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|ended| ended.is_none()))
    }

    /// The number of its process.
    ///
    /// # Panics
    /// If it was not started.
    pub fn pid(&self) -> u32 {
        self.child.lock().as_ref().map(Child::id).expect("it was started")
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.lock();
        let pid = Pid::from_child(child.as_ref().expect("it was started"));
        kill_process(pid, signal).expect("it runs");
    }

    /// Ends it at once, as a crash of the process does.
    ///
    /// # Panics
    /// If it had ended by itself.
    pub fn kill(&self) {
        assert!(self.runs(), "{} ended by itself: {}", self.address, self.last_words());
        let mut child = self.child.lock().take().expect("it runs");
        child.kill().expect("it runs");
        child.wait().expect("it was killed");
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop(&self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// How it ended by itself, if it has: then it may be started again.
    ///
    /// # Panics
    /// If the system does not know.
    pub fn has_ended(&self) -> Option<ExitStatus> {
        let mut child = self.child.lock();
        let running = child.as_mut()?;
        let status = running.try_wait().expect("it is our child");
        if status.is_some() {
            *child = None;
        }
        status
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&self) -> ExitStatus {
        let what = format!("the end of {}", self.address);
        until(&what, async || self.has_ended()).await
    }

    /// Makes it stand still, and returns when all its threads do.
    ///
    /// # Panics
    /// If it does not run.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        let pid = Pid::from_child(self.child.lock().as_ref().expect("it runs"));
        let status = waitpid(Some(pid), WaitOptions::UNTRACED).expect("it is our child");
        assert!(status.is_some_and(|(_, status)| status.stopped()), "{status:?}");
    }

    /// Tells it to look at its certificates.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends it, whatever it does.
    pub(super) fn end(&self) {
        if let Some(mut child) = self.child.lock().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// What it has written.
    pub fn words(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What it has written after so many bytes.
    pub fn words_after(&self, bytes: usize) -> String {
        let all = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(all.get(bytes..).unwrap_or_default()).into_owned()
    }

    /// How many bytes it has written.
    pub fn written(&self) -> usize {
        let length = std::fs::metadata(&self.log).map_or(0, |file| file.len());
        usize::try_from(length).unwrap_or(usize::MAX)
    }

    /// The end of what it has written.
    pub fn last_words(&self) -> String {
        let words = self.words();
        let lines: Vec<&str> = words.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
    }
}

/// Lets time pass for others.
pub(super) async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}
