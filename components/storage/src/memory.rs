//! The engine in memory: for tests, for simulation, and as the plainest statement of the contract.
//!
//! It keeps its state on a [`MemoryDisk`] that outlives it. Buffered writes are visible at once and
//! durable with the next synced one; [`MemoryDisk::crash`] takes a suffix of them. There is no
//! clock and no thread here, so what one thread does with it is the same each time; a lock makes it
//! usable from many.
//!
//! Invariant: the lock is never held while a caller's code runs.

mod disk;
mod table;
mod versions;

use std::ops::Bound;
use std::path::{Path, PathBuf};

pub use self::disk::{Counters, Crash, Faults, MemoryDisk, SyncFault};
use self::table::MemoryTable;
use self::versions::{Bytes, Number};
use crate::batch::Batch;
use crate::cf::Cf;
use crate::engine::{Bounds, Direction, Durability, Engine, TableWriter, View};
use crate::error::Error;
use crate::health::Health;

/// How many pairs a scan fetches at first and at most: it must not copy a range to read one pair.
const FETCH: std::ops::RangeInclusive<usize> = 8..=512;

/// An engine on a [`MemoryDisk`].
#[derive(Debug)]
pub struct MemoryEngine {
    disk: MemoryDisk,
    life: u64,
}

struct MemoryView {
    disk: MemoryDisk,
    life: u64,
    at: Number,
}

impl MemoryEngine {
    /// Opens what is on the disk. What it finds is durable from then on. An engine that was open on
    /// the same disk fails from now on.
    ///
    /// # Errors
    /// [`Error::Corrupt`] and [`Error::Disk`] if [`Faults`] say so.
    pub fn open(disk: MemoryDisk) -> Result<MemoryEngine, Error> {
        let life = disk.begin()?;
        Ok(MemoryEngine { disk, life })
    }

    /// The disk under it.
    #[must_use]
    pub fn disk(&self) -> &MemoryDisk {
        &self.disk
    }
}

impl Engine for MemoryEngine {
    fn write(&self, batch: &Batch, durability: Durability) -> Result<(), Error> {
        let mut state = self.disk.lock();
        state.check_writable(self.life)?;
        state.write(batch, durability)
    }

    fn view(&self) -> Box<dyn View> {
        let mut state = self.disk.lock();
        let at = if state.life() == self.life { state.pin() } else { 0 };
        Box::new(MemoryView { disk: self.disk.clone(), life: self.life, at })
    }

    fn get(&self, cf: Cf, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let mut state = self.disk.lock();
        state.check_readable(self.life)?;
        Ok(state.versions.get(cf, key, state.visible()).map(|value| value.to_vec()))
    }

    fn flush(&self, cf: Cf) -> Result<(), Error> {
        let mut state = self.disk.lock();
        state.check_writable(self.life)?;
        state.sync()?;
        state.flushed(cf);
        Ok(())
    }

    fn checkpoint(&self, to: &Path) -> Result<(), Error> {
        let mut state = self.disk.lock();
        state.check_writable(self.life)?;
        state.sync()?;
        state.save_checkpoint(to)
    }

    fn table(&self, cf: Cf, path: &Path) -> Result<Box<dyn TableWriter>, Error> {
        let state = self.disk.lock();
        state.check_writable(self.life)?;
        state.free(path)?;
        Ok(Box::new(MemoryTable::new(self.disk.clone(), cf, path.to_path_buf())))
    }

    fn ingest(&self, cf: Cf, tables: &[PathBuf]) -> Result<(), Error> {
        let mut state = self.disk.lock();
        state.check_writable(self.life)?;
        let mut all = Vec::new();
        for path in tables {
            all.push(table::decode(cf, state.plain_file(path)?)?);
        }
        all.sort_by(|one, other| table::span(one).cmp(&table::span(other)));
        for pair in all.windows(2) {
            let (before, after) = (table::span(&pair[0]), table::span(&pair[1]));
            if before.map(|span| span.1) >= after.map(|span| span.0) {
                return Err(Error::Invalid("the tables overlap".into()));
            }
        }
        let mut batch = Batch::new();
        all.iter().for_each(|pairs| batch.append(pairs));
        state.write(&batch, Durability::Synced)?;
        tables.iter().for_each(|path| state.drop_file(path));
        Ok(())
    }

    fn health(&self) -> Health {
        self.disk.lock().health()
    }
}

impl View for MemoryView {
    fn get(&self, cf: Cf, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let mut state = self.disk.lock();
        state.check_readable(self.life)?;
        Ok(state.versions.get(cf, key, self.at).map(|value| value.to_vec()))
    }

    fn scan(
        &self,
        cf: Cf,
        bounds: Bounds<'_>,
        direction: Direction,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Error> {
        let mut limit = *FETCH.start();
        let mut last: Option<Bytes> = None;
        loop {
            let rest = match (&last, direction) {
                (None, _) => bounds,
                (Some(key), Direction::Forward) => (Bound::Excluded(&**key), bounds.1),
                (Some(key), Direction::Reverse) => (bounds.0, Bound::Excluded(&**key)),
            };
            let pairs = {
                let mut state = self.disk.lock();
                state.check_readable(self.life)?;
                state.versions.some(cf, rest, direction, self.at, limit)
            };
            for (key, value) in &pairs {
                if !each(key, value) {
                    return Ok(());
                }
            }
            if pairs.len() < limit {
                return Ok(());
            }
            last = pairs.last().map(|pair| pair.0.clone());
            limit = (limit * 4).min(*FETCH.end());
        }
    }
}

impl Drop for MemoryView {
    fn drop(&mut self) {
        self.disk.lock().unpin(self.at, self.life);
    }
}
