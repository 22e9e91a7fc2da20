//! What the log of a group is applied to: the contract of a state machine.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use storage::{Batch, Engine, View};
use types::{GroupId, Index};

use crate::entry::Roster;
use crate::shard::Beginning;

/// A committed command on its way into a state machine.
#[derive(Clone, Copy, Debug)]
pub struct Command<'a> {
    /// Its slot in the log. Slots rise; those of memberships and of new leaders are left out.
    pub index: Index,
    /// What was proposed.
    pub data: &'a Bytes,
}

/// A group that a command brought into being, on this store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spawn {
    /// Its id, which no group had before.
    pub group: GroupId,
    /// How it begins; the same place in the log and the same roster on every store.
    pub beginning: Beginning,
}

/// The replicated state of one group.
///
/// The same commands in the same order give the same state and the same replies, on every replica
/// and again after a crash: no clock, no randomness, no hash order, nothing from outside.
///
/// # Who calls when
///
/// All calls for one group come one after another, from one thread at a time; those of different
/// groups overlap. [`SnapshotReader`]s outlive the call that made them and are read by another
/// thread, while the machine goes on.
///
/// # What must survive a crash
///
/// What a call writes into its batch becomes part of the store atomically, together with the note
/// of how far the group has applied; batches of one group survive a crash as a prefix. So a machine
/// that keeps everything it has in the engine needs no more than that. A machine that keeps state
/// elsewhere (memory, files of its own) says with [`StateMachine::applied`] how far that state goes
/// when it is opened, and is given again what follows; before log entries are dropped,
/// [`StateMachine::persist`] is called.
///
/// # Failing
///
/// Applying cannot fail. A command that makes no sense is answered with a reply that says so, the
/// same on every replica. If what is stored cannot be read or written, panic: a replica that has
/// left out a command must not go on.
pub trait StateMachine: Send {
    /// The last slot that the state reflects, when the machine was just opened. `recorded` is what
    /// the store noted with the last batch that survived; a machine that has all its state in the
    /// engine returns it. A machine that made its own state durable may be ahead of that, and one
    /// that lost some may be behind, but not further than where it was persisted last. A machine
    /// that was never persisted notes with its first command, in the batch, where that stood, and
    /// returns the slot before it; without such a note no command was applied, and `recorded` is
    /// right.
    fn applied(&self, recorded: Index) -> Index {
        recorded
    }

