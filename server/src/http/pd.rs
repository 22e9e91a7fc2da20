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
use crate::errors::Failure;
use crate::view;

/// Regions in the answer, at most. There are no pages in this protocol.
const REGIONS_MAX: usize = 100_000;
/// Regions that placement is asked for at a time.
const PAGE: u32 = 1_000;

/// The route that is served beside gRPC.
pub fn pd_router(source: SharedSource) -> Router {
    Router::new().route("/pd/api/v1/regions", get(regions)).with_state(source)
}

async fn regions(State(source): State<SharedSource>) -> Response {
    match all(&source).await {
        Ok((count, regions)) => api::json(&json!({ "count": count, "regions": regions })),
        Err(failure) => api::refused(&failure),
    }
}

/// How many regions there are, and the first of them.
async fn all(source: &SharedSource) -> Result<(u64, Vec<Value>), Failure> {
    let mut regions: Vec<Value> = Vec::new();
    let mut start = Vec::new();
    while regions.len() < REGIONS_MAX {
        let page = source.regions(start, PAGE).await?.regions;
        regions.extend(page.iter().map(region));
        let last = page.last().and_then(|last| last.region.as_ref());
        start = last.map(|last| last.end_key.to_vec()).unwrap_or_default();
        // The last region ends where nothing does.
        if page.len() < PAGE as usize || start.is_empty() {
            return Ok((regions.len() as u64, regions));
        }
    }
    let count = source.status().await?.regions;
    Ok((count.max(regions.len() as u64), regions))
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
