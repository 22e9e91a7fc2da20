//! Puts and linearizable gets of 256 bytes, and both mixed, by few and many callers, beside etcd.
//!
//! In each turn every contender has the machine for the same time, after a moment that is not
//! counted. Ours is called through the batched stream, and call by call. The peer is called through
//! all its nodes, and through its leader alone; of the two, the one with more answers in that turn
//! is what ours are compared with.

use std::time::Duration;

use load::{Measured, Target, Workload, quantile_us};
use tokio::runtime::Handle;

use super::crib::Crib;
use super::etcd::Etcd;
use super::floor::{Floor, Way};
use super::turn::{self, Turn};
use super::{Result, Settings};
use crate::report::Better;
use crate::table::Row;

const CLIENTS: [usize; 4] = [1, 16, 64, 256];

struct Plan {
    turns: usize,
    span: Duration,
    /// Before each turn, by the same callers.
    warm: Duration,
    keys: u64,
}

impl Plan {
    fn turn(&self, workload: &Workload, clients: usize, nth: usize) -> Turn {
        let Plan { span, warm, keys: records, .. } = *self;
        Turn { workload: workload.clone(), clients, warm, span, records, nth }
    }
}

/// One contender in one turn.
#[derive(Clone, Copy, Debug)]
struct Figures {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    server_us: f64,
    client_us: f64,
}

/// What is shown of it.
type Column = (&'static str, &'static str, Better, fn(&Figures) -> f64);

const COLUMNS: [Column; 5] = [
    ("rate", "ops/s", Better::Higher, |of| of.per_second),
    ("p50", "us", Better::Lower, |of| of.p50_us),
    ("p99", "us", Better::Lower, |of| of.p99_us),
    ("server-cpu", "us/op", Better::Lower, |of| of.server_us),
    ("client-cpu", "us/op", Better::Lower, |of| of.client_us),
];

/// The clusters, and the ways to call them.
struct World<'a> {
    plan: Plan,
    crib: Crib<'a>,
    etcd: Option<Etcd>,
    floor: Option<Floor>,
    ours: Vec<(&'static str, Target)>,
    peers: Vec<Target>,
    /// In the order of `ours`.
    floors: Vec<Target>,
}

/// Runs it.
///
/// # Errors
/// If a cluster is not well, or any call fails.
pub fn run(settings: &Settings, runtime: &Handle, show: &mut dyn FnMut(Row)) -> Result<()> {
    let workloads = [Workload::put(), Workload::get(), Workload::mixed(50)];
    let cases: Vec<(Workload, usize, String)> = workloads
        .iter()
        .flat_map(|of| {
            CLIENTS.map(|clients| (of.clone(), clients, format!("{}/clients={clients}", of.name)))
        })
        .filter(|(_, _, name)| settings.is_selected(name))
        .collect();
    if cases.is_empty() {
        return Ok(());
    }
    let dir = tempfile::tempdir_in(&settings.dir).map_err(|error| error.to_string())?;
    let mut world = World::start(settings, runtime, dir.path())?;
    for (workload, clients, name) in cases {
        let takes_floor = workload == Workload::put();
        let mut ours: Vec<Vec<Figures>> = vec![Vec::new(); world.ours.len()];
        let mut floors: Vec<Vec<Figures>> = vec![Vec::new(); world.floors.len()];
        let mut peer = Vec::new();
        for turn in 0..world.plan.turns {
            let turn = world.plan.turn(&workload, clients, turn);
            for (nth, of) in ours.iter_mut().enumerate() {
                of.push(world.turn_of_ours(runtime, nth, &turn)?);
            }
            for (nth, of) in floors.iter_mut().enumerate().filter(|_| takes_floor) {
                of.push(world.turn_of_floor(runtime, nth, &turn)?);
            }
            peer.extend(world.turn_of_peer(runtime, &turn)?);
        }
        for (nth, (mode, _)) in world.ours.iter().enumerate() {
            rows(&format!("{name}/{mode}"), &ours[nth], &peer).for_each(&mut *show);
            if let Some(floor) = floors.get(nth).filter(|floor| !floor.is_empty()) {
                rows(&format!("{name}/{mode}/thinnest"), floor, &peer).for_each(&mut *show);
                rows(&format!("{name}/{mode}/beside-thinnest"), &ours[nth], floor)
                    .for_each(&mut *show);
            }
        }
    }
    Ok(())
}

