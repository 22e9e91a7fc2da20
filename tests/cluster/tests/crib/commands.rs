//! What a person types, against a cluster that is well, and one that is not: answers, exit codes,
//! and what is said to do next.

use std::process::Command;

use cluster::crib::{Cluster, Said, say, store_of};

use crate::options;

/// Runs a command of `crib` at the cluster.
pub(crate) async fn crib(cluster: &Cluster, args: &[&str]) -> Said {
    let mut command = Command::new(&cluster.options.program);
    let endpoints = cluster.endpoints().join(",");
    command.args(args).args(["--endpoints", &endpoints, "--color", "never"]);
    say(command).await
}

/// The same; it must end with this code.
pub(crate) async fn ends(cluster: &Cluster, code: i32, args: &[&str]) -> Said {
    let said = crib(cluster, args).await;
    assert_eq!(said.code, Some(code), "{args:?}: {said:?}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_answer_and_end_with_their_codes() {
    let cluster = Cluster::start(options("commands")).await;
    ends(&cluster, 0, &["kv", "put", "pier/1", "oak"]).await;
    ends(&cluster, 0, &["kv", "put", "pier/2", "elm", "--ttl", "1h"]).await;
    let said = ends(&cluster, 0, &["kv", "get", "pier/1", "-o", "raw"]).await;
    assert_eq!(said.out, "oak", "{said:?}");
    let said = ends(&cluster, 0, &["kv", "scan", "--prefix", "pier/"]).await;
    let both = said.out.contains("oak") && said.out.contains("elm");
    assert!(both, "{said:?}");
    ends(&cluster, 0, &["kv", "cas", "pier/1", "larch", "--expect", "oak"]).await;
    let said = ends(&cluster, 6, &["kv", "cas", "pier/1", "ash", "--expect", "oak"]).await;
    assert!(said.err.contains("CRIB-E2011"), "{said:?}");
    let said = ends(&cluster, 3, &["kv", "get", "pier/9"]).await;
    assert!(said.err.contains("CRIB-E2010"), "{said:?}");
    ends(&cluster, 0, &["kv", "del", "--prefix", "pier/"]).await;
    ends(&cluster, 3, &["kv", "get", "pier/1"]).await;

    ends(&cluster, 0, &["status", "--exit-code"]).await;
    let said = ends(&cluster, 0, &["region", "find", "pier/1"]).await;
    assert!(!said.out.is_empty(), "{said:?}");
    ends(&cluster, 3, &["region", "show", "999999"]).await;
    ends(&cluster, 3, &["store", "show", "999999"]).await;
    let said = ends(&cluster, 1, &["store", "drain", "3"]).await;
    assert!(said.err.contains("add a store first"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_whose_settings_others_do_not_share_is_named_with_the_setting() {
    let cluster = Cluster::start(options("otherwise")).await;
    let client = cluster.client().await;
    let node = cluster.node(2);
    let id = store_of(&client, &node.address).await.id;
    node.kill();
    let otherwise = node.with("raft.lease=false");
    otherwise.start();
    let said = cluster::crib::until("a status that says what it is", async || {
        let said = crib(&cluster, &["status", "--exit-code"]).await;
        // Who dials whom first is chance: both say the same of each other.
        let is_told = said.out.contains(&format!("has not reached store {id} for"))
            && said.out.contains(&format!("store {id} has not reached"))
            && said.out.contains("has raft.lease");
        (said.code == Some(7) && is_told).then_some(said)
    })
    .await;
    assert!(said.out.contains("NOT HEALTHY"), "{said:?}");
    let said = ends(&cluster, 0, &["explain", "store", &id.to_string()]).await;
    assert!(said.out.contains("has raft.lease"), "{said:?}");
    otherwise.kill();
    node.start();
    ends(&cluster, 0, &["status", "--exit-when-healthy", "--timeout", "60s"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_ends_with_seven_while_a_store_is_silent_and_four_when_nobody_answers() {
    let cluster = Cluster::start(options("unwell")).await;
    let client = cluster.client().await;
    let silent = cluster.node(2);
    let id = store_of(&client, &silent.address).await.id;
    silent.kill();
    let said = cluster::crib::until("a status that is not well", async || {
        let said = crib(&cluster, &["status", "--exit-code"]).await;
        (said.code == Some(7)).then_some(said)
    })
    .await;
    assert!(said.out.contains(&format!("store {id}")), "{said:?}");
    silent.start();
    ends(&cluster, 0, &["status", "--exit-when-healthy", "--timeout", "60s"]).await;
    for node in cluster.nodes() {
        assert_eq!(node.stop().await.code(), Some(0), "{}", node.last_words());
    }
    let said = ends(&cluster, 4, &["kv", "get", "pier/1"]).await;
    assert!(said.err.contains("CRIB-E1001"), "{said:?}");
}
