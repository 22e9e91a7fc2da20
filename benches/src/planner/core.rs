//! The pure core alone, in one thread: table and planner.

use std::collections::BTreeMap;
use std::time::Duration;

use cpu_time::ThreadTime;
use placement::scheduler::{Cluster, Controller, SchedulerConfig, StoreInfo, StoreState};
use placement::table::{Figure, RegionReport, RegionTable};
use types::{StoreId, Term, Time};

use super::Settings;
use super::cluster::{region, scattered, stores};
use crate::meters::resident_bytes;
use crate::report::Better;
use crate::table::Row;

/// Reports of a turn.
const REPORTS: usize = 200_000;
/// Ticks of a turn.
const TICKS: u64 = 200;

pub(super) fn run(settings: &Settings) -> Vec<Row> {
    let ids = stores(settings);
    let before = resident_bytes();
    let begun = ThreadTime::now();
    let mut table = RegionTable::new();
    for at in 0..settings.regions {
        table.report(Time::ZERO, report(settings, &ids, (at, 1)));
    }
    let regions = settings.regions as f64;
    let filled = begun.elapsed().as_secs_f64() * 1e6 / regions;
    let bytes = (resident_bytes() - before) / regions;

    let stores: BTreeMap<StoreId, StoreInfo> =
        ids.iter().map(|id| (*id, StoreInfo::new(*id, StoreState::Up))).collect();
    let controller = Controller::new();
    let mut bench = Core { settings, ids, stores, controller, now: Time::ZERO };
    let (mut alone, mut planned, mut ticks) = (Vec::new(), Vec::new(), Vec::new());
    let mut which = scattered(settings);
    for turn in 0..settings.turns as u64 {
        alone.push(bench.reports(&mut table, &mut which, (turn, false)));
        planned.push(bench.reports(&mut table, &mut which, (turn, true)));
        ticks.push(bench.ticks(&table));
    }
    let row = |name: &str, unit, ours| {
        let name = format!("core/{name}/regions={}", settings.regions);
        Row { name, unit, better: Better::Lower, ours, peer: Vec::new() }
    };
    vec![
        row("table/memory-per-region", "bytes", vec![bytes]),
        row("table/first-report", "us", vec![filled]),
        row("table/report", "us", alone),
        row("table-and-planner/report", "us", planned),
        row("planner/tick-at-rest", "us", ticks),
    ]
}

struct Core<'a> {
    settings: &'a Settings,
    ids: Vec<StoreId>,
    stores: BTreeMap<StoreId, StoreInfo>,
    controller: Controller,
    now: Time,
}

impl Core<'_> {
    /// Microseconds a report.
    fn reports(
        &mut self,
        table: &mut RegionTable,
        which: &mut impl Iterator<Item = u64>,
        (turn, is_planned): (u64, bool),
    ) -> f64 {
        // Made before the clock runs: on a store they come from the network.
        let new = |at| report(self.settings, &self.ids, (at, turn + 2));
        let reports: Vec<RegionReport> = which.take(REPORTS).map(new).collect();
        let begun = ThreadTime::now();
        for report in reports {
            let id = report.region.id;
            table.report(self.now, report);
            if is_planned {
                let config = SchedulerConfig::default();
                let cluster = cluster(table, &self.stores, &config, self.now);
                let order = self.controller.on_report(&cluster, id);
                assert_eq!(order, None, "nothing is to be moved");
            }
        }
        begun.elapsed().as_secs_f64() * 1e6 / REPORTS as f64
    }

    /// Microseconds a tick.
    fn ticks(&mut self, table: &RegionTable) -> f64 {
        let config = SchedulerConfig::default();
        let begun = ThreadTime::now();
        for _ in 0..TICKS {
            self.now = self.now.after(Duration::from_millis(500));
            let cluster = cluster(table, &self.stores, &config, self.now);
            let orders = self.controller.tick(&cluster);
            assert!(orders.is_empty(), "nothing is to be moved");
        }
        begun.elapsed().as_secs_f64() * 1e6 / TICKS as f64
    }
}

fn cluster<'a>(
    table: &'a RegionTable,
    stores: &'a BTreeMap<StoreId, StoreInfo>,
    config: &'a SchedulerConfig,
    now: Time,
) -> Cluster<'a> {
    Cluster { table, stores, config, now, since: Time::ZERO, expected: None }
}

fn report(settings: &Settings, stores: &[StoreId], (at, figure): (u64, u64)) -> RegionReport {
    let region = region(settings, stores, at);
    RegionReport {
        leader: region.peers[0],
        region,
        term: Term(1),
        down: Vec::new(),
        pending: Vec::new(),
        bytes: Figure::from((64 << 20) + figure),
        keys: Figure::from(figure),
        written_per_second: Figure::from(figure),
        read_per_second: Figure::from(figure),
    }
}
