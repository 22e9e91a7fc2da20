//! Reading back entries that are no longer in memory, away from the thread that steps their group.

use storage::Engine;

use crate::disk;
use crate::shard::{Fetch, Fetched};

/// Bytes that are read for one append, about. It was planned by what entries have on the average,
/// and those that it names may have a thousand times as much.
const BYTES_MAX: u64 = 16 << 20;

/// Reads the entries that an append names, or the first of them.
#[must_use]
pub fn fetch(engine: &dyn Engine, fetch: Fetch) -> Fetched {
    let entries = disk::read_entries(&*engine.view(), fetch.group, &fetch.range, BYTES_MAX);
    let entries = entries
        .inspect_err(|why| tracing::error!(group = %fetch.group, %why, "entries not read"))
        .ok();
    Fetched { fetch, entries }
}
