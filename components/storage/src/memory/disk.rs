//! The disk of a memory engine: it outlives the engine, and it can fail.
//!
//! Writes are numbered. Up to `durable` they are on the disk, up to `visible` they are read, and
//! what lies between is lost in a crash, from some write on. A test says how many survive, so that
//! every outcome that a real disk allows can be had, and had again.
//!
//! Invariant: `durable <= visible <= versions.last()`; the last two differ only after a failed
//! sync.
//!
//! Not here: time. [`Faults::slow`] is a number for whoever keeps a virtual clock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::versions::{Number, Versions};
use crate::batch::Batch;
use crate::cf::Cf;
use crate::engine::Durability;
use crate::error::Error;
use crate::health::Health;

/// What a memory engine writes to. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

/// How a disk misbehaves from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The next sync fails, and so does every later write of this engine.
    pub sync: Option<SyncFault>,
    /// So many bytes can still be written; the write that does not fit is refused whole. Unlimited
    /// if nothing.
    pub room_bytes: Option<u64>,
    /// Reads of the engine fail.
    pub read: bool,
    /// Opening finds damage.
    pub rot: bool,
    /// How long a synced write takes. The disk does not wait; ask [`MemoryDisk::faults`].
    pub slow: Duration,
}

/// What a failed sync did with the writes that were not durable before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncFault {
    /// They are lost in the next crash, however many that crash would keep.
    Lost,
    /// They may have reached the disk, as many as the next crash keeps.
    Unknown,
}

/// A loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// So many of the writes that were not durable survive, the oldest first, each whole.
    Keep(usize),
    /// The same, and the one after them is half on the disk: opening drops it whole.
    KeepAndTear(usize),
}

/// What happened to a disk, so that a test can prove that its faults took place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Batches that were written.
    pub writes: u64,
    /// Bytes of them.
    pub written_bytes: u64,
    /// Times that writes became durable.
    pub syncs: u64,
    /// Syncs that failed.
    pub syncs_failed: u64,
    /// Writes refused for lack of room.
    pub refused_full: u64,
    /// Reads that failed.
    pub reads_failed: u64,
    /// Crashes.
    pub crashes: u64,
    /// Writes that crashes took.
    pub lost: u64,
    /// Half writes that opening dropped.
    pub torn: u64,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) versions: Versions,
    durable: Number,
    visible: Number,
    /// Which engine may use the disk: each opening and each crash ends the one before.
    life: u64,
    faults: Faults,
    failed: Option<SyncFault>,
    is_torn: bool,
    /// How many views read at a number.
    views: BTreeMap<Number, usize>,
    files: BTreeMap<PathBuf, File>,
    counters: Counters,
    unflushed_bytes: [u64; Cf::ALL.len()],
    flushes: u64,
    flushed_bytes: u64,
}

