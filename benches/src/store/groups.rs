//! Proposals over few and many groups, on three stores, beside three bare engines.
//!
//! Clusters of all sizes stand side by side, those that are not measured asleep. In each turn every
//! case runs once, and right after it the bare engines write as much in batches of the size that
//! the case had in that turn: proposals per sync.
//!
//! Callers are threads of this process, and their CPU is counted as ours.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use multiraft::{Config, Entry, Payload, wire};
use tempfile::TempDir;
use types::{EntryId, Index, Term};

use super::Settings;
use super::bare::Bare;
use super::cluster::{Cluster, STORES};
use super::load::{self, Load};
use crate::meters::{Probe, Used, quantile};
use crate::report::Better;
use crate::table::Row;

/// Groups, and how many proposals are under way over all of them. In the last two, many groups
/// share what few had, or each has as many as each of the few.
const CASES: [(u64, usize); 5] = [(1, 256), (48, 256), (48, 1_024), FEW_EACH, MANY_EACH];
const FEW_EACH: (u64, usize) = (1_000, 1_024);
const MANY_EACH: (u64, usize) = (1_000, 21_333);
/// Bytes of a command.
const BYTES: [usize; 2] = [16, 256];

/// What one turn of one side came to.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    /// A second.
    proposals: f64,
    syncs: f64,
    cpu_us: f64,
    /// For each byte proposed.
    written: f64,
    p50_us: f64,
    p99_us: f64,
    disk_us: f64,
    /// In each write of the log.
    batch: f64,
}

/// What is shown of a turn: name, unit, which way is good, value.
type Shown = (&'static str, &'static str, Better, fn(&Turn) -> f64);

const SHOWN: [Shown; 8] = [
    ("proposals", "1/s", Better::Higher, |turn| turn.proposals),
    ("cpu", "µs", Better::Lower, |turn| turn.cpu_us),
    ("written", "B/B", Better::Lower, |turn| turn.written),
    ("syncs", "1/s", Better::Lower, |turn| turn.syncs),
    ("batch", "entries", Better::Higher, |turn| turn.batch),
    ("p50", "µs", Better::Lower, |turn| turn.p50_us),
    ("p99", "µs", Better::Lower, |turn| turn.p99_us),
    ("fdatasync", "µs", Better::Lower, |turn| turn.disk_us),
];

struct Case {
    name: String,
    groups: u64,
    outstanding: usize,
    bare: Vec<Bare>,
    turns: Vec<(Turn, Turn)>,
}

/// Runs all cases with all sizes of commands.
pub fn run(settings: &Settings) -> Vec<Row> {
    BYTES.iter().flat_map(|&bytes| run_bytes(settings, bytes)).collect()
}

fn run_bytes(settings: &Settings, bytes: usize) -> Vec<Row> {
    let (turns, span_ms) = if settings.is_quick { (3, 700) } else { (7, 2_000) };
    let span = Duration::from_millis(span_ms);
    let command = Bytes::from(vec![7; bytes]);
    let mut clusters: Vec<Cluster> = Vec::new();
    let mut cases = Vec::new();
    let dir = tempfile::tempdir_in(&settings.dir).expect("the disk takes files");
    for (groups, outstanding) in CASES {
        let name = format!("groups={groups}/bytes={bytes}/outstanding={outstanding}");
        if !settings.is_selected(&name) {
            continue;
        }
        if clusters.iter().all(|cluster| cluster.groups() != groups) {
            let storage = storage::Config::default();
            let mut cluster = Cluster::start(&settings.dir, Config::default(), storage);
            cluster.create(groups);
            clusters.push(cluster);
        }
        let bare = open_bare(&dir, (groups, outstanding), &command);
        cases.push(Case { name, groups, outstanding, bare, turns: Vec::new() });
    }
    // The first turn warms up, and is not counted.
    for nth in 0..=turns {
        for case in &mut cases {
            let cluster = clusters.iter().find(|cluster| cluster.groups() == case.groups);
            let load = Load { command: command.clone(), outstanding: case.outstanding, span };
            let ours = our_turn(cluster.expect("made above"), &load, &settings.dir);
            let peer = bare_turn(&mut case.bare, &ours, bytes, span, &settings.dir);
            if nth > 0 {
                case.turns.push((ours, peer));
            }
        }
        eprintln!("  groups, {bytes} bytes: turn {nth} of {turns} done");
    }
    rows(&cases, bytes)
}

