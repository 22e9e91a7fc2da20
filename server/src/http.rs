//! The second port of a node: health, metrics, and the cluster in JSON.
//!
//! | path | answer |
//! |---|---|
//! | `/livez` | 200 while the process goes on |
//! | `/readyz` | 200 if every check holds, else 503; `?verbose` lists, `?exclude=a,b` omits |
//! | `/metrics` | figures, in the OpenMetrics text format |
//! | `/version` | what this binary is |
//! | `/v1/status /v1/stores /v1/regions /v1/operators` | as `crib … -o json` prints it |
//!
//! `pd_router` is for the other port: clients of the TiKV protocol look there for the list of
//! regions.
//!
//! What a node is, this does not know: it asks a [`Source`], and before there is one
//! [`Starting`]. Nothing here changes anything.
//!
//! Limits: connections at a time, the size of a head and of a body, and the time for each, as well
//! as for taking a part of an answer. Where the node has certificates, this port speaks TLS too,
//! unless it is told otherwise: [`Secure`].

mod api;
mod health;
pub mod metrics;
mod pd;
mod serve;
mod starting;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use proto::crib::placement::v1;

pub use api::router;
pub use health::Check;
pub use metrics::Registry;
pub use pd::pd_router;
pub use serve::{Secure, serve};
pub use starting::Starting;

use crate::errors::Failure;
use crate::view::{Operator, Status, Store};

/// An answer that takes a while.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

/// What the port tells of a node and its cluster.
pub trait Source: Send + Sync + 'static {
    /// What must hold for this node to be ready. Cheap: it is asked often.
    fn checks(&self) -> Vec<Check>;
    /// The cluster as a whole.
    fn status(&self) -> Answer<Status>;
    /// All stores but those that were removed.
    fn stores(&self) -> Answer<Vec<Store>>;
    /// Regions from an engine key on, at most so many, and how keys are formed.
    fn regions(&self, start: Vec<u8>, limit: u32) -> Answer<Regions>;
    /// Operators that run.
    fn operators(&self) -> Answer<Vec<Operator>>;
}

/// Regions as placement reports them.
#[derive(Clone, Debug, Default)]
pub struct Regions {
    /// `v1`, `v1ttl` or `v2`.
    pub api_version: String,
    /// In the order of their keys.
    pub regions: Vec<v1::RegionReport>,
}

/// A source that is shared.
pub type SharedSource = Arc<dyn Source>;

#[cfg(test)]
mod tests;
