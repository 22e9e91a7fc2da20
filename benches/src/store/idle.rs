//! Many groups that nobody asks anything: what they cost, and how long after the loss of a store
//! all of them are led again.
//!
//! Figures are of three stores in one process. There is no peer in the run: they are bounds that
//! the issue sets.

use std::time::{Duration, Instant};

use multiraft::Config;

use super::Settings;
use super::cluster::{Cluster, STORES};
use crate::meters::{Used, resident_bytes};
use crate::table::Row;

const GROUPS: [u64; 2] = [10_000, 100_000];
/// With more than this at the beginning, memory that was given back is used again, and its growth
/// says nothing.
const FRESH_BYTES: f64 = 100e6;
/// After that long, what a creation left to do is done.
const SETTLE: Duration = Duration::from_secs(3);

/// Runs with all numbers of groups; the largest not when it has to be quick.
pub fn run(settings: &Settings) -> Vec<Row> {
    let count = if settings.is_quick { 1 } else { GROUPS.len() };
    let selected = |groups: &u64| settings.is_selected(&format!("idle/groups={groups}/"));
    let groups = GROUPS[..count].iter().copied().filter(selected);
    groups.flat_map(|groups| measure(settings, groups)).collect()
}

fn measure(settings: &Settings, groups: u64) -> Vec<Row> {
    let span_secs = if settings.is_quick { 10 } else { 60 };
    let mut cluster = Cluster::start(&settings.dir, Config::default(), storage::Config::default());
    let resident = resident_bytes();
    let start = Instant::now();
    cluster.create(groups);
    let created = start.elapsed();
    wait_silence(&cluster);
    let per_replica = (resident_bytes() - resident) / (groups as f64 * STORES as f64);
    let (used, before) = (Used::now(), cluster.totals());
    std::thread::sleep(Duration::from_secs(span_secs));
    let cpu_s = used.cpu_us() / 1e6;
    let messages = cluster.totals().envelopes - before.envelopes;
    let stopped = Instant::now();
    cluster.stop_last();
    let stopping = stopped.elapsed();
    cluster.wait_told_led();
    let led = stopped.elapsed();
    // They say so themselves as well.
    cluster.wait_led(&[0, 1]);
    let per_minute = 60.0 / span_secs as f64;
    let name = |what: &str| format!("idle/groups={groups}/{what}");
    let mut rows = vec![
        Row::alone(name("create"), "s", created.as_secs_f64()),
        Row::alone(name("cpu of three stores in a minute"), "s", cpu_s * per_minute),
        Row::alone(name("messages in a minute"), "1", messages * per_minute),
        Row::alone(name("stopping a store"), "s", stopping.as_secs_f64()),
        Row::alone(name("all led again"), "s", led.as_secs_f64()),
    ];
    if resident < FRESH_BYTES {
        rows.push(Row::alone(name("memory of a replica"), "B", per_replica));
    }
    rows
}

/// Waits until groups have nothing to say any more, or a minute.
fn wait_silence(cluster: &Cluster) {
    for _ in 0..20 {
        let before = cluster.totals().envelopes;
        std::thread::sleep(SETTLE);
        if cluster.totals().envelopes.total_cmp(&before).is_eq() {
            return;
        }
    }
    eprintln!("  idle: groups still talk after a minute");
}
