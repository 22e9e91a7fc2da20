//! How clusters and nodes begin, what every operation does then, and which nodes must not begin.

use std::time::Duration;

use client::{Client, Lifetime};
use cluster::crib::{Cluster, Said, say, store_of, until};
use types::KeyRange;

use crate::options;

/// Every operation of the client once.
async fn operations(client: &Client, has_ttl: bool) {
    assert_eq!(client.get("op/none").await.expect("a read"), None);
    client.put("op/a", "1").await.expect("a put");
    assert_eq!(client.get("op/a").await.expect("a read").as_deref(), Some(&b"1"[..]));

    let absent = client.compare_and_swap("op/b", None, "2").await.expect("a swap");
    assert!(absent.is_swapped && absent.previous.is_none(), "{absent:?}");
    let wrong = client.compare_and_swap("op/b", Some("9".into()), "3").await.expect("a swap");
    assert_eq!((wrong.is_swapped, wrong.previous.as_deref()), (false, Some(&b"2"[..])));
    let right = client.compare_and_swap("op/b", Some("2".into()), "3").await.expect("a swap");
    assert!(right.is_swapped, "{right:?}");

    client.batch_put((0..100).map(|n| (format!("op/c/{n:03}"), "x"))).await.expect("puts");
    let range = KeyRange::new("op/c/", "op/c0");
    let pairs = client.scan(&range, client::ScanOptions::default()).collect().await;
    let keys: Vec<String> = pairs
        .expect("a scan")
        .iter()
        .map(|(key, _)| String::from_utf8_lossy(key).into_owned())
        .collect();
    assert_eq!(keys, (0..100).map(|n| format!("op/c/{n:03}")).collect::<Vec<String>>());
    client.delete("op/c/000").await.expect("a delete");
    assert_eq!(client.count(&range).await.expect("a count"), 99);
    client.delete_range(&KeyRange::new("op/c/", "op/c/050")).await.expect("a delete of a range");
    assert_eq!(client.count(&range).await.expect("a count"), 50);

    let ttl = Duration::from_secs(2);
    let put = client.put_with_ttl("op/ttl", "gone soon", ttl).await;
    if !has_ttl {
        put.expect_err("there are no times to live");
        return;
    }
    put.expect("a put");
    let left = client.get_ttl("op/ttl").await.expect("a read");
    assert!(
        left.is_none_or(|left| matches!(left, Lifetime::Left(left) if left <= ttl)),
        "{left:?}"
    );
    assert_eq!(client.get_ttl("op/a").await.expect("a read"), Some(Lifetime::Forever));
    until("the end of a value", async || {
        client.get("op/ttl").await.expect("a read").is_none().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_stores_found_a_cluster_and_every_operation_works() {
    let cluster = Cluster::start(options("birth of three")).await;
    let status = cluster.wait_healthy().await;
    assert_eq!((status.stores.len(), status.replicas, status.regions), (3, 3, 5), "{status:?}");
    assert_eq!(status.placement_stores.len(), 3, "{status:?}");
    operations(&cluster.client().await, true).await;
    cluster.assert_all_run();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_node_is_a_cluster_and_goes_on_after_a_restart() {
    for (api_version, has_ttl) in [("v1", false), ("v1ttl", true), ("v2", true)] {
        let mut options = options("birth of one");
        (options.stores, options.api_version) = (1, api_version);
        options.set.push("replicas=1".to_owned());
        let cluster = Cluster::start(options).await;
        let client = cluster.client().await;
        operations(&client, has_ttl).await;
        let node = cluster.node(0);
        let status = node.stop().await;
        assert_eq!(status.code(), Some(0), "{}", node.last_words());
        node.start();
        cluster.wait_healthy().await;
        assert_eq!(client.get("op/a").await.expect("a read").as_deref(), Some(&b"1"[..]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_join_and_get_replicas() {
    let cluster = Cluster::start(options("join")).await;
    let client = cluster.client().await;
    let pairs = (0..3_000).map(|n| (format!("join/{n:05}"), "x".repeat(100)));
    client.batch_put(pairs).await.expect("puts");
    let joining = cluster.add_joining();
    joining.start();
    until("regions on the new store", async || {
        let stats = store_of(&client, &joining.address).await.stats?;
        (stats.regions > 0 && stats.leaders > 0).then_some(())
    })
    .await;
    cluster.wait_healthy().await;
    assert_eq!(client.count(&KeyRange::default()).await.expect("a count"), 3_000);
    cluster.assert_all_run();
}

fn refused(said: &Said, code: i32, words: &[&str]) {
    assert_eq!(said.code, Some(code), "{said:?}");
    for word in words {
        assert!(said.err.contains(word), "{word:?} is not said: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_must_not_start_say_why() {
    let cluster = Cluster::start(options("refusals")).await;
    let node = cluster.node(0);

    // Its directory is in use, and its ports too: the directory is looked at first.
    refused(&say(node.command()).await, 11, &["CRIB-E4010", "in use"]);

    // Directories of their own, and ports of others. Who cannot listen leaves no trace.
    let free = cluster.add_joining();
    let mut taken = node.twin();
    taken.dir.clone_from(&free.dir);
    taken.http.clone_from(&free.http);
    refused(&say(taken.command()).await, 1, &["CRIB-E1004", &node.address]);
    let free = cluster.add_joining();
    let mut taken = free.twin();
    taken.http.clone_from(&node.http);
    refused(&say(taken.command()).await, 1, &["CRIB-E1004", &node.http]);
    let listener = std::net::TcpListener::bind(&free.listen).expect("nobody else is there");
    refused(&say(free.command()).await, 1, &["CRIB-E1004", &free.listen]);
    drop(listener);
    assert!(!free.dir.join("IDENTITY").exists(), "it knows who it is");
    let client = cluster.client().await;
    let stores = client.admin().list_stores(true).await.expect("a list");
    assert_eq!(stores.len(), 3, "a store that never ran has joined: {stores:?}");

    // A key that does not exist, beside one that does.
    let mut command = free.command();
    command.args(["--set", "region.split-sise=1GiB", "--set", "raft.workers=many"]);
    let words = ["CRIB-E5001", "region.split-sise", "region.split-size", "raft.workers"];
    refused(&say(command).await, 12, &words);

    // Another token is another cluster: the data is of this one.
    assert_eq!(node.stop().await.code(), Some(0), "{}", node.last_words());
    let mut foreign = node.twin();
    "another".clone_into(&mut foreign.token);
    refused(&say(foreign.command()).await, 11, &["CRIB-E4011", "belongs to another store"]);

    // The data of another store of the same cluster.
    let other = cluster.node(1);
    assert_eq!(other.stop().await.code(), Some(0), "{}", other.last_words());
    let mut foreign = node.twin();
    foreign.dir.clone_from(&other.dir);
    refused(&say(foreign.command()).await, 11, &["CRIB-E4011", "belongs to another store"]);

    // None of this has changed anything for those that are right.
    node.start();
    other.start();
    cluster.wait_healthy().await;
}

/// What a store had promised, voted and stored is in its directory: with another one it would be a
/// founder that has forgotten everything, and might elect a leader who has forgotten too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn founder_whose_directory_is_lost_takes_no_part() {
    let cluster = Cluster::start(options("lost directory")).await;
    cluster.wait_healthy().await;
    let client = cluster.client().await;
    client.put("before", "kept").await.expect("it is put");
    let node = cluster.node(1);

    // Its data alone is gone: it knows that by itself.
    assert_eq!(node.stop().await.code(), Some(0), "{}", node.last_words());
    let (data, away) = (node.dir.join("data"), node.dir.join("away"));
    std::fs::rename(&data, &away).expect("moved");
    refused(&say(node.command()).await, 13, &["CRIB-E4014", "the data of store", "is gone"]);
    assert!(!data.exists(), "it has begun anew");
    std::fs::rename(&away, &data).expect("moved back");
    node.start();
    until("a node that answers", async || {
        Client::connect(&[&node.address], client::Options::default()).await.ok()
    })
    .await;
    cluster.wait_healthy().await;

    // All of it is: others know it by what it had.
    assert_eq!(node.stop().await.code(), Some(0), "{}", node.last_words());
    std::fs::remove_dir_all(&node.dir).expect("removed");
    node.start();
    let status = node.ended().await;
    assert_eq!(status.code(), Some(11), "{}", node.last_words());
    let words = node.last_words();
    assert!(words.contains("CRIB-E4011") && words.contains("another data directory"), "{words}");
    let kept = client.get("before").await.expect("two of three go on");
    assert_eq!(kept.as_deref(), Some(&b"kept"[..]));
    client.put("after", "put").await.expect("two of three go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn founder_that_forms_keys_otherwise_is_not_talked_to() {
    let mut options = options("two api versions");
    options.set.push("replicas=3".to_owned());
    let cluster = Cluster::prepare(options).await;
    let odd = cluster.node(2).with("api-version=v1");
    for node in [&cluster.node(0), &cluster.node(1), &odd] {
        node.start();
    }
    let client = cluster.client().await;
    let why = until("that it is told", async || {
        let status = client.admin().status().await.ok()?;
        status.problems.into_iter().find(|problem| problem.contains("api-version"))
    })
    .await;
    assert!(why.contains("v1") && why.contains("v2"), "{why}");
    client.put("a", "b").await.expect("two of three go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_that_waits_to_join_hears_signals() {
    let mut options = options("waits to join");
    options.stores = 1;
    let cluster = Cluster::prepare(options).await;
    // Nobody is there who could take it in.
    let node = cluster.add_joining();
    node.start();
    until("that it asks", async || node.words().contains("asking to join").then_some(())).await;
    node.hang_up();
    until("that it asks on", async || node.words().contains("not joined yet").then_some(())).await;
    assert!(node.runs(), "{}", node.last_words());
    assert_eq!(node.stop().await.code(), Some(0), "{}", node.last_words());
}
