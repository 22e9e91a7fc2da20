//! Much is written: regions split until they are small, spread over all stores, and together hold
//! exactly what was written.
//!
//! `CRIB_SPREAD_MB=200` writes so much; the default is 20.

use std::collections::BTreeMap;

use cluster::crib::{Cluster, regions, until};
use types::KeyRange;

use crate::options;

/// Bytes of a value.
const VALUE: usize = 4_000;

fn megabytes() -> usize {
    std::env::var("CRIB_SPREAD_MB").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

fn value(nth: usize) -> String {
    format!("{nth:08}").repeat(VALUE / 8)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_regions_hold_exactly_what_was_written() {
    let mut options = options("spread");
    options.split_keys = 1_000_000;
    let cluster = Cluster::start(options).await;
    let client = cluster.client().await;
    let count = megabytes() * 1_000_000 / VALUE;
    let nths: Vec<usize> = (0..count).collect();
    for chunk in nths.chunks(500) {
        // Not in order: so all regions are written to at once.
        let pairs = chunk.iter().map(|&nth| (key(nth), value(nth)));
        client.batch_put(pairs).await.expect("puts");
    }
    let wanted = megabytes() * 3 / 4;
    until("regions that are small", async || {
        let regions = regions(&client).await;
        let small = |bytes: u64| bytes <= 1_200 << 10;
        let is_cut = regions.iter().all(|region| small(region.approximate_bytes));
        (is_cut && regions.len() >= wanted).then_some(())
    })
    .await;
    let status = cluster.wait_healthy().await;
    // Leaders get moved a few at a time.
    let leaders = until("leaders on all stores", async || {
        let mut leaders: BTreeMap<u64, u64> = BTreeMap::new();
        for region in regions(&client).await {
            *leaders.entry(region.leader?.store_id).or_default() += 1;
        }
        let fair = status.regions / 3;
        (leaders.len() == 3 && leaders.values().all(|&led| led >= fair / 2)).then_some(leaders)
    })
    .await;
    for region in regions(&client).await {
        let region = region.region.expect("a report is of a region");
        assert_eq!(region.peers.len(), 3, "{region:?}");
    }
    println!("spread: {count} keys, {} regions, leaders {leaders:?}", status.regions);

    let mut expected: BTreeMap<String, usize> = nths.iter().map(|&nth| (key(nth), nth)).collect();
    let mut scan = client.scan(&KeyRange::default(), client::ScanOptions::default());
    let mut last = String::new();
    while let Some((key, found)) = scan.next().await.expect("a scan") {
        let key = String::from_utf8_lossy(&key).into_owned();
        assert!(key > last, "{key} came behind {last}");
        let nth = expected.remove(&key).unwrap_or_else(|| panic!("{key}: nobody wrote it"));
        assert!(found == value(nth), "{key} has another value");
        last = key;
    }
    assert!(
        expected.is_empty(),
        "{} keys are missing: {:?}",
        expected.len(),
        expected.keys().next()
    );
    cluster.assert_all_run();
}

fn key(nth: usize) -> String {
    format!("spread/{:05}", (nth as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48)
        + &format!("/{nth}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn region_that_is_cut_into_many_is_cut_until_all_are_small_though_nobody_writes() {
    let mut options = options("cut to the end");
    options.stores = 1;
    options.split_keys = 200;
    options.set.extend(["replicas=1", "region.check-interval=2s"].map(str::to_owned));
    let cluster = Cluster::start(options).await;
    let client = cluster.client().await;
    // More than one split makes of them, in less time than passes until they are looked at.
    let pairs = (0..6_000).map(|n| (format!("cut/{n:05}"), "x".repeat(20)));
    client.batch_put(pairs).await.expect("puts");
    until("regions that are small", async || {
        let regions = regions(&client).await;
        let are_small = regions.iter().all(|region| region.approximate_keys <= 200);
        (regions.len() > 20 && are_small).then_some(())
    })
    .await;
    let all = KeyRange::new("cut/", "cut0");
    assert_eq!(client.count(&all).await.expect("a count"), 6_000);
}
