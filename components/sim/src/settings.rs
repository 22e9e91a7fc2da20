//! Settings of every store in a run.

use std::sync::Arc;
use std::time::Duration;

use multiraft::Config;

/// Limits so low that each is met; `small`: lower still.
pub(crate) fn config(small: bool) -> Config {
    let raft = raft::Config {
        append_bytes_max: if small { 256 } else { 16 << 10 },
        window_bytes: if small { 1 << 10 } else { 64 << 10 },
        ..raft::Config::default()
    };
    Config {
        raft: Arc::new(raft),
        compact_bytes: if small { 512 } else { 4 << 10 },
        compact_entries: 24,
        lag_bytes_max: if small { 1 << 10 } else { 8 << 10 },
        cache_bytes: if small { 64 } else { 2 << 10 },
        apply_slice_bytes: if small { 64 } else { 4 << 10 },
        snapshot_chunk_bytes: 200,
        snapshot_patience: Duration::from_secs(3),
        undetermined_after: Duration::from_secs(3),
        ..Config::default()
    }
}
