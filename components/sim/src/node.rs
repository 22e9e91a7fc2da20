//! One store: the real shard, apply lane, courier and liveness, carried out step by step.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use multiraft::apply::{Applied, Applier, ApplyOutput, ApplyTask, Done, Work};
use multiraft::courier::{Courier, CourierCounts, CourierEffects};
use multiraft::shard::liveness::{Detector, LivenessEffects};
use multiraft::shard::{Effects, Event, Fetch, Shard, ShardWrite, SnapshotEffect, Token};
use multiraft::{
    Config, Grant, Machines, Opened, Outcome, Parcel, Payload, Pledges, SnapshotBody, Standing,
};
use parking_lot::Mutex;
use storage::{Batch, Cf, Durability, Engine, MemoryDisk, MemoryEngine};
use types::{ClusterId, GroupId, StoreId, Time};

use crate::bugs::Bug;
use crate::check::{Checks, births};
use crate::machine::Ledgers;
use crate::odd::{Odd, Site};
use crate::spoiled::{Spoiled, is_buried};

/// What a store wants to come up, in true time.
pub(crate) struct Due {
    /// A write of its log.
    pub writes: bool,
    /// A turn of its apply lane.
    pub applies: bool,
    /// Its groups.
    pub wake: Option<Time>,
    /// Its liveness.
    pub pulse: Option<Time>,
    /// Its snapshots.
    pub courier: Option<Time>,
}

/// One store, running or not.
pub(crate) struct Node {
    pub id: StoreId,
    pub disk: MemoryDisk,
    pub up: Option<Running>,
    pub life: u64,
    /// What the clock shows when the true time is zero, and how fast it runs, in parts per million
    /// of true time.
    pub ahead: u64,
    pub rate_ppm: u64,
    /// Groups of the beginning whose peers were created here.
    pub created: Arc<Mutex<BTreeSet<GroupId>>>,
    /// Nothing is written before that.
    pub stalled_until: Time,
    /// The process does nothing before that, as one that is stopped or not scheduled.
    pub paused_until: Time,
}

/// A store that runs.
pub(crate) struct Running {
    pub engine: Arc<dyn Engine>,
    pub shard: Shard,
    applier: Applier,
    pub courier: Courier,
    pub detector: Detector,
    /// What liveness said while the disk was full: nothing of it counts yet.
    held: LivenessEffects,
    effects: Effects,
    /// What readers were told.
    pub leases: BTreeMap<GroupId, Grant>,
    pub pledges: Arc<Pledges>,
    writes: VecDeque<ShardWrite>,
    /// What is scheduled already.
    pub disk_is_busy: bool,
    pub apply_is_due: bool,
    pub wakes_at: Option<Time>,
    pub pulses_at: Option<Time>,
    pub couriers_at: Option<Time>,
    bug: Option<Bug>,
    pub config: Arc<Config>,
    pub odd: Odd,
    /// Answers that are given a turn later.
    pub late: Vec<(Token, Outcome)>,
    /// Compactions that were begun in this turn.
    pub compactions: usize,
}

/// What a store wants of the world.
#[derive(Default)]
pub(crate) struct Wants {
    pub sends: Vec<(StoreId, Parcel)>,
    pub fetches: Vec<Fetch>,
    pub answers: Vec<(Token, Outcome)>,
    /// Who leads what, where that changed.
    pub standings: Vec<(GroupId, Option<Standing>)>,
}

/// Why a store stopped by itself.
#[derive(Debug)]
pub(crate) struct Died(pub String);

impl Node {
    pub(crate) fn clock(&self, now: Time) -> Time {
        let elapsed = u128::from(now.0) * u128::from(self.rate_ppm) / 1_000_000;
        Time(self.ahead + u64::try_from(elapsed).expect("a run is short"))
    }

    /// The true time at which the clock shows `at`.
    pub(crate) fn when(&self, at: Time) -> Time {
        let elapsed = u128::from(at.0.saturating_sub(self.ahead)) * 1_000_000;
        let exact = elapsed.div_ceil(u128::from(self.rate_ppm));
        Time(u64::try_from(exact).unwrap_or(u64::MAX))
    }

