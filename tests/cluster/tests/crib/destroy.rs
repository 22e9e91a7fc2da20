//! A range is destroyed as clients do it: every store is asked, and each deletes what it leads.

use std::time::Duration;

use cluster::crib::{Node, until};
use proto::kvrpcpb::{UnsafeDestroyRangeRequest, UnsafeDestroyRangeResponse};
use proto::tikvpb::tikv_client::TikvClient;
use tonic::transport::Endpoint;
use types::KeyRange;

use crate::raw::raw;
use crate::{options, with_regions};

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
    client.put("other", "stays").await.expect("a put");
    let mut left = vec![count("ledger/", "ledger0").await];

    // Each store does its part, and no other's. Leadership may move to one that has answered, or
    // away from one that is about to: then whoever asks asks again.
    let stores = cluster.nodes();
    until("a range without keys", async || {
        for store in &stores {
            let answer = destroy(store, "ledger/", "ledger0").await;
            assert_eq!(answer.region_error.is_some(), !answer.error.is_empty(), "{answer:?}");
            if let Some(why) = &answer.region_error {
                let has_moved = why.not_leader.is_some()
                    || why.stale_command.is_some()
                    || why.undetermined_result.is_some();
                assert!(has_moved, "refused for another reason: {answer:?}");
            }
            left.push(count("ledger/", "ledger0").await);
        }
        (left.last() == Some(&0)).then_some(())
    })
    .await;
    let parts = left.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert!(left.is_sorted_by(|before, after| before >= after) && parts >= 2, "{left:?}");
    assert_eq!(count("", "").await, 1);
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
            assert_ne!(answer.error, "", "one client reads nothing else");
        })
    })
    .await;
    assert!(survivor.runs(), "{}", survivor.last_words());
}
