//! What the suite needs of an engine beside the engine.

use std::path::{Path, PathBuf};

use storage::Engine;

/// An engine under test.
pub(crate) trait Rig: Sized + std::fmt::Debug {
    /// How many sequences to try: opening a real engine takes its time.
    const CASES: u32;

    fn new() -> Self;

    fn engine(&self) -> &dyn Engine;

    /// Called after each write, so that the rig can note where the log ends.
    fn on_write(&mut self, is_durable: bool);

    /// Loses power, so that `keep` of the writes that are not durable survive, and opens again. If
    /// it is torn, part of the next one survives too.
    fn crash(&mut self, keep: usize, is_torn: bool);

    /// Ends the process as it is, and opens again.
    fn restart(&mut self);

    /// A place for a file that is not there.
    fn path(&self, name: &str) -> PathBuf;

    fn open_checkpoint(&self, path: &Path) -> Box<dyn Engine>;

    fn file_exists(&self, path: &Path) -> bool;
}
