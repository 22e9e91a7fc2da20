//! The world of a whole cluster: its hosts, clients, what is under way between them, and one queue
//! of what happens when. Beside [`crate::world::World`], whose steps for a store it repeats.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kv::RegionState;
use multiraft::shard::{Event, Fetch, Token};
use multiraft::{Config, Outcome, Parcel};
use parking_lot::Mutex;
use raft_world::Rng;
use storage::MemoryDisk;
use types::{ClusterId, StoreId, Time};

use super::bugs::Planted;
use super::check::Checks;
use super::client::Client;
use super::faults::Link;
use super::glue::Asked;
use super::host::Host;
use super::plan::{Plan, salted};
use super::tally::{Kind, Tally};
use super::times::Times;
use super::words::{Message, Place, Request};
use crate::agenda::Agenda;
use crate::check::{Violation, leases};
use crate::dice::{Dice, Stream};
use crate::node::{Died, Node, Running, Wants};
use crate::odd::Sites;
use crate::plan::MS;
use crate::report::Failure;
use crate::run::Run;
use crate::settings;
use crate::trim::Trim;

/// Something that happens at an instant; to a store in one of its lives.
pub(crate) enum Happening {
    Parcel {
        from: (StoreId, usize),
        to: usize,
        parcel: Parcel,
    },
    Message {
        from: Place,
        to: Place,
        message: Box<Message>,
    },
    Write {
        at: usize,
        life: u64,
    },
    Apply {
        at: usize,
        life: u64,
    },
    Fetched {
        at: usize,
        life: u64,
        fetch: Box<Fetch>,
    },
    Wake {
        at: usize,
        life: u64,
    },
    Pulse {
        at: usize,
        life: u64,
    },
    Courier {
        at: usize,
        life: u64,
    },
    Chore {
        at: usize,
        life: u64,
    },
    /// A read that was granted, or is under a lease, takes its view.
    Look {
        at: usize,
        life: u64,
        request: Box<(Request, Arc<RegionState>)>,
    },
    /// A stream of reports has lost something.
    Broken {
        at: usize,
        life: u64,
        stream: u64,
    },
    /// A store finds that a connection broke.
    Lost {
        at: usize,
        store: StoreId,
    },
    Start {
        at: usize,
    },
    /// It starts again with other settings.
    Reset {
        at: usize,
    },
    Client {
        client: usize,
        serial: u64,
    },
    Fault,
    Sample,
    People,
}

impl Happening {
    /// The store whose process has to run for it.
    fn host(&self) -> Option<usize> {
        match *self {
            Happening::Parcel { to, .. } | Happening::Message { to: Place::Host(to), .. } => {
                Some(to)
            }
            Happening::Write { at, .. }
            | Happening::Apply { at, .. }
            | Happening::Fetched { at, .. }
            | Happening::Wake { at, .. }
            | Happening::Pulse { at, .. }
            | Happening::Courier { at, .. }
            | Happening::Chore { at, .. }
            | Happening::Look { at, .. }
            | Happening::Lost { at, .. }
            | Happening::Broken { at, .. } => Some(at),
            _ => None,
        }
    }
}

pub(crate) struct World<'a> {
    pub plan: Plan,
    pub trim: Trim,
    pub dice: Dice,
    pub hosts: Vec<Host>,
    pub clients: Vec<Client>,
    pub times: Times,
    pub cluster: ClusterId,
    /// `links[a][b]`: what passes from host `a` to host `b`.
    pub links: Vec<Vec<Link>>,
    pub arrives: BTreeMap<(Place, Place), Time>,
    pub agenda: Agenda<Happening>,
    pub checks: Arc<Mutex<Checks>>,
    /// What stores have asked their groups.
    pub asked: BTreeMap<u64, (usize, Asked)>,
    pub tally: Tally,
    pub bug: Option<Planted>,
    pub healed: bool,
    /// The status that was asked for last.
    pub status: Option<multiraft::GroupStatus>,
    /// The store that is drained, and whether it was empty.
    pub drains: Option<(StoreId, bool)>,
    tell: Option<&'a dyn Fn(String)>,
    on_step: Option<&'a dyn Fn(Time)>,
}

