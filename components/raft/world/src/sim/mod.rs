//! Randomised simulation of one group from one seed: what a host may do, and what a network, a disk
//! and a clock may do to it.
//!
//! A run has two phases. In the *safety* phase anything may go wrong, in a mix that the seed
//! chooses (`plan`); every property of [`crate::check`] is checked after every step. In the
//! *liveness* phase everything heals, and the group must come to rest: one leader, equal logs, no
//! change under way, nobody being probed, and a new command is committed everywhere (`liveness`).
//!
//! The same seed gives the same run, step for step; [`Report::trace`] is a hash over all of it.

mod client;
mod clock;
mod faults;
mod liveness;
mod plan;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;

use raft::{Event, Input, Status};
use types::{PeerId, Time};

use crate::check::{Checks, Violation};
use crate::entry::Packet;
use crate::node::{Node, Turn};
use crate::rng::Rng;
use clock::Clock;
use plan::Plan;

/// What a run went through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Hash over every step.
    pub trace: u64,
    /// How often each thing happened, in the order of [`Report::NAMES`].
    pub counts: [u64; 14],
}

/// Why a run failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed that shows it again.
    pub seed: u64,
    /// When, in virtual time.
    pub at: Time,
    /// What does not hold.
    pub violation: Violation,
}

/// Things counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    Step,
    Leader,
    Commit,
    Change,
    Snapshot,
    Crash,
    Cut,
    Transfer,
    Read,
    LeaseStep,
    Compaction,
    Stall,
    Refused,
    Asleep,
}

impl Report {
    /// What [`Report::counts`] counts.
    pub const NAMES: [&str; 14] = [
        "steps",
        "leaders",
        "commits",
        "changes",
        "snapshots",
        "crashes",
        "cuts",
        "transfers",
        "reads",
        "lease steps",
        "compactions",
        "disk stalls",
        "refusals",
        "sleeps",
    ];

    /// Adds another run's counts.
    pub fn add(&mut self, other: &Report) {
        self.trace ^= other.trace;
        for (sum, count) in self.counts.iter_mut().zip(other.counts) {
            *sum += count;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in Report::NAMES.iter().zip(self.counts) {
            write!(f, "{count} {name}, ")?;
        }
        write!(f, "trace {:016x}", self.trace)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} at {}: {}", self.seed, self.at, self.violation)
    }
}

/// Runs one seed. If there is someone to tell, every step is told.
///
/// # Errors
/// The first property that does not hold.
pub fn run(seed: u64, tell: Option<&dyn Fn(String)>) -> Result<Report, Failure> {
    let mut world = World::new(seed, tell);
    let outcome = world.safety().and_then(|()| world.liveness());
    world.report.trace = world.trace;
    match outcome {
        Ok(()) => Ok(world.report),
        Err(violation) => Err(Failure { seed, at: world.now, violation }),
    }
}

/// Something that happens at an instant.
#[derive(Debug)]
enum Happening {
    Deliver(Packet),
    DiskDone { at: usize, life: u64 },
    SnapshotEnded { at: usize, life: u64, to: PeerId },
    Fault,
    Client,
    Detector,
}

/// The hosts, what is under way between them, and who watches.
struct World<'a> {
    now: Time,
    plan: Plan,
    rng: Rng,
    nodes: Vec<Node>,
    clocks: Vec<Clock>,
    /// Until when a host does nothing, as if its process were stopped.
    paused_until: Vec<Time>,
    /// Until when a host's disk completes nothing.
    stalled_until: Vec<Time>,
    /// `cut[a][b]`: what `a` sends to `b` is lost.
    cut: Vec<Vec<bool>>,
    /// `support[a][b]`: the life of `b` that `a`'s failure detector vouches for.
    support: Vec<Vec<Option<u64>>>,
    /// When the last packet from `a` to `b` arrives, for links that keep order.
    arrives: Vec<Vec<Time>>,
    queue: BinaryHeap<Reverse<(Time, u64)>>,
    happenings: std::collections::BTreeMap<u64, Happening>,
    serial: u64,
    checks: Checks,
    report: Report,
    trace: u64,
    tell: Option<&'a dyn Fn(String)>,
    healed: bool,
}

