//! The list of timed measurements.
//!
//! Each measurement builds one cluster per contender, lets `measure` interleave them, and turns the
//! times into a `Row`. Names are paths (`propose/groups=1/bytes=16/drain=64`), so `--only` can pick
//! by any part.
//!
//! Invariant: contenders did the same work, or the suite stops (`check_work`).
//!
//! Not here: what is counted rather than timed (`memory`).

use std::time::Duration;

use crate::contender::{Cluster, Contender, REPLICAS, touch};
use crate::measure::{Plan, Subject, interleaved};
use crate::report::{Better, Row};

/// Replicas on one store in the idle measurement; a third of them lead.
const IDLE_REPLICAS: usize = 100_000;

/// Rounds between two `settle`s in a timed iteration.
const ROUNDS: usize = 64;

/// What to run and how.
pub struct Suite<'a> {
    /// Columns of the table.
    pub contenders: &'a [Box<dyn Contender>],
    /// Turns and their length.
    pub plan: Plan,
    /// Fewer replicas in the idle measurement, scaled up in the result.
    pub is_quick: bool,
    /// Run only rows whose name contains this.
    pub only: Option<String>,
    /// Told of each row as soon as it is known.
    pub on_row: fn(&Row),
}

type Work = dyn Cluster;

type Clusters = Vec<Box<Work>>;

impl Suite<'_> {
    /// Runs every selected measurement, in the order of the table.
    pub fn run(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for bytes in [16, 256] {
            for per_drain in [1, 8, 64, 256] {
                self.propose(&mut rows, 1, bytes, per_drain);
            }
            self.propose(&mut rows, 1000, bytes, 64);
        }
        for groups in [1, 1000] {
            self.heartbeat(&mut rows, groups);
        }
        self.idle(&mut rows);
        rows
    }

    fn is_selected(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|pattern| name.contains(pattern))
    }

    fn clusters(&self, groups: usize) -> Clusters {
        self.contenders.iter().map(|contender| contender.cluster(groups)).collect()
    }

    /// `convert` turns the nanoseconds of one iteration into the row's unit.
    fn push(
        &self,
        rows: &mut Vec<Row>,
        (name, unit, better): (String, &str, Better),
        times: Vec<Vec<f64>>,
        convert: impl Fn(f64) -> f64,
    ) {
        let convert_turns = |turns: Vec<f64>| turns.into_iter().map(&convert).collect();
        let turns = times.into_iter().map(convert_turns).collect();
        let row = Row { name, unit: unit.to_owned(), better, turns };
        (self.on_row)(&row);
        rows.push(row);
    }

    fn time(&self, plan: Plan, clusters: &mut Clusters, work: impl Fn(&mut Work)) -> Vec<Vec<f64>> {
        let work = &work;
        let subject = |cluster| -> Subject<'_> { repeat(cluster, work) };
        let mut subjects: Vec<Subject<'_>> = clusters.iter_mut().map(subject).collect();
        interleaved(plan, &mut subjects)
    }

    fn propose(&self, rows: &mut Vec<Row>, groups: usize, bytes: usize, per_drain: usize) {
        let name = format!("propose/groups={groups}/bytes={bytes}/drain={per_drain}");
        if !self.is_selected(&name) {
            return;
        }
        let payload = vec![7; bytes];
        let rounds = if groups == 1 { ROUNDS } else { 2 };
        let mut clusters = self.clusters(groups);
        let times = self.time(self.plan, &mut clusters, |cluster| {
            for _ in 0..rounds {
                cluster.propose_round(per_drain, &payload);
            }
            cluster.settle();
        });
        check_work(&mut clusters, groups * per_drain, per_drain, &payload);
        let proposals = (groups * per_drain * rounds) as f64;
        let row = (name, "commits/s", Better::Higher);
        self.push(rows, row, times, |ns| proposals * 1e9 / ns);
    }

    fn heartbeat(&self, rows: &mut Vec<Row>, groups: usize) {
        let name = format!("heartbeat/groups={groups}");
        if !self.is_selected(&name) {
            return;
        }
        let times = self.time(self.plan, &mut self.clusters(groups), Cluster::heartbeat_round);
        let row = (name, "ns/group", Better::Lower);
        self.push(rows, row, times, |ns| ns / groups as f64);
    }

    fn idle(&self, rows: &mut Vec<Row>) {
        let name = format!("idle-minute/replicas={IDLE_REPLICAS}");
        if !self.is_selected(&name) {
            return;
        }
        let scale = if self.is_quick { 10 } else { 1 };
        let groups = IDLE_REPLICAS / scale / REPLICAS;
        let runs = if self.is_quick { 1 } else { 3 };
        let plan = Plan { runs, run_min: Duration::ZERO };
        let times = self.time(plan, &mut self.clusters(groups), Cluster::idle_minute);
        let row = (name, "CPU s", Better::Lower);
        self.push(rows, row, times, |ns| ns * scale as f64 / 1e9);
    }
}

fn repeat<'a>(cluster: &'a mut Box<Work>, work: &'a dyn Fn(&mut Work)) -> Subject<'a> {
    Box::new(move |iterations| (0..iterations).for_each(|_| work(cluster.as_mut())))
}

/// One more round on each cluster must apply each payload on each replica, no more and no less.
fn check_work(clusters: &mut Clusters, proposals: usize, per_drain: usize, payload: &[u8]) {
    let applied = (proposals * REPLICAS) as u64;
    let checksum = touch(payload) * applied;
    for cluster in clusters {
        let before = cluster.tally();
        cluster.propose_round(per_drain, payload);
        cluster.settle();
        let after = cluster.tally();
        assert_eq!(after.applied - before.applied, applied, "payloads applied");
        assert_eq!(after.checksum.wrapping_sub(before.checksum), checksum, "bytes applied");
    }
}
