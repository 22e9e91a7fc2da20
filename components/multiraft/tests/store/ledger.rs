//! A state machine for tests: it keeps every command, under group and slot.
//!
//! A command such as `spawn 2 21@1 22@2 23@3` brings a group into being, whose ledger begins with a
//! line that says so.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use multiraft::{
    Beginning, Command, Corrupt, Machines, Roster, SnapshotReader, Spawn, StateMachine,
};
use parking_lot::Mutex;
use storage::{Batch, Cf, Direction, Engine, Error, View};
use types::{EntryId, GroupId, Index, PeerId, StoreId, Term};

/// Where groups begin that a command brings into being.
pub(crate) const BEGIN: EntryId = EntryId::new(Term(5), Index(5));
/// The first line of such a group.
pub(crate) const FIRST: &str = "begun";

/// Makes ledgers for one store.
#[derive(Clone)]
pub(crate) struct Ledgers {
    pub store: StoreId,
    pub ways: Arc<Mutex<Ways>>,
}

/// How the ledgers of a store behave, and what they were told.
pub(crate) struct Ways {
    /// Snapshots are not admitted when they are offered.
    pub refuses_offers: bool,
    /// Snapshots are not admitted when all of them is here.
    pub refuses_to_reserve: bool,
    /// What a snapshot brings makes no sense.
    pub refuses_chunks: bool,
    /// Version of the format of snapshots.
    pub format: u32,
    /// This ledger has lost so many slots when it is opened, and keeps its log.
    pub goes_back: Option<(GroupId, u64)>,
    /// What was applied last is not durable yet when it is asked, by so many slots.
    pub persists_late: u64,
    /// In order.
    pub calls: Vec<String>,
}

struct Ledger {
    group: GroupId,
    store: StoreId,
    ways: Arc<Mutex<Ways>>,
    spawns: Vec<Spawn>,
}

struct Reader {
    header: Bytes,
    view: Box<dyn View>,
    next: Vec<u8>,
    end: Vec<u8>,
}

fn bounds(group: GroupId) -> (Vec<u8>, Vec<u8>) {
    (group.get().to_be_bytes().to_vec(), (group.get() + 1).to_be_bytes().to_vec())
}

/// The commands of a group, in order.
pub(crate) fn commands(engine: &dyn Engine, group: GroupId) -> Vec<Vec<u8>> {
    let (start, end) = bounds(group);
    let bounds = (Bound::Included(start.as_slice()), Bound::Excluded(end.as_slice()));
    let mut found = Vec::new();
    let each = &mut |_: &[u8], value: &[u8]| {
        found.push(value.to_vec());
        true
    };
    // A store that is being stopped has nothing to show.
    let _ = engine.view().scan(Cf::Default, bounds, Direction::Forward, each);
    found
}

fn key(group: GroupId, index: Index) -> Vec<u8> {
    [group.get().to_be_bytes(), index.0.to_be_bytes()].concat()
}

/// The group that a command brings into being, if it does, and its peer on this store.
fn spawn(command: &[u8], store: StoreId) -> Option<Spawn> {
    let mut words = std::str::from_utf8(command).ok()?.strip_prefix("spawn ")?.split(' ');
    let group = words.next()?.parse().ok().and_then(GroupId::new)?;
    let member = |word: &str| {
        let (peer, store) = word.split_once('@')?;
        Some((PeerId::new(peer.parse().ok()?)?, StoreId::new(store.parse().ok()?)?))
    };
    let voters: Vec<(PeerId, StoreId)> = words.map(member).collect::<Option<_>>()?;
    let (peer, _) = *voters.iter().find(|(_, home)| *home == store)?;
    let roster = Roster::of_voters(&voters).ok()?;
    Some(Spawn { group, beginning: Beginning { peer, at: BEGIN, roster } })
}

impl Ledgers {
    pub(crate) fn of(store: StoreId) -> Ledgers {
        let (refuses_offers, refuses_to_reserve) = (false, false);
        let ways = Ways {
            refuses_offers,
            refuses_to_reserve,
            refuses_chunks: false,
            format: 1,
            goes_back: None,
            persists_late: 0,
            calls: Vec::new(),
        };
        Ledgers { store, ways: Arc::new(Mutex::new(ways)) }
    }
}

impl Ledger {
    fn lost(&self) -> Option<u64> {
        let goes_back = self.ways.lock().goes_back;
        goes_back.filter(|(group, _)| *group == self.group).map(|(_, slots)| slots)
    }
}

impl StateMachine for Ledger {
    fn applied(&self, recorded: Index) -> Index {
        Index(recorded.0 - self.lost().unwrap_or(0))
    }

