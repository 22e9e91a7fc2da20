//! What a run of a whole cluster is like, drawn from the seed.

use std::time::Duration;

use kv::split::SplitConfig;
use placement::scheduler::SchedulerConfig;
use raft_world::Rng;
use types::{ApiVersion, Time};

use crate::fate::Network;
use crate::minimise::Extent;
use crate::odd::{SITES, Sites};
use crate::plan::MS;
use crate::trim::{Class, Shape, Size, Trim, with_sites};

/// What can be left out of a run.
pub(crate) const SHAPE: Shape = Shape {
    classes: &with_sites::<25, { 25 + SITES }>([
        Class::Crashes,
        Class::Cuts,
        Class::Stalls,
        Class::Pauses,
        Class::SyncFaults,
        Class::Loss,
        Class::Twice,
        Class::Overtakes,
        Class::SlowLinks,
        Class::SlowDisks,
        Class::SlowLanes,
        Class::SlowLooks,
        Class::Drift,
        Class::SmallLimits,
        Class::Absence,
        Class::Drains,
        Class::Joins,
        Class::Splits,
        Class::Reads,
        Class::Deletes,
        Class::Cas,
        Class::Scans,
        Class::RangeDeletes,
        Class::Stamps,
        Class::Times,
    ]),
    sizes: &[(Size::Clients, 1), (Size::Keys, 1)],
};

/// What a run is drawn from: not the numbers of the run of groups alone with the same seed.
pub(crate) fn salted(seed: u64) -> u64 {
    seed ^ 0x77_4f1e
}

/// The plan of a run. Chances are per mille.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub founders: usize,
    /// Stores that join later.
    pub joiners: usize,
    pub clients: usize,
    /// Keys that clients use.
    pub keys: u64,
    pub api: ApiVersion,
    pub safety_until: Time,
    /// Bounds of the delay of a parcel or message.
    pub delay: (u64, u64),
    pub loss: u64,
    /// Parcels that arrive twice.
    pub twice: u64,
    /// What overtakes what was sent before it.
    pub overtakes: u64,
    pub disk: (u64, u64),
    pub apply: (u64, u64),
    /// Between the grant of a read and its view.
    pub look: (u64, u64),
    /// Mean time between troubles of a kind; 0 for never.
    pub crashes: u64,
    pub cuts: u64,
    pub stalls: u64,
    pub pauses: u64,
    pub sync_faults: u64,
    /// Mean time between changes of the settings that leases rest on; 0 for never.
    pub resets: u64,
    /// When a store goes, and stays away until its replicas are given up.
    pub loses_at: Option<Time>,
    /// When a store begins to be drained.
    pub drains_at: Option<Time>,
    /// Mean pause of a client between two operations.
    pub think: u64,
    pub drift_ppm: u64,
    pub split: SplitConfig,
    /// Regions beyond which none is cut.
    pub regions_max: usize,
    /// Whether limits are small.
    pub small: bool,
    /// What is odd.
    pub odd: Sites,
}

impl Plan {
    /// The plan of a seed.
    pub(crate) fn drawn(seed: u64) -> Plan {
        Plan::draw(&mut Rng::new(salted(seed)))
    }

    /// How large the run is.
    pub(crate) fn extent(&self) -> Extent {
        Extent {
            until_ms: self.safety_until.0 / MS,
            sizes: vec![(Size::Clients, self.clients as u64), (Size::Keys, self.keys)],
        }
    }

