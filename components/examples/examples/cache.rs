//! A cache in memory, bounded, whose entries expire, under sixteen Raft groups on three nodes.
//!
//! ```sh
//! cargo run --release -p examples --example cache
//! ```
//!
//! Shows a machine whose state is in memory alone. It is dumped into the engine when the engine is
//! about to cut the log, and a restart begins from the dump and applies the rest again.
//!
//! - *Time is fed in.* Commands carry the proposer's clock, the machine's clock is the latest that it
//!   was given. So entries expire at the same command on every replica, and no clock ever goes back.
//! - *Bounded.* Of more than [`ENTRIES_MAX`] entries the least recently used is dropped. Use is part
//!   of the state: `get` is a command.
//!   A read looks at the state past the log, and is no use.
//!
//! Prints a line for each stage, and ends with an error if something is not as it should be.

use std::collections::BTreeMap;
use std::collections::btree_map::IntoIter;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use examples::{Cluster, FIRST_GROUP, Failed, GROUPS, Node, Shelf, ensure, parts};
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
                self.evict();
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

    /// A larger cache would keep an order by use beside the map; this one looks through 64.
    fn evict(&mut self) {
        while self.entries.len() > ENTRIES_MAX {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { return };
            self.entries.remove(&key);
        }
    }

    /// Copies the state, which is small. A large one would be a tree with shared nodes.
    fn reader(&self) -> Reader {
        let numbers = [self.applied.0, self.clock_ms, self.uses].map(u64::to_le_bytes);
        let head = parts::join(&[&numbers[0], &numbers[1], &numbers[2]]);
        Reader { head: Some(head.to_vec()), entries: self.entries.clone().into_iter() }
    }

    /// Takes over a chunk: three numbers at the beginning of a state, and entries of four parts.
    fn take(&mut self, chunk: &[u8]) -> Option<()> {
        let parts = parts::split(chunk)?;
        let (head, entries) = parts.split_at(parts.len() % 4);
        if let [applied, clock_ms, uses] = head {
            self.applied = Index(parts::number(applied)?);
            self.clock_ms = parts::number(clock_ms)?;
            self.uses = parts::number(uses)?;
        } else if !head.is_empty() {
            return None;
        }
        for entry in entries.chunks(4) {
            let &[key, value, expires_ms, used] = entry else { return None };
            let (expires_ms, used) = (parts::number(expires_ms)?, parts::number(used)?);
            self.entries.insert(key.to_vec(), Entry { value: value.to_vec(), expires_ms, used });
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
        let mut state = self.state.lock();
        for command in commands {
            if state.applied == Index(0) {
                // The first dump is that of nothing: a restart before the next one begins here.
                state.applied = command.index.prev();
                batch.put(Cf::Default, &key_of(self.group), &state.reader().chunk(usize::MAX));
            }
            state.applied = command.index;
            replies.push(state.run(command.data).unwrap_or_default());
        }
    }

    fn persist(&mut self, applied: Index, batch: &mut Batch) -> Index {
        let mut state = self.state.lock();
        // The slots behind the last command are not commands.
        state.applied = applied;
        batch.put(Cf::Default, &key_of(self.group), &state.reader().chunk(usize::MAX));
        applied
    }

    fn snapshot(&mut self, _: Box<dyn View>) -> Box<dyn SnapshotReader> {
        Box::new(self.state.lock().reader())
    }

    fn clear(&mut self, batch: &mut Batch) {
        *self.state.lock() = Cache::default();
        batch.delete(Cf::Default, &key_of(self.group));
    }

    fn restore(&mut self, chunk: &[u8], _: &mut Batch) -> Result<(), Corrupt> {
        self.state.lock().take(chunk).ok_or_else(|| Corrupt("not a chunk of a cache".to_owned()))
    }

    fn restored(&mut self, applied: Index, batch: &mut Batch) -> Result<(), Corrupt> {
        self.persist(applied, batch);
        Ok(())
    }
}

struct Reader {
    head: Option<Vec<u8>>,
    entries: IntoIter<Vec<u8>, Entry>,
}