    /// What is to be scheduled for the store, which its clock `clock` did not have before.
    pub(crate) fn take_due(&mut self, clock: Time) -> Option<Due> {
        let running = self.up.as_mut()?;
        let writes = running.has_writes() && !running.disk_is_busy;
        running.disk_is_busy |= writes;
        let applies = running.has_work() && !running.apply_is_due;
        running.apply_is_due |= applies;
        let earlier = |due: &mut Option<Time>, wanted: Option<Time>| {
            let wanted = wanted?.max(clock);
            if due.is_some_and(|at| at <= wanted) {
                return None;
            }
            *due = Some(wanted);
            Some(wanted)
        };
        let wake = earlier(&mut running.wakes_at, running.shard.deadline());
        let pulse = earlier(&mut running.pulses_at, Some(running.detector.deadline()));
        let deadline = running.courier_deadline();
        let courier = earlier(&mut running.couriers_at, deadline);
        let when = |at: Option<Time>| at.map(|at| self.when(at));
        Some(Due { writes, applies, wake: when(wake), pulse: when(pulse), courier: when(courier) })
    }

    /// Opens the store from its disk.
    pub(crate) fn start(
        &mut self,
        now: Time,
        config: &Arc<Config>,
        checks: &Arc<Mutex<Checks>>,
        (bug, odd): (Option<Bug>, Odd),
    ) -> Result<(), String> {
        self.life += 1;
        let engine = MemoryEngine::open(self.disk.clone()).map_err(|why| why.to_string())?;
        let engine: Arc<dyn Engine> = Arc::new(engine);
        if let Some(bug) = bug {
            bug.at_start(&*engine);
        }
        let engine: Arc<dyn Engine> = match bug {
            Some(bug) => Arc::new(Spoiled { engine, bug, later: Mutex::default() }),
            None => engine,
        };
        checks.lock().births.started(self.id, &*engine);
        // What was created and not durable is not here any more.
        self.created.lock().retain(|&group| births::has_begun(&*engine, group));
        let machines: Arc<dyn Machines> = Arc::new(Ledgers {
            store: self.id,
            created: Arc::clone(&self.created),
            ranges: Arc::default(),
            checks: Arc::clone(checks),
            bug: bug.filter(|_| self.id.get() == 2),
        });
        let cluster = ClusterId::new(1).expect("not zero");
        let clock = self.clock(now);
        let mut opened = multiraft::open(config, &engine, &machines, (cluster, self.id), clock)
            .map_err(|why| why.to_string())?;
        if let Some((group, why)) = opened.damaged.first() {
            return Err(format!("group {group} is set aside: {why}"));
        }
        let parts = (Arc::clone(config), engine, machines);
        self.up = Some(Running::new(&mut opened, parts, clock, (bug, odd)));
        Ok(())
    }
}

impl Running {
    /// The parts of a store that was opened with one worker and one applier.
    pub(crate) fn new(
        opened: &mut Opened,
        (config, engine, machines): (Arc<Config>, Arc<dyn Engine>, Arc<dyn Machines>),
        clock: Time,
        (bug, odd): (Option<Bug>, Odd),
    ) -> Running {
        let times = (config.liveness_interval, config.support_span);
        let pledges = Arc::clone(&opened.pledges);
        let mut detector = Detector::new(&opened.remembered, times, Arc::clone(&pledges), clock);
        opened.stores.iter().for_each(|&store| detector.watch(store));
        let (life, lent) = (opened.life << 32, Arc::clone(&engine));
        Running {
            shard: opened.shards.pop().expect("there is one worker"),
            applier: opened.appliers.pop().expect("there is one applier"),
            courier: Courier::new(Arc::clone(&config), lent, machines, life, clock),
            detector,
            held: LivenessEffects::default(),
            engine,
            effects: Effects::new(),
            leases: BTreeMap::new(),
            pledges,
            writes: VecDeque::new(),
            disk_is_busy: false,
            apply_is_due: false,
            wakes_at: None,
            pulses_at: None,
            couriers_at: None,
            bug,
            config,
            odd,
            late: Vec::new(),
            compactions: 0,
        }
    }

    pub(crate) fn deliver(
        &mut self,
        clock: Time,
        from: StoreId,
        parcel: Parcel,
        wants: &mut Wants,
    ) -> Result<(), Died> {
        match parcel {
            Parcel::Groups(envelopes) => {
                for envelope in envelopes {
                    self.shard.handle(clock, Event::Deliver { from, envelope });
                }
            }
            Parcel::Liveness(message) => {
                let mut out = LivenessEffects::default();
                self.detector.on_message(clock, from, &message, &mut out);
                return self.carry_liveness(clock, out, wants);
            }
            Parcel::Snapshot(frame) => match &frame.body {
                SnapshotBody::Offer(offer) => {
                    let offer = Box::new(offer.clone());
                    self.shard.handle(clock, Event::Offered { from, frame, offer });
                }
                _ => {
                    let mut out = CourierEffects::default();
                    let done = self.courier.on_frame(clock, from, frame, &mut out);
                    return self.carry_courier(clock, done, out, wants);
                }
            },
        }
        Ok(())
    }

