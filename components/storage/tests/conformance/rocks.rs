//! RocksDB under the suite.
//!
//! A loss of power is played by copying the directory while the engine is open, and cutting the log
//! of the copy where the writes end that shall survive: of what RocksDB writes, only the log has
//! bytes that nobody waited for.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use storage::{Batch, Cf, Config, Durability, Engine, RocksEngine};
use tempfile::TempDir;

use crate::rig::Rig;

#[derive(Debug)]
pub(crate) struct RocksRig {
    home: TempDir,
    engine: Option<RocksEngine>,
    lives: usize,
    /// Where the log ended after each write since the last that is durable; the first is that
    /// one's.
    ends: Vec<u64>,
}

/// A small engine, with a witness that does not beat by itself: it would make writes durable.
pub(crate) fn config() -> Config {
    Config {
        block_cache_bytes: 4 << 20,
        memory_bytes_max: 32 << 20,
        raft_memory_bytes: 8 << 20,
        data_memory_bytes: 8 << 20,
        witness_every: Duration::from_secs(60),
        ..Config::default()
    }
}

impl RocksRig {
    fn dir(&self) -> PathBuf {
        self.home.path().join(format!("life-{}", self.lives))
    }

    fn open(&mut self) {
        let (engine, _) = RocksEngine::open(&self.dir(), &config()).unwrap();
        self.engine = Some(engine);
        self.ends = vec![self.log_end()];
    }

    fn log_end(&self) -> u64 {
        newest_log(&self.dir()).metadata().unwrap().len()
    }
}

impl Rig for RocksRig {
    const CASES: u32 = 24;

    fn new() -> RocksRig {
        let home = tempfile::tempdir().unwrap();
        let mut rig = RocksRig { home, engine: None, lives: 0, ends: Vec::new() };
        rig.open();
        rig
    }

    fn engine(&self) -> &dyn Engine {
        self.engine.as_ref().unwrap()
    }

    fn on_write(&mut self, is_durable: bool) {
        if is_durable {
            self.ends.clear();
        }
        self.ends.push(self.log_end());
    }

    fn crash(&mut self, keep: usize, is_torn: bool) {
        let from = self.dir();
        self.lives += 1;
        let to = self.dir();
        copy(&from, &to);
        let log = newest_log(&to);
        let end = self.ends[keep];
        // Somewhere within the next write, if there is one.
        let torn = self.ends.get(keep + 1).map_or(0, |next| (next - end) / 2);
        let torn = if is_torn { torn } else { 0 };
        OpenOptions::new().write(true).open(log).unwrap().set_len(end + torn).unwrap();
        self.engine = None;
        self.open();
    }

    fn restart(&mut self) {
        // The process ends without closing anything.
        let from = self.dir();
        self.lives += 1;
        copy(&from, &self.dir());
        self.engine = None;
        self.open();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn open_checkpoint(&self, path: &Path) -> Box<dyn Engine> {
        let (engine, audit) = RocksEngine::open(path, &config()).unwrap();
        assert_eq!(audit.witnessed, None);
        Box::new(engine)
    }

    fn file_exists(&self, path: &Path) -> bool {
        path.exists()
    }
}

pub(crate) fn newest_log(dir: &Path) -> PathBuf {
    let names = names(dir).into_iter().map(|(path, _)| path);
    names.filter(|path| path.extension().is_some_and(|e| e == "log")).max().unwrap()
}

fn names(dir: &Path) -> Vec<(PathBuf, u64)> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.len())))
        .collect();
    names.sort();
    names
}

/// Copies a directory at an instant: again, if RocksDB merged tables meanwhile.
pub(crate) fn copy(from: &Path, to: &Path) {
    loop {
        _ = fs::remove_dir_all(to);
        fs::create_dir(to).unwrap();
        let before = names(from);
        let all = before.iter().all(|(path, _)| {
            let name = path.file_name().unwrap();
            name == "LOCK" || fs::copy(path, to.join(name)).is_ok()
        });
        if all && names(from) == before {
            File::open(to).unwrap().sync_all().unwrap();
            return;
        }
    }
}

#[test]
fn rocks_engine_does_as_the_model() {
    crate::machine::run::<RocksRig>();
}

#[test]
fn rocks_engine_keeps_the_contract() {
    crate::contract::all::<RocksRig>();
}

#[test]
fn family_without_writes_keeps_no_log_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let bound = 256 << 10;
    let config = Config { log_bytes_max: bound, ..config() };
    let (engine, _) = RocksEngine::open(dir.path(), &config).unwrap();
    let put = |cf, key: &[u8], value: &[u8]| {
        let mut batch = Batch::new();
        batch.put(cf, key, value);
        engine.write(&batch, Durability::Synced).unwrap();
    };
    put(Cf::Meta, b"once", b"and never again");
    let oldest = newest_log(dir.path());
    let mut written = 0;
    // It is written out in the background: the log goes on until that is done.
    while oldest.exists() {
        put(Cf::Raft, b"key", &[7; 16 << 10]);
        written += 16 << 10;
        assert!(written < 100 * bound, "the oldest log is kept");
    }
    assert_eq!(engine.get(Cf::Meta, b"once").unwrap(), Some(b"and never again".to_vec()));
}
