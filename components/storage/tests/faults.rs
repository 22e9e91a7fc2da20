//! The memory engine when its disk misbehaves: each fault does what it says, and can be proved by a
//! counter to have taken place.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::ops::Bound;
use std::path::Path;
use std::time::Duration;

use storage::{
    Batch, Cf, Crash, Direction, Durability, Engine, Error, Faults, MemoryDisk, MemoryEngine,
    SyncFault,
};

fn put(key: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.put(Cf::Default, key, b"value");
    batch
}

fn write(engine: &MemoryEngine, keys: &[&[u8]], durability: Durability) {
    for key in keys {
        engine.write(&put(key), durability).unwrap();
    }
}

fn has(engine: &MemoryEngine, key: &[u8]) -> bool {
    engine.get(Cf::Default, key).unwrap().is_some()
}

fn open() -> (MemoryDisk, MemoryEngine) {
    let disk = MemoryDisk::new();
    let engine = MemoryEngine::open(disk.clone()).unwrap();
    (disk, engine)
}

#[test]
fn a_crash_keeps_the_oldest_of_the_unsynced_writes() {
    for keep in 0..=4 {
        let (disk, engine) = open();
        write(&engine, &[b"s"], Durability::Synced);
        write(&engine, &[b"0", b"1", b"2"], Durability::Buffered);
        assert_eq!(disk.unsynced(), 3);
        assert_eq!(disk.crash(Crash::Keep(keep)), 3usize.saturating_sub(keep));
        let engine = MemoryEngine::open(disk).unwrap();
        assert!(has(&engine, b"s"));
        for (at, key) in [b"0", b"1", b"2"].into_iter().enumerate() {
            assert_eq!(has(&engine, key), at < keep);
        }
    }
}

#[test]
fn a_torn_batch_is_dropped_whole() {
    let (disk, engine) = open();
    let mut batch = put(b"1");
    batch.append(&put(b"2"));
    engine.write(&batch, Durability::Buffered).unwrap();
    disk.crash(Crash::KeepAndTear(0));
    let engine = MemoryEngine::open(disk.clone()).unwrap();
    assert!(!has(&engine, b"1") && !has(&engine, b"2"));
    assert_eq!((disk.counters().torn, disk.counters().lost), (1, 1));
}

#[test]
fn after_a_crash_old_engines_and_views_fail() {
    let (disk, engine) = open();
    write(&engine, &[b"1"], Durability::Synced);
    let view = engine.view();
    disk.crash(Crash::Keep(0));
    assert!(matches!(engine.get(Cf::Default, b"1"), Err(Error::Disk(_))));
    assert!(matches!(view.get(Cf::Default, b"1"), Err(Error::Disk(_))));
    assert!(matches!(engine.view().get(Cf::Default, b"1"), Err(Error::Disk(_))));
    assert!(matches!(engine.write(&put(b"2"), Durability::Buffered), Err(Error::Disk(_))));
    drop(view);
    assert!(has(&MemoryEngine::open(disk).unwrap(), b"1"));
}

#[test]
fn a_failed_sync_refuses_all_that_follows() {
    for (fault, survives) in [(SyncFault::Lost, false), (SyncFault::Unknown, true)] {
        let (disk, engine) = open();
        write(&engine, &[b"1"], Durability::Buffered);
        disk.set_faults(Faults { sync: Some(fault), ..Faults::default() });
        assert!(matches!(engine.write(&put(b"2"), Durability::Synced), Err(Error::Disk(_))));
        assert!(!has(&engine, b"2"), "a write that failed is not shown");
        assert!(matches!(engine.write(&put(b"3"), Durability::Buffered), Err(Error::Disk(_))));
        assert!(matches!(engine.flush(Cf::Default), Err(Error::Disk(_))));
        assert!(engine.health().failed.is_some());
        assert_eq!(disk.counters().syncs_failed, 1);
        disk.crash(Crash::Keep(9));
        let engine = MemoryEngine::open(disk).unwrap();
        assert_eq!((has(&engine, b"1"), has(&engine, b"2")), (survives, survives));
        assert!(!has(&engine, b"3"));
        write(&engine, &[b"4"], Durability::Synced);
    }
}