    fn apply(
        &mut self,
        commands: &[Command<'_>],
        _view: &dyn View,
        batch: &mut Batch,
        replies: &mut Vec<Bytes>,
    ) {
        for command in commands {
            batch.put(Cf::Default, &key(self.group, command.index), command.data);
            replies.push(command.data.clone());
            if let Some(spawn) = spawn(command.data, self.store) {
                batch.put(Cf::Default, &key(spawn.group, BEGIN.index), FIRST.as_bytes());
                self.spawns.push(spawn);
            }
            let text = String::from_utf8_lossy(command.data);
            self.ways.lock().calls.push(format!("{} applies {text}", self.group.get()));
        }
    }

    fn members(&mut self, index: Index, roster: &Roster, batch: &mut Batch) {
        let peers: Vec<String> =
            roster.iter().map(|(member, _)| member.id.get().to_string()).collect();
        let line = format!("{} has {}", self.group.get(), peers.join(" "));
        batch.put(Cf::Write, &key(self.group, index), line.as_bytes());
        self.ways.lock().calls.push(line);
    }

    fn spawned(&mut self) -> Vec<Spawn> {
        std::mem::take(&mut self.spawns)
    }

    fn persist(&mut self, applied: Index, _batch: &mut Batch) -> Index {
        let late = self.ways.lock().persists_late;
        if self.lost().is_some() { Index(0) } else { Index(applied.0.saturating_sub(late)) }
    }

    fn snapshot(&mut self, view: Box<dyn View>) -> Box<dyn SnapshotReader> {
        self.ways.lock().calls.push(format!("read out {}", self.group.get()));
        let (next, end) = bounds(self.group);
        let header = format!("all of {}", self.group).into();
        Box::new(Reader { header, view, next, end })
    }

    fn clear(&mut self, batch: &mut Batch) {
        let (start, end) = bounds(self.group);
        batch.delete_range(Cf::Default, &start, &end);
    }

    fn restore(&mut self, chunk: &[u8], batch: &mut Batch) -> Result<(), Corrupt> {
        if self.ways.lock().refuses_chunks {
            return Err(Corrupt("no chunk makes sense".to_owned()));
        }
        let mut rest = chunk;
        while let Some((head, tail)) = rest.split_at_checked(20) {
            let len = u32::from_be_bytes(head[16..].try_into().expect("four bytes")) as usize;
            let value = tail.get(..len).ok_or_else(|| Corrupt("a pair is cut off".to_owned()))?;
            batch.put(Cf::Default, &head[..16], value);
            rest = &tail[len..];
        }
        if rest.is_empty() { Ok(()) } else { Err(Corrupt("a head is cut off".to_owned())) }
    }
}

impl SnapshotReader for Reader {
    fn header(&self) -> Bytes {
        self.header.clone()
    }

    fn next(&mut self, bytes: usize) -> Result<Option<Bytes>, Error> {
        let mut chunk = Vec::new();
        let bounds = (Bound::Included(self.next.as_slice()), Bound::Excluded(self.end.as_slice()));
        let mut last = Vec::new();
        self.view.scan(Cf::Default, bounds, Direction::Forward, &mut |key, value| {
            chunk.extend_from_slice(key);
            chunk.extend_from_slice(&u32::try_from(value.len()).expect("short").to_be_bytes());
            chunk.extend_from_slice(value);
            last = key.to_vec();
            chunk.len() < bytes
        })?;
        last.push(0);
        self.next = last;
        Ok((!chunk.is_empty()).then(|| chunk.into()))
    }
}

impl Ledgers {
    fn ledger(&self, group: GroupId) -> Ledger {
        let (store, ways) = (self.store, Arc::clone(&self.ways));
        Ledger { group, store, ways, spawns: Vec::new() }
    }

    fn note(&self, what: &str, group: GroupId) {
        self.ways.lock().calls.push(format!("{what} {}", group.get()));
    }
}

impl Machines for Ledgers {
    fn open(
        &self,
        group: GroupId,
        _engine: &Arc<dyn Engine>,
    ) -> Result<Box<dyn StateMachine>, Corrupt> {
        self.note("open", group);
        Ok(Box::new(self.ledger(group)))
    }

    fn destroy(&self, group: GroupId, batch: &mut Batch) {
        self.note("destroy", group);
        self.ledger(group).clear(batch);
    }

    fn destroyed(&self, group: GroupId) {
        self.note("destroyed", group);
    }

    fn admit(&self, group: GroupId, header: &[u8], reserve: bool) -> bool {
        assert_eq!(header, format!("all of {group}").as_bytes(), "the header of another");
        let ways = self.ways.lock();
        let refuses = if reserve { ways.refuses_to_reserve } else { ways.refuses_offers };
        drop(ways);
        let what = match (reserve, refuses) {
            (false, _) => "look at",
            (true, false) => "reserve",
            (true, true) => "keep from",
        };
        self.note(what, group);
        !refuses
    }

    fn dismiss(&self, group: GroupId) {
        self.note("dismiss", group);
    }

    fn format(&self) -> u32 {
        self.ways.lock().format
    }
}