impl<'a> World<'a> {
    pub(crate) fn new(run: &Run<'a, Planted>) -> World<'a> {
        let mut dice = Dice::new(salted(run.seed));
        let mut plan = Plan::drawn(run.seed);
        plan.trim(&run.trim);
        plan.odd = Sites::draw(dice.of(Stream::Sites), &run.trim);
        let count = plan.founders + plan.joiners;
        let hosts: Vec<Host> =
            (0..count).map(|at| host(at, &plan, dice.of(Stream::Stores))).collect();
        let clients = (0..plan.clients).map(|_| Client::new()).collect();
        let mut world = World {
            hosts,
            clients,
            times: Times::new(Config {
                undetermined_after: Duration::from_secs(1),
                ..settings::config(plan.small)
            }),
            cluster: ClusterId::new(7).expect("not zero"),
            links: vec![vec![Link::Open; count]; count],
            arrives: BTreeMap::new(),
            agenda: Agenda::new(),
            checks: Arc::default(),
            asked: BTreeMap::new(),
            tally: Tally::default(),
            bug: run.bug,
            healed: false,
            status: None,
            drains: None,
            tell: run.tell,
            on_step: run.on_step,
            trim: run.trim.clone(),
            dice,
            plan,
        };
        world.say(|world| format!("{:?}", world.plan));
        for at in 0..count {
            let seconds = world.dice.of(Stream::Stores).between((2, 5));
            let wait = if at < world.plan.founders { 0 } else { seconds * 1_000 };
            world.after(wait * MS, Happening::Start { at });
        }
        for client in 0..world.plan.clients {
            world.after(500 * MS, Happening::Client { client, serial: 0 });
        }
        world.after(2_000 * MS, Happening::Fault);
        world.after(1_000 * MS, Happening::Sample);
        world.after(1_000 * MS, Happening::People);
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

    pub(crate) fn at(&mut self, time: Time, happening: Happening) {
        self.agenda.at(time, happening);
    }

    /// A number that nothing else has.
    pub(crate) fn number(&mut self) -> u64 {
        self.agenda.number()
    }

    pub(crate) fn safety(&mut self) -> Result<(), Violation> {
        self.run_until(self.plan.safety_until)
    }

    pub(crate) fn run_until(&mut self, end: Time) -> Result<(), Violation> {
        while let Some(happening) = self.agenda.next_until(end) {
            let now = self.agenda.now();
            self.tally.add(Kind::Step, 1);
            self.tally.note(&now.0.to_le_bytes());
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
        if let Some(until) = happening.host().map(|at| self.hosts[at].node.paused_until)
            && until > self.agenda.now()
        {
            // Timers go off when their turn comes, behind or before what has arrived.
            let is_timer = matches!(
                happening,
                Happening::Wake { .. } | Happening::Pulse { .. } | Happening::Chore { .. }
            );
            let late = if is_timer { self.dice.of(Stream::Timers).below(10 * MS) } else { 0 };
            return self.at(Time(until.0 + late), happening);
        }
        match happening {
            Happening::Parcel { from: (from, had), to, parcel } if had == self.hosts[to].times => {
                let bug = self.bug;
                self.with(to, None, |node, clock, wants| {
                    let parcel = match bug {
                        Some(bug) => bug.heard(clock, parcel),
                        None => parcel,
                    };
                    node.deliver(clock, from, parcel, wants)
                });
            }
            Happening::Message { from, to: Place::Host(to), message } => {
                self.heard(to, from, *message);
            }
            Happening::Message { to: Place::Client(client), message, .. } => {
                self.client_hears(client, *message);
            }
            Happening::Write { at, life } => self.write(at, life),
            Happening::Apply { at, life } => {
                self.with(at, Some(life), |node, clock, wants| {
                    node.apply_is_due = false;
                    node.apply(clock, wants)
                });
                self.observe(at);
            }
            Happening::Fetched { at, life, fetch } => {
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
                let stalled = self.hosts[at].node.stalled_until;
                if stalled > self.agenda.now() {
                    return self.at(stalled, Happening::Pulse { at, life });
                }
                self.with(at, Some(life), |node, clock, wants| {
                    node.pulses_at = None;
                    node.pulse(clock, wants)
                });
                let others = self.hosts.iter().map(|host| &host.node);
                let now = self.agenda.now();
                let found = leases::of_all_led(&self.hosts[at].node, others, now);
                self.checks.lock().report(found);
            }
            Happening::Courier { at, life } => {
                self.with(at, Some(life), |node, clock, wants| {
                    node.couriers_at = None;
                    node.tick_courier(clock, wants)
                });
            }
            other => self.happen_above(other),
        }
    }

    fn happen_above(&mut self, happening: Happening) {
        match happening {
            Happening::Chore { at, life } if self.hosts[at].node.life == life => {
                self.chores(at, life);
            }
            Happening::Look { at, life, request } if self.hosts[at].node.life == life => {
                self.look(at, &request.0, &request.1);
            }
            Happening::Broken { at, life, stream } if self.hosts[at].node.life == life => {
                self.stream_broke(at, stream);
            }
            Happening::Lost { at, store } => self.with(at, None, |node, clock, _| {
                node.shard.handle(clock, Event::Lost(store));
                Ok(())
            }),
            Happening::Start { at } => self.start(at),
            Happening::Reset { at } => self.reset(at),
            Happening::Client { client, serial } => self.client_wakes(client, serial),
            Happening::Fault => self.fault(),
            Happening::Sample => self.sample(),
            Happening::People => self.people(),
            _ => {}
        }
    }

    fn write(&mut self, at: usize, life: u64) {
        let stalled = self.hosts[at].node.stalled_until;
        if stalled > self.agenda.now() {
            if self.hosts[at].node.life == life {
                self.with(at, Some(life), |node, clock, _| {
                    node.shard.stand_down(clock);
                    Ok(())
                });
            }
            return self.at(stalled, Happening::Write { at, life });
        }
        self.with(at, Some(life), |node, clock, _| {
            node.disk_is_busy = false;
            node.write(clock).map(|_| ())
        });
    }

    /// Does something with a store that runs, in this life if one is said, and carries out what it
    /// wants.
    pub(crate) fn with(
        &mut self,
        at: usize,
        life: Option<u64>,
        what: impl FnOnce(&mut Running, Time, &mut Wants) -> Result<(), Died>,
    ) {
        let node = &mut self.hosts[at].node;
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
        let life = self.hosts[at].node.life;
        for (to, parcel) in wants.sends {
            self.send_parcel(at, to, &parcel);
        }
        for fetch in wants.fetches {
            let wait = self.dice.of(Stream::Lane(at)).between(self.plan.apply);
            self.after(wait, Happening::Fetched { at, life, fetch: Box::new(fetch) });
        }
        self.schedule(at, life, clock);
        for (group, standing) in wants.standings {
            let others = self.hosts.iter().map(|host| &host.node);
            let found = leases::when_led(group, standing, others, self.agenda.now());
            self.checks.lock().report(found);
            self.on_standing(at, group, standing);
        }
        for (Token(token), outcome) in wants.answers {
            self.say(|world| {
                format!("store {at} answers {token} {outcome:?} {}", world.agenda.now())
            });
            if self.hosts[at].node.life == life
                && let Some((_, asked)) = self.asked.remove(&token)
            {
                self.answered(at, asked, outcome);
            }
        }
    }

    fn schedule(&mut self, at: usize, life: u64, clock: Time) {
        let Some(due) = self.hosts[at].node.take_due(clock) else { return };
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

    /// Asks a group of a store something.
    pub(crate) fn ask(&mut self, at: usize, asked: Asked, event: impl FnOnce(Token) -> Event) {
        let token = self.number();
        self.asked.insert(token, (at, asked));
        let event = event(Token(token));
        self.with(at, None, |node, clock, _| {
            node.shard.handle(clock, event);
            Ok(())
        });
    }

    pub(crate) fn finish(
        mut self,
        seed: u64,
        outcome: Result<(), Violation>,
    ) -> Result<Tally, Failure> {
        for at in 0..self.hosts.len() {
            self.stop(at);
        }
        let checks = self.checks.lock();
        self.tally.add(Kind::EpochAtApply, checks.late);
        self.tally.add(Kind::Split, checks.splits);
        self.tally.add(Kind::NotAdmitted, checks.not_admitted);
        self.tally.add(Kind::Destroyed, checks.destroyed);
        self.tally.add(Kind::Timestamp, checks.clock.given);
        match outcome {
            Ok(()) => Ok(self.tally),
            Err(violation) => {
                let (at, steps) = (self.agenda.now(), self.tally.count(Kind::Step));
                Err(Failure { seed, at, steps, violation })
            }
        }
    }
}

/// A host before it has begun: a founder knows which store it is.
fn host(at: usize, plan: &Plan, rng: &mut Rng) -> Host {
    let number = at as u64 + 1;
    let id = StoreId::new(number).expect("not zero");
    let node = Node {
        id,
        disk: MemoryDisk::new(),
        up: None,
        life: 0,
        ahead: 0,
        rate_ppm: 1_000_000 + rng.below(plan.drift_ppm + 1) - rng.below(plan.drift_ppm + 1),
        created: Arc::default(),
        stalled_until: Time::ZERO,
        paused_until: Time::ZERO,
    };
    Host {
        node,
        store: (at < plan.founders).then_some(id),
        nonce: number * 1_000 + 1,
        skew_ms: rng.below(30_000),
        away_until: Time::ZERO,
        glue: None,
        times: 0,
        toward: 0,
    }
}

/// What a proposal came to, for those who wait for it.
pub(crate) fn applied(outcome: Outcome) -> Result<bytes::Bytes, String> {
    match outcome {
        Outcome::Applied { reply, .. } => Ok(reply),
        other => Err(format!("{other:?}")),
    }
}
