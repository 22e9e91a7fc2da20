//! The state machine of the simulation: it keeps every command, and tells the checkers what it
//! applies where. Some commands part its range and bring a group into being.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use multiraft::{Command, Corrupt, Machines, Roster, SnapshotReader, Spawn, StateMachine};
use parking_lot::Mutex;
use storage::{Batch, Cf, Direction, Engine, Error, View};
use types::{GroupId, Index, StoreId};

use crate::bugs::Bug;
use crate::check::Checks;
use crate::ranges::{Range, Ranges};
use crate::spawns;

/// Makes the machines of one store, in one of its lives.
pub(crate) struct Ledgers {
    pub store: StoreId,
    pub checks: Arc<Mutex<Checks>>,
    pub bug: Option<Bug>,
    /// Groups of the beginning whose peers were created here.
    pub created: Arc<Mutex<BTreeSet<GroupId>>>,
    pub ranges: Arc<Mutex<Ranges>>,
}

struct Ledger {
    group: GroupId,
    store: StoreId,
    checks: Arc<Mutex<Checks>>,
    bug: Option<Bug>,
    ranges: Arc<Mutex<Ranges>>,
    /// What the group is, beside its commands; `None` while nothing is known of it here.
    record: Option<Record>,
    spawns: Vec<Spawn>,
    /// The last key of the snapshot that is being taken over.
    restored: Vec<u8>,
}

/// The first pair of a group's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    range: Range,
    /// How many memberships it has had.
    memberships: u64,
}

struct Reader {
    header: Bytes,
    /// The record, which comes before anything else.
    first: Option<Vec<u8>>,
    view: Box<dyn View>,
    next: Vec<u8>,
    end: Vec<u8>,
}

fn bounds(group: GroupId) -> (Vec<u8>, Vec<u8>) {
    (group.get().to_be_bytes().to_vec(), (group.get() + 1).to_be_bytes().to_vec())
}

/// The key of a slot; the record's is that of slot 0.
pub(crate) fn key(group: GroupId, index: Index) -> Vec<u8> {
    [group.get().to_be_bytes(), index.0.to_be_bytes()].concat()
}