    fn draw(rng: &mut Rng) -> Plan {
        let mut trouble = |mean_ms: u64| if rng.chance(500) { mean_ms * MS } else { 0 };
        let (crashes, cuts) = (trouble(3_000), trouble(4_000));
        let (stalls, pauses) = (trouble(5_000), trouble(4_000));
        let sync_faults = trouble(15_000);
        let joiners = rng.between((0, 2));
        let safety = rng.between((16_000, 26_000)) * MS;
        let is_lost = joiners > 0 && rng.chance(500);
        let is_drained = joiners > 0 && !is_lost && rng.chance(600);
        let slow = rng.chance(200);
        Plan {
            founders: 3,
            joiners: usize::try_from(joiners).expect("few"),
            clients: usize::try_from(rng.between((3, 5))).expect("few"),
            keys: rng.between((16, 40)),
            api: if rng.chance(500) { ApiVersion::V2 } else { ApiVersion::V1 },
            safety_until: Time(safety),
            delay: (MS / 10, rng.between((1, 15)) * MS),
            loss: if rng.chance(500) { rng.below(40) } else { 0 },
            twice: if rng.chance(500) { rng.below(40) } else { 0 },
            overtakes: if rng.chance(300) { rng.below(100) } else { 0 },
            disk: (MS / 10, if slow { 25 } else { 3 } * MS),
            apply: (MS / 50, if rng.chance(250) { 60 } else { 2 } * MS),
            look: (0, if rng.chance(250) { 2_000 } else { 3 } * MS),
            crashes,
            cuts,
            stalls,
            pauses,
            sync_faults,
            loses_at: is_lost.then_some(Time(5_000 * MS)),
            drains_at: is_drained.then_some(Time(rng.between((6_000, 9_000)) * MS)),
            think: rng.between((2, 25)) * MS,
            drift_ppm: rng.below(400),
            split: SplitConfig {
                max_bytes: rng.between((300, 900)),
                target_bytes: 200,
                max_keys: rng.between((4, 10)),
                batch_max: usize::try_from(rng.between((1, 3))).expect("few"),
            },
            regions_max: usize::try_from(rng.between((8, 24))).expect("few"),
            small: rng.chance(300),
            resets: if rng.chance(250) { 5_000 * MS } else { 0 },
            odd: Sites::default(),
        }
    }

    /// Leaves out what is to be left out, and is drawn once for all of the run.
    pub(crate) fn trim(&mut self, trim: &Trim) {
        if let Some(until) = trim.until_ms {
            self.safety_until = self.safety_until.min(Time(until * MS));
        }
        let clients = trim.size(Size::Clients, self.clients as u64);
        self.clients = usize::try_from(clients).expect("fewer than were drawn");
        self.keys = trim.size(Size::Keys, self.keys);
        trim.cut_rates([
            (Class::Crashes, &mut self.crashes),
            (Class::Cuts, &mut self.cuts),
            (Class::Stalls, &mut self.stalls),
            (Class::Pauses, &mut self.pauses),
            (Class::SyncFaults, &mut self.sync_faults),
            (Class::Times, &mut self.resets),
            (Class::Loss, &mut self.loss),
            (Class::Twice, &mut self.twice),
            (Class::Overtakes, &mut self.overtakes),
            (Class::Drift, &mut self.drift_ppm),
        ]);
        trim.bound([
            (Class::SlowLinks, &mut self.delay, MS),
            (Class::SlowDisks, &mut self.disk, 3 * MS),
            (Class::SlowLanes, &mut self.apply, 2 * MS),
            (Class::SlowLooks, &mut self.look, 3 * MS),
        ]);
        self.loses_at.take_if(|_| !trim.has(Class::Absence));
        self.drains_at.take_if(|_| !trim.has(Class::Drains));
        if !trim.has(Class::Joins) {
            self.joiners = 0;
            // Without another store there is no place for what they have.
            (self.loses_at, self.drains_at) = (None, None);
        }
        if !trim.has(Class::Splits) {
            self.regions_max = 0;
        }
        self.small &= trim.has(Class::SmallLimits);
    }

    /// What the network does.
    pub(crate) fn network(&self) -> Network {
        let Plan { delay, loss, twice, overtakes, .. } = *self;
        Network { delay, loss, twice, overtakes }
    }

    /// Everything heals.
    pub(crate) fn heal(&mut self) {
        (self.loss, self.twice, self.overtakes) = (0, 0, 0);
        self.delay = (MS / 10, 2 * MS);
        self.disk = (MS / 10, 2 * MS);
        self.apply = (MS / 50, MS);
        self.odd.calm();
        self.look = (0, MS);
    }

    /// Settings of planning, scaled to the length of a run.
    pub(crate) fn scheduler(&self) -> SchedulerConfig {
        SchedulerConfig {
            silent_after: Duration::from_secs(2),
            down_after: Duration::from_secs(5),
            joint_after: Duration::from_secs(4),
            resend_after: Duration::from_secs(1),
            step_timeout: Duration::from_secs(8),
            fill_timeout: Duration::from_secs(10),
            retry_after: Duration::from_secs(2),
            prepared_after: Duration::from_secs(15),
            ..SchedulerConfig::default()
        }
    }
}
