//! Processes are killed: one of three, all at once, a majority. Nothing acknowledged is lost.

use std::time::Duration;

use client::Fate;
use cluster::crib::{Load, regions, store_of, until};

use crate::{led, options, with_regions};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_is_killed_and_the_others_go_on() {
    let (cluster, client) = with_regions(options("kill one")).await;
    let load = Load::start(&cluster).await;
    load.more(300).await;
    for at in 0..3 {
        let node = cluster.node(at);
        println!("kill one: {} of {:?}", node.address, led(&client).await);
        node.kill();
        load.more(300).await;
        node.start();
        load.more(300).await;
    }
    cluster.assert_all_run();
    load.finish(&cluster).await;
    cluster.wait_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_are_killed_at_once_and_nothing_acknowledged_is_lost() {
    let (cluster, _client) = with_regions(options("kill all")).await;
    let mut load = Load::start(&cluster).await;
    for round in 0..3 {
        load.more(300).await;
        cluster.nodes().iter().for_each(|node| node.kill());
        cluster.nodes().iter().for_each(|node| node.start());
        load.more(100).await;
        let ledger = load.stop().await;
        ledger.judge(&cluster).await;
        load = Load::with(cluster.client().await, ledger);
        println!("kill all: round {round} is over");
    }
    load.finish(&cluster).await;
    cluster.wait_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_nothing_is_answered_and_with_it_all_is_there() {
    let (cluster, client) = with_regions(options("kill two")).await;
    let load = Load::start(&cluster).await;
    load.more(200).await;
    let ledger = load.stop().await;
    // A client that knows where everything is, and does not wait for long.
    let budget = Duration::from_secs(3);
    let options = client::Options { budget, resend_writes: false, ..Default::default() };
    let hasty = cluster.client_with(options).await;
    hasty.get("ledger/a").await.expect("all is well");
    cluster.node(0).kill();
    cluster.node(1).kill();
    // The one that is left may hold leases that began before.
    until("reads that fail", async || hasty.get("ledger/a").await.is_err().then_some(())).await;
    for nth in 0..8 {
        let key = format!("ledger/{:02x}!alone", nth * 32);
        let put = hasty.put(&key, "1").await.expect_err("there is no majority");
        assert_ne!(put.fate(), Fate::Refused, "{put}");
        let get = hasty.get(&key).await.expect_err("there is no majority");
        assert_eq!(get.fate(), Fate::Retry, "{get}");
    }
    cluster.node(0).start();
    cluster.wait_healthy().await;
    ledger.judge(&cluster).await;
    cluster.node(1).start();
    cluster.wait_healthy().await;
    client.put("ledger/a!", "1").await.expect("all is well");
    cluster.assert_all_run();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_that_was_away_for_long_is_brought_up_by_snapshots() {
    let mut options = options("away for long");
    options.set.push("raft.lag-size-max=64KiB".to_owned());
    let (cluster, client) = with_regions(options).await;
    let load = Load::start(&cluster).await;
    let away = cluster.node(2);
    let id = store_of(&client, &away.address).await.id;
    away.kill();
    // Regions grow, and split, and their logs are compacted.
    let before = regions(&client).await.len();
    let keys: Vec<usize> = (0..12_000).collect();
    for chunk in keys.chunks(500) {
        let key = |nth: usize| format!("ledger/{:02x}!away{nth:05}", nth % 256);
        let pairs = chunk.iter().map(|&nth| (key(nth), "x".repeat(1_000)));
        client.batch_put(pairs).await.expect("puts");
    }
    load.more(500).await;
    until("splits", async || (regions(&client).await.len() > before + 10).then_some(())).await;
    away.start();
    let status = cluster.wait_healthy().await;
    until("all regions on it", async || {
        let stats = store_of(&client, &away.address).await.stats?;
        (stats.regions >= status.regions).then_some(())
    })
    .await;
    until("regions that it leads", async || led(&client).await.contains_key(&id).then_some(()))
        .await;
    // Now everything that is acknowledged needs it.
    cluster.node(0).kill();
    load.more(500).await;
    let all = types::KeyRange::new("ledger/", "ledger0");
    let kept = until("a count", async || client.count(&all).await.ok()).await;
    assert!(kept >= 16_000, "{kept} keys are left of 16,000 and the load's");
    cluster.node(0).start();
    load.finish(&cluster).await;
    cluster.wait_healthy().await;
    cluster.assert_all_run();
}
