//! What each of the three writes: a log that is synced, and what is applied.

use std::path::Path;
use std::sync::Arc;

use storage::{Batch, Cf, Config, Durability, Engine, RocksEngine};

/// Frames that the log keeps, at least; so it is dropped before it reaches a table, as ours is.
const KEPT: u64 = 2_048;
/// How many are dropped at a time.
const DROPPED: u64 = 256;

/// An engine with the settings that ours have by default.
#[derive(Clone)]
pub(super) struct Disk(Arc<RocksEngine>);

impl Disk {
    pub(super) fn open(dir: &Path) -> Disk {
        std::fs::create_dir_all(dir).expect("a directory");
        let opened = RocksEngine::open(dir, &Config::default());
        let (engine, _audit) = opened.map_err(|why| why.to_string()).expect("an engine");
        Disk(Arc::new(engine))
    }

    /// Adds a frame to what will be logged.
    pub(super) fn note(batch: &mut Batch, index: u64, frame: &[u8]) {
        batch.put(Cf::Raft, &place(index), frame);
        if index > KEPT && index.is_multiple_of(DROPPED) {
            let end = index - KEPT;
            batch.delete_range(Cf::Raft, &place(end.saturating_sub(DROPPED)), &place(end));
        }
    }

    /// Logs; durable when it returns.
    pub(super) fn log(&self, batch: &Batch) {
        self.0.write(batch, Durability::Synced).expect("a disk");
    }

    /// Applies, with how far.
    pub(super) fn apply(&self, batch: &mut Batch, index: u64) {
        batch.put(Cf::Meta, &[0; 9], &index.to_be_bytes());
        self.0.write(batch, Durability::Buffered).expect("a disk");
    }
}

/// A key like that of an entry: group, kind, slot.
fn place(index: u64) -> [u8; 17] {
    let mut key = [0; 17];
    key[9..].copy_from_slice(&index.to_be_bytes());
    key
}
