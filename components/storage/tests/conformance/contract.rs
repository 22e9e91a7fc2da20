//! What the contract of an engine says in so many words.

use std::sync::Arc;
use std::thread;

use storage::{Batch, Cf, Direction, Durability, Engine, Error};

use crate::model::scan;
use crate::rig::Rig;

const ALL: storage::Bounds<'static> = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);

pub(crate) fn all<R: Rig>() {
    a_batch_spans_column_families::<R>();
    a_scan_may_use_the_engine::<R>();
    a_scan_stops_when_told_and_is_long::<R>();
    tables_are_checked::<R>();
    a_checkpoint_does_not_replace::<R>();
    a_start_makes_durable_what_it_shows::<R>();
    an_ingest_is_durable_with_all_before_it::<R>();
    threads_write_whole_batches::<R>();
}

fn put(engine: &dyn Engine, cf: Cf, key: &[u8], value: &[u8], durability: Durability) {
    let mut batch = Batch::new();
    batch.put(cf, key, value);
    engine.write(&batch, durability).unwrap();
}

fn a_batch_spans_column_families<R: Rig>() {
    let rig = R::new();
    let mut batch = Batch::new();
    for cf in Cf::ALL {
        batch.put(cf, b"key", cf.name().as_bytes());
    }
    rig.engine().write(&batch, Durability::Synced).unwrap();
    for cf in Cf::ALL {
        assert_eq!(rig.engine().get(cf, b"key").unwrap(), Some(cf.name().into()));
    }
}

fn a_scan_may_use_the_engine<R: Rig>() {
    let rig = R::new();
    let engine = rig.engine();
    put(engine, Cf::Default, b"1", b"", Durability::Buffered);
    put(engine, Cf::Default, b"2", b"", Durability::Buffered);
    let mut each = |key: &[u8], _: &[u8]| {
        put(engine, Cf::Default, &[key, b"x"].concat(), b"", Durability::Buffered);
        true
    };
    engine.view().scan(Cf::Default, ALL, Direction::Forward, &mut each).unwrap();
    let keys: Vec<_> = scan(&*engine.view(), Cf::Default, ALL, Direction::Forward, 9)
        .into_iter()
        .map(|pair| pair.0)
        .collect();
    assert_eq!(keys, [&b"1"[..], b"1x", b"2", b"2x"]);
}

fn a_scan_stops_when_told_and_is_long<R: Rig>() {
    let rig = R::new();
    let mut batch = Batch::new();
    for number in 0..5000u32 {
        batch.put(Cf::Write, &number.to_be_bytes(), b"value");
    }
    rig.engine().write(&batch, Durability::Buffered).unwrap();
    let view = rig.engine().view();
    for direction in [Direction::Forward, Direction::Reverse] {
        for limit in [1, 7, 8, 9, 511, 4999, 5000, 6000] {
            let pairs = scan(&*view, Cf::Write, ALL, direction, limit);
            assert_eq!(pairs.len(), limit.min(5000));
        }
    }
}

fn tables_are_checked<R: Rig>() {
    let rig = R::new();
    let engine = rig.engine();
    let empty = engine.table(Cf::Default, &rig.path("empty")).unwrap();
    assert!(matches!(empty.finish(), Err(Error::Invalid(_))));
    let mut table = engine.table(Cf::Default, &rig.path("table")).unwrap();
    table.put(b"b", b"").unwrap();
    assert!(matches!(table.put(b"a", b""), Err(Error::Invalid(_))));
    assert!(matches!(table.put(b"b", b""), Err(Error::Invalid(_))));
    table.put(b"c", b"").unwrap();
    table.finish().unwrap();
    assert!(engine.table(Cf::Default, &rig.path("table")).is_err());
    assert!(engine.ingest(Cf::Default, &[rig.path("missing")]).is_err());
    assert_eq!(engine.get(Cf::Default, b"b").unwrap(), None);
    engine.ingest(Cf::Default, &[rig.path("table")]).unwrap();
    assert_eq!(engine.get(Cf::Default, b"b").unwrap(), Some(vec![]));
    engine.ingest(Cf::Default, &[]).unwrap();
    put(engine, Cf::Default, b"b", b"later", Durability::Synced);
    assert_eq!(engine.get(Cf::Default, b"b").unwrap(), Some(b"later".to_vec()));
}

fn a_checkpoint_does_not_replace<R: Rig>() {
    let rig = R::new();
    rig.engine().checkpoint(&rig.path("copy")).unwrap();
    assert!(matches!(rig.engine().checkpoint(&rig.path("copy")), Err(Error::Invalid(_))));
}

fn a_start_makes_durable_what_it_shows<R: Rig>() {
    let mut rig = R::new();
    put(rig.engine(), Cf::Raft, b"key", b"", Durability::Buffered);
    rig.on_write(false);
    rig.restart();
    rig.crash(0, false);
    assert_eq!(rig.engine().get(Cf::Raft, b"key").unwrap(), Some(vec![]));
}

fn an_ingest_is_durable_with_all_before_it<R: Rig>() {
    let mut rig = R::new();
    put(rig.engine(), Cf::Raft, b"before", b"", Durability::Buffered);
    rig.on_write(false);
    let mut table = rig.engine().table(Cf::Default, &rig.path("table")).unwrap();
    table.put(b"in", b"").unwrap();
    table.finish().unwrap();
    rig.engine().ingest(Cf::Default, &[rig.path("table")]).unwrap();
    rig.on_write(true);
    put(rig.engine(), Cf::Raft, b"after", b"", Durability::Buffered);
    rig.on_write(false);
    rig.crash(0, true);
    assert_eq!(rig.engine().get(Cf::Raft, b"before").unwrap(), Some(vec![]));
    assert_eq!(rig.engine().get(Cf::Default, b"in").unwrap(), Some(vec![]));
    assert_eq!(rig.engine().get(Cf::Raft, b"after").unwrap(), None);
}

fn threads_write_whole_batches<R: Rig>() {
    let rig = R::new();
    let engine = rig.engine();
    let is_consistent = |pairs: crate::model::Pairs| pairs.windows(2).all(|w| w[0].1 == w[1].1);
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let pairs = scan(&*engine.view(), Cf::Meta, ALL, Direction::Forward, 99);
                assert!(is_consistent(pairs));
            }
        });
        let writers: Vec<_> = (0..4u8)
            .map(|writer| {
                scope.spawn(move || {
                    for round in 0..50u8 {
                        let mut batch = Batch::new();
                        for key in 0..10u8 {
                            batch.put(Cf::Meta, &[key], &[writer, round]);
                        }
                        engine.write(&batch, Durability::Buffered).unwrap();
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        reader.join().unwrap();
    });
}
