//! An engine with a planted bug: what every part of a store writes passes through it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::{Batch, Cf, Durability, Engine, Error, Health, Op, TableWriter, View};

use crate::bugs::{Bug, filtered};

/// An engine that does something wrong.
pub(crate) struct Spoiled {
    pub engine: Arc<dyn Engine>,
    pub bug: Bug,
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

impl Engine for Spoiled {
    fn write(&self, batch: &Batch, durability: Durability) -> Result<(), Error> {
        let batch = filtered(batch, |op| self.keeps(op));
        let mut durability = durability;
        if self.bug == Bug::TombstoneNotSynced && batch.iter().any(|op| is_tombstone(&op)) {
            durability = Durability::Buffered;
        }
        self.engine.write(&batch, durability)
    }

    fn view(&self) -> Box<dyn View> {
        self.engine.view()
    }

    fn get(&self, cf: Cf, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.engine.get(cf, key)
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
