//! A store under test: an engine, the regions on it, and what the multi-Raft engine would do with
//! their machines, without Raft.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use kv::{Config, Regions};
use multiraft::{Command, Machines, Roster, StateMachine};
use storage::{Batch, Cf, Crash, Direction, Durability, Engine, MemoryDisk, MemoryEngine, View};
use types::{ApiVersion, GroupId, Index, KeyRange, StoreId};

/// A slot of the log of a group.
#[derive(Clone)]
pub(crate) enum Slot {
    Command(Bytes),
    Members(Roster),
}

/// A store.
pub(crate) struct Host {
    pub(crate) id: StoreId,
    pub(crate) regions: Arc<Regions>,
    pub(crate) engine: Arc<dyn Engine>,
    disk: MemoryDisk,
    machines: BTreeMap<GroupId, Box<dyn StateMachine>>,
    /// Groups that were here and must not begin again.
    pub(crate) buried: BTreeSet<GroupId>,
}

/// What came of slots: the replies, by slot, and the groups that began.
#[derive(Default)]
pub(crate) struct Applied {
    pub(crate) replies: Vec<(usize, Bytes)>,
    pub(crate) spawned: Vec<GroupId>,
    pub(crate) left: Vec<GroupId>,
}

fn applied_key(group: GroupId) -> Vec<u8> {
    [&b"a"[..], &group.get().to_be_bytes()].concat()
}

impl Host {
    pub(crate) fn new(id: StoreId) -> Host {
        Host::open(id, MemoryDisk::new(), BTreeSet::new())
    }

