//! Ways between nodes are cut: in one direction or both, to one other node or to all.
//!
//! Clients reach every node all the time, through the same proxies.

use std::sync::Arc;
use std::time::Duration;

use cluster::crib::{Cluster, Node};
use verify::faults::{Harm, Mark, Stage};
use verify::random::Random;
use verify::script::Fault;

/// Cuts and heals until so much time of the load has passed.
pub(crate) async fn cuts(stage: &Stage, cluster: &Cluster, seed: u64, until_ms: u64) -> Harm {
    let mut lot = Random::new(seed);
    let mut harm = Harm::default();
    loop {
        let hold = 2_000 + lot.below(3_000) as u64;
        if stage.now_ms() + hold + 2_000 > until_ms {
            return harm;
        }
        let from_ms = stage.now_ms();
        let nodes = cluster.nodes();
        let target = cut(cluster, &nodes, &mut lot);
        tokio::time::sleep(Duration::from_millis(hold)).await;
        let held = cluster.proxies.held();
        cluster.proxies.heal();
        let proof = (held > 0).then(|| format!("{held} pieces were kept back"));
        let (to_ms, note) = (stage.now_ms(), String::new());
        let mark = Mark { fault: Fault::Cut, from_ms, to_ms, target, proof, note };
        println!("  {mark:?}");
        harm.marks.push(mark);
        tokio::time::sleep(Duration::from_millis(1_000 + lot.below(2_000) as u64)).await;
    }
}

fn cut(cluster: &Cluster, nodes: &[Arc<Node>], lot: &mut Random) -> String {
    let one = &nodes[lot.below(nodes.len())];
    let others: Vec<&Arc<Node>> = nodes.iter().filter(|it| it.address != one.address).collect();
    let count = 1 + lot.below(others.len());
    let direction = lot.below(3);
    for other in &others[..count] {
        if direction != 1 {
            cluster.proxies.cut(one, other);
        }
        if direction != 2 {
            cluster.proxies.cut(other, one);
        }
    }
    let way = ["both ways between", "ways to", "ways from"][direction];
    format!("{way} {} and {count} others", one.address)
}
