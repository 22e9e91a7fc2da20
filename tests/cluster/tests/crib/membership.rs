//! Stores come and go: one dies for good, one is emptied and removed, all are restarted in turn.

use std::time::Duration;

use client::Client;
use cluster::crib::{Load, regions, store_of, until};
use proto::crib::placement::v1::{RegionReport, StoreState};

use crate::commands::ends;
use crate::{options, with_regions};

/// Stores of peers, over all regions.
async fn has_peers_on(client: &Client, store: u64) -> bool {
    let regions = regions(client).await;
    let mut peers =
        regions.iter().filter_map(|region| region.region.as_ref()).flat_map(|r| &r.peers);
    peers.any(|peer| peer.store_id == store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_of_a_dead_store_are_made_anew() {
    let mut options = options("repair");
    options.down_after = Duration::from_secs(5);
    let (cluster, client) = with_regions(options).await;
    let joined = cluster.add_joining();
    joined.start();
    until("regions on the fourth store", async || {
        let stats = store_of(&client, &joined.address).await.stats?;
        (stats.regions > 1).then_some(())
    })
    .await;
    cluster.wait_healthy().await;
    let load = Load::start(&cluster).await;
    load.more(200).await;
    let dead = cluster.node(2);
    let id = store_of(&client, &dead.address).await.id;
    dead.kill();
    until("nothing on the dead store, and nothing with too few replicas", async || {
        let status = client.admin().status().await.ok()?;
        let is_down = status.stores.iter().any(|s| s.id == id && s.state() == StoreState::Down);
        let is_whole = status.regions_under_replicated == 0 && status.regions_without_leader == 0;
        (is_down && is_whole && !has_peers_on(&client, id).await).then_some(())
    })
    .await;
    load.more(200).await;
    load.finish(&cluster).await;
    // It comes back, empty-handed, and is of use again.
    dead.start();
    cluster.wait_healthy().await;
    until("regions on the store that came back", async || {
        has_peers_on(&client, id).await.then_some(())
    })
    .await;
    cluster.assert_all_run();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_is_emptied_and_removed_under_load() {
    let (cluster, client) = with_regions(options("drain")).await;

    // A third of three cannot be emptied, and that is said.
    let third = store_of(&client, &cluster.node(2).address).await.id;
    let refused = client.admin().drain_store(third, false).await.expect_err("it cannot end");
    let words = refused.to_string();
    assert!(words.contains("refused") && words.contains('3'), "{words}");
    let refused = client.admin().remove_store(third).await.expect_err("it is not empty");
    println!("drain: {words}; {refused}");

    let joined = cluster.add_joining();
    joined.start();
    let id = store_of(&client, &joined.address).await.id;
    until("regions on the fourth store", async || {
        (store_of(&client, &joined.address).await.stats?.regions > 1).then_some(())
    })
    .await;
    let load = Load::start(&cluster).await;
    load.more(200).await;
    let plan = client.admin().drain_store(id, true).await.expect("it can end");
    assert!(plan.regions > 0, "{plan:?}");
    client.admin().drain_store(id, false).await.expect("it can end");
    until("an empty store", async || {
        let stats = store_of(&client, &joined.address).await.stats?;
        (!has_peers_on(&client, id).await && stats.regions == 0).then_some(())
    })
    .await;
    client.admin().remove_store(id).await.expect("it is empty");
    assert_eq!(store_of(&client, &joined.address).await.state(), StoreState::Removed);
    let left = client.admin().list_stores(false).await.expect("a list");
    assert!(left.iter().all(|store| store.id != id), "{left:?}");
    // It hears that, ends, and does not come back as if nothing had been.
    let ended = joined.ended().await;
    let words = joined.last_words();
    assert!(ended.code() == Some(11) && words.contains("CRIB-E4018"), "{ended:?}: {words}");
    joined.start();
    let ended = joined.ended().await;
    let words = joined.last_words();
    assert!(ended.code() == Some(11) && words.contains("has removed"), "{ended:?}: {words}");
    cluster.retire(&joined);
    load.more(200).await;
    let counts = load.finish(&cluster).await;
    assert_eq!(counts.unknown, 0, "nobody died: {counts:?}");
    cluster.wait_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_restart_is_not_noticed_by_clients() {
    let (cluster, _client) = with_regions(options("rolling restart")).await;
    let load = Load::start(&cluster).await;
    for _ in 0..2 {
        for node in cluster.nodes() {
            load.more(200).await;
            let status = node.stop().await;
            assert_eq!(status.code(), Some(0), "{}", node.last_words());
            load.more(50).await;
            node.start();
            cluster.wait_healthy().await;
        }
    }
    load.more(200).await;
    let counts = load.finish(&cluster).await;
    // What was not done is told so, and repeated within the client.
    assert_eq!((counts.unknown, counts.repeated, counts.failed_reads), (0, 0, 0), "{counts:?}");
}

/// How many stores hold each region.
async fn copies(client: &Client) -> Vec<usize> {
    let of = |region: &RegionReport| region.region.as_ref().map_or(0, |region| region.peers.len());
    regions(client).await.iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn regions_with_five_replicas_outlive_two_stores_and_go_back_to_one_replica() {
    let (cluster, client) = with_regions(options("replicas")).await;
    let said = ends(&cluster, 1, &["placement", "replicas", "5"]).await;
    assert!(said.err.contains("5 are wanted, 3 stores are up"), "{said:?}");
    let joined = [cluster.add_joining(), cluster.add_joining()];
    joined.iter().for_each(|node| node.start());
    cluster.wait_healthy().await;
    let load = Load::start(&cluster).await;
    load.more(100).await;
    let wait = ["--wait", "--timeout", "120s"];
    let said = ends(&cluster, 0, &[&["placement", "replicas", "5"][..], &wait].concat()).await;
    assert!(said.out.contains("5 replicas"), "{said:?}");
    let all = copies(&client).await;
    assert!(all.len() > 1 && all.iter().all(|&count| count == 5), "{all:?}");
    let said = ends(&cluster, 1, &["placement", "replicas", "4"]).await;
    assert!(said.err.contains("not 4"), "{said:?}");

    // So can what replicas are kept apart in.
    let said = ends(&cluster, 1, &["placement", "labels", "zone,zone"]).await;
    assert!(said.err.contains("named twice"), "{said:?}");
    ends(&cluster, 0, &["placement", "labels", "zone,rack"]).await;
    let said = ends(&cluster, 0, &["status", "-o", "json"]).await;
    let status: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(status["location_labels"], serde_json::json!(["zone", "rack"]));
    ends(&cluster, 0, &["placement", "labels", "--none"]).await;

    // Placement has a member on one of these at most.
    for node in [&joined[0], &cluster.node(0)] {
        node.kill();
    }
    load.more(100).await;
    for node in [&joined[0], &cluster.node(0)] {
        node.start();
    }
    cluster.wait_healthy().await;
    ends(&cluster, 0, &[&["placement", "replicas", "1"][..], &wait].concat()).await;
    let all = copies(&client).await;
    assert!(all.iter().all(|&count| count == 1), "{all:?}");
    load.more(100).await;
    load.finish(&cluster).await;
    cluster.wait_healthy().await;
}