    pub(crate) fn pulse(&mut self, clock: Time, wants: &mut Wants) -> Result<(), Died> {
        let mut out = LivenessEffects::default();
        self.detector.tick(clock, &mut out);
        self.carry_liveness(clock, out, wants)
    }

    fn carry_liveness(
        &mut self,
        clock: Time,
        out: LivenessEffects,
        wants: &mut Wants,
    ) -> Result<(), Died> {
        let mut due = std::mem::take(&mut self.held);
        due.records.append(&out.records);
        due.changes.extend(out.changes);
        if out.sync || !due.records.is_empty() {
            let mut batch: Batch = match self.bug {
                Some(bug) => bug.in_write(&due.records).0,
                None => due.records.clone(),
            };
            if batch.is_empty() {
                batch.put(Cf::Default, b"", b"");
            }
            match self.engine.write(&batch, Durability::Synced) {
                Ok(()) => {}
                // Nobody is asked for support, and nobody acts on what is not written.
                Err(storage::Error::Full(_)) => {
                    self.held = due;
                    return Ok(());
                }
                Err(why) => return Err(Died(why.to_string())),
            }
        }
        if out.sends.is_empty() || !self.odd.reaches(Site::Silence) {
            let sends = out.sends.into_iter();
            wants.sends.extend(sends.map(|(store, message)| (store, Parcel::Liveness(message))));
        }
        let bug = self.bug;
        let is_heard = |held: bool| match bug {
            Some(Bug::VouchedForEver) => held,
            Some(Bug::NeverVouched) => !held,
            _ => true,
        };
        for (store, held) in due.changes.into_iter().filter(|&(_, held)| is_heard(held)) {
            self.shard.handle(clock, Event::Support { store, held });
        }
        Ok(())
    }

    pub(crate) fn tick_courier(&mut self, clock: Time, wants: &mut Wants) -> Result<(), Died> {
        let mut out = CourierEffects::default();
        let done = self.courier.tick(clock, &mut out);
        self.carry_courier(clock, done, out, wants)
    }

    pub(crate) fn courier_deadline(&self) -> Option<Time> {
        self.courier.deadline()
    }

    pub(crate) fn courier_counts(&self) -> CourierCounts {
        self.courier.counts()
    }

    fn carry_courier(
        &mut self,
        clock: Time,
        done: Result<(), storage::Error>,
        out: CourierEffects,
        wants: &mut Wants,
    ) -> Result<(), Died> {
        match done {
            Ok(()) | Err(storage::Error::Full(_)) => {}
            Err(why) => return Err(Died(why.to_string())),
        }
        let sends = out.sends.into_iter();
        wants.sends.extend(sends.map(|(store, frame)| (store, Parcel::Snapshot(frame))));
        for event in out.events {
            self.shard.handle(clock, event);
        }
        Ok(())
    }

    /// The oldest write of the log is carried out. Returns whether it was; a full disk waits.
    pub(crate) fn write(&mut self, clock: Time) -> Result<bool, Died> {
        if self.bug == Some(Bug::WritesReordered) && self.writes.len() > 1 {
            self.writes.swap(0, 1);
        }
        let Some(first) = self.writes.front() else { return Ok(true) };
        let (mut number, mut whole, mut count) = (first.number, first.batch.clone(), 1);
        if let Some(second) = self.writes.get(1).filter(|_| self.odd.reaches(Site::Merged)) {
            whole.append(&second.batch);
            (number, count) = (second.number, 2);
        }
        let (batch, durability) = match self.bug {
            Some(bug) => bug.in_write(&whole),
            None => (whole, Durability::Synced),
        };
        match (self.engine.write(&batch, durability), self.bug) {
            (Ok(()), _)
            | (Err(storage::Error::Full(_)), Some(Bug::FullIgnored))
            | (Err(storage::Error::Disk(_)), Some(Bug::SyncFailureIgnored)) => {}
            (Err(storage::Error::Full(_)), _) => return Ok(false),
            (Err(why), _) => return Err(Died(why.to_string())),
        }
        self.writes.drain(..count);
        self.shard.handle(clock, Event::Persisted(number));
        Ok(true)
    }

    pub(crate) fn has_writes(&self) -> bool {
        !self.writes.is_empty()
    }

    pub(crate) fn has_work(&self) -> bool {
        !self.applier.is_idle()
    }

