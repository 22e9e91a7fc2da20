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
use super::table::Row;
use crate::report::Better;

const GROUPS: u64 = 48;
const OUTSTANDING: usize = 1_024;
const BYTES: usize = 256;
/// Memory of the log. As in an engine with its defaults, it holds four times what the groups keep.
const RAFT_MEMORY_BYTES: usize = 48 << 20;

/// Runs it.
pub fn run(settings: &Settings) -> Vec<Row> {
    let storage = storage::Config {
        raft_memory_bytes: RAFT_MEMORY_BYTES,
        data_memory_bytes: 4 << 30,
        memory_bytes_max: 16 << 30,
        log_bytes_max: 16 << 30,
        ..storage::Config::default()
    };
    let mut cluster = Cluster::start(&settings.dir, Config::default(), storage);
    cluster.create(GROUPS);
    let before = cluster.totals();
    let secs = if settings.is_quick { 15 } else { 60 };
    let command = Bytes::from(vec![7; BYTES]);
    let span = Duration::from_secs(secs);
    load::run(&cluster, &Load { command, outstanding: OUTSTANDING, span });
    let written = cluster.totals().log_bytes - before.log_bytes;
    let all: Vec<_> = (0..STORES).map(|nth| cluster.health(nth)).collect();
    let flushed: u64 = all.iter().map(|health| health.flushed_bytes).sum();
    let flushes: u64 = all.iter().map(|health| health.flushes).sum();
    let name = |what: &str| format!("purge/groups={GROUPS}/bytes={BYTES}/{what}");
    let share = 100.0 * (1.0 - flushed as f64 / written);
    vec![
        Row { better: Better::Higher, ..Row::alone(name("never in a table"), "%", share) },
        Row::alone(name("log written"), "MB", written / 1e6),
        Row::alone(name("flushes"), "1", flushes as f64),
    ]
}
