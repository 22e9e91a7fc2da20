//! The list of regions where clients of the TiKV protocol look for it: on the gRPC port, in the
//! form that they know. `count` is a number of theirs, keys are in upper-case hex, sizes in MiB.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use proto::crib::placement::v1;
use proto::metapb;
use serde_json::{Value, json};

use super::{SharedSource, api};
use crate::view;

/// Regions in the answer, at most. There are no pages in this protocol.
const REGIONS_MAX: u32 = 100_000;

/// The route that is served beside gRPC.
pub fn pd_router(source: SharedSource) -> Router {
    Router::new().route("/pd/api/v1/regions", get(regions)).with_state(source)
}

async fn regions(State(source): State<SharedSource>) -> Response {
    match source.regions(Vec::new(), REGIONS_MAX).await {
        Ok(found) => {
            let regions: Vec<Value> = found.regions.iter().map(region).collect();
            api::json(&json!({ "count": regions.len(), "regions": regions }))
        }
        Err(failure) => api::refused(&failure),
    }
}

fn region(of: &v1::RegionReport) -> Value {
    let region = of.region.clone().unwrap_or_default();
    let epoch = region.region_epoch.unwrap_or_default();
    json!({
        "id": region.id,
        "start_key": view::hex(&region.start_key).to_uppercase(),
        "end_key": view::hex(&region.end_key).to_uppercase(),
        "epoch": { "conf_ver": epoch.conf_ver, "version": epoch.version },
        "peers": region.peers.iter().map(peer).collect::<Vec<Value>>(),
        "leader": of.leader.as_ref().map(peer),
        "written_bytes": of.written_bytes_per_second,
        "read_bytes": of.read_bytes_per_second,
        "approximate_size": of.approximate_bytes >> 20,
        "approximate_keys": of.approximate_keys,
    })
}

fn peer(peer: &metapb::Peer) -> Value {
    json!({ "id": peer.id, "store_id": peer.store_id })
}
