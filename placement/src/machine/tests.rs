//! The state on an engine: after a restart, through a snapshot, and under nonsense.

use std::sync::Arc;

use multiraft::StateMachine;
use storage::{Batch, Crash, Durability, Engine, MemoryDisk, MemoryEngine};
use types::{ClusterId, Index, Term};

use super::{StateView, open_state};
use crate::Config;
use crate::state::tests::{id, store};
use crate::state::{Command, Life, Reply, State, Window};

struct Host {
    disk: MemoryDisk,
    engine: Arc<dyn Engine>,
    view: Arc<StateView>,
    machine: Box<dyn StateMachine>,
    applied: u64,
}

impl Host {
    fn open(disk: MemoryDisk) -> Host {
        let opened = MemoryEngine::open(disk.clone()).expect("a memory disk opens");
        let engine: Arc<dyn Engine> = Arc::new(opened);
        let view = StateView::new();
        let machine = open_state(&engine, &view).expect("what was written is read");
        Host { disk, engine, view, machine, applied: 0 }
    }

    fn apply(&mut self, data: Vec<u8>, durability: Durability) -> Reply {
        let (mut batch, mut replies) = (Batch::new(), Vec::new());
        self.applied += 1;
        let data = data.into();
        let command = multiraft::Command { index: Index(self.applied), data: &data };
        self.machine.apply(&[command], &*self.engine.view(), &mut batch, &mut replies);
        self.engine.write(&batch, durability).expect("the disk is well");
        Reply::decode(&replies[0]).expect("a reply")
    }

    fn state(&self) -> State {
        (*self.view.get()).clone()
    }
}

fn commands() -> Vec<Command> {
    let founders = (1..=3).map(|id| store(Some(id), 0, &format!("host:{id}"))).collect();
    let config = Config::new(ClusterId::new(7).expect("not zero"), id(1), founders);
    vec![
        Command::Bootstrap(config.birth()),
        Command::AllocIds(1_000),
        Command::PutStore(store(None, 77, "host:4")),
        Command::SetLife(id(2), Life::Draining),
        Command::RaiseSafePoint(9),
        Command::AllocIds(10),
    ]
}

#[test]
fn state_is_there_after_a_restart_and_the_same_through_a_snapshot() {
    let mut host = Host::open(MemoryDisk::new());
    for command in commands() {
        let reply = host.apply(command.encode(), Durability::Synced);
        assert!(!matches!(reply, Reply::Refused(_)), "{command:?}: {reply:?}");
        let before = host.state();
        let applied = host.applied;
        host = Host { applied, ..Host::open(host.disk.clone()) };
        assert_eq!(host.state(), before, "after {command:?}");
    }
    assert_eq!(host.state().stores.len(), 4);

    let mut other = Host::open(MemoryDisk::new());
    other.apply(Command::AllocIds(5).encode(), Durability::Synced);
    let mut reader = host.machine.snapshot(host.engine.view());
    let mut batch = Batch::new();
    other.machine.clear(&mut batch);
    let mut chunks = 0;
    while let Some(chunk) = reader.next(64).expect("the view is read") {
        other.machine.restore(&chunk, &mut batch).expect("its own chunk");
        chunks += 1;
    }
    assert!(chunks > 2, "several chunks");
    other.machine.restored(Index(host.applied), &mut batch).expect("all of it");
    other.engine.write(&batch, Durability::Synced).expect("the disk is well");
    assert_eq!(other.state(), host.state());
    assert_eq!(Host::open(other.disk.clone()).state(), host.state());
}

#[test]
fn what_a_crash_took_is_applied_again_to_the_same_state() {
    let all = commands();
    let mut whole = Host::open(MemoryDisk::new());
    for command in &all {
        whole.apply(command.encode(), Durability::Buffered);
    }
    for kept in 0..=all.len() {
        let mut host = Host::open(MemoryDisk::new());
        for command in &all {
            host.apply(command.encode(), Durability::Buffered);
        }
        host.disk.crash(Crash::Keep(kept));
        let mut back = Host::open(host.disk.clone());
        for command in &all[kept..] {
            back.apply(command.encode(), Durability::Buffered);
        }
        assert_eq!(back.state(), whole.state(), "{kept} of the writes survived");
    }
}

#[test]
fn nonsense_is_refused_and_changes_nothing() {
    let mut host = Host::open(MemoryDisk::new());
    for command in commands() {
        host.apply(command.encode(), Durability::Synced);
    }
    let before = host.state();
    let window = Command::SaveWindow(Window { until_ms: 5, term: Term(3), after_ms: 0 }).encode();
    for bytes in [vec![], vec![0xff; 9], vec![8, 1], window[..window.len() - 1].to_vec()] {
        let reply = host.apply(bytes.clone(), Durability::Synced);
        assert!(matches!(reply, Reply::Refused(_)), "{bytes:?}: {reply:?}");
    }
    let again = host.apply(commands()[0].encode(), Durability::Synced);
    assert!(matches!(again, Reply::Refused(_)), "born twice: {again:?}");
    assert_eq!(host.state(), before);
    assert!(host.machine.restore(&[0xff, 1, 2], &mut Batch::new()).is_err());
}

#[test]
fn who_lost_its_seat_knows_nothing() {
    let mut host = Host::open(MemoryDisk::new());
    for command in commands() {
        host.apply(command.encode(), Durability::Synced);
    }
    let machines = super::machines(&host.view);
    let mut batch = Batch::new();
    machines.destroy(crate::GROUP, &mut batch);
    host.engine.write(&batch, Durability::Synced).expect("the disk is well");
    machines.destroyed(crate::GROUP);
    assert_eq!(host.state(), State::default());
    assert_eq!(Host::open(host.disk.clone()).state(), State::default());
}
