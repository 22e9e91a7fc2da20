//! A key-value map that keeps everything in the engine, under sixteen Raft groups on three nodes.
//!
//! ```sh
//! cargo run --release -p examples --example kv
//! ```
//!
//! Shows the plainest kind of machine: what a command changes goes into the batch that also notes
//! that it was applied, so there is nothing to persist, and nothing to say after a restart.
//! Commands: put, delete, compare-and-set, also several in one call that depend on each other.
//! Clients count with compare-and-set while a node is killed; no step is lost or done twice, though
//! nobody may have heard what became of it. The node comes back and is brought up to the others.
//!
//! Prints a line for each stage, and ends with an error if something is not as it should be.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use examples::{Cluster, FIRST_GROUP, Failed, Node, Story, ensure, parts};
use multiraft::{Command, Corrupt, Machines, SnapshotReader, StateMachine};
use storage::{Batch, Cf, Direction, Engine, View};
use types::GroupId;

/// The commands, as [`parts`]. They answer `OK`, `NO` or `BAD`.
pub(crate) fn put(key: &[u8], value: &[u8]) -> Bytes {
    parts::join(&[b"put", key, value])
}

pub(crate) fn delete(key: &[u8]) -> Bytes {
    parts::join(&[b"delete", key])
}

/// Sets a key if it has the value `old`; an empty one is the same as none.
pub(crate) fn compare_and_set(key: &[u8], old: &[u8], new: &[u8]) -> Bytes {
    parts::join(&[b"cas", key, old, new])
}

pub(crate) const OK: &[u8] = b"ok";
/// The key has another value.
pub(crate) const NO: &[u8] = b"no";
/// Not a command.
const BAD: &[u8] = b"bad";

pub(crate) struct KvMachines;

/// The map of one group. Its keys lie behind the group's number.
struct Kv {
    group: GroupId,
}

fn key_of(group: GroupId, key: &[u8]) -> Vec<u8> {
    [&group.get().to_be_bytes(), key].concat()
}

fn bounds(group: GroupId) -> (Vec<u8>, Vec<u8>) {
    (group.get().to_be_bytes().to_vec(), (group.get() + 1).to_be_bytes().to_vec())
}

/// Changes of the commands of one call, which the view does not show yet.
type Overlay = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

impl Kv {
    fn current(&self, key: &[u8], overlay: &Overlay, view: &dyn View) -> Vec<u8> {
        let key = key_of(self.group, key);
        let value = match overlay.get(&key) {
            Some(changed) => changed.clone(),
            None => view.get(Cf::Default, &key).expect("a replica that cannot read must stop"),
        };
        value.unwrap_or_default()
    }

    fn run(&self, command: &[u8], view: &dyn View, overlay: &mut Overlay) -> &'static [u8] {
        match parts::split(command).as_deref() {
            Some([b"put", key, value]) => {
                overlay.insert(key_of(self.group, key), Some(value.to_vec()));
                OK
            }
            Some([b"delete", key]) => {
                overlay.insert(key_of(self.group, key), None);
                OK
            }
            Some([b"cas", key, old, new]) => {
                if self.current(key, overlay, view) != *old {
                    return NO;
                }
                overlay.insert(key_of(self.group, key), Some(new.to_vec()));
                OK
            }
            _ => BAD,
        }
    }
}

