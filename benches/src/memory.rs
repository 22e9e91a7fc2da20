//! What is counted rather than timed: memory of idle replicas; allocations, bytes and messages per
//! proposal.
//!
//! Counts repeat exactly, so each is taken once. A replica's memory is what dropping it gives back
//! plus the size of its struct; the core and the log store it needs are listed apart.
//!
//! Not here: the allocator that counts; it belongs to the program `raft-bench-alloc`.

use crate::contender::{Cluster, Contender, Footprint, Role};
use crate::counts::Counter;
use crate::report::{Better, Row};

/// Groups over which a footprint is averaged; each store leads a third.
const FOOTPRINT_GROUPS: usize = 999;

/// Rounds over which a proposal's cost is averaged.
const ROUNDS: usize = 1024;

/// All counted rows whose name contains `only`.
pub fn rows(contenders: &[Box<dyn Contender>], counter: Counter, only: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for (role, name) in [(Role::Follower, "follower"), (Role::Leader, "leader")] {
        rows.extend(footprint(contenders, counter, role, name));
    }
    for per_drain in [1, 64] {
        rows.extend(proposal(contenders, counter, per_drain));
    }
    rows.retain(|row| row.name.contains(only));
    rows
}

fn footprint(
    contenders: &[Box<dyn Contender>],
    counter: Counter,
    role: Role,
    role_name: &str,
) -> [Row; 4] {
    let footprint = contenders.iter().map(|c| c.footprint(role, FOOTPRINT_GROUPS, counter));
    let footprints: Vec<Footprint> = footprint.collect();
    let row = |part: &str, unit: &str, get: fn(&Footprint) -> f64| {
        let name = format!("memory/{role_name}/{part}/{unit}");
        row(name, unit, footprints.iter().map(get).collect())
    };
    [
        row("core", "bytes", |f| f.core_bytes),
        row("core", "allocations", |f| f.core_allocations),
        row("storage", "bytes", |f| f.storage_bytes),
        row("storage", "allocations", |f| f.storage_allocations),
    ]
}

/// Cost of one proposal, all three replicas together.
fn proposal(contenders: &[Box<dyn Contender>], counter: Counter, per_drain: usize) -> [Row; 3] {
    let proposals = (per_drain * ROUNDS) as f64;
    let mut values = [const { Vec::new() }; 3];
    for contender in contenders {
        let mut cluster = contender.cluster(1);
        // Let vectors reach their usual size first.
        run_rounds(cluster.as_mut(), per_drain);
        let messages = cluster.tally().messages;
        let counts = counter(&mut || run_rounds(cluster.as_mut(), per_drain));
        let messages = cluster.tally().messages - messages;
        for (values, count) in values.iter_mut().zip([counts.allocations, counts.bytes, messages]) {
            values.push(count as f64 / proposals);
        }
    }
    let [allocations, bytes, messages] = values;
    let row = |unit: &str, values| {
        row(format!("proposal/bytes=16/drain={per_drain}/{unit}"), unit, values)
    };
    [row("allocations", allocations), row("bytes", bytes), row("messages", messages)]
}

fn run_rounds(cluster: &mut dyn Cluster, per_drain: usize) {
    for _ in 0..ROUNDS {
        cluster.propose_round(per_drain, &[7; 16]);
    }
    cluster.settle();
}

fn row(name: String, unit: &str, values: Vec<f64>) -> Row {
    let turns = values.into_iter().map(|value| vec![value]).collect();
    Row { name, unit: unit.to_owned(), better: Better::Lower, turns }
}
