//! How a store is, as it tells placement.

use std::sync::atomic::Ordering;

use proto::crib::placement::v1::{StoreStats, Unreached};
use transport::Traffic;

use super::Parts;

/// Most stores that are told as not reached.
const UNREACHED_MAX: usize = 64;

/// How a store is.
pub(crate) struct Condition {
    pub(super) stats: StoreStats,
    /// The stores that it does not reach, though it has something to send to them.
    pub(super) unreached: Vec<Unreached>,
}

impl Condition {
    /// How this store is now.
    pub(super) fn of(parts: &Parts, traffic: &Traffic) -> Condition {
        let capacity = parts.data.room.capacity();
        let health = parts.data.engine.health();
        let stats = StoreStats {
            capacity_bytes: capacity.total,
            available_bytes: capacity.available,
            used_bytes: health.table_bytes + health.memory_bytes,
            regions: parts.data.regions.all().len() as u64,
            leaders: parts.data.standings.led().len() as u64,
            is_stopping: parts.is_stopping.load(Ordering::Relaxed),
            is_full: parts.data.room.is_low(),
            ..StoreStats::default()
        };
        let mut found = traffic.unreached();
        // Stores that are gone for good are at the end, where some are left out.
        found.sort_by_key(|of| of.span);
        found.truncate(UNREACHED_MAX);
        let unreached = found.into_iter().map(|of| Unreached {
            store_id: of.store.get(),
            seconds: of.span.as_secs(),
            why: of.why,
        });
        Condition { stats, unreached: unreached.collect() }
    }
}
