//! Placement's own members come and go: the stores that a cluster was born with are emptied and
//! removed, or die, and those that joined later take their seats.

use std::time::Duration;

use client::Client;
use cluster::crib::{Cluster, Load, Node, store_of, until};
use proto::crib::placement::v1::{PlacementSeat, StoreState};

use crate::commands::{crib, ends};
use crate::{options, with_a_fourth};

/// Stores that hold seats of placement, and the one that leads.
async fn seats(client: &Client) -> (Vec<u64>, u64) {
    let answered = async || client.admin().status().await.ok().filter(|of| of.placement_leader > 0);
    let status = until("a leader of placement", answered).await;
    (status.placement_stores, status.placement_leader)
}

/// Empties a store, and waits until it holds neither regions nor a seat.
async fn drain(client: &Client, node: &Node) {
    let id = store_of(client, &node.address).await.id;
    until("a drain that is begun", async || client.admin().drain_store(id, false).await.ok()).await;
    until("a store without regions and without seat", async || {
        let store = store_of(client, &node.address).await;
        let is_empty = store.regions_left == 0 && store.stats?.regions == 0;
        (is_empty && store.placement() == PlacementSeat::None).then_some(())
    })
    .await;
}

/// Removes an empty store. Its node ends.
async fn remove(client: &Client, node: &Node) {
    let id = store_of(client, &node.address).await.id;
    until("its removal", async || client.admin().remove_store(id).await.ok()).await;
    assert_eq!(store_of(client, &node.address).await.state(), StoreState::Removed);
    assert_eq!(node.ended().await.code(), Some(11), "{}", node.last_words());
}

