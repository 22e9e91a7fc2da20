//! Logs that come and go, and files that vanish.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::time::Duration;

use storage::{Batch, Cf, Config, DamageKind, Durability, Engine, OpenError, RocksEngine};

use crate::world::{config, copy, damage, log_path, logs};

fn put(engine: &RocksEngine, cf: Cf, key: &[u8]) {
    put_as(engine, cf, key, Durability::Synced);
}

fn put_as(engine: &RocksEngine, cf: Cf, key: &[u8], durability: Durability) {
    let mut batch = Batch::new();
    batch.put(cf, key, &[7; 1000]);
    engine.write(&batch, durability).unwrap();
}

fn kind(dir: &Path) -> Option<DamageKind> {
    damage(RocksEngine::audit(dir)).map(|damage| damage.kind)
}

#[test]
fn a_log_that_was_flushed_and_deleted_is_not_missed() {
    let home = tempfile::tempdir().unwrap();
    let (alive, crashed) = (home.path().join("alive"), home.path().join("crashed"));
    let (engine, _) = RocksEngine::open(&alive, &config()).unwrap();
    for cf in Cf::ALL {
        put(&engine, cf, b"key");
    }
    engine.witness().unwrap();
    let witnessed = log_path(&alive);
    for cf in Cf::ALL {
        engine.flush(cf).unwrap();
    }
    put(&engine, Cf::Raft, b"later");
    copy(&alive, &crashed);
    // The witness still speaks of the log, and the log is gone or is not needed.
    _ = fs::remove_file(crashed.join(witnessed.file_name().unwrap()));
    assert_eq!(kind(&crashed), None);
    let (engine, audit) = RocksEngine::open(&crashed, &config()).unwrap();
    assert!(audit.witnessed.is_some() && !audit.is_torn());
    assert!(engine.get(Cf::Raft, b"later").unwrap().is_some());
}

#[test]
fn an_engine_that_flushes_and_merges_all_the_time_is_never_called_damaged() {
    let home = tempfile::tempdir().unwrap();
    let (alive, crashed) = (home.path().join("alive"), home.path().join("crashed"));
    let restless = Config {
        memory_bytes_max: 1 << 20,
        raft_memory_bytes: 64 << 10,
        data_memory_bytes: 64 << 10,
        log_bytes_max: 256 << 10,
        ..config()
    };
    let (engine, _) = RocksEngine::open(&alive, &restless).unwrap();
    let mut several = 0;
    for round in 0..60u8 {
        for number in 0..40u8 {
            let durability = [Durability::Buffered, Durability::Synced][usize::from(number / 39)];
            put_as(&engine, Cf::ALL[usize::from(number) % 5], &[round, number], durability);
        }
        if round % 3 == 0 {
            engine.witness().unwrap();
        }
        copy(&alive, &crashed);
        let audit = RocksEngine::audit(&crashed).unwrap();
        assert!(!audit.is_torn());
        several += usize::from(audit.logs.len() > 1);
        if round % 10 == 9 {
            let (copy, _) = RocksEngine::open(&crashed, &restless).unwrap();
            for number in 0..40u8 {
                let cf = Cf::ALL[usize::from(number) % 5];
                assert!(copy.get(cf, &[round, number]).unwrap().is_some());
            }
        }
        fs::remove_dir_all(&crashed).unwrap();
    }
    let health = engine.health();
    assert!(health.flushes > 20 && several > 10, "{health:?}, {several}");
}

#[test]
fn a_log_that_vanished_is_missed() {
    let home = tempfile::tempdir().unwrap();
    let (alive, crashed) = (home.path().join("alive"), home.path().join("crashed"));
    let (engine, _) = RocksEngine::open(&alive, &config()).unwrap();
    put(&engine, Cf::Raft, b"key");
    engine.witness().unwrap();
    copy(&alive, &crashed);
    fs::remove_file(log_path(&crashed)).unwrap();
    assert_eq!(kind(&crashed), Some(DamageKind::Missing));
}

#[test]
fn the_length_of_a_closed_log_is_known_without_a_witness() {
    let home = tempfile::tempdir().unwrap();
    let (alive, crashed) = (home.path().join("alive"), home.path().join("crashed"));
    let (engine, _) = RocksEngine::open(&alive, &config()).unwrap();
    put(&engine, Cf::Raft, b"one");
    put(&engine, Cf::Raft, b"two");
    put(&engine, Cf::Default, b"three");
    // A new log begins; the old one is needed for what is in `raft`.
    engine.flush(Cf::Default).unwrap();
    put(&engine, Cf::Raft, b"four");
    copy(&alive, &crashed);
    fs::remove_file(crashed.join("WITNESS")).unwrap();
    assert_eq!(kind(&crashed), None);

    let closed = logs(&crashed).into_iter().find(|path| path.metadata().unwrap().len() > 0);
    let closed = closed.unwrap();
    assert!(logs(&crashed).len() > 1 && closed != log_path(&crashed));
    let whole = fs::read(&closed).unwrap();
    OpenOptions::new().write(true).open(&closed).unwrap().set_len(1100).unwrap();
    assert!(matches!(kind(&crashed), Some(DamageKind::Short { .. })));
    let mut zeroed = whole.clone();
    zeroed[1100..].fill(0);
    fs::write(&closed, zeroed).unwrap();
    assert!(matches!(kind(&crashed), Some(DamageKind::Synced { .. })));
    fs::remove_file(&closed).unwrap();
    assert_eq!(kind(&crashed), Some(DamageKind::Missing));
    fs::write(&closed, whole).unwrap();
    assert_eq!(kind(&crashed), None);
    RocksEngine::open(&crashed, &config()).unwrap();
}

#[test]
fn a_witness_without_a_slot_that_can_be_read_is_damage() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("engine");
    drop(RocksEngine::open(&dir, &config()).unwrap());
    fs::write(dir.join("WITNESS"), vec![0; 8192]).unwrap();
    assert_eq!(kind(&dir), Some(DamageKind::Witness));
    let refused = RocksEngine::open(&dir, &config()).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged(_)), "{refused}");
}

#[test]
fn closing_leaves_a_witness_of_everything() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("engine");
    let (engine, audit) = RocksEngine::open(&dir, &config()).unwrap();
    assert_eq!(audit.witnessed, None);
    for number in 0..10u8 {
        put(&engine, Cf::Default, &[number]);
    }
    drop(engine);
    assert_eq!(RocksEngine::audit(&dir).unwrap().witnessed, Some(10));
}

#[test]
fn the_witness_follows_synced_writes_by_itself() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("engine");
    let quick = Config { witness_every: Duration::from_millis(1), ..config() };
    let (engine, _) = RocksEngine::open(&dir, &quick).unwrap();
    let first = fs::read(dir.join("WITNESS")).unwrap();
    // Each write waits for the disk, so time passes.
    let follows = (0..10_000u32).any(|number| {
        put(&engine, Cf::Raft, &number.to_be_bytes());
        fs::read(dir.join("WITNESS")).unwrap() != first
    });
    assert!(follows);
}

#[test]
fn a_directory_in_use_is_not_opened_twice() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("deep/in/engine");
    let (engine, _) = RocksEngine::open(&dir, &config()).unwrap();
    put(&engine, Cf::Raft, b"key");
    assert!(matches!(RocksEngine::open(&dir, &config()), Err(OpenError::Engine(_))));
    put(&engine, Cf::Raft, b"other");
}
