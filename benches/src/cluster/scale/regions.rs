//! Three nodes with many regions beside three with few: what callers get, and what it costs.

use std::path::Path;
use std::time::{Duration, Instant};

use client::Client;
use load::{Target, Workload, processes};
use tokio::runtime::Handle;

use super::plot::Plot;
use super::{CALM, FEW, KEYS, Plan, cpu_us, per_second};
use crate::cluster::crib::Crib;
use crate::cluster::nodes::Node;
use crate::cluster::watch::ms;
use crate::cluster::{Result, Settings, turn};
use crate::meters::resident_bytes_of;
use crate::report::Better;
use crate::table::Row;

/// How long nothing is counted at the beginning of a turn.
const WARM: Duration = Duration::from_millis(300);
/// Replicas of each region.
const REPLICAS: usize = 3;

/// One of the two clusters.
struct Side<'a> {
    crib: Crib<'a>,
    client: Client,
    regions: usize,
    /// How long cutting took, and dealing out leaders.
    cut: [Duration; 2],
}

impl<'a> Side<'a> {
    fn start(
        settings: &'a Settings,
        runtime: &Handle,
        dir: &Path,
        regions: usize,
    ) -> Result<Side<'a>> {
        let mut crib = Crib::start(settings, dir, &[])?;
        let client = crib.client(runtime, true)?;
        turn::fill(runtime, &Target::Crib(client.clone()), KEYS)?;
        let cut = crib.cut(runtime, &client, regions, KEYS)?;
        crib.wait_well()?;
        Ok(Side { crib, client, regions, cut })
    }

    fn pids(&self) -> Vec<u32> {
        self.crib.nodes.iter().filter_map(Node::pid).collect()
    }

    fn resident_bytes(&self) -> Result<f64> {
        let sum: Option<f64> = self.pids().into_iter().map(resident_bytes_of).sum();
        sum.ok_or_else(|| "memory of a node could not be read".to_owned())
    }

    fn cpu(&self) -> Result<Duration> {
        processes::cpu_of_all(&self.pids()).ok_or_else(|| "CPU of a node is not known".to_owned())
    }
}

/// Measures clusters of so many regions and of few.
///
/// # Errors
/// If a cluster is not well, a call fails, or a figure could not be had.
pub(super) fn run(
    settings: &Settings,
    runtime: &Handle,
    (part, count): (&str, usize),
    plot: &mut Plot,
    show: &mut dyn FnMut(Row),
) -> Result<()> {
    let plan = Plan::of(settings);
    let dir = tempfile::tempdir_in(&settings.dir).map_err(|error| error.to_string())?;
    let mut sides = [
        Side::start(settings, runtime, &dir.path().join("many"), count)?,
        Side::start(settings, runtime, &dir.path().join("few"), FEW)?,
    ];
    let lower = |name: &str, unit, [ours, peer]: [Vec<f64>; 2]| Row {
        name: format!("{part}/{name}"),
        unit,
        better: Better::Lower,
        ours,
        peer,
    };
    for (nth, name) in ["cutting", "dealing-leaders"].into_iter().enumerate() {
        let took = [0, 1].map(|side: usize| vec![sides[side].cut[nth].as_secs_f64()]);
        show(lower(name, "s", took));
    }
    std::thread::sleep(CALM);
    // The others can be had without it.
    let memory = memory_kib(&sides)
        .map(|kib| show(Row::alone(format!("{part}/memory-of-a-replica"), "KiB", kib)));
    let rest = at_rest(&plan, &sides)?.map(|share| vec![1e3 * share]);
    show(lower("cpu-at-rest", "ms/s", rest));
    for workload in [Workload::put(), Workload::get()] {
        let mut rates = [Vec::new(), Vec::new()];
        let mut cpu = [Vec::new(), Vec::new()];
        for nth in 0..plan.turns {
            for (side, of) in sides.iter_mut().enumerate() {
                let turn = plan.turn(&workload, WARM, nth);
                let target = Target::Crib(of.client.clone());
                let measured =
                    turn::run(runtime, &target, &turn, &of.crib.nodes).map_err(|why| {
                        format!("{} with {} regions: {why}", workload.name, of.regions)
                    })?;
                of.crib.check_well()?;
                rates[side].push(per_second(&measured));
                cpu[side].push(cpu_us(measured.servers_cpu, &measured));
            }
        }
        let name = &workload.name;
        let rate = Row { better: Better::Higher, ..lower(&format!("{name}/rate"), "ops/s", rates) };
        if let Some([_, middle, _]) = rate.ratio() {
            plot.regions(name, count as f64 / FEW as f64, middle);
        }
        show(rate);
        show(lower(&format!("{name}/server-cpu"), "us/op", cpu));
    }
    show(lower("restart-until-well", "ms", restarts(&plan, &mut sides)?));
    memory
}

/// What a replica takes of memory, in KiB: by how much more the nodes with many regions have in use
/// than those with few, which have done and hold the same otherwise.
fn memory_kib([many, few]: &[Side; 2]) -> Result<f64> {
    let more = many.resident_bytes()? - few.resident_bytes()?;
    let replicas = REPLICAS * (many.regions - few.regions);
    if more <= 0.0 {
        return Err(
            "the memory of so few regions cannot be told from what nodes vary by".to_owned()
        );
    }
    Ok(more / replicas as f64 / 1_024.0)
}

/// CPU of all nodes of each cluster that nobody calls, in seconds a second.
fn at_rest(plan: &Plan, sides: &[Side; 2]) -> Result<[f64; 2]> {
    let [many, few] = sides;
    let (begun, before) = (Instant::now(), [many.cpu()?, few.cpu()?]);
    std::thread::sleep(plan.rest);
    let (took, after) = (begun.elapsed(), [many.cpu()?, few.cpu()?]);
    Ok([0, 1].map(|nth: usize| (after[nth] - before[nth]).as_secs_f64() / took.as_secs_f64()))
}

/// How long it takes from the start of a node that was killed, and missed, until the cluster says
/// that it is well, in milliseconds.
fn restarts(plan: &Plan, sides: &mut [Side; 2]) -> Result<[Vec<f64>; 2]> {
    let mut took = [Vec::new(), Vec::new()];
    for nth in 0..plan.restarts {
        let victim = nth % REPLICAS;
        // Both wait until they are missed at the same time; each then has the machine to itself.
        sides.iter_mut().for_each(|side| side.crib.nodes[victim].kill());
        sides.iter().try_for_each(|side| side.crib.wait_unwell())?;
        for at in [nth % 2, (nth + 1) % 2] {
            let begun = Instant::now();
            sides[at].crib.nodes[victim].again()?;
            sides[at].crib.wait_well()?;
            took[at].push(ms(begun.elapsed()));
        }
        std::thread::sleep(CALM);
    }
    Ok(took)
}