/// A client that is told of this node alone comes to placement's leader all the same.
async fn sends_on(cluster: &Cluster, node: &Node) {
    let leader = seats(&cluster.client().await).await.1;
    until("a node that knows who leads placement", async || {
        let only = Client::connect(&[&node.address], client::Options::default()).await.ok()?;
        (only.admin().status().await.ok()?.placement_leader == leader).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_of_placement_is_drained_and_removed_and_then_another_member_dies() {
    let (cluster, client, joined) = with_a_fourth(options("seats")).await;
    let (first, leader) = seats(&client).await;
    assert_eq!(first.len(), 3);
    let led = async |node: &Node| store_of(&client, &node.address).await.id == leader;
    let mut founders = cluster.nodes();
    founders.truncate(3);
    let mut at = 0;
    while !led(&founders[at]).await {
        at += 1;
    }
    let old = founders.remove(at);
    let load = Load::start(&cluster).await;
    load.more(200).await;
    drain(&client, &old).await;
    let (members, now) = seats(&client).await;
    let newcomer = store_of(&client, &joined.address).await;
    assert!(members.len() == 3 && !members.contains(&leader), "{members:?}");
    assert!(members.contains(&newcomer.id) && now != leader, "{members:?} led by {now}");
    load.more(200).await;

    // Who lost its seat knows who holds them, also when it comes back; and takes part in nothing.
    sends_on(&cluster, &old).await;
    old.kill();
    old.start();
    sends_on(&cluster, &old).await;
    assert_eq!(seats(&client).await.0, members);
    remove(&client, &old).await;
    cluster.retire(&old);
    cluster.wait_healthy().await;

    // Two of three are left, one of which was not there at first.
    founders[0].kill();
    load.more(200).await;
    let client = cluster.client().await;
    assert_eq!(seats(&client).await.0, members);
    client.put("seats/after", "served").await.expect("it is served");
    founders[0].start();
    cluster.wait_healthy().await;
    load.finish(&cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_that_is_down_for_long_is_replaced_and_takes_no_part_when_it_returns() {
    let mut options = options("seats repair");
    options.down_after = Duration::from_secs(5);
    let (cluster, client, joined) = with_a_fourth(options).await;
    let newcomer = store_of(&client, &joined.address).await.id;
    let lost = cluster.node(1);
    let id = store_of(&client, &lost.address).await.id;
    lost.kill();
    until("a seat on the store that joined", async || {
        let (members, _) = seats(&client).await;
        (members.contains(&newcomer) && !members.contains(&id)).then_some(())
    })
    .await;
    lost.start();
    cluster.wait_healthy().await;
    let store = store_of(&client, &lost.address).await;
    assert_eq!(store.placement(), PlacementSeat::None);
    sends_on(&cluster, &lost).await;
    cluster.assert_all_run();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster_starts_again_when_all_founders_have_left() {
    let cluster = Cluster::start(options("seats rotated")).await;
    let client = cluster.client().await;
    let founders = cluster.nodes();
    client.put("seats/before", "kept").await.expect("it is put");
    let joined: Vec<_> = (0..3).map(|_| cluster.add_joining()).collect();
    joined.iter().for_each(|node| node.start());
    cluster.wait_healthy().await;
    for founder in &founders {
        drain(&client, founder).await;
        remove(&client, founder).await;
    }
    let (members, _) = seats(&client).await;
    for node in &joined {
        let store = store_of(&client, &node.address).await;
        assert!(members.contains(&store.id), "{members:?}");
    }
    cluster.wait_healthy().await;

    // All that their settings name is gone for good.
    for node in &joined {
        node.stop().await;
    }
    for node in &joined {
        node.start();
    }
    let status = cluster.wait_healthy().await;
    assert_eq!(status.placement_stores, members);
    let endpoints: Vec<String> = joined.iter().map(|node| node.address.clone()).collect();
    let mode = client::KeyMode::V2 { keyspace: "DEFAULT".to_owned() };
    let options = client::Options { mode, ..Default::default() };
    let client =
        until("a client", async || Client::connect(&endpoints, options.clone()).await.ok()).await;
    let kept = client.get("seats/before").await.expect("it is read");
    assert_eq!(kept.as_deref(), Some(&b"kept"[..]));
    client.put("seats/after", "served").await.expect("it is put");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster_that_began_with_one_node_outlives_it_when_placement_has_three_seats() {
    let mut options = options("growth");
    options.stores = 1;
    // Regions have fewer replicas than they should until others join.
    let cluster = Cluster::prepare(options).await;
    cluster.node(0).start();
    until("a node that answers", async || {
        let said = crib(&cluster, &["kv", "put", "pier/0", "elm"]).await;
        (said.code == Some(0)).then_some(())
    })
    .await;
    let said = ends(&cluster, 1, &["placement", "seats", "3"]).await;
    assert!(said.err.contains("3 are wanted"), "{said:?}");
    ends(&cluster, 2, &["placement", "seats", "9"]).await;
    let others = [cluster.add_joining(), cluster.add_joining()];
    others.iter().for_each(|node| node.start());
    // Regions follow, and placement does when it is told.
    let whole = ["status", "--exit-when-healthy", "--timeout", "120s"];
    let said = ends(&cluster, 0, &whole).await;
    assert!(said.out.contains("crib placement seats 3"), "{said:?}");
    let client = cluster.client().await;
    assert_eq!(seats(&client).await.0.len(), 1);
    let said = ends(&cluster, 0, &["placement", "seats", "3", "--wait", "--timeout", "120s"]).await;
    assert!(said.out.contains("3 seats"), "{said:?}");
    assert_eq!(seats(&client).await.0.len(), 3);
    let said = ends(&cluster, 1, &["placement", "seats", "2"]).await;
    assert!(said.err.contains("not 2"), "{said:?}");
    cluster.wait_healthy().await;

    let first = cluster.node(0);
    let id = store_of(&client, &first.address).await.id;
    let load = Load::start(&cluster).await;
    load.more(100).await;
    first.kill();
    load.more(100).await;
    until("another that leads placement", async || (seats(&client).await.1 != id).then_some(()))
        .await;
    ends(&cluster, 0, &["kv", "put", "pier/1", "oak"]).await;
    first.start();
    cluster.wait_healthy().await;

    ends(&cluster, 0, &["placement", "seats", "1", "--wait", "--timeout", "120s"]).await;
    assert_eq!(seats(&client).await.0.len(), 1);
    load.finish(&cluster).await;
    cluster.wait_healthy().await;
}
