//! A range is destroyed as clients do it: every store is asked, and each deletes what it leads.

use std::time::Duration;

use cluster::crib::{Node, until};
use proto::kvrpcpb::{UnsafeDestroyRangeRequest, UnsafeDestroyRangeResponse};
use proto::tikvpb::tikv_client::TikvClient;
use tonic::transport::Endpoint;
use types::KeyRange;

use crate::raw::raw;
use crate::{led, options, with_regions};

/// Longer than a store waits for somebody to lead.
const PATIENCE: Duration = Duration::from_secs(60);

async fn destroy(node: &Node, start: &str, end: &str) -> UnsafeDestroyRangeResponse {
    let address = format!("http://{}", node.address);
    let endpoint = Endpoint::from_shared(address).expect("an address").timeout(PATIENCE);
    let mut tikv = TikvClient::new(endpoint.connect().await.expect("it listens"));
    let request = UnsafeDestroyRangeRequest {
        start_key: raw(start),
        end_key: raw(end),
        ..Default::default()
    };
    tikv.unsafe_destroy_range(request).await.expect("an answer").into_inner()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn range_is_destroyed_when_each_store_has_deleted_what_it_leads() {
    let (cluster, client) = with_regions(options("destroyed range")).await;
    let count = async |start: &str, end: &str| {
        client.count(&KeyRange::new(start.to_owned(), end.to_owned())).await.expect("a count")
    };
    let all = count("", "").await;
    let gone = count("ledger/20", "ledger/e0").await;
    assert!(gone > 0 && gone < all, "{gone} of {all}");

    // One store alone does its part, and no other's.
    let stores = cluster.nodes();
    assert_eq!(destroy(&stores[0], "ledger/20", "ledger/e0").await, Default::default());
    let left = count("ledger/20", "ledger/e0").await;
    let leads = led(&client).await;
    assert!(left < gone && left > 0, "{left} of {gone} are left; leaders: {leads:?}");

    // Leadership may have moved to a store that had answered: then whoever asks asks again.
    until("a range without keys", async || {
        for store in &stores {
            assert_eq!(destroy(store, "ledger/20", "ledger/e0").await, Default::default());
        }
        (count("ledger/20", "ledger/e0").await == 0).then_some(())
    })
    .await;
    assert_eq!(count("", "").await, all - gone);
    cluster.assert_all_run();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn range_that_nobody_leads_is_not_told_to_be_destroyed() {
    let (cluster, _client) = with_regions(options("undestroyed range")).await;
    let [survivor, second, third] = &cluster.nodes()[..] else { panic!("three nodes") };
    second.kill();
    third.kill();
    // Until it has noticed, it may refer to one of those for what they led, as they get asked too.
    until("a refusal", async || {
        let answer = destroy(survivor, "ledger/", "ledger0").await;
        answer.region_error.and_then(|error| error.not_leader).map(|hint| {
            assert_eq!(hint.leader, None, "nobody leads");
        })
    })
    .await;
    assert!(survivor.runs(), "{}", survivor.last_words());
}
