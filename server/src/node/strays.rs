//! Replicas that may be nobody's: whoever took them in was overruled, and all whom they know have
//! left since. `multiraft` lets such a replica ask those that it knows of; here it learns whom
//! placement takes for the region's peers. What it is told counts only if a leader says it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proto::pdpb::pd_client::PdClient;
use proto::pdpb::{GetRegionByIdRequest, RequestHeader};
use tokio::time::{MissedTickBehavior, interval};
use types::{GroupId, Region};

use super::Parts;

/// How often it is looked for strays; one that was there the last time too is looked into.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Looks for strays, until the node stops.
pub(super) async fn run(parts: Arc<Parts>) {
    let mut before: BTreeSet<GroupId> = BTreeSet::new();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = parts.data.regions.strays();
        for &id in now.intersection(&before) {
            match known(&parts, id).await {
                Ok(Some(region)) => {
                    let peers = region.peers.iter().map(|peer| (peer.id, peer.store));
                    parts.data.handle.inquire(id, peers.collect());
                }
                Ok(None) => tracing::debug!(region = %id, "placement does not know the region"),
                Err(why) => tracing::debug!(region = %id, why, "placement is not asked"),
            }
        }
        before = now;
    }
}

/// A region as placement has it.
async fn known(parts: &Parts, id: GroupId) -> Result<Option<Region>, String> {
    let request = GetRegionByIdRequest {
        header: Some(RequestHeader { cluster_id: parts.cluster.get() }),
        region_id: id.get(),
        need_buckets: false,
    };
    let ask = |channel| async move { PdClient::new(channel).get_region_by_id(request).await };
    let found = parts.link.ask(ask).await?.region;
    found.map(|region| Region::try_from(&region).map_err(|why| why.0.to_owned())).transpose()
}
