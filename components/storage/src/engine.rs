//! The contract of an engine: an ordered map of bytes with atomic batches and consistent views.

use std::ops::Bound;
use std::path::{Path, PathBuf};

use crate::batch::Batch;
use crate::cf::Cf;
use crate::error::Error;
use crate::health::Health;

/// Whether a write waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The write, and every write before it, survives a loss of power once the call returns.
    Synced,
    /// The write survives the process, not the machine; a later synced write takes it along.
    Buffered,
}

/// In which order a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// By ascending keys.
    Forward,
    /// By descending keys.
    Reverse,
}

/// A part of a key space, by its bounds.
pub type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// An ordered key-value engine of one store. Shared by threads; crossed once per batch, so it is
/// used as `Arc<dyn Engine>`.
///
/// # What holds across a crash
///
/// Writes are durable as a prefix: if a write survives, so does every write that returned before it
/// began, in every column family, each as a whole. A write with [`Durability::Synced`] survives
/// once it has returned. A flush and an ingest are durable once they have returned, and everything
/// before them. What an engine shows after it was opened is durable: nobody builds on what was read
/// and then loses it.
///
/// # Errors
///
/// [`Error::Disk`] from a synced write means that nothing is known about what is durable: the
/// caller stops the process and never tries again, since a second fsync may succeed without having
/// written what the first one lost. After it the engine refuses all writes.
pub trait Engine: Send + Sync {
    /// Carries out a batch atomically.
    ///
    /// # Errors
    /// As the trait says; [`Error::Full`] if there is no room, and then nothing was written.
    fn write(&self, batch: &Batch, durability: Durability) -> Result<(), Error>;

    /// The state of this instant, for as long as the view lives. Cheap.
    fn view(&self) -> Box<dyn View>;

    /// The value of a key now.
    ///
    /// # Errors
    /// If it cannot be read.
    fn get(&self, cf: Cf, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// Moves what is in memory of this column family to tables on disk. Everything written before,
    /// in all column families, is durable then.
    ///
    /// # Errors
    /// If it cannot be written.
    fn flush(&self, cf: Cf) -> Result<(), Error>;

    /// Writes a copy of the present state to a directory that does not exist yet, from which an
    /// engine can be opened. Shares files where it can. Everything written before is durable then,
    /// here as well.
    ///
    /// # Errors
    /// If it cannot be written, or the directory exists.
    fn checkpoint(&self, to: &Path) -> Result<(), Error>;

    /// A table in a new file, to be ingested later.
    ///
    /// # Errors
    /// If the file cannot be made.
    fn table(&self, cf: Cf, path: &Path) -> Result<Box<dyn TableWriter>, Error>;

    /// Takes tables over, atomically for each call; keys in them hide older ones. The files are
    /// moved away from where they were.
    ///
    /// # Errors
    /// If a file is no table, or cannot be taken over. Tables of one call that overlap are a
    /// mistake of the caller, which an engine may refuse; one that does not lets the later table
    /// win.
    fn ingest(&self, cf: Cf, tables: &[PathBuf]) -> Result<(), Error>;

    /// How it is: stalled, failed, what is in memory and on disk.
    fn health(&self) -> Health;
}

/// A consistent read of an engine at an instant.
pub trait View: Send {
    /// The value of a key.
    ///
    /// # Errors
    /// If it cannot be read.
    fn get(&self, cf: Cf, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// Calls `each` with keys and values within the bounds in order, until it returns false. The
    /// slices live for the call.
    ///
    /// # Errors
    /// If something cannot be read; what came before was good.
    fn scan(
        &self,
        cf: Cf,
        bounds: Bounds<'_>,
        direction: Direction,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Error>;
}

/// Writes one sorted table outside of the engine.
pub trait TableWriter {
    /// Adds a pair; keys rise strictly.
    ///
    /// # Errors
    /// If the key does not rise, or the file cannot be written.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error>;

    /// Closes the file, which is durable then. Returns its size in bytes.
    ///
    /// # Errors
    /// If it cannot be written, or is empty.
    fn finish(self: Box<Self>) -> Result<u64, Error>;
}
