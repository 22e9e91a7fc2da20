//! Opening a store that has many groups, each with a few entries behind its log's beginning.

use std::time::Duration;

use bytes::Bytes;
use multiraft::Config;

use super::Settings;
use super::cluster::Cluster;
use super::load::{self, Load};
use crate::report::Better;
use crate::table::Row;

const GROUPS: u64 = 10_000;
const BYTES: usize = 256;

/// Runs it.
pub fn run(settings: &Settings) -> Vec<Row> {
    let turns = if settings.is_quick { 3 } else { 7 };
    let mut cluster = Cluster::start(&settings.dir, Config::default(), storage::Config::default());
    cluster.create(GROUPS);
    let command = Bytes::from(vec![7; BYTES]);
    let outstanding = usize::try_from(GROUPS).expect("few");
    let load = Load { command, outstanding, span: Duration::from_secs(3) };
    let answers = load::run(&cluster, &load);
    let entries = answers.applied as f64 / GROUPS as f64;
    let mut took: [Vec<f64>; 2] = Default::default();
    for _ in 0..turns {
        cluster.stop_last();
        let (engine, store) = cluster.open_last();
        took[0].push(engine.as_secs_f64());
        took[1].push(store.as_secs_f64());
    }
    let [engine, store] = took;
    let row = |what: &str, ours| Row {
        name: format!("restart/groups={GROUPS}/{what}"),
        unit: "s",
        better: Better::Lower,
        ours,
        peer: Vec::new(),
    };
    let name = format!("restart/groups={GROUPS}/entries written to a group");
    vec![row("engine", engine), row("store above it", store), Row::alone(name, "1", entries)]
}
