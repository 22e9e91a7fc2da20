//! The least state machine: each command is a value, written under group and slot.
//!
//! Not here: snapshots. The stores of a bench lose nothing, so nobody is caught up by one.

use std::sync::Arc;

use bytes::Bytes;
use multiraft::{Command, Corrupt, Machines, SnapshotReader, StateMachine};
use storage::{Batch, Cf, Engine, View};
use types::GroupId;

/// Makes them.
pub struct Values;

struct Machine {
    group: GroupId,
}

/// Reads nothing.
struct Nothing;

/// The key of a value, as the bare engines write it too.
pub fn key(group: u64, index: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&group.to_be_bytes());
    key[8..].copy_from_slice(&index.to_be_bytes());
    key
}

impl StateMachine for Machine {
    fn apply(
        &mut self,
        commands: &[Command<'_>],
        _view: &dyn View,
        batch: &mut Batch,
        replies: &mut Vec<Bytes>,
    ) {
        for command in commands {
            batch.put(Cf::Default, &key(self.group.get(), command.index.0), command.data);
            replies.push(Bytes::new());
        }
    }

    fn snapshot(&mut self, _view: Box<dyn View>) -> Box<dyn SnapshotReader> {
        Box::new(Nothing)
    }

    fn clear(&mut self, batch: &mut Batch) {
        let group = self.group.get();
        batch.delete_range(Cf::Default, &key(group, 0), &key(group + 1, 0));
    }

    fn restore(&mut self, _chunk: &[u8], _batch: &mut Batch) -> Result<(), Corrupt> {
        Err(Corrupt("a bench sends no snapshots".to_owned()))
    }
}

impl SnapshotReader for Nothing {
    fn next(&mut self, _bytes: usize) -> Result<Option<Bytes>, storage::Error> {
        Ok(None)
    }
}

impl Machines for Values {
    fn open(
        &self,
        group: GroupId,
        _engine: &Arc<dyn Engine>,
    ) -> Result<Box<dyn StateMachine>, Corrupt> {
        Ok(Box::new(Machine { group }))
    }

    fn destroy(&self, group: GroupId, batch: &mut Batch) {
        Machine { group }.clear(batch);
    }
}