    /// Some groups get a slice.
    pub(crate) fn apply(&mut self, clock: Time, wants: &mut Wants) -> Result<(), Died> {
        let mut out = ApplyOutput::default();
        let slice = self.slice_bytes();
        self.applier.set_slice_bytes(slice);
        if let Err(why) = self.applier.run(3, &mut out) {
            return Err(Died(why.to_string()));
        }
        self.sliced(slice, &out.applied);
        let replies = out.replies.into_iter();
        wants.answers.extend(
            replies.map(|(_, token, index, reply)| (token, Outcome::Applied { index, reply })),
        );
        for applied in out.applied {
            if self.bug == Some(Bug::TombstoneIgnored) && self.is_begun_beside_tombstone(&applied) {
                continue;
            }
            self.shard.handle(clock, Event::Applied(Box::new(applied)));
        }
        for begun in out.snapshots {
            if self.odd.reaches(Site::NotSent) {
                let (group, peer, to) = (begun.group, begun.peer, begun.to);
                self.shard.handle(clock, Event::SnapshotEnded { group, peer, to });
                continue;
            }
            let mut out = CourierEffects::default();
            self.courier.begin(clock, begun, &mut out);
            self.carry_courier(clock, Ok(()), out, wants)?;
        }
        Ok(())
    }

    /// Whether a group has begun where its peer is buried.
    fn is_begun_beside_tombstone(&self, applied: &Applied) -> bool {
        let key = [&b"g"[..], &applied.group.get().to_be_bytes()].concat();
        let record = self.engine.view().get(Cf::Meta, &key).expect("a healthy disk can be read");
        matches!(applied.done, Done::Spawned(_)) && record.is_some_and(|record| is_buried(&record))
    }

    /// Drains the shard until it wants nothing more.
    pub(crate) fn turn(&mut self, clock: Time, wants: &mut Wants) -> Result<(), Died> {
        loop {
            let mut effects = std::mem::take(&mut self.effects);
            self.shard.drain(clock, &mut effects);
            if effects.is_empty() {
                self.effects = effects;
                return Ok(());
            }
            for (group, grant) in effects.leases.drain(..) {
                match grant {
                    Some(grant) => self.leases.insert(group, grant),
                    None => self.leases.remove(&group),
                };
            }
            for (store, envelopes) in effects.sends.drain(..) {
                self.detector.watch(store);
                let parcels = self.parcels(envelopes);
                wants.sends.extend(parcels.into_iter().map(|parcel| (store, parcel)));
            }
            if let Some(write) = effects.write.take() {
                if self.bug == Some(Bug::AckBeforeWrite) {
                    self.shard.handle(clock, Event::Persisted(write.number));
                }
                self.writes.push_back(write);
            }
            for mut task in effects.apply.drain(..) {
                if self.bug == Some(Bug::AnsweredEarly) {
                    wants.answers.append(&mut answered_early(&mut task));
                }
                self.withhold(&mut task.work);
                self.applier.push(task);
            }
            wants.fetches.append(&mut effects.fetches);
            wants.answers.append(&mut effects.replies);
            wants.standings.append(&mut effects.standings);
            for effect in std::mem::take(&mut effects.snapshots) {
                self.snapshot(clock, effect, wants)?;
            }
            self.effects = effects;
        }
    }

    fn snapshot(
        &mut self,
        clock: Time,
        effect: SnapshotEffect,
        wants: &mut Wants,
    ) -> Result<(), Died> {
        let mut out = CourierEffects::default();
        let done = match effect {
            SnapshotEffect::Receive { from, ref frame, .. }
                if self.refuses(from, frame, &mut out) =>
            {
                Ok(())
            }
            SnapshotEffect::Receive { from, frame, offer } => {
                self.courier.receive(clock, from, frame, offer, &mut out)
            }
            SnapshotEffect::Answer(store, frame) => {
                out.sends.push((store, frame));
                Ok(())
            }
            SnapshotEffect::Discard(group) => self.courier.reject(group),
            SnapshotEffect::Taken(group) => {
                self.courier.taken_over(group);
                Ok(())
            }
        };
        self.carry_courier(clock, done, out, wants)
    }
}

/// The callers of a task, answered before it is done.
fn answered_early(task: &mut ApplyTask) -> Vec<(Token, Outcome)> {
    let Work::Entries { entries: Some(entries), tokens, .. } = &mut task.work else {
        return Vec::new();
    };
    let command = |index| {
        entries.iter().find_map(|entry| match &entry.payload {
            Payload::Command(command) if entry.id.index == index => Some(command.clone()),
            _ => None,
        })
    };
    let answer = |(index, token)| Some((token, Outcome::Applied { index, reply: command(index)? }));
    tokens.drain(..).filter_map(answer).collect()
}
