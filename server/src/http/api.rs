//! The routes of the second port.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, RawQuery, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};

use super::metrics::{self, Registry};
use super::{Answer, SharedSource, health};
use crate::config;
use crate::errors::{self, Exit, Failure};
use crate::version;
use crate::view::Region;

/// Regions in one answer, if nobody says, and at most.
const REGIONS: u32 = 1_000;
const REGIONS_MAX: u32 = 10_000;

#[derive(Clone)]
struct Shared {
    source: SharedSource,
    registry: Arc<Registry>,
}

/// The routes of a node.
pub fn router(source: SharedSource, registry: Arc<Registry>, limits: &config::Http) -> Router {
    let bounds =
        Bounds { body: limits.body_size_max.get(), patience: limits.request_timeout.get() };
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(figures))
        .route("/version", get(|| async { json(&version::json()) }))
        .route("/v1/status", get(status))
        .route("/v1/stores", get(stores))
        .route("/v1/regions", get(regions))
        .route("/v1/operators", get(operators))
        .fallback(nothing_here)
        .layer(middleware::from_fn_with_state(bounds, within))
        .with_state(Shared { source, registry })
}

#[derive(Clone, Copy)]
struct Bounds {
    body: u64,
    patience: Duration,
}

/// Refuses what is too large before it is read, and gives up what takes too long.
async fn within(State(bounds): State<Bounds>, request: Request, next: Next) -> Response {
    if body_length(request.headers()).is_none_or(|length| length > bounds.body) {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n").into_response();
    }
    match tokio::time::timeout(bounds.patience, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => (StatusCode::GATEWAY_TIMEOUT, "not done in time\n").into_response(),
    }
}

/// None if it makes no sense. No handler reads a body, so one without a length does no harm.
fn body_length(headers: &HeaderMap) -> Option<u64> {
    match headers.get(CONTENT_LENGTH) {
        None => Some(0),
        Some(length) => length.to_str().ok()?.parse().ok(),
    }
}

async fn live(RawQuery(query): RawQuery) -> (StatusCode, String) {
    health::answer("livez", &[], &query.unwrap_or_default())
}

async fn ready(State(shared): State<Shared>, RawQuery(query): RawQuery) -> (StatusCode, String) {
    health::answer("readyz", &shared.source.checks(), &query.unwrap_or_default())
}

async fn figures(State(shared): State<Shared>) -> Response {
    match metrics::encode(&shared.registry) {
        Ok(text) => ([(CONTENT_TYPE, metrics::MEDIA_TYPE)], text).into_response(),
        Err(failure) => refused(&failure),
    }
}

async fn status(State(shared): State<Shared>) -> Response {
    answer(shared.source.status()).await
}

async fn stores(State(shared): State<Shared>) -> Response {
    answer(shared.source.stores()).await
}

async fn operators(State(shared): State<Shared>) -> Response {
    answer(shared.source.operators()).await
}

/// A page of regions: from which engine key, in hex, and how many.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    start_hex: String,
    limit: Option<u32>,
}

async fn regions(State(shared): State<Shared>, Query(page): Query<Page>) -> Response {
    let Some(start) = unhex(&page.start_hex) else {
        let failure = Failure::new(&errors::USAGE, "start_hex is not hex");
        return refused(&failure);
    };
    let limit = page.limit.unwrap_or(REGIONS).clamp(1, REGIONS_MAX);
    match shared.source.regions(start, limit).await {
        Ok(found) => {
            let version = &found.api_version;
            let regions: Vec<Region> =
                found.regions.into_iter().map(|region| Region::new(region, version)).collect();
            json(&regions)
        }
        Err(failure) => refused(&failure),
    }
}

async fn nothing_here() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "nothing is here\n")
}

async fn answer<T: Serialize>(answer: Answer<T>) -> Response {
    match answer.await {
        Ok(value) => json(&value),
        Err(failure) => refused(&failure),
    }
}

pub(super) fn json<T: Serialize>(value: &T) -> Response {
    axum::Json(value).into_response()
}

/// A failure, with the code of HTTP that says the same as its exit code.
pub(super) fn refused(failure: &Failure) -> Response {
    let status = match failure.exit() {
        Exit::Usage => StatusCode::BAD_REQUEST,
        Exit::NotFound => StatusCode::NOT_FOUND,
        Exit::Denied => StatusCode::FORBIDDEN,
        Exit::Unreachable | Exit::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, [(CONTENT_TYPE, "application/json")], failure.json()).into_response()
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |letter: u8| char::from(letter).to_digit(16);
    let byte = |&[high, low]: &[u8; 2]| u8::try_from(digit(high)? << 4 | digit(low)?).ok();
    pairs.iter().map(byte).collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())
}
