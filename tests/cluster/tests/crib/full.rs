//! One store's disk has no room for a while: the others go on, and the store says why it does not.

use std::time::Duration;

use cluster::crib::{Load, PATIENCE, store_of, until};
use cluster::disks;
use proto::crib::placement::v1::explain_request::What;

use crate::{led, options, with_regions};

/// Large values that are written while there is no room.
const BURST: usize = 256;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disk_of_one_store_is_full_and_the_cluster_goes_on() {
    let Some(disks) = disks::or_skip("full disk of a node", &[256 << 20]) else { return };
    let mut options = options("full disk");
    options.dirs.push(disks[0].path().join("data"));
    // It is full for longer than a disk may hang: that is another thing.
    options.set.push("raft.disk-hang-after=15s".to_owned());
    // What the engine has room for already is little.
    let small = ["log-size-max=2MiB", "memory-size-max=4MiB", "raft-memory-size=1MiB"];
    options.set.extend(small.map(|set| format!("storage.{set}")));
    options.set.push("storage.data-memory-size=1MiB".to_owned());
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
