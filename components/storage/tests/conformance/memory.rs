//! The memory engine under the suite.

use std::path::{Path, PathBuf};

use storage::{Crash, Engine, MemoryDisk, MemoryEngine};

use crate::rig::Rig;

#[derive(Debug)]
pub(crate) struct MemoryRig {
    engine: MemoryEngine,
}

impl Rig for MemoryRig {
    const CASES: u32 = 256;

    fn new() -> MemoryRig {
        MemoryRig { engine: MemoryEngine::open(MemoryDisk::new()).unwrap() }
    }

    fn engine(&self) -> &dyn Engine {
        &self.engine
    }

    fn on_write(&mut self, is_durable: bool) {
        assert_eq!(self.engine.disk().unsynced() == 0, is_durable);
    }

    fn crash(&mut self, keep: usize, is_torn: bool) {
        let disk = self.engine.disk().clone();
        disk.crash(if is_torn { Crash::KeepAndTear(keep) } else { Crash::Keep(keep) });
        self.engine = MemoryEngine::open(disk).unwrap();
    }

    fn restart(&mut self) {
        self.engine = MemoryEngine::open(self.engine.disk().clone()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(name)
    }

    fn open_checkpoint(&self, path: &Path) -> Box<dyn Engine> {
        let disk = self.engine.disk().checkpoint(path).unwrap();
        Box::new(MemoryEngine::open(disk).unwrap())
    }

    fn file_exists(&self, path: &Path) -> bool {
        self.engine.disk().files().iter().any(|file| file == path)
    }
}

#[test]
fn memory_engine_does_as_the_model() {
    crate::machine::run::<MemoryRig>();
}

#[test]
fn memory_engine_keeps_the_contract() {
    crate::contract::all::<MemoryRig>();
}
