//! Placement with many regions: what a report costs, and what a question about routes costs beside
//! reports.
//!
//! | bench | ours | peer in the same turns |
//! |---|---|---|
//! | `core` | CPU of one thread: a report in table and planner, a tick at rest | none: absolute |
//! | `routes` | latency of a question while reports come in | the same without reports |
//!
//! Regions lie evenly on the stores, three replicas each, so that nothing is to be moved: what is
//! measured is the standing load. Reports carry new figures and nothing else, as most do.

mod cluster;
mod core;
mod member;
mod reporter;
mod routes;

use std::time::Duration;

use crate::table::Row;

/// Settings of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Regions.
    pub regions: u64,
    /// Stores.
    pub stores: u64,
    /// Reports of regions a second in a busy turn.
    pub reports_per_second: u64,
    /// Turns, each once quiet and once busy.
    pub turns: usize,
    /// How long half a turn is.
    pub span: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            regions: 1_000_000,
            stores: 1_000,
            reports_per_second: 50_000,
            turns: 7,
            span: Duration::from_secs(3),
        }
    }
}

/// A bench: its name, and what it measures.
pub type Bench = (&'static str, fn(&Settings) -> Vec<Row>);

/// All of them.
pub const BENCHES: &[Bench] = &[("core", core::run), ("routes", routes::run)];