    fn open(id: StoreId, disk: MemoryDisk, buried: BTreeSet<GroupId>) -> Host {
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::open(disk.clone()).expect("opens"));
        let regions = Regions::new(Config { store: id, api: ApiVersion::V1Ttl });
        Host { id, regions, engine, disk, machines: BTreeMap::new(), buried }
    }

    /// The power is lost; of what was not durable, `keep` writes are there again.
    pub(crate) fn restart(&mut self, keep: usize) {
        self.machines.clear();
        self.disk.crash(Crash::Keep(keep));
        *self = Host::open(self.id, self.disk.clone(), std::mem::take(&mut self.buried));
        let mut found = Vec::new();
        let bounds = (Bound::Included(&b"a"[..]), Bound::Excluded(&b"b"[..]));
        let view = self.engine.view();
        view.scan(Cf::Meta, bounds, Direction::Forward, &mut |key, _| {
            let id = key[1..].try_into().expect("eight bytes");
            found.push(GroupId::new(u64::from_be_bytes(id)).expect("an id"));
            true
        })
        .expect("reads");
        for group in found {
            let machine = self.regions.open(group, &self.engine).expect("opens again");
            self.machines.insert(group, machine);
        }
    }

    pub(crate) fn groups(&self) -> Vec<GroupId> {
        self.machines.keys().copied().collect()
    }

    pub(crate) fn has(&self, group: GroupId) -> bool {
        self.machines.contains_key(&group)
    }

    /// How many slots are applied.
    pub(crate) fn applied(&self, group: GroupId) -> usize {
        let value = self.engine.get(Cf::Meta, &applied_key(group)).expect("reads");
        value.map_or(0, |value| value[0].into())
    }

    /// A group begins: what it has is in the engine.
    pub(crate) fn begin(&mut self, group: GroupId) {
        let mut batch = Batch::new();
        note(&mut batch, group, 0);
        self.engine.write(&batch, Durability::Synced).expect("writes");
        let machine = self.regions.open(group, &self.engine).expect("opens");
        self.machines.insert(group, machine);
    }

    /// Applies the next slots, up to the first membership among them.
    pub(crate) fn apply(&mut self, group: GroupId, slots: &[Slot]) -> Applied {
        let first = self.applied(group);
        let view = self.engine.view();
        let machine = self.machines.get_mut(&group).expect("the group is here");
        let mut batch = Batch::new();
        let mut commands = Vec::new();
        let mut members = None;
        let mut count = 0;
        for slot in slots {
            count += 1;
            let index = Index((first + count) as u64);
            match slot {
                Slot::Command(data) => commands.push(Command { index, data }),
                Slot::Members(roster) => {
                    members = Some((index, roster));
                    break;
                }
            }
        }
        let mut out = Applied::default();
        let mut replies = Vec::new();
        let mut spawns = Vec::new();
        if !commands.is_empty() {
            machine.apply(&commands, &*view, &mut batch, &mut replies);
            assert_eq!(replies.len(), commands.len());
            spawns = machine.spawned();
        }
        if let Some((index, roster)) = members {
            machine.members(index, roster, &mut batch);
        }
        let slot = |command: &Command<'_>| usize::try_from(command.index.0 - 1).expect("few");
        out.replies = commands.iter().map(slot).zip(replies).collect();
        note(&mut batch, group, first + count);
        for spawn in spawns {
            if self.buried.contains(&spawn.group) {
                self.regions.destroy(spawn.group, &mut batch);
                out.left.push(spawn.group);
            } else {
                note(&mut batch, spawn.group, 0);
                out.spawned.push(spawn.group);
            }
        }
        self.write(&batch);
        out.left.iter().for_each(|&group| self.regions.destroyed(group));
        for &child in &out.spawned {
            let machine = self.regions.open(child, &self.engine).expect("opens");
            self.machines.insert(child, machine);
        }
        out
    }

    /// Reads out a group: header, chunks, how many slots it covers.
    pub(crate) fn snapshot(&mut self, group: GroupId, bytes: usize) -> (Bytes, Vec<Bytes>, usize) {
        let applied = self.applied(group);
        let view = self.engine.view();
        let mut reader = self.machines.get_mut(&group).expect("is here").snapshot(view);
        let header = reader.header();
        let mut chunks = Vec::new();
        while let Some(chunk) = reader.next(bytes).expect("reads") {
            chunks.push(chunk);
        }
        (header, chunks, applied)
    }

    /// Installs a snapshot that was admitted; stops behind `chunks_max` chunks, as a crash would.
    pub(crate) fn install(
        &mut self,
        group: GroupId,
        (chunks, applied): (&[Bytes], usize),
        chunks_max: usize,
    ) {
        if !self.machines.contains_key(&group) {
            let machine = self.regions.open(group, &self.engine).expect("opens");
            self.machines.insert(group, machine);
        }
        self.buried.remove(&group);
        let mut machine = self.machines.remove(&group).expect("inserted above");
        let mut batch = Batch::new();
        machine.clear(&mut batch);
        // An install that is interrupted is begun anew.
        note(&mut batch, group, 0);
        for chunk in chunks.iter().take(chunks_max) {
            machine.restore(chunk, &mut batch).expect("a good chunk");
            self.write(&batch);
            batch.clear();
        }
        if chunks_max < chunks.len() {
            return;
        }
        machine.restored(Index(applied as u64), &mut batch).expect("a whole snapshot");
        note(&mut batch, group, applied);
        self.write(&batch);
        self.machines.insert(group, machine);
    }

    /// The group leaves this store for good.
    pub(crate) fn destroy(&mut self, group: GroupId) {
        self.machines.remove(&group);
        let mut batch = Batch::new();
        self.regions.destroy(group, &mut batch);
        batch.delete(Cf::Meta, &applied_key(group));
        self.engine.write(&batch, Durability::Synced).expect("writes");
        self.regions.destroyed(group);
        self.buried.insert(group);
    }

    /// Everything of a family in a range.
    pub(crate) fn data(&self, family: Cf, range: &KeyRange) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut pairs = Vec::new();
        let view = self.engine.view();
        let bounds = (Bound::Included(range.start.as_slice()), Bound::Unbounded);
        view.scan(family, bounds, Direction::Forward, &mut |key, value| {
            if range.contains(key) {
                pairs.push((key.to_vec(), value.to_vec()));
            }
            true
        })
        .expect("reads");
        pairs
    }

    pub(crate) fn view(&self) -> Box<dyn View> {
        self.engine.view()
    }

    fn write(&self, batch: &Batch) {
        self.engine.write(batch, Durability::Buffered).expect("writes");
    }
}

fn note(batch: &mut Batch, group: GroupId, applied: usize) {
    let applied = u8::try_from(applied).expect("logs under test are short");
    batch.put(Cf::Meta, &applied_key(group), &[applied]);
}
