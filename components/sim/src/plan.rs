//! What a run is like: drawn from the seed, so that runs differ in what may go wrong.

use raft_world::Rng;
use types::Time;

use crate::fate::Network;
use crate::minimise::Extent;
use crate::odd::{SITES, Sites};
use crate::trim::{Class, Shape, Size, Trim, with_sites};

/// A millisecond of virtual time.
pub(crate) const MS: u64 = 1_000_000;

/// What can be left out of a run.
pub(crate) const SHAPE: Shape = Shape {
    classes: &with_sites::<23, { 23 + SITES }>([
        Class::Crashes,
        Class::Cuts,
        Class::Stalls,
        Class::Pauses,
        Class::SyncFaults,
        Class::FullDisks,
        Class::Nonsense,
        Class::Breaks,
        Class::Replays,
        Class::Loss,
        Class::Twice,
        Class::Overtakes,
        Class::SlowLinks,
        Class::SlowDisks,
        Class::SlowLanes,
        Class::Drift,
        Class::SmallLimits,
        Class::LargeCommands,
        Class::Reads,
        Class::Changes,
        Class::Transfers,
        Class::Ends,
        Class::Spawns,
    ]),
    sizes: &[(Size::Stores, 3), (Size::Groups, 1)],
};

/// The plan of a run. Chances are per mille.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Stores.
    pub stores: u64,
    /// Groups at the beginning.
    pub groups: u64,
    /// When things stop going wrong.
    pub safety_until: Time,
    /// Bounds of the delay of a parcel.
    pub delay: (u64, u64),
    /// Parcels that are lost.
    pub loss: u64,
    /// Parcels that arrive twice.
    pub twice: u64,
    /// Parcels that overtake.
    pub overtakes: u64,
    /// Bounds of the time a write of the log takes.
    pub disk: (u64, u64),
    /// Bounds of the pause before the apply lane goes on.
    pub apply: (u64, u64),
    /// Mean time between troubles of a kind; 0 for never.
    pub crashes: u64,
    /// Partitions.
    pub cuts: u64,
    /// Disks that stand still.
    pub stalls: u64,
    /// Processes that stand still.
    pub pauses: u64,
    /// Old messages that are delivered again, for each throw of the dice.
    pub replays: u64,
    /// Messages that make no sense, for each throw.
    pub nonsense: u64,
    /// Connections that break, for each throw.
    pub breaks: u64,
    /// Syncs that fail.
    pub sync_faults: u64,
    /// Disks that fill up.
    pub full: u64,
    /// Membership changes.
    pub changes: u64,
    /// Groups that end, for each request.
    pub retires: u64,
    /// Commands that bring a group into being, for each request.
    pub spawns: u64,
    /// Transfers of leadership.
    pub transfers: u64,
    /// Requests of callers.
    pub requests: u64,
    /// Bytes of commands.
    pub command: (u64, u64),
    /// How far clocks run fast or slow, in parts per million.
    pub drift_ppm: u64,
    /// Whether limits are small.
    pub small: bool,
    /// What is odd.
    pub odd: Sites,
}

impl Plan {
    /// The plan of a seed.
    pub(crate) fn drawn(seed: u64) -> Plan {
        let mut plan = Plan::draw(&mut Rng::new(seed));
        plan.draw_spawns(seed);
        plan
    }

    /// How large the run is.
    pub(crate) fn extent(&self) -> Extent {
        Extent {
            until_ms: self.safety_until.0 / MS,
            sizes: vec![(Size::Stores, self.stores), (Size::Groups, self.groups)],
        }
    }

    fn draw(rng: &mut Rng) -> Plan {
        let mut trouble = |mean_ms: u64| if rng.chance(600) { mean_ms * MS } else { 0 };
        let (crashes, cuts) = (trouble(1_500), trouble(2_000));
        let (stalls, sync_faults) = (trouble(3_000), trouble(9_000));
        let pauses = trouble(3_000);
        let retires = trouble(3) / MS;
        let (full, changes, transfers) = (trouble(6_000), trouble(700), trouble(1_000));
        let slow_disk = if rng.chance(300) { 40 } else { 4 };
        let slow_apply = if rng.chance(300) { 60 } else { 3 };
        Plan {
            stores: rng.between((3, 5)),
            groups: rng.between((1, 12)),
            safety_until: Time(rng.between((6_000, 14_000)) * MS),
            delay: (MS / 10, rng.between((1, 20)) * MS),
            loss: if rng.chance(500) { rng.below(80) } else { 0 },
            twice: if rng.chance(500) { rng.below(80) } else { 0 },
            overtakes: if rng.chance(300) { rng.below(200) } else { 0 },
            disk: (MS / 10, slow_disk * MS),
            apply: (MS / 50, slow_apply * MS),
            crashes,
            cuts,
            stalls,
            pauses,
            replays: 40,
            nonsense: 30,
            breaks: 10,
            retires,
            spawns: 0,
            sync_faults,
            full,
            changes,
            transfers,
            requests: rng.between((1, 20)) * MS,
            command: (8, if rng.chance(300) { 2_000 } else { 60 }),
            drift_ppm: rng.below(400),
            small: rng.chance(300),
            odd: Sites::default(),
        }
    }

    /// What the network does.
    pub(crate) fn network(&self) -> Network {
        let Plan { delay, loss, twice, overtakes, .. } = *self;
        Network { delay, loss, twice, overtakes }
    }

    /// Whether groups are parted, and how often. Drawn apart, so that other runs are as they were.
    fn draw_spawns(&mut self, seed: u64) {
        let mut rng = Rng::new(seed ^ 0x5_9a11);
        if rng.chance(600) {
            self.spawns = rng.between((3, 30));
        }
    }

    /// Leaves out what is to be left out, and is drawn once for all of the run.
    pub(crate) fn trim(&mut self, trim: &Trim) {
        if let Some(until) = trim.until_ms {
            self.safety_until = self.safety_until.min(Time(until * MS));
        }
        self.stores = trim.size(Size::Stores, self.stores);
        self.groups = trim.size(Size::Groups, self.groups);
        trim.cut_rates([
            (Class::Crashes, &mut self.crashes),
            (Class::Cuts, &mut self.cuts),
            (Class::Stalls, &mut self.stalls),
            (Class::Pauses, &mut self.pauses),
            (Class::SyncFaults, &mut self.sync_faults),
            (Class::FullDisks, &mut self.full),
            (Class::Nonsense, &mut self.nonsense),
            (Class::Breaks, &mut self.breaks),
            (Class::Replays, &mut self.replays),
            (Class::Loss, &mut self.loss),
            (Class::Twice, &mut self.twice),
            (Class::Overtakes, &mut self.overtakes),
            (Class::Drift, &mut self.drift_ppm),
            (Class::Ends, &mut self.retires),
            (Class::Spawns, &mut self.spawns),
        ]);
        trim.bound([
            (Class::SlowLinks, &mut self.delay, MS),
            (Class::SlowDisks, &mut self.disk, 4 * MS),
            (Class::SlowLanes, &mut self.apply, 3 * MS),
            (Class::LargeCommands, &mut self.command, 60),
        ]);
        self.small &= trim.has(Class::SmallLimits);
    }

    /// Everything heals.
    pub(crate) fn heal(&mut self) {
        self.loss = 0;
        self.twice = 0;
        self.overtakes = 0;
        self.delay = (MS / 10, 2 * MS);
        self.disk = (MS / 10, 2 * MS);
        self.apply = (MS / 50, MS);
        self.odd.calm();
    }
}
