//! What a machine does with what it should never be given, and what readers are told of it.

use std::sync::Arc;

use multiraft::Machines as _;
use proptest::prelude::*;
use storage::{Durability, Engine, MemoryDisk, MemoryEngine};
use types::{ApiVersion, Epoch, KeyRange, PeerId, PeerRole, RegionPeer, StoreId};

use super::*;
use crate::command::{Action, Command as KvCommand, Mutation, NewRegion};
use crate::error::RegionError;
use crate::regions::{Config, Regions};
use crate::reply::Reply;
use crate::value::Stored;

fn group(id: u64) -> GroupId {
    GroupId::new(id).unwrap()
}

fn region(id: u64, start: &str, end: &str) -> Region {
    let peer = RegionPeer {
        id: PeerId::new(id * 10).unwrap(),
        store: StoreId::new(1).unwrap(),
        role: PeerRole::Voter,
    };
    let range = KeyRange::new(start, end);
    Region { id: group(id), range, epoch: Epoch::FIRST, peers: vec![peer] }
}

/// A store, and what is on its disk.
struct Host {
    engine: Arc<dyn Engine>,
    regions: Arc<Regions>,
}

impl Host {
    fn new() -> Host {
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::open(MemoryDisk::new()).unwrap());
        let config = Config { store: StoreId::new(1).unwrap(), api: ApiVersion::V1 };
        Host { engine, regions: Regions::new(config) }
    }

    fn open(&self, id: u64) -> RegionMachine {
        self.regions.open_region(group(id), &*self.engine).unwrap()
    }

    fn begin(&self, region: &Region) -> RegionMachine {
        assert_eq!(self.regions.prepare(&*self.engine, region), Ok(true));
        self.open(region.id.get())
    }

    fn apply(&self, machine: &mut RegionMachine, action: Action) -> Reply {
        let epoch = machine.region().map_or(Epoch::FIRST, |region| region.epoch);
        let data = KvCommand { epoch, action }.encode();
        let mut batch = Batch::new();
        let mut replies = Vec::new();
        let command = Command { index: Index(1), data: &data };
        machine.apply(&[command], &*self.engine.view(), &mut batch, &mut replies);
        self.engine.write(&batch, Durability::Buffered).unwrap();
        Reply::decode(&replies[0]).unwrap()
    }

    fn write(&self, batch: &Batch) {
        self.engine.write(batch, Durability::Buffered).unwrap();
    }
}

fn put(key: &'static str) -> Action {
    let value = Stored { expires: None, value: key.as_bytes() };
    Action::Write(vec![Mutation::put(Cf::Default, key, value)])
}

fn split(end: &'static str, id: u64) -> Action {
    let peers = vec![PeerId::new(id * 10).unwrap()];
    Action::Split(vec![NewRegion { end: end.into(), region: group(id), peers }])
}

fn chunks(host: &Host, machine: &mut RegionMachine, bytes: usize) -> Vec<Bytes> {
    let mut reader = machine.snapshot(host.engine.view());
    std::iter::from_fn(|| reader.next(bytes).unwrap()).collect()
}

/// Restores chunks on another store, and says what was wrong with them.
fn restore(chunks: &[Bytes]) -> Result<Host, Corrupt> {
    let host = Host::new();
    let mut machine = host.open(1);
    let mut batch = Batch::new();
    machine.clear(&mut batch);
    for chunk in chunks {
        machine.restore(chunk, &mut batch)?;
        host.write(&batch);
        batch.clear();
    }
    machine.restored(Index(9), &mut batch)?;
    Ok(host)
}

