//! Everything at random, one thing after the other, under load: processes die, stand still and are
//! restarted, ways are cut, leaders are moved, regions split, stores emptied and taken back. Of a
//! store that is away too long, replicas are made anew while it may come back.
//!
//! `CRIB_CHAOS_ROUNDS=200` does so many things; the default is 10. `CRIB_CHAOS_SEED=7` chooses
//! which; the seed of a run is printed. What then happens depends on threads and processes as well.

use std::sync::Arc;
use std::time::Duration;

use client::Client;
use cluster::crib::{Cluster, Load, Node, Options, regions, store_of};

use crate::{options, with_regions};

/// What is drawn.
struct Lot(u64);

impl Lot {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) as usize % limit
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

struct Chaos {
    cluster: Cluster,
    client: Client,
    lot: Lot,
}

impl Chaos {
    /// Lets it be as it is for a while: sometimes for so long that a store is given up.
    async fn wait(&mut self) {
        let millis = *self.lot.of(&[10, 300, 1_500, 3_000, 8_000]);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    async fn round(&mut self) -> String {
        let nodes = self.cluster.nodes();
        let node = Arc::clone(self.lot.of(&nodes));
        let name = node.address.clone();
        match self.lot.below(8) {
            0 => {
                node.kill();
                self.wait().await;
                node.start();
                format!("killed {name}")
            }
            1 => {
                node.pause();
                self.wait().await;
                node.resume();
                format!("stopped and continued {name}")
            }
            2 => {
                let status = node.stop().await;
                assert_eq!(status.code(), Some(0), "{}", node.last_words());
                self.wait().await;
                node.start();
                format!("restarted {name}")
            }
            3 => self.cut(&node, &nodes).await,
            4 => {
                let (all, moves) = (regions(&self.client).await, 3);
                for _ in 0..moves {
                    let region = self.lot.of(&all).region.clone().expect("a report is of a region");
                    let to = self.lot.of(&region.peers).store_id;
                    // Whether it can be does not matter.
                    let _ = self.client.admin().transfer_leader(region.id, to).await;
                }
                "moved leaders".to_owned()
            }
            5 => {
                let all = regions(&self.client).await;
                let region = self.lot.of(&all).region.clone().expect("a report is of a region");
                let split = self.client.admin().split_region(region.id, Vec::new()).await;
                format!("split {}: {split:?}", region.id)
            }
            6 => {
                let id = store_of(&self.client, &node.address).await.id;
                let drain = self.client.admin().drain_store(id, false).await;
                self.wait().await;
                if drain.is_ok() {
                    let back = self.client.admin().undrain_store(id).await;
                    format!("drained {name} and took it back: {back:?}")
                } else {
                    format!("{name} may not be drained: {drain:?}")
                }
            }
            _ => {
                nodes.iter().for_each(|node| node.kill());
                nodes.iter().for_each(|node| node.start());
                "killed all".to_owned()
            }
        }
    }

    async fn cut(&mut self, node: &Arc<Node>, nodes: &[Arc<Node>]) -> String {
        let others: Vec<&Arc<Node>> =
            nodes.iter().filter(|other| other.address != node.address).collect();
        let directions = self.lot.below(3);
        for other in &others[..=self.lot.below(others.len())] {
            if directions != 1 {
                self.cluster.proxies.cut(node, other);
            }
            if directions != 2 {
                self.cluster.proxies.cut(other, node);
            }
        }
        self.wait().await;
        self.cluster.proxies.heal();
        format!("cut ways of {}, directions {directions}", node.address)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_at_random_loses_nothing() {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = number("CRIB_CHAOS_SEED").unwrap_or(since.map_or(1, |since| since.as_secs()));
    let rounds = number("CRIB_CHAOS_ROUNDS").unwrap_or(10);
    println!("chaos: seed {seed}");
    let down_after = Duration::from_secs(5);
    // Who was away gets snapshots.
    let set = vec!["raft.lag-size-max=64KiB".to_owned()];
    let options = Options { is_proxied: true, down_after, set, ..options("chaos") };
    let (cluster, client) = with_regions(options).await;
    cluster.add_joining().start();
    cluster.wait_healthy().await;
    let load = Load::start(&cluster).await;
    let mut chaos = Chaos { cluster, client, lot: Lot(seed) };
    for round in 0..rounds {
        load.more(50).await;
        let done = chaos.round().await;
        println!("chaos: round {round}: {done}");
        load.more(50).await;
        if chaos.lot.below(3) == 0 {
            chaos.cluster.wait_healthy().await;
        }
    }
    let cluster = chaos.cluster;
    cluster.wait_healthy().await;
    load.finish(&cluster).await;
    cluster.assert_all_run();
}
