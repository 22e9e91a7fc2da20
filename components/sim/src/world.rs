//! The world: stores, what is under way between them, and one queue of what happens when.

use std::sync::Arc;

use multiraft::shard::{Event, Fetch};
use multiraft::{Config, Parcel};
use parking_lot::Mutex;
use storage::MemoryDisk;
use types::{StoreId, Time};

use crate::agenda::Agenda;
use crate::bugs::Bug;
use crate::callers::Callers;
use crate::check::{Checks, Violation, leases};
use crate::dice::{Dice, Stream};
use crate::fate::Fate;
use crate::node::{Died, Node, Wants};
use crate::odd::{Odd, Sites};
use crate::plan::{MS, Plan};
use crate::report::{Count, Failure, Report};
use crate::run::Run;
use crate::settings;
use crate::trim::Trim;

/// Something that happens at an instant, to a store in one of its lives.
pub(crate) enum Happening {
    Deliver { from: StoreId, to: usize, parcel: Parcel },
    Lost { at: usize, to: StoreId },
    Write { at: usize, life: u64 },
    Apply { at: usize, life: u64 },
    Fetched { at: usize, life: u64, fetch: Box<Fetch> },
    Wake { at: usize, life: u64 },
    Pulse { at: usize, life: u64 },
    Courier { at: usize, life: u64 },
    Start { at: usize },
    Fault,
    Caller,
}

impl Happening {
    /// The store whose process has to run for it.
    fn store(&self) -> Option<usize> {
        match *self {
            Happening::Deliver { to, .. } => Some(to),
            Happening::Write { at, .. }
            | Happening::Apply { at, .. }
            | Happening::Fetched { at, .. }
            | Happening::Wake { at, .. }
            | Happening::Pulse { at, .. }
            | Happening::Courier { at, .. }
            | Happening::Lost { at, .. } => Some(at),
            Happening::Start { .. } | Happening::Fault | Happening::Caller => None,
        }
    }
}

pub(crate) struct World<'a> {
    pub plan: Plan,
    pub trim: Trim,
    pub dice: Dice,
    pub nodes: Vec<Node>,
    pub config: Arc<Config>,
    /// `cut[a][b]`: what `a` sends to `b` is lost.
    pub cut: Vec<Vec<bool>>,
    arrives: Vec<Vec<Time>>,
    pub agenda: Agenda<Happening>,
    pub checks: Arc<Mutex<Checks>>,
    pub callers: Callers,
    pub report: Report,
    /// Parcels to be delivered again.
    pub old: Vec<(StoreId, usize, Parcel)>,
    pub bug: Option<Bug>,
    pub healed: bool,
    /// Messages of groups sent since it was last set to zero.
    pub envelopes: u64,
    tell: Option<&'a dyn Fn(String)>,
    on_step: Option<&'a dyn Fn(Time)>,
}

