//! RocksDB without us: the writes that any replicated log on it has to make, and no others.
//!
//! Log      a batch of entries, with one sync.
//! Apply    their values, and for each group how far it is applied, in a batch without sync.
//! Drop     of each group, what lies 1,024 entries back, with the batch that applied.
//!
//! It writes no terms, votes or commit indexes, decides nothing and answers nobody.

use std::path::Path;

use rocksdb::{
    BlockBasedOptions, ColumnFamily, ColumnFamilyDescriptor, DB, Options, WriteBatch, WriteOptions,
};

use super::machine;

/// Entries of a group that are kept.
const KEPT: u64 = 1_024;

/// One instance.
pub struct Bare {
    db: DB,
    synced: WriteOptions,
    /// Of each group, its last slot, and the one up to which its log was dropped.
    groups: Vec<(u64, u64)>,
    next_group: usize,
    batch: WriteBatch,
    /// An entry as it is stored, and the value in it.
    entry: Vec<u8>,
    value: Vec<u8>,
}

/// The key of an entry.
pub fn entry_key(group: u64, index: u64) -> [u8; 17] {
    let mut key = [1; 17];
    key[..8].copy_from_slice(&group.to_be_bytes());
    key[9..].copy_from_slice(&index.to_be_bytes());
    key
}

fn applied_key(group: u64) -> [u8; 9] {
    let mut key = [b'a'; 9];
    key[1..].copy_from_slice(&group.to_be_bytes());
    key
}

fn family<'a>(db: &'a DB, name: &str) -> &'a ColumnFamily {
    db.cf_handle(name).expect("opened with it")
}

impl Bare {
    /// An instance with the memory of ours, in an empty directory.
    pub fn open(dir: &Path, groups: u64, value: &[u8], entry: &[u8]) -> Bare {
        let config = storage::Config::default();
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_max_background_jobs(2);
        options.set_max_total_wal_size(config.log_bytes_max);
        let families = [
            ("raft", config.raft_memory_bytes),
            ("default", config.data_memory_bytes),
            ("meta", 8 << 20),
        ];
        let families = families.map(|(name, memory_bytes)| {
            let mut options = Options::default();
            options.set_write_buffer_size(memory_bytes);
            options.set_block_based_table_factory(&BlockBasedOptions::default());
            ColumnFamilyDescriptor::new(name, options)
        });
        let db = DB::open_cf_descriptors(&options, dir, families).expect("RocksDB opens");
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        Bare {
            db,
            synced,
            groups: vec![(0, 0); usize::try_from(groups).expect("few groups")],
            next_group: 0,
            batch: WriteBatch::default(),
            entry: entry.to_vec(),
            value: value.to_vec(),
        }
    }

    /// Appends so many entries over the groups in turn, durably.
    pub fn append(&mut self, entries: usize) {
        let Bare { db, synced, groups, next_group, batch, entry, .. } = self;
        let raft = family(db, "raft");
        batch.clear();
        for at in 0..entries {
            let nth = (*next_group + at) % groups.len();
            groups[nth].0 += 1;
            batch.put_cf(raft, entry_key(nth as u64 + 1, groups[nth].0), entry.as_slice());
        }
        db.write_opt(batch, synced).expect("RocksDB writes");
    }

    /// Applies what was appended last.
    pub fn apply(&mut self, entries: usize) {
        let Bare { db, groups, next_group, batch, value, .. } = self;
        let (raft, data, meta) = (family(db, "raft"), family(db, "default"), family(db, "meta"));
        batch.clear();
        let count = groups.len();
        for at in 0..entries {
            let nth = (*next_group + at) % count;
            let (last, dropped) = &mut groups[nth];
            let number = nth as u64 + 1;
            // The first rounds over the groups wrote the older slots.
            let back = (entries - 1 - at) / count;
            let index = *last - back as u64;
            batch.put_cf(data, machine::key(number, index), value.as_slice());
            if back > 0 {
                continue;
            }
            batch.put_cf(meta, applied_key(number), [7; 12]);
            if index - *dropped >= KEPT {
                batch.delete_range_cf(raft, entry_key(number, 0), entry_key(number, index));
                *dropped = index;
            }
        }
        *next_group = (*next_group + entries) % groups.len();
        db.write(batch).expect("RocksDB writes");
    }
}