#[derive(Debug)]
enum File {
    Plain(Vec<u8>),
    Checkpoint(MemoryDisk),
}

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> MemoryDisk {
        MemoryDisk::default()
    }

    /// The faults that are in force.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.lock().faults.clone()
    }

    /// Replaces the faults that are in force.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.lock().counters
    }

    /// How many writes a crash could take now.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        let state = self.lock();
        count(state.versions.last() - state.durable)
    }

    /// Loses power. Engines and views that are open fail from now on. Returns how many writes are
    /// lost.
    pub fn crash(&self, crash: Crash) -> usize {
        let mut state = self.lock();
        let (Crash::Keep(keep) | Crash::KeepAndTear(keep)) = crash;
        let keep = if state.failed == Some(SyncFault::Lost) { 0 } else { keep };
        let unsynced = count(state.versions.last() - state.durable);
        let kept = keep.min(unsynced);
        let lost = unsynced - kept;
        let last = state.durable + kept as u64;
        state.versions.back_to(last);
        (state.durable, state.visible) = (last, last);
        state.failed = None;
        state.is_torn = lost > 0 && matches!(crash, Crash::KeepAndTear(_));
        state.end_life();
        state.counters.crashes += 1;
        state.counters.lost += lost as u64;
        lost
    }

    /// The bytes of a file, as a real file would be read to be sent elsewhere.
    #[must_use]
    pub fn read_file(&self, path: &Path) -> Option<Vec<u8>> {
        match self.lock().files.get(path)? {
            File::Plain(bytes) => Some(bytes.clone()),
            File::Checkpoint(_) => None,
        }
    }

    /// Writes a file, durably.
    ///
    /// # Errors
    /// If there is no room, or something is there already.
    pub fn write_file(&self, path: &Path, bytes: Vec<u8>) -> Result<(), Error> {
        let mut state = self.lock();
        state.free(path)?;
        state.take_room(bytes.len() as u64)?;
        state.files.insert(path.to_path_buf(), File::Plain(bytes));
        Ok(())
    }

    /// Removes a file or a checkpoint. Returns whether it was there.
    pub fn remove_file(&self, path: &Path) -> bool {
        self.lock().files.remove(path).is_some()
    }

    /// The files and checkpoints, in order.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.lock().files.keys().cloned().collect()
    }

    /// The disk in a checkpoint, to open an engine from.
    #[must_use]
    pub fn checkpoint(&self, path: &Path) -> Option<MemoryDisk> {
        match self.lock().files.get(path)? {
            File::Plain(_) => None,
            File::Checkpoint(disk) => Some(disk.clone()),
        }
    }

    /// Makes all writes durable and begins a life, whose number it returns.
    pub(super) fn begin(&self) -> Result<u64, Error> {
        let mut state = self.lock();
        if state.faults.rot {
            return Err(Error::Corrupt("the log is damaged before its end".into()));
        }
        if let Some(fault) = state.faults.sync.take() {
            state.failed = Some(fault);
            state.counters.syncs_failed += 1;
            return Err(Error::Disk("the sync at opening failed".into()));
        }
        state.end_life();
        state.failed = None;
        state.counters.torn += u64::from(std::mem::take(&mut state.is_torn));
        state.visible = state.versions.last();
        state.durable = state.visible;
        state.prune();
        Ok(state.life)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // No panic leaves the state half changed, so one elsewhere is no reason to stop here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The number that a new view reads at.
    pub(super) fn pin(&mut self) -> Number {
        *self.views.entry(self.visible).or_default() += 1;
        self.visible
    }

    pub(super) fn unpin(&mut self, at: Number, life: u64) {
        if life != self.life {
            return;
        }
        if let Some(views) = self.views.get_mut(&at) {
            *views -= 1;
            if *views == 0 {
                self.views.remove(&at);
                self.prune();
            }
        }
    }

    pub(super) fn visible(&self) -> Number {
        self.visible
    }

    pub(super) fn life(&self) -> u64 {
        self.life
    }

    pub(super) fn write(&mut self, batch: &Batch, durability: Durability) -> Result<(), Error> {
        self.take_room(batch.bytes() as u64)?;
        let number = self.versions.apply(batch);
        self.counters.writes += 1;
        self.counters.written_bytes += batch.bytes() as u64;
        for op in batch.iter() {
            let (cf, bytes) = op.size();
            self.unflushed_bytes[cf.index()] += bytes as u64;
        }
        if durability == Durability::Synced {
            self.sync()?;
        }
        self.visible = number;
        self.prune();
        Ok(())
    }

    pub(super) fn sync(&mut self) -> Result<(), Error> {
        if let Some(fault) = self.faults.sync.take() {
            self.failed = Some(fault);
            self.counters.syncs_failed += 1;
            return Err(Error::Disk("the sync failed".into()));
        }
        self.durable = self.versions.last();
        self.counters.syncs += 1;
        Ok(())
    }

    pub(super) fn flushed(&mut self, cf: Cf) {
        let bytes = std::mem::take(&mut self.unflushed_bytes[cf.index()]);
        if bytes > 0 {
            self.flushes += 1;
            self.flushed_bytes += bytes;
        }
        self.prune();
    }

    /// Refuses an engine whose life is over; and its writes, after a failed sync.
    pub(super) fn check_alive(&self, life: u64) -> Result<(), Error> {
        if life == self.life {
            Ok(())
        } else {
            Err(Error::Disk("this engine ended in a crash, or the disk was opened again".into()))
        }
    }

    pub(super) fn check_writable(&self, life: u64) -> Result<(), Error> {
        self.check_alive(life)?;
        match self.failed {
            None => Ok(()),
            Some(_) => Err(Error::Disk("a sync failed before".into())),
        }
    }

    pub(super) fn check_readable(&mut self, life: u64) -> Result<(), Error> {
        self.check_alive(life)?;
        if self.faults.read {
            self.counters.reads_failed += 1;
            return Err(Error::Disk("a read failed".into()));
        }
        Ok(())
    }

    pub(super) fn take_room(&mut self, bytes: u64) -> Result<(), Error> {
        let Some(room) = self.faults.room_bytes else { return Ok(()) };
        let Some(left) = room.checked_sub(bytes) else {
            self.counters.refused_full += 1;
            return Err(Error::Full(format!("{bytes} bytes, room for {room}")));
        };
        self.faults.room_bytes = Some(left);
        Ok(())
    }

    pub(super) fn save_checkpoint(&mut self, to: &Path) -> Result<(), Error> {
        self.free(to)?;
        let versions = self.versions.copy(self.visible);
        let last = versions.last();
        let state = State { versions, durable: last, visible: last, ..State::default() };
        let disk = MemoryDisk { state: Arc::new(Mutex::new(state)) };
        self.files.insert(to.to_path_buf(), File::Checkpoint(disk));
        Ok(())
    }

    pub(super) fn plain_file(&self, path: &Path) -> Result<&[u8], Error> {
        match self.files.get(path) {
            Some(File::Plain(bytes)) => Ok(bytes),
            Some(File::Checkpoint(_)) | None => {
                Err(Error::Invalid(format!("{} is no file", path.display())))
            }
        }
    }

    pub(super) fn drop_file(&mut self, path: &Path) {
        self.files.remove(path);
    }

    pub(super) fn free(&self, path: &Path) -> Result<(), Error> {
        if self.files.contains_key(path) {
            return Err(Error::Invalid(format!("{} exists", path.display())));
        }
        Ok(())
    }

    pub(super) fn health(&self) -> Health {
        Health {
            failed: self.failed.map(|_| "a sync failed".to_owned()),
            flushes: self.flushes,
            flushed_bytes: self.flushed_bytes,
            table_bytes: self.flushed_bytes,
            memory_bytes: self.unflushed_bytes.iter().sum(),
            ..Health::default()
        }
    }

    fn prune(&mut self) {
        let oldest = self.views.keys().next().copied().unwrap_or(self.durable);
        self.versions.prune(oldest.min(self.durable));
    }

    fn end_life(&mut self) {
        self.life += 1;
        self.views.clear();
        (self.flushes, self.flushed_bytes) = (0, 0);
        self.unflushed_bytes = Default::default();
    }
}

fn count(writes: u64) -> usize {
    usize::try_from(writes).unwrap_or(usize::MAX)
}