impl StateMachine for Kv {
    fn apply(
        &mut self,
        commands: &[Command<'_>],
        view: &dyn View,
        batch: &mut Batch,
        replies: &mut Vec<Bytes>,
    ) {
        let mut overlay = Overlay::new();
        for command in commands {
            replies.push(Bytes::from_static(self.run(command.data, view, &mut overlay)));
        }
        for (key, value) in &overlay {
            match value {
                Some(value) => batch.put(Cf::Default, key, value),
                None => batch.delete(Cf::Default, key),
            }
        }
    }

    fn snapshot(&mut self, view: Box<dyn View>) -> Box<dyn SnapshotReader> {
        let (next, end) = bounds(self.group);
        Box::new(Reader { view, next, end })
    }

    fn clear(&mut self, batch: &mut Batch) {
        let (start, end) = bounds(self.group);
        batch.delete_range(Cf::Default, &start, &end);
    }

    fn restore(&mut self, chunk: &[u8], batch: &mut Batch) -> Result<(), Corrupt> {
        let parts = parts::split(chunk).ok_or_else(|| Corrupt("a chunk is torn".to_owned()))?;
        for pair in parts.chunks(2) {
            let &[key, value] = pair else {
                return Err(Corrupt("a key without value".to_owned()));
            };
            batch.put(Cf::Default, &key_of(self.group, key), value);
        }
        Ok(())
    }
}

struct Reader {
    view: Box<dyn View>,
    next: Vec<u8>,
    end: Vec<u8>,
}

impl SnapshotReader for Reader {
    fn next(&mut self, bytes: usize) -> Result<Option<Bytes>, storage::Error> {
        let mut chunk = Vec::new();
        let mut last = Vec::new();
        let range = (Bound::Included(self.next.as_slice()), Bound::Excluded(self.end.as_slice()));
        self.view.scan(Cf::Default, range, Direction::Forward, &mut |key, value| {
            parts::push(&mut chunk, &key[8..]);
            parts::push(&mut chunk, value);
            last = key.to_vec();
            chunk.len() < bytes
        })?;
        // The least key behind the last.
        last.push(0);
        self.next = last;
        Ok((!chunk.is_empty()).then(|| chunk.into()))
    }
}

impl Machines for KvMachines {
    fn open(&self, group: GroupId, _: &Arc<dyn Engine>) -> Result<Box<dyn StateMachine>, Corrupt> {
        Ok(Box::new(Kv { group }))
    }

    fn destroy(&self, group: GroupId, batch: &mut Batch) {
        Kv { group }.clear(batch);
    }
}

const COUNTER: &[u8] = b"counter";
const STEPS: u64 = 60;

fn read_counter(cluster: &Cluster<KvMachines>, group: GroupId) -> Result<u64, Failed> {
    let value = cluster.read(group, |node| {
        node.engine.get(Cf::Default, &key_of(group, COUNTER)).map_err(Failed::because)
    })?;
    let text = String::from_utf8(value.unwrap_or_default()).map_err(Failed::because)?;
    if text.is_empty() { Ok(0) } else { text.parse().map_err(Failed::because) }
}

/// Counts. A step that nobody knows about is not repeated blindly: the counter says whether it was
/// taken, and if it comes late, it finds another value and does nothing. That is enough for one
/// writer; several would put their name into the value.
fn count(cluster: &Cluster<KvMachines>, group: GroupId) -> Result<(), Failed> {
    loop {
        let count = read_counter(cluster, group)?;
        if count >= STEPS {
            return ensure(count == STEPS, || format!("group {group} counted to {count}"));
        }
        let old = if count == 0 { String::new() } else { count.to_string() };
        let step = compare_and_set(COUNTER, old.as_bytes(), (count + 1).to_string().as_bytes());
        cluster.propose(group, &step)?;
    }
}

fn fill(cluster: &Cluster<KvMachines>, group: GroupId, name: &str) -> Result<(), Failed> {
    for nth in 0..40 {
        let command = put(format!("{name}-{nth}").as_bytes(), &[b'x'; 256]);
        let reply = cluster.propose_repeatedly(group, &command)?;
        ensure(reply == OK, || format!("group {group}: {reply:?}"))?;
    }
    cluster.propose_repeatedly(group, &delete(format!("{name}-0").as_bytes())).map(drop)
}

/// Everything of a group.
fn state(node: &Node<KvMachines>, group: GroupId) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let (start, end) = bounds(group);
    let range = (Bound::Included(start.as_slice()), Bound::Excluded(end.as_slice()));
    let mut pairs = Vec::new();
    let scanned = node.engine.view().scan(Cf::Default, range, Direction::Forward, &mut |k, v| {
        pairs.push((k.to_vec(), v.to_vec()));
        true
    });
    scanned.ok().map(|()| pairs)
}

pub(crate) fn main() -> Result<(), Failed> {
    let story = Story {
        name: "kv",
        machines: |_| KvMachines,
        before: |cluster, group| fill(cluster, group, "first"),
        during: |cluster, group| {
            count(cluster, group)?;
            fill(cluster, group, "second")
        },
        state,
    };
    let cluster = story.tell()?;
    let keys = cluster.on(2, |node| state(node, FIRST_GROUP).map(|pairs| pairs.len())).flatten();
    ensure(keys == Some(79), || format!("{keys:?} keys, where 79 are expected"))?;
    println!("kv: every group has 79 keys, and has counted to {STEPS} without a gap");
    Ok(())
}
