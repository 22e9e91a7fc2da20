//! Finding placement, losing it, finding it again; and what is asked of it by operators.

use std::time::Duration;

use client::{Client, Error, Fate, KeyMode, Options};
use proto::crib::placement::v1::explain_request::What;
use proto::crib::placement::v1::{ListRegionsRequest, StatusRequest};
use tonic::Code;

use crate::world::{CLUSTER, Fault, World};

/// An address at which nobody listens.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").to_string()
}

#[tokio::test]
async fn endpoints_that_are_down_are_named_with_the_reason_of_each() {
    let endpoints = [nowhere(), nowhere()];
    let error = Client::connect(&endpoints, Options::default()).await.err().unwrap();
    let Error::NotConnected(why) = &error else { panic!("{error}") };
    assert_eq!(why.len(), 2);
    for (endpoint, why) in why {
        assert!(endpoints.contains(endpoint) && why.contains("refused"), "{endpoint}: {why}");
    }
    assert_eq!(error.fate(), Fate::Retry);
    assert!(error.to_string().contains(&endpoints[0]), "{error}");
}

#[tokio::test]
async fn any_endpoint_will_do() {
    let world = World::v2(&[]);
    let members = world.endpoints();
    for endpoint in [members[0].clone(), members[1].clone(), format!("http://{}", members[1])] {
        let client = Client::connect(&[nowhere(), endpoint], world.options()).await.unwrap();
        client.put("a", "1").await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_is_said_before_anything_is_sent() {
    let world = World::v2(&[]);
    let options = Options { budget: Duration::ZERO, fan_out: 0, ..world.options() };
    let error = Client::connect(&world.endpoints(), options).await.err().unwrap();
    assert!(error.to_string().ends_with("budget, fan-out"), "{error}");
    let none: [&str; 0] = [];
    assert!(matches!(Client::connect(&none, world.options()).await, Err(Error::Invalid(_))));
    let mode = KeyMode::V2 { keyspace: "no".to_owned() };
    let options = Options { mode, ..world.options() };
    let error = Client::connect(&world.endpoints(), options).await.err().unwrap();
    assert_eq!(error, Error::Invalid("there is no keyspace \"no\"".to_owned()));
}

#[tokio::test]
async fn placement_without_a_leader_is_waited_for() {
    let world = World::v2(&[]);
    world.state.lock().leading = None;
    let options = Options { budget: Duration::from_millis(100), ..world.options() };
    let error = Client::connect(&world.endpoints(), options).await.err().unwrap();
    assert!(matches!(&error, Error::Timeout { last, .. } if last.contains("no leader")), "{error}");

    let (endpoints, options) = (world.endpoints(), world.options());
    let connect = tokio::spawn(async move { Client::connect(&endpoints, options).await });
    tokio::task::yield_now().await;
    world.state.lock().leading = Some(1);
    connect.await.unwrap().unwrap().put("a", "1").await.unwrap();
}

#[tokio::test]
async fn new_leader_of_placement_is_found() {
    let world = World::v2(&["m"]);
    let client = world.client().await;
    client.put("a", "1").await.unwrap();
    world.state.lock().leading = Some(1);
    client.put("z", "1").await.unwrap();
    assert_eq!(client.every_region().await.unwrap().len(), 4);
    world.state.lock().leading = Some(0);
    world.kill_member(1);
    assert_eq!(client.every_region().await.unwrap().len(), 4);
}

#[tokio::test]
async fn operators_are_answered_by_whoever_leads() {
    let world = World::v2(&[]);
    let client = world.client().await;
    let admin = client.admin();
    admin.status().await.unwrap();
    world.state.lock().leading = Some(1);
    assert!(admin.list_stores(false).await.unwrap().is_empty());
    let regions = admin.list_regions(ListRegionsRequest::default()).await.unwrap();
    assert!(regions.is_empty());
    admin.drain_store(1, true).await.unwrap();
    admin.undrain_store(1).await.unwrap();
    admin.remove_store(1).await.unwrap();
    admin.transfer_leader(2, 1).await.unwrap();
    world.state.lock().leading = Some(0);
    admin.split_region(2, vec![b"k".to_vec()]).await.unwrap();
    assert!(admin.list_operators(true).await.unwrap().is_empty());
    assert!(admin.explain(What::RegionId(2)).await.unwrap().is_empty());
    assert!(admin.watch().await.unwrap().message().await.unwrap().is_none());
    let (mut service, cluster_id) = admin.service().await.unwrap();
    service.status(StatusRequest { cluster_id }).await.unwrap();
    let asked = world.state.lock().asked.clone();
    assert!(asked.len() == 12 && asked.iter().all(|&(_, cluster)| cluster == CLUSTER), "{asked:?}");
}

#[tokio::test]
async fn operators_orders_are_repeated_only_if_that_changes_nothing() {
    let world = World::v2(&[]);
    let admin = world.client().await.admin();
    let count = || world.state.lock().asked.len();
    world.fault("drain_store", Fault::Status(Code::Internal));
    admin.drain_store(1, false).await.unwrap();
    assert_eq!(count(), 2);
    world.fault("split_region", Fault::Status(Code::Internal));
    let error = admin.split_region(2, Vec::new()).await.unwrap_err();
    assert!(matches!(error, Error::Undetermined(_)), "{error}");
    assert_eq!(count(), 3);
    // It did not lead, and so did nothing.
    world.fault("split_region", Fault::Status(Code::Unavailable));
    admin.split_region(2, Vec::new()).await.unwrap();
    world.fault("remove_store", Fault::Status(Code::FailedPrecondition));
    let error = admin.remove_store(1).await.unwrap_err();
    assert_eq!(error, Error::Refused("as ordered".to_owned()));
}
