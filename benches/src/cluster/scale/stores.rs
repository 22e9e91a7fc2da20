//! How throughput grows with stores that have a machine each: the model, fed with what operations
//! cost here.
//!
//! What they cost is measured on one cluster. As it is born, all keys lie in one region: one node
//! leads, two follow, and each is a process whose CPU is known. That is how the costs are split.
//! Then it is cut into ten regions that are led from all nodes, where an operation costs more,
//! since batches are smaller. That is what is split.

use std::time::Duration;

use load::{Target, Workload, processes};
use tokio::runtime::Handle;

use super::plot::Plot;
use super::{CALM, FEW, KEYS, Plan, cpu_us, per_second};
use crate::cluster::crib::{self, Crib};
use crate::cluster::nodes::Node;
use crate::cluster::{Result, Settings, turn};
use crate::measure::median;
use crate::model::{self, Costs, Deal, Operation, Pick};
use crate::report::Better;
use crate::table::Row;

/// Stores of the curve. All are compared with the first.
const STORES: [usize; 3] = [3, 6, 9];
/// Deals of regions, and choices of keys, that each point is calculated for.
const SEEDS: u64 = 5;
/// Callers of the model for each store: enough to keep its cores busy.
const CALLERS_EACH: usize = 256;

/// The cluster of the model but for what is varied.
fn assumed(costs: Costs, is_quick: bool) -> model::Settings {
    model::Settings {
        stores: STORES[0],
        cores: 2,
        // A disk at rest here; its sync is shared by all puts that wait.
        sync: Duration::from_micros(400),
        hop: Duration::from_micros(50),
        regions: 1_000,
        keys: 1_000_000,
        deal: Deal::Balanced,
        callers: CALLERS_EACH * STORES[0],
        operation: Operation::Put,
        pick: Pick::Uniform,
        costs,
        warm: Duration::from_millis(50),
        span: Duration::from_millis(if is_quick { 100 } else { 400 }),
    }
}

/// Measures what operations cost, and lets the model work with it.
///
/// # Errors
/// If the cluster is not well, a call fails, or the region is led by another node meanwhile.
pub(super) fn run(
    settings: &Settings,
    runtime: &Handle,
    plot: &mut Plot,
    show: &mut dyn FnMut(Row),
) -> Result<()> {
    let costs = measure(settings, runtime, show)?;
    for operation in [Operation::Put, Operation::Get] {
        for pick in [Pick::Uniform, Pick::Zipfian] {
            for deal in [Deal::Balanced, Deal::Random] {
                let load =
                    model::Settings { operation, pick, deal, ..assumed(costs, settings.is_quick) };
                curve(&load, plot, show);
            }
        }
    }
    Ok(())
}

/// CPU of each node for an operation of a turn, in microseconds.
fn turn_cpu_us(
    runtime: &Handle,
    crib: &mut Crib,
    (target, turn): (&Target, &turn::Turn),
) -> Result<Vec<f64>> {
    let cpu = |crib: &Crib| -> Vec<Option<Duration>> {
        let pids = crib.nodes.iter().map(Node::pid);
        pids.map(|pid| processes::cpu_of_all(&[pid?])).collect()
    };
    let before = cpu(crib);
    // All that callers do is counted: nothing runs before the span.
    let measured = turn::run(runtime, target, turn, &crib.nodes)?;
    let after = cpu(crib);
    crib.check_well()?;
    let used = after.iter().zip(&before).map(|(after, before)| (*after)?.checked_sub((*before)?));
    let all: Vec<f64> = used.map(|used| cpu_us(used, &measured)).collect();
    if all.iter().all(|us| us.is_finite()) && per_second(&measured) > 0.0 {
        Ok(all)
    } else {
        Err("CPU of a node is not known".to_owned())
    }
}

