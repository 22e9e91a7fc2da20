//! How much of the log is dropped before it reaches a table.
//!
//! The memory of the log is small, so that it is written out many times; that of everything else is
//! so large that it never is. What the engine then wrote to tables is log.

use std::time::Duration;

use bytes::Bytes;
use multiraft::Config;

use super::Settings;
use super::cluster::{Cluster, STORES};
use super::load::{self, Load};
use crate::report::Better;
use crate::table::Row;

/// Groups, and how much of a group's log is worth a compaction, in KiB, unless all of them hold
/// more than is wanted.
const CASES: [(u64, u64); 2] = [(48, 256), (1_000, 256)];
const OUTSTANDING: usize = 1_024;
const BYTES: usize = 256;
/// All are a quarter of their defaults, so that more memories are filled in the same time.
const SCALE: u64 = 4;

/// Runs it with few groups and with many.
pub fn run(settings: &Settings) -> Vec<Row> {
    let name = |(groups, compact_kib)| format!("purge/groups={groups}/compact-kib={compact_kib}");
    let cases = CASES.into_iter().filter(|&case| settings.is_selected(&name(case)));
    cases.flat_map(|case| measure(settings, case, &name(case))).collect()
}

fn measure(settings: &Settings, (groups, compact_kib): (u64, u64), name: &str) -> Vec<Row> {
    let defaults = (Config::default(), storage::Config::default());
    let scale = usize::try_from(SCALE).expect("small");
    let config = Config {
        compact_bytes: (compact_kib << 10) / SCALE,
        log_bytes_wanted: defaults.0.log_bytes_wanted / SCALE,
        ..defaults.0
    };
    let storage = storage::Config {
        raft_memory_bytes: defaults.1.raft_memory_bytes / scale,
        data_memory_bytes: 4 << 30,
        memory_bytes_max: 16 << 30,
        log_bytes_max: 16 << 30,
        ..defaults.1
    };
    let mut cluster = Cluster::start(&settings.dir, config, storage);
    cluster.create(groups);
    let before = cluster.totals();
    let secs = if settings.is_quick { 10 } else { 45 };
    let command = Bytes::from(vec![7; BYTES]);
    let span = Duration::from_secs(secs);
    load::run(&cluster, &Load { command, outstanding: OUTSTANDING, span });
    let written = cluster.totals().log_bytes - before.log_bytes;
    let all: Vec<_> = (0..STORES).map(|nth| cluster.health(nth)).collect();
    let flushed: u64 = all.iter().map(|health| health.flushed_bytes).sum();
    let flushes: u64 = all.iter().map(|health| health.flushes).sum();
    let name = |what: &str| format!("{name}/{what}");
    let share = 100.0 * (1.0 - flushed as f64 / written);
    vec![
        Row { better: Better::Higher, ..Row::alone(name("never in a table"), "%", share) },
        Row::alone(name("log written"), "MB", written / 1e6),
        Row::alone(name("tables written"), "1", flushes as f64),
    ]
}