/// Everything a group has on a store: its record under slot 0, its commands by slot.
pub(crate) fn pairs(engine: &dyn Engine, group: GroupId) -> Vec<(Index, Vec<u8>)> {
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

/// The commands of a group on a store, by slot.
pub(crate) fn commands(engine: &dyn Engine, group: GroupId) -> Vec<(Index, Vec<u8>)> {
    let mut found = pairs(engine, group);
    found.retain(|(index, _)| *index > Index(0));
    found
}

impl Record {
    fn encoded(self) -> Vec<u8> {
        [self.range.encoded().as_slice(), &self.memberships.to_be_bytes()].concat()
    }

    fn decoded(bytes: &[u8]) -> Option<Record> {
        let memberships = bytes.get(16..)?.try_into().ok()?;
        let (range, memberships) = (Range::decoded(bytes)?, u64::from_be_bytes(memberships));
        Some(Record { range, memberships })
    }
}

impl Ledger {
    fn hold(&self) {
        let Some(record) = self.record else { return };
        self.overlapping(self.ranges.lock().hold(self.group, record.range));
    }

    fn overlapping(&self, found: Result<(), String>) {
        self.checks.lock().ranges(self.store, found);
    }

    fn put_record(&self, batch: &mut Batch) {
        let Some(record) = self.record else { return };
        batch.put(Cf::Default, &key(self.group, Index(0)), &record.encoded());
    }

    /// A group comes into being with the upper half of this one's range.
    fn spawn(&mut self, index: Index, command: &[u8], batch: &mut Batch) {
        let Some((child, members)) = spawns::parsed(command) else { return };
        let Some(record) = &mut self.record else { return };
        let Some((stays, goes)) = record.range.parted() else { return };
        record.range = stays;
        let spawn = spawns::spawn(child, &members, self.store);
        self.checks.lock().births.applied(self.store, (self.group, index), child, spawn.as_ref());
        self.hold();
        let Some(spawn) = spawn else { return };
        self.overlapping(self.ranges.lock().hold(child, goes));
        let first = Record { range: goes, memberships: 0 };
        batch.put(Cf::Default, &key(child, Index(0)), &first.encoded());
        self.spawns.push(spawn);
    }
}

impl StateMachine for Ledger {
    fn apply(
        &mut self,
        commands: &[Command<'_>],
        _view: &dyn View,
        batch: &mut Batch,
        replies: &mut Vec<Bytes>,
    ) {
        for command in commands {
            replies.push(command.data.clone());
            if self.bug == Some(Bug::LeftOut) && command.index.0 % 10 == 0 {
                continue;
            }
            if self.bug == Some(Bug::AppliedDifferently) && command.index.0 % 10 == 0 {
                self.checks.lock().applied(self.group, command.index, b"another");
                continue;
            }
            self.checks.lock().applied(self.group, command.index, command.data);
            batch.put(Cf::Default, &key(self.group, command.index), command.data);
            self.spawn(command.index, command.data, batch);
        }
        self.put_record(batch);
    }

    fn members(&mut self, _index: Index, _roster: &Roster, batch: &mut Batch) {
        if let Some(record) = &mut self.record {
            record.memberships += 1;
        }
        self.put_record(batch);
    }

    fn spawned(&mut self) -> Vec<Spawn> {
        std::mem::take(&mut self.spawns)
    }

    fn snapshot(&mut self, view: Box<dyn View>) -> Box<dyn SnapshotReader> {
        let (_, end) = bounds(self.group);
        let next = key(self.group, Index(1));
        let record = self.record.expect("a group whose state is read out has some");
        let first = Some(pair(&key(self.group, Index(0)), &record.encoded()));
        let header = Bytes::copy_from_slice(&record.range.encoded());
        Box::new(Reader { header, first, view, next, end })
    }

    fn clear(&mut self, batch: &mut Batch) {
        let (start, end) = bounds(self.group);
        batch.delete_range(Cf::Default, &start, &end);
        self.restored.clear();
        self.record = None;
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
            if head[8..16] == [0; 8] {
                self.record = Record::decoded(value);
            } else if rest.is_empty() && self.bug == Some(Bug::RestoredInPart) {
                continue;
            }
            batch.put(Cf::Default, &head[..16], value);
        }
        if rest.is_empty() { Ok(()) } else { Err(Corrupt("a head is cut off".to_owned())) }
    }

    fn restored(&mut self, _applied: Index, _batch: &mut Batch) -> Result<(), Corrupt> {
        if self.record.is_none() {
            return Err(Corrupt("a snapshot without record".to_owned()));
        }
        self.hold();
        Ok(())
    }
}

fn pair(key: &[u8], value: &[u8]) -> Vec<u8> {
    let len = u32::try_from(value.len()).expect("commands are short");
    [key, &len.to_be_bytes(), value].concat()
}

impl SnapshotReader for Reader {
    fn header(&self) -> Bytes {
        self.header.clone()
    }

    fn next(&mut self, bytes: usize) -> Result<Option<Bytes>, Error> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first.into()));
        }
        let mut chunk = Vec::new();
        let bounds = (Bound::Included(self.next.as_slice()), Bound::Excluded(self.end.as_slice()));
        let mut last = Vec::new();
        self.view.scan(Cf::Default, bounds, Direction::Forward, &mut |key, value| {
            chunk.extend(pair(key, value));
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
        engine: &Arc<dyn Engine>,
    ) -> Result<Box<dyn StateMachine>, Corrupt> {
        let stored = engine.get(Cf::Default, &key(group, Index(0)));
        let stored = stored.map_err(|why| Corrupt(why.to_string()))?;
        let first = Range::first(group).filter(|_| self.created.lock().contains(&group));
        let ledger = Ledger {
            group,
            store: self.store,
            checks: Arc::clone(&self.checks),
            bug: self.bug,
            ranges: Arc::clone(&self.ranges),
            record: match stored {
                Some(stored) => Record::decoded(&stored),
                None => first.map(|range| Record { range, memberships: 0 }),
            },
            spawns: Vec::new(),
            restored: Vec::new(),
        };
        ledger.hold();
        Ok(Box::new(ledger))
    }

    fn destroy(&self, group: GroupId, batch: &mut Batch) {
        let (start, end) = bounds(group);
        batch.delete_range(Cf::Default, &start, &end);
    }

    fn destroyed(&self, group: GroupId) {
        self.ranges.lock().forget(group);
        self.created.lock().remove(&group);
    }

    fn admit(&self, group: GroupId, header: &[u8], reserve: bool) -> bool {
        let Some(range) = Range::decoded(header) else { return false };
        let admits = self.ranges.lock().admit(group, range, reserve);
        self.checks.lock().births.asked(admits);
        admits || self.bug == Some(Bug::AdmittedAnyway)
    }

    fn dismiss(&self, group: GroupId) {
        self.ranges.lock().dismiss(group);
    }
}