impl<'a> World<'a> {
    pub(crate) fn new(run: &Run<'a, Bug>) -> World<'a> {
        let (seed, bug) = (run.seed, run.bug);
        let mut dice = Dice::new(seed);
        let mut plan = Plan::drawn(seed);
        plan.trim(&run.trim);
        plan.odd = Sites::draw(dice.of(Stream::Sites), &run.trim);
        let rng = dice.of(Stream::Stores);
        let stores = usize::try_from(plan.stores).expect("few");
        let nodes = (1..=plan.stores).map(|id| Node {
            id: StoreId::new(id).expect("not zero"),
            disk: MemoryDisk::new(),
            up: None,
            life: 0,
            ahead: rng.below(1_000_000) * MS,
            rate_ppm: match bug {
                Some(Bug::FastClock) if id % 2 == 0 => 2_000_000,
                _ => 1_000_000 + rng.below(plan.drift_ppm + 1) - rng.below(plan.drift_ppm + 1),
            },
            created: Arc::default(),
            stalled_until: Time::ZERO,
            paused_until: Time::ZERO,
        });
        let nodes = nodes.collect();
        let mut world = World {
            nodes,
            config: Arc::new(settings::config(plan.small)),
            cut: vec![vec![false; stores]; stores],
            arrives: vec![vec![Time::ZERO; stores]; stores],
            agenda: Agenda::new(),
            checks: Arc::default(),
            callers: Callers::default(),
            report: Report::default(),
            old: Vec::new(),
            bug,
            healed: false,
            envelopes: 0,
            tell: run.tell,
            on_step: run.on_step,
            trim: run.trim.clone(),
            dice,
            plan,
        };
        world.say(|world| format!("{:?}", world.plan));
        for at in 0..stores {
            world.start(at);
        }
        world.begin_groups();
        world.after(0, Happening::Fault);
        world.after(MS, Happening::Caller);
        world
    }

    pub(crate) fn say(&self, line: impl FnOnce(&World<'_>) -> String) {
        if let Some(tell) = self.tell {
            tell(format!("{} {}", self.agenda.now(), line(self)));
        }
    }

    pub(crate) fn after(&mut self, nanos: u64, happening: Happening) {
        self.at(Time(self.agenda.now().0 + nanos), happening);
    }

    fn at(&mut self, time: Time, happening: Happening) {
        self.agenda.at(time, happening);
    }

    pub(crate) fn safety(&mut self) -> Result<(), Violation> {
        self.run_until(self.plan.safety_until)
    }

    pub(crate) fn run_until(&mut self, end: Time) -> Result<(), Violation> {
        while let Some(happening) = self.agenda.next_until(end) {
            let now = self.agenda.now();
            self.report.add(Count::Step, 1);
            self.report.note(&now.0.to_le_bytes());
            if let Some(on_step) = self.on_step {
                on_step(now);
            }
            self.happen(happening);
            if let Some(violation) = self.checks.lock().violation() {
                return Err(violation);
            }
        }
        Ok(())
    }

    fn happen(&mut self, happening: Happening) {
        if let Some(until) = happening.store().map(|at| self.nodes[at].paused_until)
            && until > self.agenda.now()
        {
            return self.at(until, happening);
        }
        match happening {
            Happening::Deliver { from, to, parcel } => {
                if self.plan.replays > 0 && self.dice.of(Stream::Replays).chance(20) {
                    if self.old.len() >= 64 {
                        let nth = self.dice.nth(Stream::Replays, 64);
                        self.old.swap_remove(nth);
                    }
                    self.old.push((from, to, parcel.clone()));
                }
                self.with(to, None, |node, clock, wants| node.deliver(clock, from, parcel, wants));
            }
            Happening::Lost { at, to } => {
                self.report.add(Count::Lost, 1);
                self.with(at, None, |node, clock, _| {
                    node.shard.handle(clock, Event::Lost(to));
                    Ok(())
                });
            }
            Happening::Write { at, life } => self.write(at, life),
            Happening::Apply { at, life } => {
                self.with(at, Some(life), |node, clock, wants| {
                    node.apply_is_due = false;
                    node.apply(clock, wants)
                });
                self.check_disk(at);
            }
            Happening::Fetched { at, life, fetch } => {
                self.report.add(Count::Fetch, 1);
                self.with(at, Some(life), |node, clock, _| {
                    node.fetched(clock, *fetch);
                    Ok(())
                });
            }
            Happening::Wake { at, life } => {
                self.with(at, Some(life), |node, clock, _| {
                    node.wakes_at = None;
                    node.shard.wake(clock);
                    Ok(())
                });
            }
            Happening::Pulse { at, life } => {
                // Its sync waits with the disk.
                let stalled = self.nodes[at].stalled_until;
                if stalled > self.agenda.now() {
                    return self.at(stalled, Happening::Pulse { at, life });
                }
                self.with(at, Some(life), |node, clock, wants| {
                    node.pulses_at = None;
                    node.pulse(clock, wants)
                });
            }
            Happening::Courier { at, life } => {
                self.with(at, Some(life), |node, clock, wants| {
                    node.couriers_at = None;
                    node.tick_courier(clock, wants)
                });
            }
            Happening::Start { at } => self.start(at),
            Happening::Fault => self.fault(),
            Happening::Caller => self.call(),
        }
    }

    fn write(&mut self, at: usize, life: u64) {
        let stalled = self.nodes[at].stalled_until;
        if stalled > self.agenda.now() {
            if self.nodes[at].life == life {
                self.with(at, Some(life), |node, clock, _| {
                    node.shard.stand_down(clock);
                    Ok(())
                });
            }
            return self.at(stalled, Happening::Write { at, life });
        }
        let mut is_full = false;
        self.with(at, Some(life), |node, clock, _| {
            node.disk_is_busy = false;
            is_full = !node.write(clock)?;
            if is_full {
                node.shard.stand_down(clock);
                node.disk_is_busy = true;
            }
            Ok(())
        });
        if is_full {
            self.after(50 * MS, Happening::Write { at, life });
        }
    }

    /// Does something with a store that runs, in this life if one is said, and carries out what it
    /// wants.
    pub(crate) fn with(
        &mut self,
        at: usize,
        life: Option<u64>,
        what: impl FnOnce(&mut crate::node::Running, Time, &mut Wants) -> Result<(), Died>,
    ) {
        let node = &mut self.nodes[at];
        let clock = node.clock(self.agenda.now());
        if life.is_some_and(|life| life != node.life) {
            return;
        }
        let Some(running) = &mut node.up else { return };
        match running.takes_turn(clock, what) {
            Ok(wants) => self.carry_out(at, clock, wants),
            Err(Died(why)) => self.died(at, &why),
        }
    }

    fn carry_out(&mut self, at: usize, clock: Time, wants: Wants) {
        let store = self.nodes[at].id;
        let answers = match self.bug {
            Some(bug) => bug.in_answers(wants.answers),
            None => wants.answers,
        };
        for (token, outcome) in answers {
            self.say(|_| format!("{store} answers {} {outcome:?}", token.0));
            self.checks.lock().answered(token.0, &outcome);
        }
        self.overhear(at, &wants.sends);
        for (to, parcel) in wants.sends {
            self.send(at, to, parcel);
        }
        for (group, standing) in wants.standings {
            let found = leases::when_led(group, standing, self.nodes.iter(), self.agenda.now());
            self.checks.lock().report(found);
        }
        let life = self.nodes[at].life;
        for fetch in wants.fetches {
            let wait = self.dice.of(Stream::Lane(at)).between(self.plan.apply);
            self.after(wait, Happening::Fetched { at, life, fetch: Box::new(fetch) });
        }
        self.look(at);
        self.schedule(at, life, clock);
    }

    fn schedule(&mut self, at: usize, life: u64, clock: Time) {
        let Some(due) = self.nodes[at].take_due(clock) else { return };
        if due.writes {
            let wait = self.dice.of(Stream::Disk(at)).between(self.plan.disk);
            self.after(wait, Happening::Write { at, life });
        }
        if due.applies {
            let wait = self.dice.of(Stream::Lane(at)).between(self.plan.apply);
            self.after(wait, Happening::Apply { at, life });
        }
        for (time, happening) in [
            (due.wake, Happening::Wake { at, life }),
            (due.pulse, Happening::Pulse { at, life }),
            (due.courier, Happening::Courier { at, life }),
        ] {
            if let Some(time) = time {
                self.at(time, happening);
            }
        }
    }

    fn send(&mut self, at: usize, to: StoreId, parcel: Parcel) {
        if let Parcel::Groups(envelopes) = &parcel {
            self.envelopes += envelopes.len() as u64;
            self.say(|world| {
                let what: Vec<String> = envelopes.iter().map(|e| format!("{e:?}")).collect();
                format!("{} to {to}: {}", world.nodes[at].id, what.join(" | "))
            });
        }
        if let Parcel::Snapshot(frame) = &parcel {
            self.say(|world| format!("{} to {to}: {frame:?}", world.nodes[at].id));
        }
        let from = self.nodes[at].id;
        let Some(to) = self.nodes.iter().position(|node| node.id == to) else { return };
        let fate = Fate::draw(self.dice.of(Stream::Link(at, to)), &self.plan.network());
        if self.cut[at][to] {
            return;
        }
        for (delay, overtakes) in fate.arrivals() {
            let mut time = Time(self.agenda.now().0 + delay);
            if !overtakes {
                time = time.max(self.arrives[at][to]);
                self.arrives[at][to] = time;
            }
            self.at(time, Happening::Deliver { from, to, parcel: parcel.clone() });
        }
    }

    pub(crate) fn start(&mut self, at: usize) {
        if self.nodes[at].up.is_some() {
            return;
        }
        // A monotonic clock begins anew with the machine.
        self.nodes[at].ahead = self.dice.of(Stream::Starts(at)).below(1_000_000) * MS;
        let (now, config, checks) =
            (self.agenda.now(), Arc::clone(&self.config), Arc::clone(&self.checks));
        let odd = Odd::new(self.plan.odd, self.dice.of(Stream::Odd(at)).bits());
        if let Err(why) = self.nodes[at].start(now, &config, &checks, (self.bug, odd)) {
            if why.contains("the disk failed") || why.contains("the disk is full") {
                self.lose_power(at);
                return self.after(MS, Happening::Start { at });
            }
            let store = self.nodes[at].id;
            let violation =
                Violation { check: "stores open again", what: format!("{store}: {why}") };
            return self.checks.lock().report(Err(violation));
        }
        self.say(|world| format!("{} starts", world.nodes[at].id));
        self.check_disk(at);
        self.with(at, None, |_, _, _| Ok(()));
    }

    /// The process of a store is gone.
    pub(crate) fn stop(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if let Some(running) = node.up.take() {
            let counts = running.courier_counts();
            self.report.add(Count::Snapshot, counts.received);
            self.report.add(Count::SnapshotFailed, counts.failed);
            self.report.add(Count::RefusedMessage, running.shard.refused());
            self.report.reach(&running.odd.reached());
        }
        self.checks.lock().forget(node.id.get());
    }

    fn died(&mut self, at: usize, why: &str) {
        self.say(|world| format!("{} dies: {why}", world.nodes[at].id));
        // An apply lane that does not wait for room stops its store, as a broken disk does.
        if !why.contains("the disk failed") && !why.contains("the disk is full") {
            let store = self.nodes[at].id;
            let violation =
                Violation { check: "stores go on", what: format!("{store} stopped: {why}") };
            self.checks.lock().report(Err(violation));
        }
        self.report.add(Count::Death, 1);
        self.stop(at);
        self.lose_power(at);
        let wait = self.dice.of(Stream::Starts(at)).between((MS, 500 * MS));
        self.after(wait, Happening::Start { at });
    }

    pub(crate) fn finish(
        mut self,
        seed: u64,
        outcome: Result<(), Violation>,
    ) -> Result<Report, Failure> {
        for at in 0..self.nodes.len() {
            self.stop(at);
        }
        let checks = self.checks.lock();
        self.report.add(Count::Applied, checks.answers.applied);
        self.report.add(Count::Read, checks.answers.read);
        self.report.add(Count::Refused, checks.answers.refused);
        self.report.add(Count::Undetermined, checks.answers.undetermined);
        self.report.add(Count::Leader, checks.leader_terms());
        self.report.add(Count::Destroyed, checks.graves.count());
        self.report.add(Count::NotAdmitted, checks.births.not_admitted);
        match outcome {
            Ok(()) => Ok(self.report),
            Err(violation) => {
                let (at, steps) = (self.agenda.now(), self.report.count(Count::Step));
                Err(Failure { seed, at, steps, violation })
            }
        }
    }
}