#[test]
fn a_sync_can_fail_while_opening() {
    let (disk, engine) = open();
    write(&engine, &[b"1"], Durability::Buffered);
    disk.set_faults(Faults { sync: Some(SyncFault::Lost), ..Faults::default() });
    assert!(matches!(MemoryEngine::open(disk.clone()), Err(Error::Disk(_))));
    disk.crash(Crash::Keep(1));
    assert!(!has(&MemoryEngine::open(disk).unwrap(), b"1"));
}

#[test]
fn a_full_disk_refuses_whole_writes_until_there_is_room() {
    let (disk, engine) = open();
    let bytes = put(b"1").bytes() as u64;
    disk.set_faults(Faults { room_bytes: Some(bytes), ..Faults::default() });
    write(&engine, &[b"1"], Durability::Synced);
    assert!(matches!(engine.write(&put(b"2"), Durability::Synced), Err(Error::Full(_))));
    assert!(!has(&engine, b"2"));
    let mut table = engine.table(Cf::Default, Path::new("table")).unwrap();
    table.put(b"k", b"v").unwrap();
    assert!(matches!(table.finish(), Err(Error::Full(_))));
    assert_eq!((disk.counters().refused_full, disk.faults().room_bytes), (2, Some(0)));
    disk.set_faults(Faults::default());
    write(&engine, &[b"2"], Durability::Synced);
    assert!(has(&engine, b"2") && engine.health().failed.is_none());
}

#[test]
fn reads_fail_and_recover() {
    let (disk, engine) = open();
    write(&engine, &[b"1"], Durability::Synced);
    let view = engine.view();
    disk.set_faults(Faults { read: true, ..Faults::default() });
    let all = (Bound::Unbounded, Bound::Unbounded);
    assert!(matches!(engine.get(Cf::Default, b"1"), Err(Error::Disk(_))));
    let scan = view.scan(Cf::Default, all, Direction::Forward, &mut |_, _| true);
    assert!(matches!(scan, Err(Error::Disk(_))));
    assert_eq!(disk.counters().reads_failed, 2);
    disk.set_faults(Faults::default());
    assert!(has(&engine, b"1"));
}

#[test]
fn rot_is_found_by_opening() {
    let (disk, _) = open();
    disk.set_faults(Faults { rot: true, ..Faults::default() });
    assert!(matches!(MemoryEngine::open(disk), Err(Error::Corrupt(_))));
}

#[test]
fn slowness_is_told_and_not_waited_for() {
    let (disk, engine) = open();
    disk.set_faults(Faults { slow: Duration::from_secs(3600), ..Faults::default() });
    write(&engine, &[b"1"], Durability::Synced);
    assert_eq!(disk.faults().slow, Duration::from_secs(3600));
}

#[test]
fn files_are_bytes_that_can_be_carried_to_another_disk() {
    let (disk, engine) = open();
    let (other_disk, other) = open();
    let path = Path::new("dir/table");
    let mut table = engine.table(Cf::Default, path).unwrap();
    table.put(b"k", b"v").unwrap();
    table.finish().unwrap();
    let mut bytes = disk.read_file(path).unwrap();
    other_disk.write_file(path, bytes.clone()).unwrap();
    assert!(matches!(other.ingest(Cf::Lock, &[path.into()]), Err(Error::Invalid(_))));
    other.ingest(Cf::Default, &[path.into()]).unwrap();
    assert!(has(&other, b"k") && other_disk.files().is_empty());
    bytes.pop();
    other_disk.write_file(path, bytes).unwrap();
    assert!(matches!(other.ingest(Cf::Default, &[path.into()]), Err(Error::Corrupt(_))));
    assert!(disk.remove_file(path) && disk.files().is_empty());
}
