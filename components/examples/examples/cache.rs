//! A cache in memory, bounded, whose entries expire, under sixteen Raft groups on three nodes.
//!
//! ```sh
//! cargo run --release -p examples --example cache
//! ```
//!
//! Shows a machine whose state is in memory alone. It is dumped into the engine when the engine is
//! about to cut the log, and a restart begins from the dump and applies the rest again.
//!
//! - *Time is fed in.* Commands carry the proposer's clock; the latest is the machine's. So entries
//!   expire at the same command on every replica, and the clock does not go back.
//! - *Bounded.* Of more than 64 entries the least recently used is dropped. Use is part of the
//!   state: `get` is a command. A read passes the log by and is no use.
//!
//! Prints a line for each stage, and ends with an error if something is not as it should be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use examples::{Chunks, Cluster, FIRST_GROUP, Failed, Node, Shelf, Story, ensure, parts, unpack};
use multiraft::{Command, Corrupt, Machines, SnapshotReader, StateMachine};
use parking_lot::Mutex;
use storage::{Batch, Cf, Engine, View};
use types::{GroupId, Index};

/// Entries of a group.
pub(crate) const ENTRIES_MAX: usize = 64;

/// Sets a key for `ttl_ms`.
pub(crate) fn set(now_ms: u64, ttl_ms: u64, key: &[u8], value: &[u8]) -> Bytes {
    parts::join(&[b"set", &now_ms.to_le_bytes(), key, &ttl_ms.to_le_bytes(), value])
}

/// Uses a key: answers its value, or nothing.
pub(crate) fn get(now_ms: u64, key: &[u8]) -> Bytes {
    parts::join(&[b"get", &now_ms.to_le_bytes(), key])
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    value: Vec<u8>,
    expires_ms: u64,
    /// When it was used last, by the count of uses.
    used: u64,
}

/// The state of one group: nothing in it depends on anything but the commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cache {
    /// The last slot it reflects; 0 if there was no command yet.
    applied: Index,
    clock_ms: u64,
    uses: u64,
    entries: BTreeMap<Vec<u8>, Entry>,
}

impl Cache {
    /// Answers nothing if the command makes no sense.
    fn run(&mut self, command: &[u8]) -> Option<Bytes> {
        let parts = parts::split(command)?;
        let (&[name, now, key], rest) = parts.split_first_chunk()?;
        self.uses += 1;
        self.clock_ms = self.clock_ms.max(parts::number(now)?);
        self.entries.retain(|_, entry| entry.expires_ms > self.clock_ms);
        match (name, rest) {
            (b"set", &[ttl, value]) => {
                let expires_ms = self.clock_ms.saturating_add(parts::number(ttl)?);
                let entry = Entry { value: value.to_vec(), expires_ms, used: self.uses };
                self.entries.insert(key.to_vec(), entry);
                if self.entries.len() > ENTRIES_MAX {
                    // A larger cache would keep an order by use; this one looks through 64.
                    let least = self.entries.values().map(|entry| entry.used).min();
                    self.entries.retain(|_, entry| Some(entry.used) != least);
                }
                Some(Bytes::from_static(b"ok"))
            }
            (b"get", []) => {
                let entry = self.entries.get_mut(key)?;
                entry.used = self.uses;
                Some(Bytes::copy_from_slice(&entry.value))
            }
            _ => None,
        }
    }

    /// The state as items: three numbers, then entries. Copies it, as it is small.
    fn items(&self) -> impl Iterator<Item = Result<Bytes, storage::Error>> + Send + use<> {
        let [at, clock, uses] = [self.applied.0, self.clock_ms, self.uses].map(u64::to_le_bytes);
        let head = parts::join(&[&at, &clock, &uses]);
        let entries = self.entries.clone().into_iter().map(|(key, entry)| {
            let [expires_ms, used] = [entry.expires_ms, entry.used].map(u64::to_le_bytes);
            parts::join(&[&key, &entry.value, &expires_ms, &used])
        });
        std::iter::once(head).chain(entries).map(Ok)
    }

    fn take(&mut self, item: &[u8]) -> Option<()> {
        match parts::split(item)?[..] {
            [applied, clock_ms, uses] => {
                self.applied = Index(parts::number(applied)?);
                self.clock_ms = parts::number(clock_ms)?;
                self.uses = parts::number(uses)?;
            }
            [key, value, expires_ms, used] => {
                let (expires_ms, used) = (parts::number(expires_ms)?, parts::number(used)?);
                let entry = Entry { value: value.to_vec(), expires_ms, used };
                self.entries.insert(key.to_vec(), entry);
            }
            _ => return None,
        }
        Some(())
    }
}

struct CacheMachine {
    group: GroupId,
    state: Arc<Mutex<Cache>>,
}

/// Where the dump of a group is.
fn key_of(group: GroupId) -> [u8; 8] {
    group.get().to_be_bytes()
}

