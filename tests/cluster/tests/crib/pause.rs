//! A store stands still, with the leaders on it, for longer than their leases; then it goes on, and
//! at first does not know that time has passed.
//!
//! Reads are sent to it while it stands still, by a client that takes it for the leader: they are
//! the first thing that it finds. What others have acknowledged in between must be in the answers.

use std::time::Duration;

use cluster::crib::{Load, store_of};

use crate::{led, options, with_regions};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_that_stood_still_gives_no_stale_read_and_loses_nothing() {
    let (cluster, client) = with_regions(options("pause")).await;
    let load = Load::start(&cluster).await;
    let mut early = 0;
    for at in [0, 1, 2, 0, 1, 2] {
        load.more(200).await;
        let node = cluster.node(at);
        let id = store_of(&client, &node.address).await.id;
        // It knows where everything is, and will not look again.
        let patient = Duration::from_secs(30);
        let late = cluster
            .client_with(client::Options {
                attempt_timeout: patient,
                budget: patient * 2,
                resend_writes: false,
                ..Default::default()
            })
            .await;
        load.ledger.read_all(&late).await.expect("reads are right");
        println!("pause: store {id} stands still, of {:?}", led(&client).await);
        node.pause();
        load.more(300).await;
        let reads = load.ledger.read_all(&late);
        tokio::time::sleep(Duration::from_millis(500)).await;
        early += usize::from(reads.is_finished());
        node.resume();
        let done = reads.await.expect("reads are right");
        assert!(done > 0, "nothing could be read");
    }
    assert!(early < 6, "no read ever waited for a store that stood still: nothing was tested");
    cluster.assert_all_run();
    load.finish(&cluster).await;
    cluster.wait_healthy().await;
}
