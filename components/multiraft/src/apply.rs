//! The apply lane: where committed entries meet state machines.
//!
//! ```text
//!  shard ── ApplyTask ─► Applier::push          per group a queue, groups take turns
//!                        Applier::run           one slice of some groups, one engine write
//!  shard ◄─ Applied ──── results, with replies
//! ```
//!
//! What a slice changes is written together with how far its group has applied, not synced: the log
//! writes that follow in the same write-ahead log take it along, and after a crash it is applied
//! again from the log. Log is dropped only behind what is applied, by writes behind those that
//! applied it, so no crash can keep the one and lose the other.
//!
//! Single-threaded and without a clock: a store runs it on a thread, a simulation steps it.
//!
//! Invariant: the slots of a group are applied in order, each once in the life of a machine.

mod slice;
mod snapshot;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use raft::SnapshotWanted;
use storage::{Batch, Durability, Engine};
use types::{EntryId, GroupId, Index, PeerId, StoreId};

use crate::disk;
use crate::entry::{Entry, Roster};
use crate::group_map::GroupMap;
use crate::message::{RemovedPeer, SnapshotOffer};
use crate::shard::{Beginning, Token};
use crate::state_machine::{Machines, SnapshotReader, StateMachine};

/// Most removed peers that are remembered per group: a leader tells them, and the oldest is
/// forgotten first. One that was never told has to ask placement.
const REMOVED_MAX: usize = 16;

/// Something to be done in the order of a group's log.
#[derive(Debug)]
pub struct ApplyTask {
    /// The group.
    pub group: GroupId,
    /// Its peer here.
    pub peer: PeerId,
    /// What.
    pub work: Work,
}

/// What is done in the apply lane.
#[derive(Debug)]
pub enum Work {
    /// Apply these slots. Entries that are not attached are read back.
    Entries {
        /// The slots.
        range: Range<Index>,
        /// Their entries, if they were in memory.
        entries: Option<Vec<Entry>>,
        /// Who waits for which slot, ascending.
        tokens: VecDeque<(Index, Token)>,
    },
    /// The group begins here, at this place, with this roster.
    Begin {
        /// What its state reflects.
        at: EntryId,
        /// Who belongs to it.
        roster: (Index, Roster),
    },
    /// Replace the state by the snapshot whose chunks are staged.
    Install(Box<SnapshotOffer>),
    /// Drop the log up to this entry, if the machine's state is durable as far as that.
    Compact(EntryId),
    /// Begin a snapshot, for a peer on this store.
    Snapshot(SnapshotWanted, StoreId),
    /// This removed peer knows that it is.
    Forget(PeerId),
    /// Remove everything of the group but a tombstone.
    Destroy,
}

/// What came of a task.
#[derive(Debug)]
pub struct Applied {
    /// The group.
    pub group: GroupId,
    /// Its peer here.
    pub peer: PeerId,
    /// What.
    pub done: Done,
}

/// What was done in the apply lane.
#[derive(Debug)]
pub enum Done {
    /// Applied up to here.
    Upto {
        /// The last slot applied.
        index: Index,
        /// Bytes of the entries.
        bytes: u64,
        /// Set if a membership was among them.
        roster: Option<Box<AppliedRoster>>,
        /// Set if groups came into being: by an entry from this one on.
        spawned_from: Option<EntryId>,
    },
    /// The snapshot is the state now.
    Installed(Box<AppliedRoster>, EntryId),
    /// The log is dropped up to here.
    Compacted(EntryId),
    /// Everything is gone.
    Destroyed,
    /// A command of another group brought this one into being.
    Spawned(Box<Beginning>),
}

/// The membership applied last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedRoster {
    /// Its slot.
    pub index: Index,
    /// Who belongs to the group.
    pub roster: Roster,
    /// Who was removed and may not know.
    pub removed: Vec<RemovedPeer>,
}

/// A snapshot that begins: for the courier.
pub struct SnapshotBegun {
    /// The group.
    pub group: GroupId,
    /// Its peer here.
    pub peer: PeerId,
    /// Who needs it.
    pub to: PeerId,
    /// Where that peer lives.
    pub store: StoreId,
    /// What it covers.
    pub offer: SnapshotOffer,
    /// Its data.
    pub reader: Box<dyn SnapshotReader>,
}