impl Reader {
    fn chunk(&mut self, bytes: usize) -> Vec<u8> {
        let mut chunk = self.head.take().unwrap_or_default();
        while chunk.len() < bytes
            && let Some((key, entry)) = self.entries.next()
        {
            let (expires_ms, used) = (entry.expires_ms.to_le_bytes(), entry.used.to_le_bytes());
            for part in [&key[..], &entry.value, &expires_ms, &used] {
                parts::push(&mut chunk, part);
            }
        }
        chunk
    }
}

impl SnapshotReader for Reader {
    fn next(&mut self, bytes: usize) -> Result<Option<Bytes>, storage::Error> {
        let chunk = self.chunk(bytes);
        Ok((!chunk.is_empty()).then(|| chunk.into()))
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
        cache.take(&dump).ok_or_else(|| Corrupt("not the dump of a cache".to_owned()))?;
        Ok(Box::new(CacheMachine { group, state: self.shelf.put(group, cache) }))
    }

    fn destroy(&self, group: GroupId, batch: &mut Batch) {
        self.shelf.remove(group);
        batch.delete(Cf::Default, &key_of(group));
    }
}

const HOUR_MS: u64 = 3_600_000;

/// Sets keys that live for an hour, one after the other.
fn fill(
    cluster: &Cluster<CacheMachines>,
    group: GroupId,
    (now_ms, name, count): (u64, &str, usize),
) -> Result<(), Failed> {
    (0..count).try_for_each(|nth| {
        let command = set(now_ms, HOUR_MS, format!("{name}-{nth}").as_bytes(), &[b'x'; 64]);
        cluster.propose_repeatedly(group, &command).map(drop)
    })
}

/// Whether the leader's state has the key.
fn has(cluster: &Cluster<CacheMachines>, group: GroupId, key: &str) -> Result<bool, Failed> {
    cluster.read(group, |node| {
        let state = node.machines.shelf.get(group).ok_or_else(|| Failed("no state".to_owned()))?;
        Ok(state.lock().entries.contains_key(key.as_bytes()))
    })
}

fn state(node: &Node<CacheMachines>, group: GroupId) -> Option<BTreeMap<Vec<u8>, Entry>> {
    node.machines.shelf.get(group).map(|state| state.lock().entries.clone())
}

pub(crate) fn main() -> Result<(), Failed> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(Failed::because)?;
    let now_ms = u64::try_from(since.as_millis()).map_err(Failed::because)?;
    let cluster = Cluster::start(|_| CacheMachines::default())?;
    println!("cache: 3 nodes, {GROUPS} groups of at most {ENTRIES_MAX} entries");
    cluster.in_all_groups(|group| {
        fill(&cluster, group, (now_ms, "first", ENTRIES_MAX))?;
        cluster.propose_repeatedly(group, &get(now_ms, b"first-0"))?;
        fill(&cluster, group, (now_ms, "second", 1))?;
        ensure(has(&cluster, group, "first-0")?, || "what was used was dropped".to_owned())?;
        ensure(!has(&cluster, group, "first-1")?, || "the oldest was kept".to_owned())
    })?;
    println!("cache: full; the least recently used entry made room, not the oldest");
    cluster.in_all_groups(|group| {
        if group.get() == GROUPS {
            cluster.kill(2)?;
            println!("cache: node 2 killed while all groups are written to");
        }
        fill(&cluster, group, (now_ms + HOUR_MS / 2, "third", 60))
    })?;
    cluster.in_all_groups(|group| {
        // An hour later: what was set before the kill expires; what came half an hour later stays.
        fill(&cluster, group, (now_ms + HOUR_MS, "last", 1))?;
        ensure(!has(&cluster, group, "first-0")?, || "an expired entry is there".to_owned())?;
        ensure(has(&cluster, group, "third-59")?, || "an entry expired early".to_owned())
    })?;
    println!("cache: expired; {} groups need a snapshot", cluster.needing_snapshot(2));
    cluster.restart(2)?;
    cluster.wait_equal(state)?;
    println!("cache: node 2 is back, every group has the same state on all nodes");
    let entries = cluster.on(2, |node| state(node, FIRST_GROUP).map(|state| state.len())).flatten();
    ensure(entries == Some(61), || format!("{entries:?} entries, where 61 are expected"))?;
    println!("cache: all is well");
    Ok(())
}
