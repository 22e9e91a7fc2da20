//! That the store is well, and how it is.

use std::sync::Arc;
use std::time::Duration;

use proto::crib::placement::v1::StoreHeartbeatRequest;
use proto::crib::placement::v1::placement_client::PlacementClient;
use tokio::time::{MissedTickBehavior, interval};

use super::Link;
use crate::node::condition::Condition;

pub(super) async fn run(link: Arc<Link>, every: Duration, look: impl Fn() -> Condition) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = link.hurry.notified() => {}
        }
        if let Err(why) = beat(&link, look()).await {
            tracing::debug!(why, "no heartbeat");
            // Another may lead by now: once more, and then with the next tick.
            let _ = beat(&link, look()).await;
        }
    }
}

async fn beat(link: &Link, is: Condition) -> Result<(), String> {
    let me = &link.me;
    let request = StoreHeartbeatRequest {
        cluster_id: me.cluster.get(),
        store_id: me.store.get(),
        address: me.address.clone(),
        http_address: me.http_address.clone(),
        labels: me.labels.clone(),
        version: me.version.clone(),
        stats: Some(is.stats),
        book_version: link.book.version(),
        life: me.life,
        unreached: is.unreached,
    };
    let ask = |channel| async move { PlacementClient::new(channel).store_heartbeat(request).await };
    let answer = link.ask(ask).await?;
    *link.state.lock() = answer.state();
    link.learn(answer.book_version, &answer.book, &answer.placement_stores).await;
    Ok(())
}