    /// Applies commands in order and adds a reply for each, in order. Whatever changes in the
    /// engine goes into `batch`; the commands' own earlier changes are not in `view` yet.
    fn apply(
        &mut self,
        commands: &[Command<'_>],
        view: &dyn View,
        batch: &mut Batch,
        replies: &mut Vec<Bytes>,
    );

    /// A membership was applied, behind the commands before it: who belongs to the group from the
    /// slot `index` on. For machines that count memberships or show them; like commands, it may
    /// come again after a crash to a machine that keeps its state elsewhere.
    fn members(&mut self, index: Index, roster: &Roster, batch: &mut Batch) {
        let _ = (index, roster, batch);
    }

    /// The groups that the last call of [`StateMachine::apply`] brought into being, each with a
    /// peer on this store, by commands that were proposed for that
    /// ([`Handle::propose_spawn`](crate::Handle::propose_spawn)). What its machine needs to be
    /// opened was written into the batch of that call; the groups begin with it or not at all. If
    /// such a peer has left this store before the group came to it, [`Machines::destroy`] is called
    /// for it instead.
    ///
    /// A machine that keeps its state elsewhere may bring a group into being again after a crash.
    /// It leaves alone what the group has in the engine by then; nothing comes of it.
    ///
    /// A group may be here already as a peer without state, which a message made. It must not have
    /// state of its own: see [`Machines::admit`].
    fn spawned(&mut self) -> Vec<Spawn> {
        Vec::new()
    }

    /// Makes everything that was applied survive a crash, up to the slot `applied`, with what it
    /// writes into `batch` or by itself. Called before log entries are dropped, so not often.
    /// Returns the slot up to which it holds; entries behind it are kept, those up to it may go.
    fn persist(&mut self, applied: Index, batch: &mut Batch) -> Index {
        let _ = batch;
        applied
    }

    /// Begins to read out the whole state as it is now: `view` is the engine at this instant.
    /// Cheap; the reading itself is the reader's work, at its own pace.
    fn snapshot(&mut self, view: Box<dyn View>) -> Box<dyn SnapshotReader>;

    /// Forgets everything, also what is in the engine, since a snapshot follows: its chunks in
    /// order, and then [`StateMachine::restored`]. After a crash in between, it all begins anew:
    /// the machine is opened over what was taken over until then, and is to clear it.
    fn clear(&mut self, batch: &mut Batch);

    /// Takes over a chunk of a snapshot, as its reader gave it out on another replica.
    ///
    /// # Errors
    /// If it makes no sense: its snapshot passed its checksum, so the sender wrote what this
    /// machine does not understand. The store stops, and sets the group aside when it is opened
    /// again.
    fn restore(&mut self, chunk: &[u8], batch: &mut Batch) -> Result<(), Corrupt>;

    /// All chunks were taken over: the state is that of the slot `applied`. The log up to there is
    /// dropped with this batch, and [`StateMachine::persist`] is not asked before: a machine that
    /// keeps its state elsewhere makes it durable here.
    ///
    /// # Errors
    /// If something is missing.
    fn restored(&mut self, applied: Index, batch: &mut Batch) -> Result<(), Corrupt> {
        let _ = (applied, batch);
        Ok(())
    }
}

/// Reads out a state, chunk by chunk.
pub trait SnapshotReader: Send {
    /// What a receiver must know to decide whether it takes this snapshot, see
    /// [`Machines::admit`]. Some hundred bytes.
    fn header(&self) -> Bytes {
        Bytes::new()
    }

    /// The next chunk, of about `bytes` or less; `None` behind the last.
    ///
    /// # Errors
    /// If the state cannot be read; the snapshot is given up and tried anew.
    fn next(&mut self, bytes: usize) -> Result<Option<Bytes>, storage::Error>;
}

/// Makes and ends the state machines of a store.
pub trait Machines: Send + Sync {
    /// The state machine of a group: new, or with what it has in the engine.
    ///
    /// Also called for what was set aside, or left by a crash, before it is destroyed, so that it
    /// is known what there is.
    ///
    /// # Errors
    /// If what is there cannot be read. When the store is opened, the group is set aside and the
    /// others run ([`Store::damaged`](crate::Store::damaged)). Later the store stops.
    fn open(
        &self,
        group: GroupId,
        engine: &Arc<dyn Engine>,
    ) -> Result<Box<dyn StateMachine>, Corrupt>;

    /// The group is gone from this store: remove everything it has, in the engine and elsewhere.
    /// May be called again after a crash.
    fn destroy(&self, group: GroupId, batch: &mut Batch);

    /// What [`Machines::destroy`] wrote is in the engine: nothing of the group is in the way of
    /// others any more.
    fn destroyed(&self, group: GroupId) {
        let _ = group;
    }

    /// Whether a snapshot with this header may become the state of a group here. Asked when it is
    /// offered, and again, with `reserve`, before it is installed: what was granted then must stay
    /// possible until it is installed, dismissed, or the group destroyed. A snapshot that was not
    /// admitted is offered again. Called by any thread.
    fn admit(&self, group: GroupId, header: &[u8], reserve: bool) -> bool {
        let _ = (group, header, reserve);
        true
    }

    /// The snapshot that was admitted last for the group is not installed after all.
    fn dismiss(&self, group: GroupId) {
        let _ = group;
    }

    /// Version of the format of snapshots. A snapshot with another is refused.
    fn format(&self) -> u32 {
        1
    }
}

/// What is stored or sent makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrupt(pub String);

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::error::Error for Corrupt {}
