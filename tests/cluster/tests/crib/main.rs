//! Clusters of whole nodes, `crib server`, under everything that happens to processes, disks and
//! networks.
//!
//! | file | what is done |
//! |---|---|
//! | `bench` | load that measures itself, and says when that is no result |
//! | `birth` | founders, a single node, a node that joins; nodes that must not start |
//! | `commands` | what a person types, and the exit codes |
//! | `spread` | much data: splits, balance, a scan over all regions |
//! | `kill` | kill -9 under load: of one, of all at once, of a majority |
//! | `pause` | a leader stands still for longer than its lease, and goes on |
//! | `partition` | ways between nodes are cut, in one direction |
//! | `full` | a disk without room; needs root |
//! | `power` | power is lost on all nodes at once; needs root |
//! | `chaos` | all of it, at random |
//! | `membership` | repair, drain, removal, rolling restart |
//! | `raw` | raw requests on the wire: checksums, refusals, versions |
//! | `damage` | replicas that cannot be read, on a store that is up |
//! | `destroy` | a range is destroyed, store by store |
//! | `metrics` | figures are those that the documents list, and move |
//! | `tls` | certificates on all ports, strangers, renewal |
//! | `seats` | placement's own members are drained, removed and lost |
//!
//! What is judged under load, by `Ledger` of the library: no acknowledged put is lost, no read goes
//! back, nothing is there that nobody wrote. Every test prints what it counted: `--nocapture`.
//!
//! `CRIB_UNDER_TEST=path/to/crib` tests that binary in place of the one that cargo has built.

mod bench;
mod birth;
mod chaos;
mod commands;
mod damage;
mod destroy;
mod full;
mod kill;
mod membership;
mod metrics;
mod partition;
mod pause;
mod power;
mod raw;
mod seats;
mod spread;
mod tls;

use std::collections::BTreeMap;
use std::sync::Arc;

use client::Client;
use cluster::crib::{Cluster, Node, Options, regions, until};

/// The program under test.
const CRIB: &str = env!("CARGO_BIN_EXE_crib-whole");

/// Options of a cluster for a test.
fn options(test: &str) -> Options {
    let other = std::env::var("CRIB_UNDER_TEST");
    Options::new(other.as_deref().unwrap_or(CRIB), test)
}

/// Writes so many keys around those of ledgers, so that there are several regions.
async fn fill(client: &Client, keys: u64) {
    let key = |n: u64| format!("ledger/{:02x}!{n:06}", n * 256 / keys);
    let keys: Vec<u64> = (0..keys).collect();
    for chunk in keys.chunks(1_000) {
        let pairs = chunk.iter().map(|&n| (key(n), "fill".repeat(25)));
        client.batch_put(pairs).await.expect("puts");
    }
}

/// A cluster with some regions, of which each store leads one at least.
async fn with_regions(options: Options) -> (Cluster, Client) {
    let cluster = Cluster::start(options).await;
    let client = cluster.client().await;
    fill(&client, 4_000).await;
    let stores = cluster.nodes().len();
    until("regions that are led from all stores", async || {
        (led(&client).await.len() >= stores).then_some(())
    })
    .await;
    cluster.wait_healthy().await;
    (cluster, client)
}

/// The same, and a fourth store that has joined it.
async fn with_a_fourth(options: Options) -> (Cluster, Client, Arc<Node>) {
    let (cluster, client) = with_regions(options).await;
    let joined = cluster.add_joining();
    joined.start();
    cluster.wait_healthy().await;
    (cluster, client, joined)
}

/// How many regions with keys of users each store leads.
async fn led(client: &Client) -> BTreeMap<u64, usize> {
    let mut led = BTreeMap::new();
    for region in regions(client).await {
        if region.approximate_keys > 0 {
            *led.entry(region.leader.map_or(0, |leader| leader.store_id)).or_default() += 1;
        }
    }
    led
}
