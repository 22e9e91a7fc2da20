//! The state machine of the simulation: it keeps every command, and tells the checkers what it
//! applies where.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use multiraft::{Command, Corrupt, Machines, SnapshotReader, StateMachine};
use parking_lot::Mutex;
use storage::{Batch, Cf, Direction, Engine, Error, View};
use types::{GroupId, Index};

use crate::bugs::Bug;
use crate::check::Checks;

/// Makes the machines of one store.
pub(crate) struct Ledgers {
    pub checks: Arc<Mutex<Checks>>,
    pub bug: Option<Bug>,
}

struct Ledger {
    group: GroupId,
    checks: Arc<Mutex<Checks>>,
    bug: Option<Bug>,
    /// The last key of the snapshot that is being taken over.
    restored: Vec<u8>,
}

struct Reader {
    view: Box<dyn View>,
    next: Vec<u8>,
    end: Vec<u8>,
}

fn bounds(group: GroupId) -> (Vec<u8>, Vec<u8>) {
    (group.get().to_be_bytes().to_vec(), (group.get() + 1).to_be_bytes().to_vec())
}

/// The commands of a group on a store, by slot.
pub(crate) fn commands(engine: &dyn Engine, group: GroupId) -> Vec<(Index, Vec<u8>)> {
    let (start, end) = bounds(group);
    let bounds = (Bound::Included(start.as_slice()), Bound::Excluded(end.as_slice()));
    let mut found = Vec::new();
    let each = &mut |key: &[u8], value: &[u8]| {
        let slot = key[8..].try_into().expect("keys have sixteen bytes");
        found.push((Index(u64::from_be_bytes(slot)), value.to_vec()));
        true
    };
    engine
        .view()
        .scan(Cf::Default, bounds, Direction::Forward, each)
        .expect("a healthy disk can be read");
    found
}

impl StateMachine for Ledger {
    fn apply(
        &mut self,
        commands: &[Command<'_>],
        _view: &dyn View,
        batch: &mut Batch,
        replies: &mut Vec<Bytes>,
    ) {
        let mut checks = self.checks.lock();
        for command in commands {
            if self.bug == Some(Bug::LeftOut) && command.index.0 % 10 == 0 {
                replies.push(command.data.clone());
                continue;
            }
            if self.bug == Some(Bug::AppliedDifferently) && command.index.0 % 10 == 0 {
                checks.applied(self.group, command.index, b"another");
                replies.push(command.data.clone());
                continue;
            }
            checks.applied(self.group, command.index, command.data);
            let mut key = self.group.get().to_be_bytes().to_vec();
            key.extend(command.index.0.to_be_bytes());
            batch.put(Cf::Default, &key, command.data);
            replies.push(command.data.clone());
        }
    }

    fn snapshot(&mut self, view: Box<dyn View>) -> Box<dyn SnapshotReader> {
        let (next, end) = bounds(self.group);
        Box::new(Reader { view, next, end })
    }

    fn clear(&mut self, batch: &mut Batch) {
        let (start, end) = bounds(self.group);
        batch.delete_range(Cf::Default, &start, &end);
        self.restored.clear();
    }

    fn restore(&mut self, chunk: &[u8], batch: &mut Batch) -> Result<(), Corrupt> {
        let mut rest = chunk;
        while let Some((head, tail)) = rest.split_at_checked(20) {
            let len = u32::from_be_bytes(head[16..].try_into().expect("four bytes")) as usize;
            let value = tail.get(..len).ok_or_else(|| Corrupt("a pair is cut off".to_owned()))?;
            if self.restored.as_slice() >= &head[..16] {
                return Err(Corrupt("a chunk of another snapshot".to_owned()));
            }
            self.restored = head[..16].to_vec();
            rest = &tail[len..];
            if rest.is_empty() && self.bug == Some(Bug::RestoredInPart) {
                continue;
            }
            batch.put(Cf::Default, &head[..16], value);
        }
        if rest.is_empty() { Ok(()) } else { Err(Corrupt("a head is cut off".to_owned())) }
    }
}

impl SnapshotReader for Reader {
    fn next(&mut self, bytes: usize) -> Result<Option<Bytes>, Error> {
        let mut chunk = Vec::new();
        let bounds = (Bound::Included(self.next.as_slice()), Bound::Excluded(self.end.as_slice()));
        let mut last = Vec::new();
        self.view.scan(Cf::Default, bounds, Direction::Forward, &mut |key, value| {
            let len = u32::try_from(value.len()).expect("commands are short");
            chunk.extend_from_slice(key);
            chunk.extend_from_slice(&len.to_be_bytes());
            chunk.extend_from_slice(value);
            last = key.to_vec();
            chunk.len() < bytes
        })?;
        last.push(0);
        self.next = last;
        Ok((!chunk.is_empty()).then(|| chunk.into()))
    }
}

impl Machines for Ledgers {
    fn open(
        &self,
        group: GroupId,
        _engine: &Arc<dyn Engine>,
    ) -> Result<Box<dyn StateMachine>, Corrupt> {
        Ok(Box::new(Ledger {
            group,
            checks: Arc::clone(&self.checks),
            bug: self.bug,
            restored: Vec::new(),
        }))
    }

    fn destroy(&self, group: GroupId, batch: &mut Batch) {
        let (start, end) = bounds(group);
        batch.delete_range(Cf::Default, &start, &end);
    }
}
