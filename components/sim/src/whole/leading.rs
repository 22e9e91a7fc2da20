//! One leadership of placement: what was observed since it began. Stands for `driver::lead` and
//! `driver::planning`.

use std::collections::{BTreeMap, VecDeque};

use placement::SeatWatch;
use placement::scheduler::{Cluster, Controller, Order, SchedulerConfig, StoreInfo, StoreState};
use placement::state::{Life, State};
use placement::table::{RegionReport, RegionTable, Reported};
use types::{StoreId, Term, Time};

use super::words::Place;

/// Who waits for ids.
#[derive(Clone, Debug)]
pub(crate) enum IdsFor {
    Planner(usize),
    /// For a new member of placement on this store.
    Seat(StoreId),
    Split {
        from: Place,
        serial: u64,
        count: usize,
        peers: usize,
    },
}

/// What was heard of a store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    at: Time,
    leaders: u64,
}

pub(crate) struct Lead {
    pub term: Term,
    pub(super) config: SchedulerConfig,
    since: Time,
    pub table: RegionTable,
    pub controller: Controller,
    pub stores: BTreeMap<StoreId, StoreInfo>,
    heard: BTreeMap<StoreId, Heard>,
    /// The stream of each store, and which of its messages comes next.
    pub streams: BTreeMap<StoreId, (u64, u64)>,
    pub ids: VecDeque<u64>,
    pub ids_are_asked: bool,
    pub waiting: VecDeque<IdsFor>,
    pub(super) seat_watch: SeatWatch,
}

impl Lead {
    pub(crate) fn new(config: SchedulerConfig, state: &State, term: Term, now: Time) -> Lead {
        let mut lead = Lead {
            term,
            config,
            since: now,
            table: RegionTable::new(),
            controller: Controller::new(),
            stores: BTreeMap::new(),
            heard: BTreeMap::new(),
            streams: BTreeMap::new(),
            ids: VecDeque::new(),
            ids_are_asked: false,
            waiting: VecDeque::new(),
            seat_watch: SeatWatch::default(),
        };
        lead.look_at_stores(state, now);
        lead
    }

    /// Does something with the planner and what it plans with.
    pub(crate) fn with_cluster<T>(
        &mut self,
        now: Time,
        with: impl FnOnce(&mut Controller, &Cluster<'_>) -> T,
    ) -> T {
        let here = self.stores.values().filter(|store| store.state != StoreState::Removed);
        let expected = here.map(|store| self.heard.get(&store.id).map(|heard| heard.leaders)).sum();
        let cluster = Cluster {
            table: &self.table,
            stores: &self.stores,
            config: &self.config,
            now,
            since: self.since,
            expected,
        };
        with(&mut self.controller, &cluster)
    }

    /// Hears of a store.
    pub(crate) fn hear(&mut self, store: StoreId, leaders: u64, state: &State, now: Time) {
        self.heard.insert(store, Heard { at: now, leaders });
        let was = self.stores.get(&store).map(|info| info.state);
        if was != Some(StoreState::Up) {
            self.look_at_stores(state, now);
        }
    }

    /// Takes in reports of a store; returns the orders that are due.
    pub(crate) fn report(&mut self, reports: Vec<RegionReport>, now: Time) -> (u64, Vec<Order>) {
        let mut touched = Vec::new();
        let mut taken = 0;
        for report in reports {
            let region = report.region.id;
            if let Reported::Taken { removed, .. } = self.table.report(now, report) {
                taken += 1;
                touched.push(region);
                touched.extend(removed);
            }
        }
        let orders = self.with_cluster(now, |controller, cluster| {
            touched.iter().filter_map(|&region| controller.on_report(cluster, region)).collect()
        });
        (taken, orders)
    }

    /// Looks at all stores anew.
    pub(crate) fn look_at_stores(&mut self, state: &State, now: Time) {
        let stores = state.stores.iter();
        let new = stores.map(|(&id, store)| (id, self.info(id, store.life, now))).collect();
        self.stores = new;
    }

    fn info(&self, id: StoreId, life: Life, now: Time) -> StoreInfo {
        let heard = self.heard.get(&id);
        let silent = now.since(heard.map_or(self.since, |heard| heard.at));
        let config = &self.config;
        let state = match life {
            Life::Removed => StoreState::Removed,
            Life::Draining => StoreState::Draining,
            Life::Live if silent >= config.down_after => StoreState::Down,
            Life::Live if silent >= config.silent_after => StoreState::Disconnected,
            Life::Live if heard.is_none() => StoreState::Joining,
            Life::Live => StoreState::Up,
        };
        StoreInfo { silent, ..StoreInfo::new(id, state) }
    }
}