/// What a run brought forth.
#[derive(Default)]
pub struct ApplyOutput {
    /// For the shards.
    pub applied: Vec<Applied>,
    /// For the callers, whose commands are applied.
    pub replies: Vec<(GroupId, Token, Index, Bytes)>,
    /// For the courier.
    pub snapshots: Vec<SnapshotBegun>,
    /// How many entries were applied.
    pub entries: u64,
}

/// Why the apply lane cannot go on. The process stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyError {
    /// The engine failed.
    Engine(storage::Error),
    /// What is stored of this group cannot be.
    Group(GroupId, String),
}

struct Machine {
    machine: Box<dyn StateMachine>,
    applied: EntryId,
    roster: AppliedRoster,
}

/// State machines of some groups, and what waits for them.
pub struct Applier {
    engine: Arc<dyn Engine>,
    machines: Arc<dyn Machines>,
    groups: GroupMap<Machine>,
    queues: BTreeMap<GroupId, VecDeque<ApplyTask>>,
    /// Groups with work, in the order of their turns.
    turns: VecDeque<GroupId>,
    slice_bytes: u64,
    batch: Batch,
    replies: Vec<Bytes>,
    /// Groups whose data the batch removes.
    gone: Vec<GroupId>,
    on_full: OnFull,
}

/// Asked when the engine is full: whether to try again. It may wait before it answers.
pub type OnFull = Box<dyn FnMut() -> bool + Send>;

