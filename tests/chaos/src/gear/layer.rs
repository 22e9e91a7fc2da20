//! Faults between a process and the C library: files that fail, syncs that are late, clocks that
//! are moved.
//!
//! ```text
//!  scenario ── Control ──► file of words ◄── mapped ── layer.c in the process of a node
//! ```
//!
//! `layer.c` is compiled when a scenario needs it, by the same `cc` that Rust links with, and
//! loaded before everything else by `LD_PRELOAD`. The product reads the clock of leases through
//! `rustix`, which calls the C library only where its feature `use-libc` is on, as it is in this
//! package.
//!
//! Invariant: what was done is counted by who did it, so that a fault which did nothing is seen.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;

/// The words that are shared, in the order of `layer.c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Nanoseconds that are added to the clock of time passed.
    Monotonic,
    /// By how many parts per million that clock is too fast.
    Rate,
    /// From when on, in nanoseconds of the kernel.
    RateFrom,
    /// Nanoseconds that are added to the clock of the day.
    Wall,
    /// Which files are meant: one of the constants below.
    Files,
    /// So many reads fail.
    ReadsLeft,
    /// So many writes fail.
    WritesLeft,
    /// So many syncs fail.
    SyncsLeft,
    /// Each sync takes so many microseconds longer.
    SyncDelay,
    /// Counted: reads that failed.
    ReadsFailed,
    /// Writes that failed.
    WritesFailed,
    /// Syncs that failed.
    SyncsFailed,
    /// Syncs that were late.
    SyncsLate,
    /// Readings of the clock of leases that were not the kernel's.
    ClocksMoved,
    /// [`Word::Monotonic`] as it was when the clock of leases was read last.
    MonotonicSeen,
    /// [`Word::Wall`] as it was when the clock of the day was read last.
    WallSeen,
}

/// All files of the store.
pub(crate) const ALL_FILES: i64 = 0;
/// Logs of the engine.
pub(crate) const LOGS: i64 = 1;
/// Its tables.
pub(crate) const TABLES: i64 = 2;

const WORDS: usize = Word::WallSeen as usize + 1;
const SOURCE: &str = include_str!("layer.c");

/// The layer of every node of a cluster.
pub(crate) struct Layer {
    dir: TempDir,
    controls: Vec<Control>,
}

/// What is done to one process, and what was done.
pub(crate) struct Control {
    file: File,
}

impl Layer {
    /// Compiles it, for so many nodes.
    ///
    /// # Errors
    /// If there is no compiler, or what it says.
    pub(crate) fn new(nodes: usize) -> Result<Layer, String> {
        let dir = TempDir::new().map_err(|error| error.to_string())?;
        let source = dir.path().join("layer.c");
        std::fs::write(&source, SOURCE).map_err(|error| error.to_string())?;
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O2", "-o"]).arg(dir.path().join("layer.so"));
        let said = cc.arg(&source).arg("-ldl").output().map_err(|error| format!("cc: {error}"))?;
        if !said.status.success() {
            return Err(format!("cc: {}", String::from_utf8_lossy(&said.stderr)));
        }
        let controls = (0..nodes).map(|at| Control::new(&control(dir.path(), at)));
        let controls = controls.collect::<Result<Vec<Control>, String>>()?;
        Ok(Layer { dir, controls })
    }

    /// Where the data of a node is to be: only there files are harmed.
    pub(crate) fn data(&self, at: usize) -> PathBuf {
        self.dir.path().join(format!("data{at}"))
    }

    /// The variables of a node's process.
    pub(crate) fn env(&self, at: usize) -> Vec<(String, String)> {
        let path = |path: PathBuf| path.display().to_string();
        vec![
            ("LD_PRELOAD".to_owned(), path(self.dir.path().join("layer.so"))),
            ("FAULTS_CONTROL".to_owned(), path(control(self.dir.path(), at))),
            ("FAULTS_DIR".to_owned(), path(self.data(at))),
        ]
    }

    /// The numbers of nodes.
    pub(crate) fn numbers(&self) -> std::ops::Range<usize> {
        0..self.controls.len()
    }

    /// What is done to a node.
    pub(crate) fn control(&self, at: usize) -> &Control {
        &self.controls[at]
    }
}

