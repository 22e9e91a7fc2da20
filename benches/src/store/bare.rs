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
        let raft = family(&self.db, "raft");
        self.batch.clear();
        for (nth, share) in shares(self.next_group, self.groups.len(), entries) {
            for _ in 0..share {
                self.groups[nth].0 += 1;
                let key = entry_key(nth as u64 + 1, self.groups[nth].0);
                self.batch.put_cf(raft, key, self.entry.as_slice());
            }
        }
        self.db.write_opt(&self.batch, &self.synced).expect("RocksDB writes");
    }

    /// Applies what was appended last.
    pub fn apply(&mut self, entries: usize) {
        let db = &self.db;
        let (raft, data, meta) = (family(db, "raft"), family(db, "default"), family(db, "meta"));
        self.batch.clear();
        for (nth, share) in shares(self.next_group, self.groups.len(), entries) {
            let (last, dropped) = &mut self.groups[nth];
            let number = nth as u64 + 1;
            for index in *last + 1 - share..=*last {
                self.batch.put_cf(data, machine::key(number, index), self.value.as_slice());
            }
            self.batch.put_cf(meta, applied_key(number), [7; 12]);
            if *last - *dropped >= KEPT {
                self.batch.delete_range_cf(raft, entry_key(number, 0), entry_key(number, *last));
                *dropped = *last;
            }
        }
        self.next_group = (self.next_group + entries) % self.groups.len();
        db.write(&self.batch).expect("RocksDB writes");
    }
}

/// Which groups get entries, and how many each: all take turns from `first` on, and those of a
/// group stand together, since RocksDB takes them that way with less work.
fn shares(first: usize, groups: usize, entries: usize) -> impl Iterator<Item = (usize, u64)> {
    (0..groups.min(entries)).map(move |at| {
        let share = (entries - 1 - at) / groups + 1;
        ((first + at) % groups, share as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_differ_by_one() {
        let all: Vec<_> = shares(2, 3, 7).collect();
        assert_eq!(all, [(2, 3), (0, 2), (1, 2)]);
        assert_eq!(shares(0, 5, 2).collect::<Vec<_>>(), [(0, 1), (1, 1)]);
    }
}