#[test]
fn machine_without_record_serves_nothing_until_it_is_opened_anew() {
    let host = Host::new();
    let mut empty = host.open(2);
    assert_eq!((empty.region(), host.regions.get(group(2)).is_none()), (None, true));
    assert_eq!(host.apply(&mut empty, put("a")), Reply::Uninitialized);
    assert_eq!(host.apply(&mut empty, split("m", 3)), Reply::Uninitialized);
    assert!(empty.snapshot(host.engine.view()).header().is_empty());
    assert!(empty.snapshot(host.engine.view()).next(100).is_err());

    let mut parent = host.begin(&region(1, "", ""));
    assert!(matches!(host.apply(&mut parent, split("m", 2)), Reply::Split(_)));
    let spawns = parent.spawned();
    assert_eq!(spawns.iter().map(|spawn| spawn.group).collect::<Vec<_>>(), [group(2)]);
    assert_eq!(spawns[0].beginning.peer, PeerId::new(20).unwrap());
    assert!(parent.spawned().is_empty());
    let mut child = host.open(2);
    assert_eq!(host.apply(&mut child, put("a")), Reply::Done);
}

#[test]
fn snapshot_is_refused_whatever_is_missing_or_out_of_order() {
    let host = Host::new();
    let mut machine = host.begin(&region(1, "", "x"));
    for key in ["a", "b", "c"] {
        host.apply(&mut machine, put(key));
    }
    let good = chunks(&host, &mut machine, 1);
    assert_eq!(good.len(), 5);
    let restored = restore(&good).unwrap();
    let state = restored.regions.get(group(1)).unwrap();
    assert_eq!((&state.region, state.load.keys()), (machine.region().unwrap(), Some(3)));
    for left_out in 0..good.len() {
        let mut bad = good.clone();
        bad.remove(left_out);
        assert!(restore(&bad).is_err(), "without {left_out}");
        let mut twice = good.clone();
        twice.insert(left_out, good[left_out].clone());
        assert!(restore(&twice).is_err(), "{left_out} twice");
        if left_out > 0 {
            let mut exchanged = good.clone();
            exchanged.swap(left_out - 1, left_out);
            assert!(restore(&exchanged).is_err(), "{left_out} exchanged");
        }
    }
    // Of another group; of a range that does not hold its keys.
    let other = Host::new();
    let mut narrow = other.begin(&region(1, "", "b"));
    let mut mixed = good.clone();
    mixed[0] = chunks(&other, &mut narrow, 1).remove(0);
    assert!(restore(&mixed).is_err());
    let mut second = other.begin(&region(2, "b", ""));
    assert!(restore(&chunks(&other, &mut second, 1)).is_err());
    // Without a beginning.
    let host = Host::new();
    let mut machine = host.open(1);
    assert!(machine.restore(&good[0], &mut Batch::new()).is_err());
    assert!(machine.restored(Index(1), &mut Batch::new()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn chunks_of_garbage_are_refused(
        garbage in prop::collection::vec(any::<u8>(), 0..40),
        (chunk, at, bit) in (0usize..5, any::<prop::sample::Index>(), 0u8..8),
    ) {
        let _ = restore(&[Bytes::from(garbage.clone())]);
        let host = Host::new();
        prop_assert!(!host.regions.admit(group(1), &garbage, true) || !garbage.is_empty());
        let mut machine = host.begin(&region(1, "", "x"));
        for key in ["a", "b", "c"] {
            host.apply(&mut machine, put(key));
        }
        let mut bad = chunks(&host, &mut machine, 1);
        let mut damaged = bad[chunk].to_vec();
        let at = at.index(damaged.len());
        damaged[at] ^= 1 << bit;
        bad[chunk] = damaged.into();
        let _ = restore(&bad);
    }
}

#[test]
fn reader_is_told_of_whatever_came_between() {
    let host = Host::new();
    let mut machine = host.begin(&region(1, "", ""));
    let known = host.regions.get(group(1)).unwrap();
    host.apply(&mut machine, put("a"));
    assert_eq!(host.regions.check_still(&known), Ok(()));

    // A split.
    host.apply(&mut machine, split("m", 2));
    let now = machine.region().unwrap().clone();
    let error = host.regions.check_still(&known).unwrap_err();
    assert_eq!(error, RegionError::EpochNotMatch(vec![now.clone()]));
    let keys: [&[u8]; 3] = [b"a", b"b", b"z"];
    let told = host.regions.explain(error, keys);
    let child = host.regions.find(b"a").unwrap().region.clone();
    assert_eq!(told, RegionError::EpochNotMatch(vec![now, child]));

    // Data that was replaced by the same data: the view may be one from the middle.
    let known = host.regions.get(group(1)).unwrap();
    let snapshot = chunks(&host, &mut machine, 100);
    let mut batch = Batch::new();
    machine.clear(&mut batch);
    let gone = Err(RegionError::RegionNotFound(group(1)));
    assert_eq!(host.regions.check_still(&known), gone);
    for chunk in &snapshot {
        machine.restore(chunk, &mut batch).unwrap();
        host.write(&batch);
        batch.clear();
    }
    machine.restored(Index(5), &mut batch).unwrap();
    let again = host.regions.get(group(1)).unwrap();
    assert_eq!(again.region, known.region);
    assert!(host.regions.check_still(&known).is_err());

    // The end, before it is written.
    host.regions.destroy(group(1), &mut batch);
    assert_eq!(host.regions.check_still(&again), gone);
    let header = snapshot_header(&region(3, "x", ""));
    assert!(!host.regions.admit(group(3), &header, false));
    host.write(&batch);
    host.regions.destroyed(group(1));
    assert!(host.regions.admit(group(3), &header, false));
    assert!(!host.regions.admit(group(4), &header, false));
}

#[test]
fn region_that_a_split_made_takes_no_snapshot_before_the_split_is_written() {
    let host = Host::new();
    let mut machine = host.begin(&region(1, "", ""));
    let data = KvCommand { epoch: Epoch::FIRST, action: split("m", 2) }.encode();
    let (mut batch, mut replies) = (Batch::new(), Vec::new());
    let command = Command { index: Index(1), data: &data };
    machine.apply(&[command], &*host.engine.view(), &mut batch, &mut replies);
    let child = host.regions.get(group(2)).expect("it is found").region.clone();
    let header = snapshot_header(&child);
    for reserve in [false, true] {
        assert!(!host.regions.admit(group(2), &header, reserve), "the split would undo it");
    }
    // A machine without a record, for a peer that a message made, changes nothing of that.
    let _empty = host.open(2);
    assert!(!host.regions.admit(group(2), &header, false));
    host.write(&batch);
    let _begun = host.open(2);
    assert!(host.regions.admit(group(2), &header, false));
}

fn snapshot_header(region: &Region) -> Bytes {
    let host = Host::new();
    host.begin(region).snapshot(host.engine.view()).header()
}

#[test]
fn records_that_make_no_sense_are_refused() {
    let host = Host::new();
    let mut batch = Batch::new();
    batch.put(Cf::Meta, &record_key(group(1)), b"nonsense");
    batch.put(Cf::Meta, &record_key(group(2)), &encode_record(&region(3, "", "m")));
    batch.put(Cf::Meta, &record_key(group(4)), &encode_record(&region(4, "", "m")));
    batch.put(Cf::Meta, &record_key(group(5)), &encode_record(&region(5, "l", "n")));
    host.write(&batch);
    for id in [1, 2] {
        assert!(host.regions.open_region(group(id), &*host.engine).is_err(), "{id}");
    }
    assert_eq!(host.open(4).region(), Some(&region(4, "", "m")));
    assert!(host.regions.open_region(group(5), &*host.engine).is_err());
    // Those that were set aside keep their records.
    assert_eq!(host.regions.sweep(&*host.engine, &[group(1), group(2), group(5)]), Ok(vec![]));
}

#[test]
fn record_of_a_region_that_was_set_aside_is_not_taken_for_that_of_its_birth() {
    let host = Host::new();
    let mut batch = Batch::new();
    let record = encode_record(&region(1, "", "m"));
    batch.put(Cf::Meta, &record_key(group(1)), &record);
    host.write(&batch);
    // Its machine was not opened. The node would create the region as when the cluster was born.
    assert_eq!(host.regions.sweep(&*host.engine, &[group(1)]), Ok(vec![]));
    assert_eq!(host.regions.prepare(&*host.engine, &region(1, "", "")), Ok(false));
    assert_eq!(host.engine.get(Cf::Meta, &record_key(group(1))), Ok(Some(record)));
    // Nothing is kept for it either.
    assert_eq!(host.regions.prepare(&*host.engine, &region(2, "", "")), Ok(true));
}
