//! An engine with a planted bug: what every part of a store writes passes through it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use storage::{Batch, Cf, Durability, Engine, Error, Health, Op, TableWriter, View};

use crate::bugs::{Bug, filtered};

/// An engine that does something wrong.
pub(crate) struct Spoiled {
    pub engine: Arc<dyn Engine>,
    pub bug: Bug,
    /// What is written with the next batch only.
    pub later: Mutex<Batch>,
}

impl Spoiled {
    fn keeps(&self, op: &Op<'_>) -> bool {
        match (self.bug, *op) {
            (Bug::DataKept, Op::DeleteRange(Cf::Default, ..)) => false,
            (Bug::BaseNotWritten, Op::Put(Cf::Meta, key, _)) => key.first() != Some(&b'b'),
            (Bug::RosterNotWritten, Op::Put(Cf::Meta, key, _)) => key.first() != Some(&b'r'),
            _ => true,
        }
    }
}

fn is_tombstone(op: &Op<'_>) -> bool {
    matches!(*op, Op::Put(Cf::Meta, key, value) if key.first() == Some(&b'g') && is_buried(value))
}

/// Whether the record of a group is that of a tombstone.
pub(crate) fn is_buried(record: &[u8]) -> bool {
    // Its second field, life, is 2.
    record.ends_with(&[16, 2])
}

/// The groups that begin with a batch of the apply lane.
fn begun(batch: &Batch, durability: Durability) -> Vec<[u8; 8]> {
    let mut found: Vec<[u8; 8]> = Vec::new();
    if durability == Durability::Synced {
        return found;
    }
    for op in batch.iter() {
        if let Op::Put(Cf::Meta, [b'b', group @ ..], _) = op {
            found.extend(<[u8; 8]>::try_from(group));
        }
    }
    // Those whose log is shortened were here before.
    let is_shortened = |group: &[u8; 8]| {
        let is_of_it = |op: Op<'_>| match op {
            Op::DeleteRange(Cf::Raft, start, _) => start.starts_with(group),
            _ => false,
        };
        batch.iter().any(is_of_it)
    };
    found.retain(|group| !is_shortened(group));
    found
}

/// The peer that the record of a group names.
pub(crate) fn peer_of(record: &[u8]) -> u64 {
    // Its first field: a tag, and seven bits to a byte, the lowest first.
    let bytes = record.iter().skip(1);
    let mut more = true;
    let taken = bytes.take_while(|&&byte| std::mem::replace(&mut more, byte & 0x80 != 0));
    taken.enumerate().fold(0, |sum, (nth, &byte)| sum | u64::from(byte & 0x7f) << (7 * nth))
}

impl Engine for Spoiled {
    fn write(&self, batch: &Batch, durability: Durability) -> Result<(), Error> {
        let batch = filtered(batch, |op| self.keeps(op));
        let mut durability = durability;
        if self.bug == Bug::TombstoneNotSynced && batch.iter().any(|op| is_tombstone(&op)) {
            durability = Durability::Buffered;
        }
        match self.bug {
            Bug::VoteLostAtBeginning => {
                let mut batch = batch;
                for group in begun(&batch, durability) {
                    // The hard state.
                    batch.delete(Cf::Raft, &[&group[..], &[0]].concat());
                }
                self.engine.write(&batch, durability)
            }
            Bug::BegunLater => {
                let begun = begun(&batch, durability);
                let is_later = |op: &Op<'_>| match *op {
                    Op::Put(Cf::Meta, key, _) => begun.iter().any(|group| key[1..] == *group),
                    _ => false,
                };
                let earlier =
                    std::mem::replace(&mut *self.later.lock(), filtered(&batch, is_later));
                self.engine.write(&earlier, Durability::Buffered)?;
                self.engine.write(&filtered(&batch, |op| !is_later(op)), durability)
            }
            _ => self.engine.write(&batch, durability),
        }
    }

    fn view(&self) -> Box<dyn View> {
        self.engine.view()
    }

    fn get(&self, cf: Cf, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let found = self.engine.get(cf, key)?;
        let is_group = cf == Cf::Meta && key.first() == Some(&b'g');
        let is_hidden = self.bug == Bug::TombstoneIgnored && is_group;
        Ok(found.filter(|record| !is_hidden || !is_buried(record)))
    }

    fn flush(&self, cf: Cf) -> Result<(), Error> {
        self.engine.flush(cf)
    }

    fn checkpoint(&self, to: &Path) -> Result<(), Error> {
        self.engine.checkpoint(to)
    }

    fn table(&self, cf: Cf, path: &Path) -> Result<Box<dyn TableWriter>, Error> {
        self.engine.table(cf, path)
    }

    fn ingest(&self, cf: Cf, tables: &[PathBuf]) -> Result<(), Error> {
        self.engine.ingest(cf, tables)
    }

    fn health(&self) -> Health {
        self.engine.health()
    }
}