impl<'a> World<'a> {
    fn new(seed: u64, tell: Option<&'a dyn Fn(String)>) -> World<'a> {
        let mut rng = Rng::new(seed);
        let plan = Plan::draw(&mut rng);
        let hosts = plan.hosts;
        let clocks: Vec<Clock> = (0..hosts).map(|_| Clock::draw(&mut rng, &plan)).collect();
        let nodes = plan.first_nodes(seed, &clocks);
        let mut world = World {
            now: Time::ZERO,
            rng,
            nodes,
            clocks,
            paused_until: vec![Time::ZERO; hosts],
            stalled_until: vec![Time::ZERO; hosts],
            cut: vec![vec![false; hosts]; hosts],
            support: vec![vec![None; hosts]; hosts],
            arrives: vec![vec![Time::ZERO; hosts]; hosts],
            queue: BinaryHeap::new(),
            happenings: std::collections::BTreeMap::new(),
            serial: 0,
            checks: Checks::new(),
            report: Report::default(),
            trace: 0,
            tell,
            healed: false,
            plan,
        };
        world.say(|world| format!("{:?}", world.plan));
        world.after(0, Happening::Fault);
        world.after(1_000, Happening::Client);
        world.after(2_000, Happening::Detector);
        world
    }

    fn safety(&mut self) -> Result<(), Violation> {
        let end = self.plan.safety_until;
        while self.now < end {
            self.happen()?;
        }
        Ok(())
    }

    /// The next thing happens: a packet arrives, a write completes, a timer runs out, …
    fn happen(&mut self) -> Result<(), Violation> {
        let queued = self.queue.peek().map(|Reverse((at, _))| *at);
        let timer = self.next_timer();
        if let Some((at, node)) = timer
            && queued.is_none_or(|queued| at <= queued)
        {
            self.now = self.now.max(at);
            return self.act(node, "timer", |node, now, turn| node.step(now, Input::Timer, turn));
        }
        let Some(Reverse((at, serial))) = self.queue.pop() else { return Ok(()) };
        self.now = self.now.max(at);
        match self.happenings.remove(&serial).expect("queued happenings are kept") {
            Happening::Deliver(packet) => self.deliver(packet),
            Happening::DiskDone { at, life } => self.disk_done(at, life),
            Happening::SnapshotEnded { at, life, to } => {
                if self.nodes[at].incarnation != life {
                    return Ok(());
                }
                let input = Input::SnapshotEnded(to);
                self.act(at, "snapshot ended", |node, now, turn| node.step(now, input, turn))
            }
            Happening::Fault => self.fault(),
            Happening::Client => self.client(),
            Happening::Detector => self.detect(),
        }
    }

    /// The earliest timer of a host that is up and not paused.
    fn next_timer(&self) -> Option<(Time, usize)> {
        (self.nodes.iter().enumerate())
            .filter_map(|(at, node)| {
                let deadline = node.peer.as_ref()?.deadline()?;
                Some((self.clocks[at].global(deadline).max(self.paused_until[at]), at))
            })
            .min()
    }

    /// A host does something, then whatever follows from it; then everything is checked.
    fn act(
        &mut self,
        at: usize,
        what: &str,
        does: impl FnOnce(&mut Node, Time, &mut Turn) -> Result<(), raft::Refused>,
    ) -> Result<(), Violation> {
        if self.nodes[at].peer.is_none() {
            return Ok(());
        }
        self.count(Count::Step);
        let now = self.clocks[at].local(self.now);
        let mut turn = Turn::default();
        let result = does(&mut self.nodes[at], now, &mut turn);
        if let Err(why) = result {
            self.count(Count::Refused);
            self.say(|world| format!("{} refuses {what}: {why}", world.nodes[at].id));
        }
        self.nodes[at].turn(now, &mut turn);
        self.say(|world| world.describe(at, what, &turn));
        self.mix(at as u64 ^ now.0 ^ (turn.packets.len() as u64) << 32);
        let clocks = &self.clocks;
        let global = self.now;
        self.checks.observe(&self.nodes, at, &turn, &|node| clocks[node].local(global))?;
        self.follow_up(at, turn)
    }

    /// Carries out what a turn asks of the world.
    fn follow_up(&mut self, at: usize, turn: Turn) -> Result<(), Violation> {
        self.note(at, &turn);
        if turn.wrote {
            let latency = self.disk_latency(at);
            let life = self.nodes[at].incarnation;
            self.after(latency, Happening::DiskDone { at, life });
        }
        for packet in turn.packets {
            self.send(at, packet);
        }
        let news = |event: &Event| matches!(event, Event::Leader { .. } | Event::Membership(_));
        if turn.events.iter().any(news) {
            return self.tell_support(at);
        }
        Ok(())
    }

    fn note(&mut self, at: usize, turn: &Turn) {
        self.report.counts[Count::Read as usize] +=
            turn.reads.iter().filter(|(_, result)| result.is_ok()).count() as u64;
        if let Some(range) = &turn.committed {
            self.report.counts[Count::Commit as usize] += range.end.since(range.start);
        }
        let Some(peer) = &self.nodes[at].peer else { return };
        let status = peer.status();
        let leads = status.leader == Some(status.id);
        let is_asleep = status.is_asleep;
        let has_lease = peer.lease(self.clocks[at].local(self.now)).is_some();
        let became = turn.events.iter().any(|event| matches!(event, Event::Leader { .. }));
        if leads && became {
            self.count(Count::Leader);
        }
        if is_asleep {
            self.count(Count::Asleep);
        }
        if has_lease {
            self.count(Count::LeaseStep);
        }
    }

    fn send(&mut self, from: usize, packet: Packet) {
        let Some(to) = self.nodes.iter().position(|node| node.id == packet.to) else { return };
        if packet.is_snapshot() {
            self.count(Count::Snapshot);
        }
        let is_lost = self.cut[from][to] || (!self.healed && self.rng.chance(self.plan.loss));
        if is_lost {
            if packet.is_snapshot() {
                self.end_snapshot(from, packet.to);
            }
            return;
        }
        let copies = if !self.healed && self.rng.chance(self.plan.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            let delay_ns = if self.healed { (100_000, 10_000_000) } else { self.plan.delay_ns };
            let mut arrives = self.now.0 + self.rng.between(delay_ns);
            if self.plan.keeps_order || self.healed {
                arrives = arrives.max(self.arrives[from][to].0 + 1);
                self.arrives[from][to] = Time(arrives);
            }
            self.after(arrives - self.now.0, Happening::Deliver(packet.clone()));
        }
    }

    fn deliver(&mut self, packet: Packet) -> Result<(), Violation> {
        let index = |id: PeerId| usize::try_from(id.get() - 1).expect("few hosts");
        let (from, to) = (index(packet.from), index(packet.to));
        if self.now < self.paused_until[to] {
            let wait = self.paused_until[to].0 - self.now.0;
            self.after(wait, Happening::Deliver(packet));
            return Ok(());
        }
        if packet.is_snapshot() {
            self.end_snapshot(from, packet.to);
        }
        if self.cut[from][to] {
            return Ok(());
        }
        let what =
            if self.tell.is_some() { format!("{:?}", packet.message) } else { String::new() };
        self.mix(packet.message.term.0);
        self.act(to, &what, |node, now, turn| node.receive(now, packet, turn))
    }

    fn end_snapshot(&mut self, from: usize, to: PeerId) {
        let life = self.nodes[from].incarnation;
        let delay = self.rng.between((100_000, 5_000_000));
        self.after(delay, Happening::SnapshotEnded { at: from, life, to });
    }

    fn disk_done(&mut self, at: usize, life: u64) -> Result<(), Violation> {
        if self.nodes[at].incarnation != life {
            return Ok(());
        }
        let busy = self.stalled_until[at].max(self.paused_until[at]);
        if self.now < busy {
            self.after(busy.0 - self.now.0, Happening::DiskDone { at, life });
            return Ok(());
        }
        self.act(at, "written", |node, now, turn| {
            node.complete_write(now, turn);
            Ok(())
        })
    }

    fn disk_latency(&mut self, at: usize) -> u64 {
        let range = if self.healed { (10_000, 100_000) } else { self.plan.disk_ns };
        let busy = self.stalled_until[at].0.saturating_sub(self.now.0);
        self.rng.between(range) + busy
    }

    fn after(&mut self, nanos: u64, happening: Happening) {
        self.serial += 1;
        self.queue.push(Reverse((Time(self.now.0 + nanos), self.serial)));
        self.happenings.insert(self.serial, happening);
    }

    fn count(&mut self, what: Count) {
        self.report.counts[what as usize] += 1;
    }

    fn mix(&mut self, value: u64) {
        self.trace = (self.trace ^ value).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
    }

    fn say(&self, line: impl FnOnce(&Self) -> String) {
        if let Some(tell) = self.tell {
            tell(format!("{:>14} {}", self.now.to_string(), line(self)));
        }
    }

    fn describe(&self, at: usize, what: &str, turn: &Turn) -> String {
        let node = &self.nodes[at];
        let Some(peer) = &node.peer else { return format!("{} is down", node.id) };
        let status = peer.status();
        let sends: Vec<String> = (turn.packets.iter())
            .map(|packet| format!("\n{:>18}→ {} {:?}", "", packet.to, packet.message.body))
            .collect();
        format!("{} {what} | {}{}", node.id, standing(&status), sends.concat())
    }
}

/// Where a peer stands, in one line.
fn standing(status: &Status<'_>) -> String {
    format!(
        "{:?} term {} leader {:?} log {}..{} stable {} commit {} {}",
        status.role,
        status.term,
        status.leader,
        status.log.base(),
        status.log.last(),
        status.log.stable(),
        status.commit,
        status.membership.1
    )
}
