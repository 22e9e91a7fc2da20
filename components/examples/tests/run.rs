//! The examples run through, and their machines keep what their headers promise.

#[path = "../examples/cache.rs"]
mod cache;
#[path = "../examples/kv.rs"]
mod kv;
#[path = "../examples/search.rs"]
mod search;

use std::sync::Arc;

use bytes::Bytes;
use examples::FIRST_GROUP;
use multiraft::{Command, Machines, StateMachine};
use storage::{Batch, Durability, Engine, MemoryDisk, MemoryEngine};
use types::Index;

/// A machine on an engine in memory, its commands numbered from 2: a group begins at slot 1.
struct Bench<M> {
    engine: Arc<dyn Engine>,
    machines: M,
    machine: Box<dyn StateMachine>,
    last: Index,
}

impl<M: Machines> Bench<M> {
    fn new(machines: M) -> Bench<M> {
        let engine = MemoryEngine::open(MemoryDisk::new()).expect("a new disk opens");
        let engine: Arc<dyn Engine> = Arc::new(engine);
        let machine = machines.open(FIRST_GROUP, &engine).expect("a new machine opens");
        Bench { engine, machines, machine, last: Index(1) }
    }

    /// Applies commands in one call.
    fn apply(&mut self, commands: &[Bytes]) -> Vec<Bytes> {
        let slots = (self.last.0 + 1..).map(Index);
        let commands: Vec<_> =
            slots.zip(commands).map(|(index, data)| Command { index, data }).collect();
        let (mut batch, mut replies) = (Batch::new(), Vec::new());
        self.machine.apply(&commands, &*self.engine.view(), &mut batch, &mut replies);
        self.write(&batch);
        self.last.0 += commands.len() as u64;
        replies
    }

    fn persist(&mut self) -> Index {
        let mut batch = Batch::new();
        let upto = self.machine.persist(self.last, &mut batch);
        self.write(&batch);
        upto
    }

    fn write(&self, batch: &Batch) {
        self.engine.write(batch, Durability::Buffered).expect("there is room");
    }

    /// What is in memory is lost. Returns from where on the log is applied again.
    fn restart(&mut self) -> Index {
        self.machine = self.machines.open(FIRST_GROUP, &self.engine).expect("it opens");
        self.machine.applied(self.last)
    }

    /// Takes over the other's state, in chunks of a few bytes.
    fn install(&mut self, from: &mut Bench<M>) {
        let mut batch = Batch::new();
        self.machine.clear(&mut batch);
        let mut reader = from.machine.snapshot(from.engine.view());
        while let Some(chunk) = reader.next(16).expect("it can be read") {
            self.machine.restore(&chunk, &mut batch).expect("it makes sense");
        }
        self.machine.restored(from.last, &mut batch).expect("nothing is missing");
        self.write(&batch);
        self.last = from.last;
    }
}

#[test]
fn kv_runs() {
    kv::main().unwrap();
}

#[test]
fn cache_runs() {
    cache::main().unwrap();
}

#[test]
fn search_runs() {
    search::main().unwrap();
}

#[test]
fn kv_commands_see_earlier_ones_of_the_same_call() {
    let mut bench = Bench::new(kv::KvMachines);
    let replies = bench.apply(&[
        kv::put(b"k", b"1"),
        kv::compare_and_set(b"k", b"1", b"2"),
        kv::compare_and_set(b"k", b"1", b"3"),
        kv::delete(b"k"),
        kv::compare_and_set(b"k", b"", b"4"),
        Bytes::from_static(b"nonsense"),
    ]);
    assert_eq!(replies, [&b"ok"[..], b"ok", b"no", b"ok", b"ok", b"bad"]);
    assert_eq!(bench.apply(&[kv::compare_and_set(b"k", b"4", b"5")]), [kv::OK]);
    assert_eq!(bench.restart(), bench.last);
    let mut other = Bench::new(kv::KvMachines);
    other.apply(&[kv::put(b"stale", b"x")]);
    other.install(&mut bench);
    let replies = other
        .apply(&[kv::compare_and_set(b"stale", b"x", b"y"), kv::compare_and_set(b"k", b"5", b"6")]);
    assert_eq!(replies, [kv::NO, kv::OK]);
}

#[test]
fn cache_goes_back_to_its_dump_and_the_clock_does_not_go_back() {
    let mut bench = Bench::new(cache::CacheMachines::default());
    assert_eq!(bench.restart(), Index(1), "nothing was applied yet");
    bench.apply(&[cache::set(100, 50, b"a", b"1")]);
    assert_eq!(bench.restart(), Index(1), "without a dump, all is applied again");
    bench.apply(&[cache::set(100, 50, b"a", b"1")]);
    assert_eq!(bench.persist(), bench.last);
    bench.apply(&[cache::set(120, 50, b"b", b"2")]);
    let dumped = bench.last.prev();
    assert_eq!(bench.restart(), dumped);
    let mut other = Bench::new(cache::CacheMachines::default());
    other.install(&mut bench);
    assert_eq!(other.restart(), bench.last);
    // At 149 it is there, at 150 it is not; a clock that lags does not bring it back.
    let replies = other.apply(&[cache::get(149, b"a"), cache::get(150, b"a"), cache::get(0, b"a")]);
    assert_eq!(replies, [&b"1"[..], b"", b""]);
}

#[test]
fn search_goes_back_to_its_commit_and_may_be_told_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(search::SearchMachines::new(dir.path()));
    bench.apply(&[search::put("1", "a whale"), search::put("2", "a ship")]);
    assert_eq!(bench.restart(), Index(1), "without a commit, all is applied again");
    bench.last = Index(1);
    bench.apply(&[search::put("1", "a whale"), search::put("2", "a ship")]);
    assert_eq!(bench.persist(), bench.last);
    let later = [search::put("1", "a ship"), search::delete("2")];
    bench.apply(&later);
    assert_eq!(bench.restart(), Index(3));
    bench.last = Index(3);
    bench.apply(&later);
    bench.persist();
    bench.last = Index(3);
    assert_eq!(bench.restart(), Index(3), "the records are older than the index");
    bench.apply(&later);
    let elsewhere = tempfile::tempdir().unwrap();
    let mut other = Bench::new(search::SearchMachines::new(elsewhere.path()));
    other.apply(&[search::put("stale", "a ship")]);
    other.install(&mut bench);
    assert_eq!(other.restart(), bench.last);
    assert_eq!(other.machines.count(FIRST_GROUP, "ship"), Ok(1));
    assert_eq!(other.machines.count(FIRST_GROUP, "whale"), Ok(0));
}
