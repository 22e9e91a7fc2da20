//! A directory as it is after a loss of power, and what was acknowledged before.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use storage::{Audit, Batch, Cf, Config, Damage, Durability, Engine, OpenError, RocksEngine};
use tempfile::TempDir;

/// One write, by the key that it sets.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) key: Vec<u8>,
    /// Where the log ends behind it.
    pub(crate) end: u64,
}

/// What a crash left.
#[derive(Debug)]
pub(crate) struct World {
    home: TempDir,
    pub(crate) writes: Vec<Write>,
    /// Up to where the log was witnessed.
    pub(crate) witnessed: u64,
    /// The log as it was.
    pub(crate) log: Vec<u8>,
}

/// The witness beats when a test says so.
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

impl World {
    /// Writes of mixed sizes, of which some take several blocks of the log, synced and buffered in
    /// turn; witnessed after `witnessed` of them.
    pub(crate) fn new(count: usize, witnessed: usize) -> World {
        let home = tempfile::tempdir().unwrap();
        let alive = home.path().join("alive");
        let (engine, _) = RocksEngine::open(&alive, &config()).unwrap();
        let mut world = World { home, writes: Vec::new(), witnessed: 0, log: Vec::new() };
        for at in 0..count {
            let key = format!("key-{at:05}").into_bytes();
            let size = [3, 40, 700, 5_000, 9, 130, 40_000][at % 7];
            let mut batch = Batch::new();
            batch.put(
                Cf::ALL[at % Cf::ALL.len()],
                &key,
                &vec![u8::try_from(at % 251).unwrap(); size],
            );
            batch.put(Cf::Meta, b"last", &key);
            let durability = [Durability::Buffered, Durability::Synced][at % 2];
            engine.write(&batch, durability).unwrap();
            let end = log_path(&alive).metadata().unwrap().len();
            world.writes.push(Write { key, end });
            if at + 1 == witnessed {
                engine.witness().unwrap();
                world.witnessed = end;
            }
        }
        copy(&alive, &world.dir());
        drop(engine);
        world.log = fs::read(log_path(&world.dir())).unwrap();
        assert_eq!(world.log.len() as u64, world.writes.last().unwrap().end);
        world
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.home.path().join("crashed")
    }

    /// Audits the directory with this log instead.
    pub(crate) fn audit(&self, log: &[u8]) -> Result<Audit, OpenError> {
        fs::write(log_path(&self.dir()), log).unwrap();
        RocksEngine::audit(&self.dir())
    }

    /// Opens a copy of the directory with this log instead.
    pub(crate) fn open(&self, log: &[u8]) -> Result<RocksEngine, OpenError> {
        let copied = self.home.path().join("copy");
        _ = fs::remove_dir_all(&copied);
        fs::write(log_path(&self.dir()), log).unwrap();
        copy(&self.dir(), &copied);
        let before = bytes(&copied);
        let opened = RocksEngine::open(&copied, &config());
        if opened.is_err() {
            assert_eq!(bytes(&copied), before, "what is refused is left as it is");
        }
        opened.map(|(engine, _)| engine)
    }

    /// How many writes end before a place of the log.
    pub(crate) fn whole_before(&self, place: u64) -> usize {
        self.writes.partition_point(|write| write.end <= place)
    }

    /// That the engine has exactly the first so many writes.
    pub(crate) fn assert_has(&self, engine: &RocksEngine, count: usize) {
        for (at, write) in self.writes.iter().enumerate() {
            let found = engine.get(Cf::ALL[at % Cf::ALL.len()], &write.key).unwrap();
            assert_eq!(found.is_some(), at < count, "write {at} of {count}");
        }
        let last = count.checked_sub(1).map(|last| self.writes[last].key.clone());
        assert_eq!(engine.get(Cf::Meta, b"last").unwrap(), last);
    }
}

pub(crate) fn damage(result: Result<Audit, OpenError>) -> Option<Damage> {
    match result {
        Ok(_) => None,
        Err(OpenError::Damaged(damage)) => Some(damage),
        Err(other) => panic!("{other}"),
    }
}

/// The newest log.
pub(crate) fn log_path(dir: &Path) -> PathBuf {
    logs(dir).pop().unwrap()
}

/// The logs, the oldest first.
pub(crate) fn logs(dir: &Path) -> Vec<PathBuf> {
    let mut logs: Vec<PathBuf> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    logs
}

/// Copies a directory at an instant: again, if RocksDB changed it meanwhile.
pub(crate) fn copy(from: &Path, to: &Path) {
    loop {
        fs::create_dir(to).unwrap();
        let before = lengths(from);
        let all = before.iter().all(|(path, _)| {
            let name = path.file_name().unwrap();
            name == "LOCK" || fs::copy(path, to.join(name)).is_ok()
        });
        if all && lengths(from) == before {
            return;
        }
        fs::remove_dir_all(to).unwrap();
    }
}

fn lengths(dir: &Path) -> Vec<(PathBuf, u64)> {
    let mut lengths: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.len())))
        .collect();
    lengths.sort();
    lengths
}

/// All files and what is in them.
fn bytes(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    all.sort();
    all
}

/// A generator of numbers below a limit, the same each time.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        // Splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
