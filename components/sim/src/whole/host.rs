//! A store of a cluster: the parts of [`Running`], its regions, and what glues them together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kv::Regions;
use multiraft::{Grant, Machines, Standing};
use parking_lot::Mutex;
use placement::StateView;
use placement::table::RegionReport;
use storage::{Engine, MemoryEngine};
use types::{ApiVersion, ClusterId, Epoch, GroupId, StoreId, Time};

use super::bugs::Planted;
use super::check::Checks;
use super::machines::HostMachines;
use super::member::Member;
use super::splits::Cutting;
use super::times::Times;
use crate::node::{Node, Running};
use crate::odd::Odd;

/// A machine that is, or will be, a store.
pub(crate) struct Host {
    /// Its `id` counts once `store` is known.
    pub node: Node,
    /// `None` before it has joined.
    pub store: Option<StoreId>,
    pub nonce: u64,
    /// How far its wall clock is ahead, in milliseconds.
    pub skew_ms: u64,
    /// It is kept away until then.
    pub away_until: Time,
    pub glue: Option<Glue>,
    /// Whom it takes for placement's leader, by its place.
    pub toward: usize,
    /// Which of the settings it has in this life, see [`super::times::Times`].
    pub times: usize,
}

/// What a store that runs knows beside its groups.
pub(crate) struct Glue {
    pub regions: Arc<Regions>,
    pub view: Arc<StateView>,
    pub standings: BTreeMap<GroupId, Standing>,
    /// Leases that readers found: what a planted bug goes on believing.
    pub leases: BTreeMap<GroupId, Grant>,
    /// What was told of regions, and what is to be told.
    pub told: BTreeMap<GroupId, Told>,
    pub reports: BTreeMap<GroupId, RegionReport>,
    pub changed: BTreeSet<GroupId>,
    pub is_urgent: bool,
    pub stream: Option<Stream>,
    /// Bytes that had been written to regions when they were measured.
    pub measured: BTreeMap<GroupId, u64>,
    pub cutting: Option<Cutting>,
    pub beat_at: Time,
    pub look_at: Time,
    pub tell_at: Time,
    pub measure_at: Time,
    pub strays_at: Time,
    /// Replicas that looked like nobody's the last time.
    pub strays: BTreeSet<GroupId>,
    /// When it last heard of placement's leader.
    pub beaten_at: Time,
    /// The first regions were begun, or need not be.
    pub is_born: bool,
    pub member: Option<Member>,
}

/// What was told of a region last.
#[derive(Clone, Copy)]
pub(crate) struct Told {
    pub epoch: Epoch,
    pub has_pending: bool,
    pub bytes: u64,
    pub written: u64,
    pub at: Time,
}

/// A stream of reports to placement's leader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    pub id: u64,
    pub to: usize,
    pub next: u64,
}

/// What a store is opened with.
pub(crate) struct Opening<'a> {
    pub times: &'a Times,
    pub api: ApiVersion,
    pub checks: &'a Arc<Mutex<Checks>>,
    pub bug: Option<Planted>,
    pub cluster: ClusterId,
}

impl Host {
    /// Milliseconds since 1970 on its clock.
    pub(crate) fn wall_ms(&self, now: Time) -> u64 {
        1_700_000_000_000 + self.skew_ms + now.0 / crate::plan::MS
    }

    /// Opens the store from its disk, as a node does when it starts.
    pub(crate) fn start(&mut self, now: Time, with: &Opening<'_>, odd: Odd) -> Result<(), String> {
        let Some(store) = self.store else { return Ok(()) };
        self.node.life += 1;
        self.times = with.times.wanted;
        let config = with.times.config();
        let engine = MemoryEngine::open(self.node.disk.clone()).map_err(|why| why.to_string())?;
        let engine: Arc<dyn Engine> = Arc::new(engine);
        let engine = match with.bug {
            Some(bug) => bug.engine(engine),
            None => engine,
        };
        let regions = Regions::new(kv::Config { store, api: with.api });
        let view = StateView::new();
        let machines = HostMachines::new(store, &regions, &view, with);
        let machines: Arc<dyn Machines> = Arc::new(machines);
        let clock = self.node.clock(now);
        let identity = (with.cluster, store);
        let mut opened = multiraft::open(config, &engine, &machines, identity, clock)
            .map_err(|why| why.to_string())?;
        if let Some((group, why)) = opened.damaged.first() {
            return Err(format!("group {group} is set aside: {why}"));
        }
        regions.sweep(&*engine, &[]).map_err(|why| why.to_string())?;
        let is_founder = store.get() < placement::state::FIRST_ID;
        self.glue = Some(Glue {
            regions,
            view,
            standings: BTreeMap::new(),
            leases: BTreeMap::new(),
            told: BTreeMap::new(),
            reports: BTreeMap::new(),
            changed: BTreeSet::new(),
            is_urgent: false,
            stream: None,
            measured: BTreeMap::new(),
            cutting: None,
            beat_at: now,
            look_at: now,
            tell_at: now,
            measure_at: now,
            strays_at: now,
            strays: BTreeSet::new(),
            beaten_at: now,
            is_born: !is_founder,
            member: Some(Member::default()),
        });
        let parts = (Arc::clone(config), engine, machines);
        self.node.up = Some(Running::new(&mut opened, parts, clock, (None, odd)));
        Ok(())
    }
}
