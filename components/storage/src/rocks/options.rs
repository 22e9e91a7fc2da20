//! Every option of RocksDB that differs from its default, and why.
//!
//! What [`Config`] sets is explained there. Of the whole engine:
//!
//! - **Recovery of the log: point in time.** It drops a torn end and keeps a prefix. That a bit did
//!   not rot is what the audit has found out before.
//! - **Logs are tracked in the manifest.** A closed log that is lost or cut is refused, and the
//!   audit reads the same record.
//! - **Logs are not recycled.** Bytes of an older log behind the end would look like good records
//!   behind bad ones.
//! - **Paranoid checks; checksums are verified.** What is on disk is refused, never guessed.
//! - **No resuming after an error.** A second sync may succeed without having written what the
//!   first one lost. (A full disk is not such an error: RocksDB waits for room.)
//! - **Flush while recovering.** What a start shows is durable, as [`crate::Engine`] promises.
//! - **One memory budget for all column families.** A few busy ones may use what idle ones leave.
//!   It stalls nobody: writing out begins at seven eighths.
//! - **Tables are synced every 1 MiB.** No burst at the end of a table delays a sync of the log.
//! - **One writer at a time fills memory.** There are two, of the log and of what is applied, and
//!   only so does RocksDB remember where it wrote last (below).
//! - **Info log: warnings, four files of 16 MiB. No dump of statistics.** Both are bounded, and
//!   metrics are made from [`crate::Health`].
//!
//! Of the column families:
//!
//! | | `raft` | `meta` | `default` `lock` `write` |
//! |---|---|---|---|
//! | compression | none at first, then LZ4 | LZ4 | LZ4, at last Zstandard |
//! | filter | none: it is read in order | 10 bits a key | 10 bits a key |
//! | block | 32 KiB: read in runs | 4 KiB | 16 KiB |
//! | memory | large | 16 MiB | middling |
//! | tables at level 0 before a merge | 4 | 2: read at each start | 4 |
//! | place remembered of the last write | for a group's log | for a record of a group | none |
//!
//! What is kept of a group, its log above all, is written behind or over what was written of it
//! last, and that place is remembered in memory: a search through it would be as long as for any
//! key, and miss the cache at each step. It costs 250 bytes for each log and each kind of record
//! that is written, in each piece of memory. Keys of data come in no such order. RocksDB leaves
//! deletions of ranges out of it, and must: they are no entries of the same list.
//!
//! The memory of `raft` is large so that log entries are deleted before they are written out: then
//! they never cost a table.
//!
//! Not set: pipelined and unordered writes (no gain with one writer of the log, and the second
//! breaks views), compression of the log, direct I/O, blob files (not measured yet).

use rocksdb::event_listener::EventListener;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode,
    IngestExternalFileOptions, LogLevel, Options, ReadOptions, WriteBufferManager, WriteOptions,
};

use super::config::Config;
use crate::cf::Cf;
use crate::engine::Durability;

/// How much of a key says where the last write was: a group and a kind of record, in either order.
const PLACE_BYTES: u32 = 9;

/// Options of the whole engine.
pub(super) fn engine(config: &Config, listener: impl EventListener + 'static) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_recycle_log_file_num(0);
    options.set_paranoid_checks(true);
    options.set_max_bgerror_resume_count(0);
    options.set_avoid_flush_during_recovery(false);
    let budget = WriteBufferManager::new_write_buffer_manager(config.memory_bytes_max, false);
    options.set_write_buffer_manager(&budget);
    options.set_max_total_wal_size(config.log_bytes_max);
    options.set_max_background_jobs(signed(config.background_jobs));
    options.set_max_open_files(signed(config.open_files_max));
    options.set_bytes_per_sync(1 << 20);
    options.set_allow_concurrent_memtable_write(false);
    if let Some(limit) = config.background_bytes_per_s_max {
        options.set_ratelimiter(i64::try_from(limit).unwrap_or(i64::MAX), 100_000, 10);
    }
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(4);
    options.set_max_log_file_size(16 << 20);
    options.set_stats_dump_period_sec(0);
    options.add_event_listener(listener);
    options
}

/// The column families with their options.
pub(super) fn families(config: &Config) -> Vec<ColumnFamilyDescriptor> {
    let cache = Cache::new_lru_cache(config.block_cache_bytes);
    Cf::ALL.map(|cf| ColumnFamilyDescriptor::new(cf.name(), family(cf, config, &cache))).into()
}

/// Options of a column family.
fn family(cf: Cf, config: &Config, cache: &Cache) -> Options {
    let mut options = match cf {
        Cf::Raft | Cf::Meta => remembering(PLACE_BYTES),
        Cf::Default | Cf::Lock | Cf::Write => Options::default(),
    };
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_paranoid_file_checks(false);
    match cf {
        Cf::Raft => {
            table.set_block_size(32 << 10);
            options.set_write_buffer_size(config.raft_memory_bytes);
            options.set_compression_per_level(&[
                DBCompressionType::None,
                DBCompressionType::None,
                DBCompressionType::Lz4,
            ]);
        }
        Cf::Meta => {
            table.set_block_size(4 << 10);
            table.set_bloom_filter(10.0, false);
            options.set_write_buffer_size(16 << 20);
            options.set_compression_type(DBCompressionType::Lz4);
            options.set_level_zero_file_num_compaction_trigger(2);
        }
        Cf::Default | Cf::Lock | Cf::Write => {
            table.set_block_size(16 << 10);
            table.set_bloom_filter(10.0, false);
            options.set_write_buffer_size(config.data_memory_bytes);
            options.set_compression_type(DBCompressionType::Lz4);
            options.set_bottommost_compression_type(DBCompressionType::Zstd);
        }
    }
    options.set_block_based_table_factory(&table);
    options
}

/// The default options, and that the place of the last write is remembered for each prefix of keys.
fn remembering(prefix_bytes: u32) -> Options {
    let places = format!("memtable_insert_with_hint_prefix_extractor=fixed:{prefix_bytes}");
    // Only by its name can this option be set from here.
    Options::default().get_options_from_string(places).expect("RocksDB knows its own option")
}

/// Options of a table that is written outside of the engine, to be taken over at the last level.
pub(super) fn table(cf: Cf) -> Options {
    let mut options = Options::default();
    let mut table = BlockBasedOptions::default();
    if cf != Cf::Raft {
        table.set_bloom_filter(10.0, false);
        options.set_compression_type(DBCompressionType::Zstd);
    }
    options.set_block_based_table_factory(&table);
    options
}

/// Options of a write.
pub(super) fn write(durability: Durability) -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(durability == Durability::Synced);
    options
}

/// Options of a scan: it does not push what others read again out of the cache, and reads ahead
/// once it proves to be long (RocksDB does that by itself, from the third block on).
pub(super) fn scan() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_verify_checksums(true);
    options.fill_cache(false);
    options
}

/// Options of an ingest: the files are moved, checked, and hide what is older; views stay as they
/// are.
pub(super) fn ingest() -> IngestExternalFileOptions {
    let mut options = IngestExternalFileOptions::default();
    options.set_move_files(true);
    options.set_snapshot_consistency(true);
    options.set_allow_global_seqno(true);
    options.set_allow_blocking_flush(true);
    options.set_verify_checksums_before_ingest(true);
    options
}

fn signed(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