fn open_bare(dir: &TempDir, (groups, outstanding): (u64, usize), command: &Bytes) -> Vec<Bare> {
    let id = EntryId::new(Term(2), Index(9));
    let entry = wire::entry_value(&Entry { id, payload: Payload::Command(command.clone()) });
    let open = |nth| {
        let dir = dir.path().join(format!("{groups}-{outstanding}-{nth}"));
        Bare::open(&dir, groups, command, &entry)
    };
    (0..STORES).map(open).collect()
}

fn our_turn(cluster: &Cluster, load: &Load, dir: &Path) -> Turn {
    let probe = Probe::start(dir);
    let (used, before) = (Used::now(), cluster.totals());
    let answers = load::run(cluster, load);
    let (cpu_us, written, after) = (used.cpu_us(), used.written_bytes(), cluster.totals());
    let disk_us = probe.stop();
    assert!(
        answers.failed * 100 <= answers.applied,
        "{} proposals of {} failed",
        answers.failed,
        answers.applied
    );
    let (count, secs) = (answers.applied as f64, answers.elapsed.as_secs_f64());
    let syncs = after.syncs - before.syncs;
    Turn {
        proposals: count / secs,
        syncs: syncs / secs,
        cpu_us: cpu_us / count,
        written: written / count / load.command.len() as f64,
        p50_us: quantile(&answers.latencies_us, 500),
        p99_us: quantile(&answers.latencies_us, 990),
        disk_us,
        batch: count * STORES as f64 / syncs,
    }
}

/// One thread for each instance. What is counted is what all of them have.
fn bare_turn(bare: &mut [Bare], ours: &Turn, bytes: usize, span: Duration, dir: &Path) -> Turn {
    #[expect(clippy::cast_possible_truncation, reason = "a batch is far below four billion")]
    let batch = ours.batch.round().max(1.0) as usize;
    let probe = Probe::start(dir);
    let (used, start) = (Used::now(), Instant::now());
    let mut rounds_us: Vec<f64> = std::thread::scope(|scope| {
        let thread = |bare| scope.spawn(move || rounds(bare, batch, span));
        let threads: Vec<_> = bare.iter_mut().map(thread).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    let (cpu_us, written, secs) =
        (used.cpu_us(), used.written_bytes(), start.elapsed().as_secs_f64());
    let disk_us = probe.stop();
    rounds_us.sort_by(f64::total_cmp);
    let syncs = rounds_us.len() as f64;
    let count = syncs * batch as f64 / STORES as f64;
    Turn {
        proposals: count / secs,
        syncs: syncs / secs,
        cpu_us: cpu_us / count,
        written: written / count / bytes as f64,
        p50_us: quantile(&rounds_us, 500),
        p99_us: quantile(&rounds_us, 990),
        disk_us,
        batch: batch as f64,
    }
}

fn rounds(bare: &mut Bare, batch: usize, span: Duration) -> Vec<f64> {
    let start = Instant::now();
    let mut took_us = Vec::new();
    while start.elapsed() < span {
        let round = Instant::now();
        bare.append(batch);
        bare.apply(batch);
        took_us.push(round.elapsed().as_secs_f64() * 1e6);
    }
    took_us
}

fn rows(cases: &[Case], bytes: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for case in cases {
        let Case { name, turns, .. } = case;
        for (what, unit, better, value) in SHOWN {
            rows.push(Row {
                name: format!("{name}/{what}"),
                unit,
                better,
                ours: turns.iter().map(|(ours, _)| value(ours)).collect(),
                peer: turns.iter().map(|(_, peer)| value(peer)).collect(),
            });
        }
    }
    rows.extend(many_beside_few(cases, bytes));
    rows
}

/// What many groups cost: ours with many beside ours with few, and the bare engines likewise. The
/// proposals under way are the same in all, or the same for each group.
fn many_beside_few(cases: &[Case], bytes: usize) -> Vec<Row> {
    let turns = |wanted, value: fn(&(Turn, Turn)) -> f64| {
        let case = cases.iter().find(|case| (case.groups, case.outstanding) == wanted)?;
        Some(case.turns.iter().map(value).collect())
    };
    let row = |(many, spread), what, value: fn(&(Turn, Turn)) -> f64| {
        Some(Row {
            name: format!("groups=1000:groups=48/bytes={bytes}/{spread}/{what}"),
            unit: "1/s",
            better: Better::Higher,
            ours: turns(many, value)?,
            peer: turns((48, 1_024), value)?,
        })
    };
    let spreads = [(FEW_EACH, "outstanding=1024"), (MANY_EACH, "outstanding-per-group=21")];
    let rows = spreads.into_iter().flat_map(|spread| {
        [
            row(spread, "ours", |(ours, _)| ours.proposals),
            row(spread, "bare", |(_, bare)| bare.proposals),
        ]
    });
    rows.flatten().collect()
}
