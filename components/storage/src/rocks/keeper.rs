//! Keeps the witness: once in a while it lets the log be synced, reads what is new of it, and
//! writes down how far it goes.
//!
//! Write    a synced write returns and marks that there is something to witness.
//! Beat     at most once per interval: note the lengths of the logs, sync them, read and sum up
//!          what is new up to the noted lengths, write a slot, sync that.
//! Rest     nothing was written: nothing is done.
//! Close    one last beat.
//!
//! The bytes are read back through the file system, not taken from the writer, so that the witness
//! says what is in the file. They are in the page cache, and reading and summing them up costs a
//! few hundredths of what writing them cost.
//!
//! Invariant: what a slot says was synced before the slot was written.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rocksdb::DB;

use super::audit::logs;
use super::pulse::Pulse;
use super::records::chain;
use super::witness::{Seen, Witness, WitnessFile};
use crate::error::Error;

const READ: usize = 256 * 1024;

/// Owns the witness of an open engine, and the thread that beats.
#[derive(Debug)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    db: Arc<DB>,
    pulse: Arc<Pulse>,
    dir: PathBuf,
    /// A synced write ended since the last beat.
    is_due: AtomicBool,
    state: Mutex<State>,
    /// Whether to stop; the thread waits for it.
    stop: Mutex<bool>,
    stopped: Condvar,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("dir", &self.dir).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct State {
    file: WitnessFile,
    witness: Witness,
}

impl Keeper {
    /// Begins a new witness, of the logs as they are after opening, and the thread.
    pub(super) fn start(
        db: Arc<DB>,
        pulse: Arc<Pulse>,
        dir: &Path,
        generation: u64,
        every: Duration,
    ) -> Result<Keeper, Error> {
        // Opening made all of this durable.
        let sequence = db.latest_sequence_number();
        let witness = Witness { generation, sequence, ..Witness::default() };
        let file = WitnessFile::create(dir, &witness).map_err(|error| disk(&error))?;
        let shared = Arc::new(Shared {
            db,
            pulse,
            dir: dir.to_path_buf(),
            is_due: AtomicBool::new(false),
            state: Mutex::new(State { file, witness }),
            stop: Mutex::new(false),
            stopped: Condvar::new(),
        });
        shared.beat()?;
        let beating = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("witness".into())
            .spawn(move || beating.run(every))
            .map_err(|error| disk(&error))?;
        Ok(Keeper { shared, thread: Some(thread) })
    }

    /// A synced write ended.
    pub(super) fn mark(&self) {
        if !self.shared.is_due.load(Ordering::Relaxed) {
            self.shared.is_due.store(true, Ordering::Release);
        }
    }

    /// Witnesses all that is written now.
    pub(super) fn beat(&self) -> Result<(), Error> {
        self.shared.beat()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        *lock(&self.shared.stop) = true;
        self.shared.stopped.notify_all();
        if let Some(thread) = self.thread.take() {
            // It does not panic, and at this point nobody could be told.
            _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, every: Duration) {
        loop {
            let stop = lock(&self.stop);
            let wait = self.stopped.wait_timeout_while(stop, every, |stop| !*stop);
            let stop = *wait.unwrap_or_else(PoisonError::into_inner).0;
            // Without room the log cannot be synced either; the next write that goes well is due.
            if self.pulse.check_room().is_ok() && self.is_due.swap(false, Ordering::AcqRel) {
                // A failure is noted there, and refuses the next write.
                _ = self.beat();
            }
            if stop {
                return;
            }
        }
    }

    fn beat(&self) -> Result<(), Error> {
        let mut state = lock(&self.state);
        self.pulse.check_room()?;
        let sequence = self.db.latest_sequence_number();
        let lengths = self.lengths().map_err(|error| self.failed(&error.to_string()))?;
        self.db.flush_wal(true).map_err(|error| self.failed(error.as_ref()))?;
        let mut next = state.witness.clone();
        next.generation += 1;
        next.sequence = sequence;
        next.logs.retain(|number, _| lengths.iter().any(|(other, ..)| other == number));
        for (number, path, length) in lengths {
            let seen = next.logs.get(&number).copied().unwrap_or_default();
            match follow(&path, seen, length) {
                Ok(seen) => _ = next.logs.insert(number, seen),
                // All of it is in tables by now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    next.logs.remove(&number);
                }
                Err(error) => return Err(self.failed(&error.to_string())),
            }
        }
        state.file.write(&next).map_err(|error| self.failed(&error.to_string()))?;
        state.witness = next;
        Ok(())
    }

    fn lengths(&self) -> io::Result<Vec<(u64, PathBuf, u64)>> {
        let mut lengths = Vec::new();
        for (number, path) in logs(&self.dir)? {
            match path.metadata() {
                Ok(metadata) => lengths.push((number, path, metadata.len())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(lengths)
    }

    fn failed(&self, why: &str) -> Error {
        let why = format!("witness: {why}");
        self.pulse.fail(&why);
        Error::Disk(why)
    }
}

/// Sums up a log from where it was left to a length.
fn follow(path: &Path, mut seen: Seen, length: u64) -> io::Result<Seen> {
    if length <= seen.bytes {
        return Ok(seen);
    }
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(seen.bytes))?;
    let mut rest = file.take(length - seen.bytes);
    let mut buffer = vec![0; READ];
    loop {
        let count = rest.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        seen.crc = chain(seen.crc, &buffer[..count]);
        seen.bytes += count as u64;
    }
    if seen.bytes < length {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a log became shorter"));
    }
    Ok(seen)
}

fn disk(error: &io::Error) -> Error {
    Error::Disk(format!("witness: {error}"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