/// What operations cost the node that leads and those that follow.
fn measure(settings: &Settings, runtime: &Handle, show: &mut dyn FnMut(Row)) -> Result<Costs> {
    let plan = Plan::of(settings);
    let dir = tempfile::tempdir_in(&settings.dir).map_err(|error| error.to_string())?;
    let mut crib = Crib::start(settings, dir.path(), &[])?;
    let client = crib.client(runtime, true)?;
    let target = Target::Crib(client.clone());
    turn::fill(runtime, &target, KEYS)?;
    std::thread::sleep(CALM);
    let (_, store) = crib::only_leader(runtime, &client)?;
    let leads = |nth: usize| crib::store_id(nth).get() == store;
    let turns_of = |crib: &mut Crib, workload: &Workload| -> Result<Vec<Vec<f64>>> {
        // The first is not counted.
        let turn = |nth| plan.turn(workload, Duration::ZERO, nth);
        turn::run(runtime, &target, &turn(plan.turns), &crib.nodes)?;
        (0..plan.turns).map(|nth| turn_cpu_us(runtime, crib, (&target, &turn(nth)))).collect()
    };
    let workloads = [Workload::put(), Workload::get()];
    let mut parts = Vec::new();
    for workload in &workloads {
        let turns = turns_of(&mut crib, workload)?;
        let leader =
            |of: &Vec<f64>| (0..of.len()).filter(|nth| leads(*nth)).map(|nth| of[nth]).sum();
        let leader: Vec<f64> = turns.iter().map(leader).collect();
        let both = |(of, leader): (&Vec<f64>, &f64)| (of.iter().sum::<f64>() - leader) / 2.0;
        let follower: Vec<f64> = turns.iter().zip(&leader).map(both).collect();
        parts.push([leader, follower]);
    }
    if crib::only_leader(runtime, &client)?.1 != store {
        return Err("the region was led by another node meanwhile".to_owned());
    }
    crib.cut(runtime, &client, FEW, KEYS)?;
    std::thread::sleep(CALM);
    let mut split = Vec::new();
    for (workload, [leader, follower]) in workloads.iter().zip(parts) {
        let spread = turns_of(&mut crib, workload)?;
        let whole: Vec<f64> = spread.iter().map(|of| of.iter().sum()).collect();
        let sums = leader.iter().zip(&follower).map(|(leader, other)| leader + 2.0 * other);
        split.push(Split::of(median(&whole), median(&leader), median(&follower)));
        let row = |what: &str, ours: Vec<f64>, peer: Vec<f64>| Row {
            name: format!("scale/cost/{}/{what}", workload.name),
            unit: "us/op",
            better: Better::Lower,
            ours,
            peer,
        };
        show(row("all-of-ten-regions", whole, sums.collect()));
        show(row("leader-of-one", leader, Vec::new()));
        show(row("follower-of-one", follower, Vec::new()));
    }
    let [put, get] = &split[..] else {
        return Err("not every operation was measured".to_owned());
    };
    Ok(Costs { put_leader: put.leader, put_follower: put.follower, get: get.leader })
}

/// What an operation costs each store that has its region.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Split {
    leader: Duration,
    follower: Duration,
}

impl Split {
    /// The whole, split as a leader and two followers share their sum; all in microseconds.
    fn of(whole: f64, leader: f64, follower: f64) -> Split {
        let part = |of: f64| Duration::from_secs_f64(whole * of / (leader + 2.0 * follower) / 1e6);
        Split { leader: part(leader), follower: part(follower) }
    }
}

/// One curve of the model, by the number of stores.
fn curve(load: &model::Settings, plot: &mut Plot, show: &mut dyn FnMut(Row)) {
    let operation = match load.operation {
        Operation::Put => "put",
        Operation::Get => "get",
    };
    let pick = match load.pick {
        Pick::Uniform => "uniform",
        Pick::Zipfian => "zipfian",
    };
    let deal = match load.deal {
        Deal::Balanced => "balanced",
        Deal::Random => "random",
    };
    let mut first: Option<[Vec<f64>; 3]> = None;
    for stores in STORES {
        let load = model::Settings { stores, callers: CALLERS_EACH * stores, ..load.clone() };
        let outcomes: Vec<model::Outcome> =
            (1..=SEEDS).map(|seed| model::run(&load, seed)).collect();
        let of = |what: fn(&model::Outcome) -> f64| outcomes.iter().map(what).collect::<Vec<f64>>();
        let all = [of(|of| of.per_second), of(|of| of.p99_us), of(|of| of.placed.room())];
        let peers = first.get_or_insert_with(|| all.clone()).clone();
        let row = |what: &str, unit, better, nth: usize| Row {
            name: format!("scale/model/stores={stores}/{operation}/{pick}/{deal}/{what}"),
            unit,
            better,
            ours: all[nth].clone(),
            peer: peers[nth].clone(),
        };
        let rate = row("rate", "ops/s", Better::Higher, 0);
        if let Some([_, middle, _]) = rate.ratio() {
            plot.stores((operation, pick, deal), stores as f64, middle);
        }
        show(rate);
        show(row("p99", "us", Better::Lower, 1));
        // It is the same whatever is asked for.
        if (load.operation, load.pick) == (Operation::Put, Pick::Uniform) {
            show(row("room", "disks", Better::Higher, 2));
        }
        let parts: Vec<Vec<f64>> = outcomes.iter().map(|of| of.busy_shares(&load)).collect();
        let busiest = |of: &Vec<f64>| 100.0 * of.iter().copied().fold(0.0, f64::max);
        let mean = |of: &Vec<f64>| 100.0 * of.iter().sum::<f64>() / of.len() as f64;
        let ours = parts.iter().map(busiest).collect();
        let peer = parts.iter().map(mean).collect();
        show(Row { ours, peer, ..row("busiest-store", "%", Better::Lower, 0) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_is_split_as_the_parts_are() {
        let split = Split::of(120.0, 30.0, 15.0);
        assert_eq!(split.leader, Duration::from_micros(60));
        assert_eq!(split.follower, Duration::from_micros(30));
    }
}
