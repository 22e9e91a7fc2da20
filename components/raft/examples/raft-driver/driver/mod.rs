//! The driver: a host for a few peers that does nothing unless a command says so.
//!
//! It holds no protocol logic. It has links, model disks, a clock for each node, and the checkers
//! of [`raft_world::check`], which look after every single input and drain of a command.
//!
//! # Time
//!
//! A tick is 100 ms of one node's own clock. Heartbeats every 2 ticks; node `i` campaigns exactly
//! `10 + 2·i` ticks after it last had reason not to; a leader that has not heard a majority for
//! 10 ticks steps down, and a follower protects its leader for as long. No jitter, no leases, and
//! a restarted node does not wait.
//!
//! # Commands
//!
//! Nodes are numbers from 1. Blank lines, and what follows a `#` at the start of a line, are
//! passed over. Only `ready`, `queue` and what contains them drain a core: everything else is an
//! input to it, whose effects wait inside until then. `tick` fires timers and sends nothing.
//!
//! - `init TOTAL VOTERS PREVOTE CHECKQUORUM`: everything is forgotten. Nodes `1..=VOTERS` start
//!   from a snapshot at index 1 of term 1 with themselves as voters, the others empty. Pre-vote
//!   and check-quorum are always on, the flags are read and not used. Prints `INIT`.
//! - `campaign I`, `tick I K`, `propose I X`, `transfer I J`, `read I X`, `conf I v4 l5 r2`.
//!   `propose` prints `PROP true` if it was accepted or forwarded, else `PROP false`; the others
//!   print nothing, refused or not.
//! - `cut A B`, `cut1 A B`, `heal`: block links, one direction or both; unblock all.
//! - `ready I`: I is drained, its writes (those of an earlier `queue` too) are durable at once,
//!   what is committed is applied, until it has nothing to do. `queue I`: the same, but writes
//!   are queued. `sync I N`: the oldest N are durable, and I hears of it; it is not drained.
//! - `deliver A B`: everything queued on A→B is handed to B, or lost if the link is blocked
//!   *now*: what is queued on a blocked link is still there after `heal`. After a snapshot B is
//!   drained as by `ready`; then A is told that it ended, as it is if the snapshot is lost.
//! - `drop A B`: what is queued on A→B is lost, snapshots apart.
//! - `stabilize`: rounds of `ready` for all nodes, then `deliver` for all links in order of
//!   sender and receiver, until a round finds nothing to do; `LIVELOCK` after 2000 rounds.
//! - `compact I`: I drops its log up to what it has applied.
//! - `restart I`, `crash I`: I stops, and starts from what is durable, at the same instant of its
//!   clock. Everything queued from and to it is lost, as is what waits inside it; senders of lost
//!   snapshots are told. Queued writes become durable before a `restart`, and are lost in a
//!   `crash`. What is applied is durable at once: neither loses it.
//! - `obs`: prints the observations below.
//!
//! # Forwarding
//!
//! A node that does not lead and knows who does forwards `propose`, `transfer`, `read` and
//! `conf`: at its next drain the request goes onto the link to that leader, before what the core
//! sends in that drain. If the receiver does not lead (any more), or refuses, it is dropped
//! there. The answer to a forwarded read comes back over the link leader→I and is released at the
//! next drain of I; a read asked at the leader is released in the drain that finds it confirmed.
//!
//! # Observations
//!
//! `OBS I ROLE t=TERM lead=L c=COMMIT a=APPLIED last=LAST lt=LASTTERM cs=[…][…][…] app=HASH` for
//! each node, then `READS [n1, n2, …]`: reads released so far at each node, all its lives
//! together. TERM to LAST are the core's, durable or not. `cs` is the membership the state
//! machine has applied (our core follows a membership from when it is appended, others from when
//! it is applied; what is applied can be compared): voters, while joint the outgoing voters,
//! learners that are not among the outgoing. HASH is in lower-case hex without leading zeros.
//!
//! # Ends
//!
//! Anything else, a node that does not exist and a first command other than `init` included,
//! prints `ERROR …` and ends the run with 2. An invariant that fails prints `VIOLATION …`, code
//! 3; so does a core that refuses what another core said as foreign.

mod cluster;
mod command;
mod links;
mod observation;
mod portions;

use std::fmt::Write as _;
use std::io::{self, BufRead, Write};

use cluster::Cluster;
use command::Command;
use raft_world::check::Violation;

/// Exit code when a command is wrong.
const ERROR: u8 = 2;
/// Exit code when an invariant fails.
pub(crate) const VIOLATION: u8 = 3;

