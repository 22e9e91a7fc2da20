//! That the store is well, and how it is.

use std::sync::Arc;
use std::time::Duration;

use proto::crib::placement::v1::placement_client::PlacementClient;
use proto::crib::placement::v1::{StoreHeartbeatRequest, StoreState};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use super::waiting::Waiting;
use super::{Failed, Link, call};
use crate::node::condition::Condition;

/// Beats until the runtime ends, or the cluster has removed this store.
pub(super) async fn run(
    link: Arc<Link>,
    every: Duration,
    look: impl Fn() -> Condition,
    on_removed: impl FnOnce() + Send + 'static,
) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut refused = Waiting::default();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = link.hurry.notified() => {}
        }
        let mut heard = beat(&link, look()).await;
        if let Err(Failed::Passing(why)) = &heard {
            tracing::debug!(why, "no heartbeat");
            // Another may lead by now: once more, and then with the next tick.
            heard = beat(&link, look()).await;
        }
        match heard {
            Ok(StoreState::Removed) => {
                let _ = spawn_blocking(on_removed).await;
                return;
            }
            Ok(_) => {
                if refused.is_over() {
                    tracing::info!("placement takes this store's heartbeats again");
                }
                *link.refusal.lock() = None;
            }
            Err(Failed::Final(why)) => {
                if refused.failed(&why) {
                    tracing::warn!(why, "placement refuses this store's heartbeats");
                }
                *link.refusal.lock() = Some(why);
            }
            Err(Failed::Passing(_)) => {}
        }
    }
}

/// Says how the store is, and learns what placement takes it for.
async fn beat(link: &Link, is: Condition) -> Result<StoreState, Failed> {
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
    let answer = call(&link.finder, ask).await?;
    let state = answer.state();
    *link.state.lock() = state;
    link.learn(answer.book_version, &answer.book, &answer.placement_stores).await;
    Ok(state)
}
