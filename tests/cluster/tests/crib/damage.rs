//! What a store has of a group cannot be read: it is set aside, the store takes part in all others,
//! and the replica is made anew elsewhere, that of placement too.

use std::time::Duration;

use cluster::crib::{Load, Node, regions, store_of, until};
use storage::{Batch, Cf, Durability, Engine as _, RocksEngine};

use crate::{options, with_a_fourth};

/// Makes what a node that does not run has of a group unreadable.
fn damage(node: &Node, group: u64) {
    let config = storage::Config::default();
    let (engine, _) = RocksEngine::open(&node.dir.join("data"), &config).expect("it opens");
    // Its term and its vote.
    let key = [&group.to_be_bytes()[..], &[0]].concat();
    let is_there = engine.get(Cf::Raft, &key).expect("it can be read").is_some();
    assert!(is_there, "group {group} is not on {}", node.address);
    let mut batch = Batch::new();
    batch.put(Cf::Raft, &key, b"\xff");
    engine.write(&batch, Durability::Synced).expect("it is written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_cannot_be_read_are_replaced_though_their_store_is_up() {
    let mut options = options("damage");
    options.down_after = Duration::from_secs(20);
    let (cluster, client, _) = with_a_fourth(options).await;
    let status = client.admin().status().await.expect("a status");
    let mut node = cluster.node(0);
    if store_of(&client, &node.address).await.id == status.placement_leader {
        node = cluster.node(1);
    }
    let id = store_of(&client, &node.address).await.id;
    assert!(status.placement_stores.contains(&id), "it is a founder: {status:?}");
    let holds = |of: &proto::crib::placement::v1::RegionReport| {
        let region = of.region.as_ref().expect("a report is about a region");
        region.peers.iter().any(|peer| peer.store_id == id).then_some(region.id)
    };
    let all = regions(&client).await;
    let mut with_data = all.iter().filter(|of| of.approximate_keys > 0);
    let region = with_data.find_map(holds).expect("a founder has regions");
    let load = Load::start(&cluster).await;
    load.more(200).await;

    assert_eq!(node.stop().await.code(), Some(0), "{}", node.last_words());
    damage(&node, placement::GROUP.get());
    damage(&node, region);
    node.start();
    until("a member of placement in its place", async || {
        let status = client.admin().status().await.ok()?;
        let stores = status.placement_stores;
        (stores.len() == 3 && !stores.contains(&id)).then_some(())
    })
    .await;
    until("a replica of the region in its place", async || {
        let regions = regions(&client).await;
        let region = regions.iter().find(|of| of.region.as_ref().is_some_and(|it| it.id == region));
        region.is_some_and(|of| holds(of).is_none()).then_some(())
    })
    .await;
    cluster.wait_healthy().await;
    until("a store that takes part in regions", async || {
        regions(&client).await.iter().find_map(holds).map(|_| ())
    })
    .await;
    load.more(200).await;
    load.finish(&cluster).await;
    cluster.assert_all_run();
}