/// Most rounds of `stabilize`.
const ROUNDS_MAX: usize = 2000;

/// Runs a script to its end, or to the first command that fails. Returns the exit code.
///
/// # Errors
/// If the script cannot be read, or nobody reads what is printed.
pub(crate) fn run(mut script: impl BufRead, mut out: impl Write) -> io::Result<u8> {
    let mut driver = Driver::default();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if script.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let mut text = String::new();
        let outcome = match std::str::from_utf8(&line) {
            Ok(line) => driver.line(line, &mut text),
            Err(_) => Err(Stop::Error("not UTF-8".to_owned())),
        };
        out.write_all(text.as_bytes())?;
        let code = match outcome {
            Ok(()) => None,
            Err(Stop::Error(what)) => {
                writeln!(out, "ERROR line {number}: {what}")?;
                Some(ERROR)
            }
            Err(Stop::Violation(violation)) => {
                writeln!(out, "VIOLATION {violation}")?;
                Some(VIOLATION)
            }
        };
        // Whoever is at the other end of the pipe waits for this before the next command.
        out.flush()?;
        if let Some(code) = code {
            return Ok(code);
        }
    }
    Ok(0)
}

/// Why a script ends early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The line is no command, or one that makes no sense.
    Error(String),
    /// The core did what it must not.
    Violation(Violation),
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Stop {
        Stop::Violation(violation)
    }
}

/// Runs commands one by one.
#[derive(Default)]
pub(crate) struct Driver {
    cluster: Option<Cluster>,
}

impl Driver {
    /// Runs one line of a script. What it prints is added to `out`.
    ///
    /// # Errors
    /// If the script ends here. What was printed before that counts.
    pub(crate) fn line(&mut self, line: &str, out: &mut String) -> Result<(), Stop> {
        let total = self.cluster.as_ref().map(Cluster::len);
        match command::parse(line, total).map_err(Stop::Error)? {
            None => Ok(()),
            Some(Command::Init { total, voters }) => {
                self.cluster = Some(Cluster::new(total, voters)?);
                out.push_str("INIT\n");
                Ok(())
            }
            Some(command) => {
                let cluster = self.cluster.as_mut().expect("the parser asks for `init` first");
                Ok(execute(cluster, command, out)?)
            }
        }
    }
}

fn execute(cluster: &mut Cluster, command: Command, out: &mut String) -> Result<(), Violation> {
    match command {
        Command::Init { .. } => unreachable!("starts a cluster, is no command to one"),
        Command::Campaign(node) => cluster.campaign(node)?,
        Command::Tick(node, ticks) => cluster.tick(node, ticks)?,
        Command::Propose(node, payload) => {
            let is_taken = cluster.propose(node, payload)?;
            writeln!(out, "PROP {is_taken}").expect("strings take everything");
        }
        Command::Transfer(node, to) => cluster.transfer(node, to)?,
        Command::Read(node) => cluster.read(node)?,
        Command::Conf(node, changes) => cluster.change(node, changes)?,
        Command::Cut(a, b) => {
            cluster.links.block(a, b);
            cluster.links.block(b, a);
        }
        Command::CutOneWay(from, to) => cluster.links.block(from, to),
        Command::Heal => cluster.links.unblock_all(),
        Command::Ready(node) => cluster.ready(node).map(drop)?,
        Command::Queue(node) => cluster.queue(node).map(drop)?,
        Command::Sync(node, writes) => cluster.sync(node, writes)?,
        Command::Deliver(from, to) => cluster.deliver(from, to).map(drop)?,
        Command::Drop(from, to) => cluster.links.lose(from, to),
        Command::Stabilize => {
            if !stabilize(cluster)? {
                out.push_str("LIVELOCK\n");
            }
        }
        Command::Compact(node) => cluster.compact(node)?,
        Command::Restart(node) => cluster.restart(node)?,
        Command::Crash(node) => cluster.crash(node)?,
        Command::Observe => observation::write(cluster, out),
    }
    Ok(())
}

/// Returns whether it came to rest.
fn stabilize(cluster: &mut Cluster) -> Result<bool, Violation> {
    for _ in 0..ROUNDS_MAX {
        let mut has_moved = false;
        for node in cluster.ids() {
            has_moved |= cluster.ready(node)?;
        }
        for from in cluster.ids() {
            for to in cluster.ids() {
                has_moved |= cluster.deliver(from, to)?;
            }
        }
        if !has_moved {
            return Ok(true);
        }
    }
    Ok(false)
}
