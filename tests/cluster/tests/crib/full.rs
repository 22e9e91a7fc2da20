//! Disks without room: a store whose disk is full goes on when there is room; before that it takes
//! nothing but deletes, and says so.

use std::time::Duration;

use client::{Error, ScanOptions};
use cluster::crib::{Cluster, Load, Options, PATIENCE, store_of, until};
use cluster::disks::{self, Disk};
use proto::crib::placement::v1::explain_request::What;
use types::KeyRange;

use crate::commands::ends;
use crate::{led, options, with_regions};

/// Large values that are written while there is no room.
const BURST: usize = 256;

/// The first node's data is on this disk, and what an engine takes ahead is little.
fn on(disk: &Disk, test: &str) -> Options {
    let mut options = options(test);
    options.dirs.push(disk.path().join("data"));
    let small = ["log-size-max=2MiB", "memory-size-max=4MiB", "raft-memory-size=1MiB"];
    options.set.extend(small.map(|set| format!("storage.{set}")));
    options.set.push("storage.data-memory-size=1MiB".to_owned());
    options
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disk_of_one_store_is_full_and_the_cluster_goes_on() {
    let Some(disks) = disks::or_skip("full disk of a node", &[256 << 20]) else { return };
    let mut options = on(&disks[0], "full disk");
    // It is full for longer than a disk may hang: that is another thing.
    options.set.push("raft.disk-hang-after=15s".to_owned());
    let (cluster, client) = with_regions(options).await;
    let node = cluster.node(0);
    let id = store_of(&client, &node.address).await.id;
    let load = Load::start(&cluster).await;
    load.more(200).await;
    println!("full disk: store {id} of {:?}", led(&client).await);
    disks[0].fill();
    let problems = until("a status that says so", async || {
        let problems = client.admin().status().await.ok()?.problems;
        let wanted = format!("store {id} has no room");
        problems.contains(&wanted).then_some(problems)
    })
    .await;
    let explained = client.admin().explain(What::StoreId(id)).await.expect("an explanation");
    println!("full disk: {problems:?}; {explained:?}");
    assert!(explained.iter().any(|line| line.contains("room")), "{explained:?}");
    // More than the engine has room for already.
    let patient = client::Options { budget: PATIENCE, ..Default::default() };
    let writer = cluster.client_with(patient).await;
    for nth in 0..BURST {
        let key = format!("ledger/{:02x}!burst", nth * 256 / BURST);
        writer.put(key, vec![b'x'; 64 << 10]).await.expect("a put");
    }
    load.more(500).await;
    // Who has no room cannot lead, and its log says why.
    until("a store without room that leads nothing", async || {
        (!led(&client).await.contains_key(&id)).then_some(())
    })
    .await;
    let words = node.words();
    assert!(words.contains("the disk is full: waiting for room"), "{}", node.last_words());
    tokio::time::sleep(Duration::from_secs(20)).await;
    cluster.assert_all_run();
    disks[0].empty();
    load.more(200).await;
    load.finish(&cluster).await;
    cluster.wait_healthy().await;
    until("a store with room that leads again", async || {
        led(&client).await.contains_key(&id).then_some(())
    })
    .await;
    cluster.assert_all_run();
}

/// Kept free in these tests, and what is left when less is: far more than a store needs to go on.
const KEPT: &str = "storage.keep-free=128MiB";
const LEFT: u64 = 96 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_with_little_room_takes_deletes_alone_and_serves_reads() {
    let Some(disks) = disks::or_skip("keep-free of one", &[512 << 20]) else { return };
    let mut options = on(&disks[0], "keep-free of one");
    options.stores = 1;
    options.set.extend(["replicas=1", KEPT].map(str::to_owned));
    let cluster = Cluster::start(options).await;
    let client = cluster.client().await;
    let pairs = (0..20).map(|nth| (format!("room/{nth:02}"), "before"));
    client.batch_put(pairs).await.expect("puts");
    disks[0].fill_but(LEFT);
    until("a status that says so", async || {
        let problems = client.admin().status().await.ok()?.problems;
        problems.contains(&"store 1 has no room".to_owned()).then_some(())
    })
    .await;

    let brief = client::Options { budget: Duration::from_millis(500), ..Default::default() };
    let hasty = cluster.client_with(brief).await;
    let put = hasty.put("room/00", "after").await;
    let swap = hasty.compare_and_swap("room/00", Some("before".into()), "after").await;
    for error in [put.expect_err("a put"), swap.map(drop).expect_err("a swap")] {
        let Error::Timeout { last, .. } = &error else { panic!("{error}") };
        assert!(last.contains("CRIB-E4017") && last.contains("no room"), "{last}");
    }
    let said = ends(&cluster, 4, &["kv", "put", "room/00", "after", "--timeout", "1s"]).await;
    assert!(said.err.contains("CRIB-E4017"), "{said:?}");

    let value = client.get("room/00").await.expect("a read");
    assert_eq!(value.as_deref(), Some(&b"before"[..]));
    client.delete("room/00").await.expect("a delete");
    client.compare_and_delete("room/01", "before").await.expect("a delete by comparison");
    client.batch_delete(["room/02", "room/03"]).await.expect("deletes");
    let range = KeyRange::new("room/04", "room/10");
    client.delete_range(&range).await.expect("a delete of a range");
    let all = KeyRange::new("room/", "room0");
    let left = client.scan(&all, ScanOptions::default()).collect().await.expect("a scan");
    assert_eq!(left.len(), 10, "{left:?}");

    disks[0].empty();
    until("a put once there is room", async || hasty.put("room/00", "after").await.ok()).await;
    cluster.wait_healthy().await;
    cluster.assert_all_run();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_with_little_room_leads_nothing_and_can_be_emptied() {
    let Some(disks) = disks::or_skip("keep-free of three", &[512 << 20]) else { return };
    let mut options = on(&disks[0], "keep-free of three");
    options.set.push(KEPT.to_owned());
    let (cluster, client) = with_regions(options).await;
    let id = store_of(&client, &cluster.node(0).address).await.id;
    let load = Load::start(&cluster).await;
    load.more(100).await;
    disks[0].fill_but(LEFT);
    until("a store without room that leads nothing", async || {
        let stats = store_of(&client, &cluster.node(0).address).await.stats?;
        (stats.is_full && !led(&client).await.contains_key(&id)).then_some(())
    })
    .await;
    // All regions are written to: nobody refuses.
    load.more(500).await;
    cluster.add_joining().start();
    until("a drain", async || client.admin().drain_store(id, false).await.ok()).await;
    until("a store that has nothing any more", async || {
        let stats = store_of(&client, &cluster.node(0).address).await.stats?;
        (stats.regions == 0).then_some(())
    })
    .await;
    load.finish(&cluster).await;
    cluster.assert_all_run();
}