fn control(dir: &Path, at: usize) -> PathBuf {
    dir.join(format!("control{at}"))
}

impl Control {
    fn new(path: &Path) -> Result<Control, String> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
        let file = file.map_err(|error| error.to_string())?;
        file.set_len(WORDS as u64 * 8).map_err(|error| error.to_string())?;
        Ok(Control { file })
    }

    /// What a word is now.
    pub(crate) fn get(&self, word: Word) -> i64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, word as u64 * 8).expect("it is as long as all words");
        i64::from_ne_bytes(bytes)
    }

    /// Changes a word, for the process at once.
    pub(crate) fn set(&self, word: Word, value: i64) {
        let bytes = value.to_ne_bytes();
        self.file.write_all_at(&bytes, word as u64 * 8).expect("it is as long as all words");
    }

    /// From now on the clock of time passed runs at this rate.
    pub(crate) fn run_at(&self, rate_ppm: i64) {
        let now = clock_gettime(ClockId::Monotonic);
        self.set(Word::RateFrom, now.tv_sec * 1_000_000_000 + now.tv_nsec);
        self.set(Word::Rate, rate_ppm);
    }

    /// Nothing happens to files any more. Clocks stay as they are.
    pub(crate) fn spare_files(&self) {
        for word in [Word::ReadsLeft, Word::WritesLeft, Word::SyncsLeft, Word::SyncDelay] {
            self.set(word, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a program of the system says under the layer, in the data of the only node.
    fn said(layer: &Layer, program: &str, args: &[&str]) -> (bool, String) {
        let _ = std::fs::create_dir(layer.data(0));
        let mut command = Command::new(program);
        command.args(args).current_dir(layer.data(0)).envs(layer.env(0));
        let output = command.output().expect("a program of the system");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn sync(layer: &Layer, file: &str) -> bool {
        let of = format!("of={file}");
        said(layer, "dd", &["if=/dev/zero", &of, "count=1", "conv=fdatasync"]).0
    }

    #[test]
    fn files_that_are_meant_fail_as_often_as_they_are_to() {
        let layer = Layer::new(1).expect("a compiler");
        let control = layer.control(0);
        assert!(sync(&layer, "1.log"), "nothing is to fail yet");
        control.set(Word::Files, LOGS);
        control.set(Word::SyncsLeft, 1);
        assert!(sync(&layer, "1.sst") && sync(&layer, "../1.log"), "no log of the node");
        assert!(!sync(&layer, "1.log"), "its sync is to fail");
        assert!(sync(&layer, "1.log"), "it failed already");
        assert_eq!(control.get(Word::SyncsFailed), 1);
        control.set(Word::Files, TABLES);
        control.set(Word::WritesLeft, 1);
        assert!(sync(&layer, "1.log") && !sync(&layer, "1.sst"));
        assert_eq!(control.get(Word::WritesFailed), 1);
        control.set(Word::Files, ALL_FILES);
        control.set(Word::ReadsLeft, 1);
        assert!(!said(&layer, "dd", &["if=1.log", "of=/dev/null"]).0);
        assert_eq!(control.get(Word::ReadsFailed), 1);
        control.set(Word::SyncDelay, 1);
        assert!(sync(&layer, "1.log"));
        assert_eq!(control.get(Word::SyncsLate), 1);
        control.set(Word::SyncsLeft, 9);
        control.spare_files();
        assert!(sync(&layer, "1.log"));
    }

    #[test]
    fn clock_of_the_day_is_moved_for_the_process() {
        let layer = Layer::new(1).expect("a compiler");
        let year = |layer| said(layer, "date", &["+%Y"]).1.trim().parse::<i64>();
        let now = year(&layer).expect("a year");
        layer.control(0).set(Word::Wall, 100 * 365 * 86_400 * 1_000_000_000);
        // That it has jumped is proven by whoever reads it, and by nothing else.
        let is_seen = || layer.control(0).get(Word::WallSeen) == layer.control(0).get(Word::Wall);
        assert!(!is_seen());
        let later = year(&layer).expect("a year");
        assert!(is_seen());
        assert!((now + 99..=now + 101).contains(&later), "{now}, {later}");
    }
}