impl StateMachine for CacheMachine {
    fn applied(&self, recorded: Index) -> Index {
        let applied = self.state.lock().applied;
        if applied == Index(0) { recorded } else { applied }
    }

    fn apply(
        &mut self,
        commands: &[Command<'_>],
        _: &dyn View,
        batch: &mut Batch,
        replies: &mut Vec<Bytes>,
    ) {
        for command in commands {
            if self.state.lock().applied == Index(0) {
                // The first dump is that of nothing: a restart before the next one begins here.
                self.persist(command.index.prev(), batch);
            }
            let mut state = self.state.lock();
            replies.push(state.run(command.data).unwrap_or_default());
            state.applied = command.index;
        }
    }

    fn persist(&mut self, applied: Index, batch: &mut Batch) -> Index {
        let mut state = self.state.lock();
        state.applied = applied;
        let mut dump = Vec::new();
        state.items().flatten().for_each(|item| parts::push(&mut dump, &item));
        batch.put(Cf::Default, &key_of(self.group), &dump);
        applied
    }

    fn snapshot(&mut self, _: Box<dyn View>) -> Box<dyn SnapshotReader> {
        Box::new(Chunks(self.state.lock().items()))
    }

    fn clear(&mut self, batch: &mut Batch) {
        *self.state.lock() = Cache::default();
        batch.delete(Cf::Default, &key_of(self.group));
    }

    fn restore(&mut self, chunk: &[u8], _: &mut Batch) -> Result<(), Corrupt> {
        unpack(chunk, |item| self.state.lock().take(item))
    }

    fn restored(&mut self, applied: Index, batch: &mut Batch) -> Result<(), Corrupt> {
        self.persist(applied, batch);
        Ok(())
    }
}

#[derive(Default)]
pub(crate) struct CacheMachines {
    shelf: Shelf<Cache>,
}

impl Machines for CacheMachines {
    fn open(
        &self,
        group: GroupId,
        engine: &Arc<dyn Engine>,
    ) -> Result<Box<dyn StateMachine>, Corrupt> {
        let dump = engine.get(Cf::Default, &key_of(group));
        let dump = dump.map_err(|why| Corrupt(why.to_string()))?.unwrap_or_default();
        let mut cache = Cache::default();
        unpack(&dump, |item| cache.take(item))?;
        Ok(Box::new(CacheMachine { group, state: self.shelf.put(group, cache) }))
    }

    fn destroy(&self, group: GroupId, batch: &mut Batch) {
        self.shelf.remove(group);
        batch.delete(Cf::Default, &key_of(group));
    }
}

const HOUR_MS: u64 = 3_600_000;

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

type Nodes = Cluster<CacheMachines>;

/// Sets keys that live for an hour, one after the other.
fn fill(cluster: &Nodes, group: GroupId, keys: (&str, usize), now_ms: u64) -> Result<(), Failed> {
    (0..keys.1).try_for_each(|nth| {
        let command = set(now_ms, HOUR_MS, format!("{}-{nth}", keys.0).as_bytes(), &[b'x'; 64]);
        cluster.propose_repeatedly(group, &command).map(drop)
    })
}

/// Checks that the leader's state has this key and not that one.
fn expect(cluster: &Nodes, group: GroupId, kept: &str, gone: &str) -> Result<(), Failed> {
    let found = cluster.read(group, |node| {
        let has = |state: &mut Cache, key: &str| state.entries.contains_key(key.as_bytes());
        node.machines.shelf.with(group, |state| [has(state, kept), has(state, gone)])
    })?;
    ensure(found == [true, false], || format!("group {group}: {kept}, {gone}: {found:?}"))
}

fn state(node: &Node<CacheMachines>, group: GroupId) -> Option<BTreeMap<Vec<u8>, Entry>> {
    node.machines.shelf.with(group, |state| state.entries.clone()).ok()
}

pub(crate) fn main() -> Result<(), Failed> {
    let story = Story {
        name: "cache",
        machines: |_| CacheMachines::default(),
        before: |cluster, group| {
            fill(cluster, group, ("first", ENTRIES_MAX), now_ms())?;
            cluster.propose_repeatedly(group, &get(now_ms(), b"first-0"))?;
            fill(cluster, group, ("second", 1), now_ms())?;
            // The oldest was used since; the second oldest made room.
            expect(cluster, group, "first-0", "first-1")
        },
        during: |cluster, group| {
            fill(cluster, group, ("third", 60), now_ms() + HOUR_MS / 2)?;
            expect(cluster, group, "second-0", "first-1")?;
            fill(cluster, group, ("last", 1), now_ms() + HOUR_MS)?;
            expect(cluster, group, "third-59", "second-0")
        },
        state,
    };
    let cluster = story.tell()?;
    let count = cluster.on(2, |node| state(node, FIRST_GROUP).map(|state| state.len())).flatten();
    ensure(count == Some(61), || format!("{count:?} entries, where 61 are expected"))?;
    println!("cache: every group has dropped what was used least, and what was an hour old");
    Ok(())
}