/// What is shown of one contender beside another.
fn rows<'a>(
    name: &str,
    ours: &'a [Figures],
    peer: &'a [Figures],
) -> impl Iterator<Item = Row> + 'a {
    let name = name.to_owned();
    COLUMNS.into_iter().map(move |(column, unit, better, of)| Row {
        name: format!("{name}/{column}"),
        unit,
        better,
        ours: ours.iter().map(of).collect(),
        peer: peer.iter().map(of).collect(),
    })
}

impl<'a> World<'a> {
    fn start(settings: &'a Settings, runtime: &Handle, dir: &std::path::Path) -> Result<World<'a>> {
        let (turns, span, keys) = if settings.is_quick {
            (3, Duration::from_millis(800), 10_000)
        } else {
            (5, Duration::from_secs(2), 100_000)
        };
        let plan = Plan { turns, span, warm: Duration::from_millis(300), keys };
        let mut crib = Crib::start(settings, &dir.join("crib"), &[])?;
        let batched = crib.client(runtime, true)?;
        crib.cut(runtime, &batched, settings.regions, keys)?;
        let ours = vec![
            ("unary", Target::Crib(crib.client(runtime, false)?)),
            ("batched", Target::Crib(batched)),
        ];
        turn::fill(runtime, &ours[1].1, keys)?;
        let (etcd, floor) = (None, None);
        let (peers, floors) = (Vec::new(), Vec::new());
        let mut world = World { plan, crib, etcd, floor, ours, peers, floors };
        if let Some(binary) = &settings.floor {
            let floor = Floor::start(settings, binary, &dir.join("floor"), runtime)?;
            for way in [Way::Unary, Way::Batched] {
                world.floors.push(floor.client(runtime, way)?);
            }
            turn::fill(runtime, &world.floors[1], keys)?;
            world.floor = Some(floor);
        }
        if let Some(binary) = &settings.etcd {
            let etcd = Etcd::start(settings, binary, &dir.join("etcd"), runtime)?;
            world.peers.push(Target::Etcd(etcd.spread(runtime)?));
            world.peers.push(Target::Etcd(etcd.direct(runtime)?));
            turn::fill(runtime, &world.peers[0], keys)?;
            world.etcd = Some(etcd);
        }
        Ok(world)
    }

    fn turn_of_ours(&mut self, runtime: &Handle, nth: usize, turn: &Turn) -> Result<Figures> {
        let (mode, target) = &self.ours[nth];
        let measured = turn::run(runtime, target, turn, &self.crib.nodes);
        let measured = measured.map_err(|why| format!("crib, {mode}: {why}"))?;
        self.crib.check_well()?;
        Ok(Figures::new(&measured))
    }

    fn turn_of_floor(&mut self, runtime: &Handle, nth: usize, turn: &Turn) -> Result<Figures> {
        let floor = self.floor.as_mut().expect("whoever is asked was started");
        let measured = turn::run(runtime, &self.floors[nth], turn, &floor.nodes);
        let measured = measured.map_err(|why| format!("the thinnest path: {why}"))?;
        floor.check_well()?;
        Ok(Figures::new(&measured))
    }

    /// The better of its two ways; none where there is no peer.
    fn turn_of_peer(&mut self, runtime: &Handle, turn: &Turn) -> Result<Option<Figures>> {
        let Some(etcd) = &mut self.etcd else { return Ok(None) };
        let mut best: Option<Figures> = None;
        for peer in &self.peers {
            let measured = turn::run(runtime, peer, turn, &etcd.nodes);
            let figures = Figures::new(&measured.map_err(|why| format!("etcd: {why}"))?);
            etcd.check_well(runtime)?;
            if best.is_none_or(|best| best.per_second < figures.per_second) {
                best = Some(figures);
            }
        }
        Ok(best)
    }
}

impl Figures {
    fn new(measured: &Measured) -> Figures {
        let tally = &measured.tally;
        let count = tally.operations() as f64;
        let all_us = tally.all_us();
        let quantile = |at| quantile_us(&all_us, at).map_or(f64::NAN, |us| us as f64);
        let cpu_us = |cpu: Option<Duration>| cpu.map_or(f64::NAN, |cpu| cpu.as_secs_f64() * 1e6);
        Figures {
            per_second: count / measured.elapsed.as_secs_f64(),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            server_us: cpu_us(measured.servers_cpu) / count,
            client_us: cpu_us(measured.client_cpu) / count,
        }
    }
}