impl Applier {
    /// An applier without groups.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>, machines: Arc<dyn Machines>, slice_bytes: u64) -> Applier {
        Applier {
            engine,
            machines,
            groups: GroupMap::new(),
            queues: BTreeMap::new(),
            turns: VecDeque::new(),
            slice_bytes,
            batch: Batch::new(),
            replies: Vec::new(),
            gone: Vec::new(),
            on_full: Box::new(|| false),
        }
    }

    /// What to do when the engine is full. Without it that is an error as others are.
    pub fn when_full(&mut self, on_full: OnFull) {
        self.on_full = on_full;
    }

    /// Bytes of a slice are others from now on.
    pub fn set_slice_bytes(&mut self, bytes: u64) {
        self.slice_bytes = bytes;
    }

    /// A group that was there when the store was opened.
    pub(crate) fn adopt(
        &mut self,
        group: GroupId,
        machine: Box<dyn StateMachine>,
        applied: EntryId,
        roster: AppliedRoster,
    ) {
        self.groups.insert(group, Machine { machine, applied, roster });
    }

    /// Queues a task.
    pub fn push(&mut self, task: ApplyTask) {
        let queue = self.queues.entry(task.group).or_default();
        if queue.is_empty() {
            self.turns.push_back(task.group);
        }
        queue.push_back(task);
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.turns.is_empty()
    }

    /// One slice of each of up to `groups_max` groups, in one write.
    ///
    /// # Errors
    /// If the engine failed, or what is stored makes no sense. Nothing more may be applied then.
    pub fn run(&mut self, groups_max: usize, out: &mut ApplyOutput) -> Result<(), ApplyError> {
        for _ in 0..groups_max.min(self.turns.len()) {
            let Some(group) = self.turns.pop_front() else { break };
            let queue = self.queues.get_mut(&group).expect("a group with a turn has a queue");
            let task = queue.pop_front().expect("a group with a turn has a task");
            if let Some(rest) = self.perform(task, out)? {
                self.queues.entry(group).or_default().push_front(rest);
            }
            if self.queues.get(&group).is_some_and(VecDeque::is_empty) {
                self.queues.remove(&group);
            } else {
                self.turns.push_back(group);
            }
        }
        self.write(Durability::Buffered)
    }

    fn write(&mut self, durability: Durability) -> Result<(), ApplyError> {
        if !self.batch.is_empty() {
            write(&*self.engine, &mut self.batch, durability, &mut self.on_full)?;
        }
        self.gone.drain(..).for_each(|group| self.machines.destroyed(group));
        Ok(())
    }

    /// Returns what is left of the task.
    fn perform(
        &mut self,
        task: ApplyTask,
        out: &mut ApplyOutput,
    ) -> Result<Option<ApplyTask>, ApplyError> {
        let ApplyTask { group, peer, work } = task;
        let done = match work {
            Work::Entries { range, entries, tokens } => {
                return self.apply_slice((group, peer), range, entries, tokens, out);
            }
            Work::Begin { at, roster } => {
                let roster = AppliedRoster::first(roster.0, roster.1);
                // The shard writes these down with the group's record: were they written here, a
                // crash could keep them without it.
                let machine = self.open(group)?;
                self.groups.insert(group, Machine { machine, applied: at, roster });
                return Ok(None);
            }
            Work::Install(offer) => self.install((group, peer), &offer)?,
            Work::Compact(upto) => Done::Compacted(self.compact(group, upto)?),
            Work::Snapshot(wanted, store) => {
                // The view must show what was applied before.
                self.write(Durability::Buffered)?;
                out.snapshots.push(self.begin_snapshot((group, peer), &wanted, store)?);
                return Ok(None);
            }
            Work::Forget(removed) => {
                let machine = self.machine(group)?;
                machine.roster.removed.retain(|gone| gone.peer != removed);
                let roster = machine.roster.clone();
                disk::put_roster(&mut self.batch, group, &roster);
                return Ok(None);
            }
            Work::Destroy => {
                if self.groups.remove(&group).is_none() {
                    // It was not opened, or could not be. If it can, it knows what else it has.
                    let _left_as_it_is = self.open(group);
                }
                disk::bury(&mut self.batch, group, peer);
                self.machines.destroy(group, &mut self.batch);
                self.gone.push(group);
                self.write(Durability::Synced)?;
                Done::Destroyed
            }
        };
        out.applied.push(Applied { group, peer, done });
        Ok(None)
    }

    fn machine(&mut self, group: GroupId) -> Result<&mut Machine, ApplyError> {
        let missing = || ApplyError::Group(group, "it has no state machine".to_owned());
        self.groups.get_mut(&group).ok_or_else(missing)
    }

    fn open(&self, group: GroupId) -> Result<Box<dyn StateMachine>, ApplyError> {
        self.machines.open(group, &self.engine).map_err(|why| ApplyError::Group(group, why.0))
    }
}

/// Writes the batch and empties it.
fn write(
    engine: &dyn Engine,
    batch: &mut Batch,
    durability: Durability,
    on_full: &mut OnFull,
) -> Result<(), ApplyError> {
    loop {
        match engine.write(batch, durability) {
            // Nothing was written.
            Err(storage::Error::Full(_)) if on_full() => {}
            Err(why) => return Err(ApplyError::Engine(why)),
            Ok(()) => break,
        }
    }
    batch.clear();
    Ok(())
}

impl AppliedRoster {
    /// That of a group's beginning.
    pub(crate) fn first(index: Index, roster: Roster) -> AppliedRoster {
        AppliedRoster { index, roster, removed: Vec::new() }
    }

    /// Nobody is known.
    pub(crate) fn unknown() -> AppliedRoster {
        AppliedRoster::first(Index(0), Roster::unknown())
    }

    /// The membership of this slot is applied: whoever is not in it any more was removed.
    pub(crate) fn change(&mut self, index: Index, roster: &Roster) {
        for (member, store) in self.roster.iter() {
            if roster.membership().get(member.id).is_none() {
                self.removed.push(RemovedPeer { peer: member.id, store, index });
            }
        }
        let over = self.removed.len().saturating_sub(REMOVED_MAX);
        self.removed.drain(..over);
        self.index = index;
        self.roster = roster.clone();
    }
}

impl std::fmt::Display for ApplyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ApplyError::Engine(why) => write!(f, "{why}"),
            ApplyError::Group(group, why) => write!(f, "group {group}: {why}"),
        }
    }
}

impl std::error::Error for ApplyError {}
