//! Reading back entries that are no longer in memory, away from the thread that steps their group.

use storage::Engine;

use crate::disk;
use crate::shard::{Fetch, Fetched};

/// Reads the entries that an append names.
#[must_use]
pub fn fetch(engine: &dyn Engine, fetch: Fetch) -> Fetched {
    let entries = disk::read_entries(&*engine.view(), fetch.group, &fetch.range, u64::MAX);
    let entries = entries
        .inspect_err(|why| tracing::error!(group = %fetch.group, %why, "entries not read"))
        .ok();
    Fetched { fetch, entries }
}
