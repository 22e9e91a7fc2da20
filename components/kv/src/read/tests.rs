//! Reads by a model: what scans give out, in every direction and with every limit.

use bytes::Bytes;
use proptest::prelude::*;
use storage::{Batch, Durability, Engine, MemoryDisk, MemoryEngine};
use types::{Epoch, GroupId};

use super::*;

const NOW: u64 = 100;

fn engine(pairs: &[(Vec<u8>, Option<u64>, Vec<u8>)]) -> MemoryEngine {
    let engine = MemoryEngine::open(MemoryDisk::new()).unwrap();
    let mut batch = Batch::new();
    for (key, expires, value) in pairs {
        batch.put(Cf::Default, key, &Stored { expires: *expires, value }.encode());
    }
    engine.write(&batch, Durability::Buffered).unwrap();
    engine
}

fn region(start: &[u8], end: &[u8]) -> Region {
    let id = GroupId::new(7).unwrap();
    Region { id, range: KeyRange::new(start, end), epoch: Epoch::FIRST, peers: Vec::new() }
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0u8..3, 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn scan_is_what_a_sorted_list_gives(
        pairs in prop::collection::btree_map(
            key(),
            (prop::option::of(NOW - 1..NOW + 2), prop::collection::vec(any::<u8>(), 0..4)),
            0..20,
        ),
        (own, wanted) in ((key(), key()), (key(), key())),
        (is_reverse, keys_only) in (any::<bool>(), any::<bool>()),
        (pairs_max, bytes_max) in (0usize..8, 0usize..30),
    ) {
        let region = region(&own.0, &own.1);
        let flat: Vec<_> = pairs.iter().map(|(k, (e, v))| (k.clone(), *e, v.clone())).collect();
        let engine = engine(&flat);
        let view = engine.view();
        let reader = Reader { view: &*view, region: &region, now_seconds: NOW };
        let scan = Scan {
            range: KeyRange::new(wanted.0, wanted.1),
            direction: if is_reverse { Direction::Reverse } else { Direction::Forward },
            pairs_max,
            bytes_max,
            values: if keys_only { Values::Left } else { Values::Whole },
        };
        let mut all: Vec<(Vec<u8>, Vec<u8>)> = flat
            .into_iter()
            .filter(|(key, expires, _)| {
                region.range.contains(key)
                    && scan.range.contains(key)
                    && expires.is_none_or(|at| at > NOW)
            })
            .map(|(key, _, value)| (key, if keys_only { Vec::new() } else { value }))
            .collect();
        if is_reverse {
            all.reverse();
        }
        let page = reader.scan(Cf::Default, &scan).unwrap();
        let size = |pairs: &[(Vec<u8>, Vec<u8>)]| -> usize {
            pairs.iter().map(|(key, value)| key.len() + value.len()).sum()
        };
        let len = page.pairs.len();
        prop_assert_eq!(&page.pairs[..], &all[..len]);
        prop_assert!(len <= pairs_max && (len <= 1 || size(&page.pairs) <= bytes_max));
        match page.end {
            PageEnd::Range => prop_assert!(len == all.len()),
            PageEnd::Pairs => prop_assert_eq!(len, pairs_max),
            PageEnd::Bytes => prop_assert!(size(&all[..=len]) > bytes_max),
        }
    }
}

#[test]
fn key_is_there_until_it_expires() {
    let pairs = [("a", None), ("b", Some(NOW)), ("c", Some(NOW + 7))];
    let engine =
        engine(&pairs.map(|(key, expires)| (key.as_bytes().to_vec(), expires, b"v".to_vec())));
    let view = engine.view();
    let region = region(b"", b"m");
    let reader = Reader { view: &*view, region: &region, now_seconds: NOW };
    let found = |ttl_seconds| Ok(Some(Found { value: b"v".to_vec(), ttl_seconds }));
    assert_eq!(reader.get(Cf::Default, b"a"), found(None));
    assert_eq!(reader.get(Cf::Default, b"b"), Ok(None));
    assert_eq!(reader.get(Cf::Default, b"c"), found(Some(7)));
    assert_eq!(reader.get(Cf::Lock, b"a"), Ok(None));
    let keys: [&[u8]; 4] = [b"c", b"x1", b"b", b"a"];
    let keys = || keys.into_iter().filter(|key| *key != b"x1");
    let all = reader.get_all(Cf::Default, keys(), 4).unwrap().expect("they fit");
    let found: Vec<_> = all.into_iter().map(|(key, _)| Bytes::from(key)).collect();
    assert_eq!(found, ["c", "a"]);
    assert_eq!(reader.get_all(Cf::Default, keys(), 3), Ok(None), "more than is allowed");
    assert!(matches!(reader.get(Cf::Default, b"x"), Err(storage::Error::Invalid(_))));
}

#[test]
fn damage_is_told_not_skipped() {
    let engine = engine(&[(b"a".to_vec(), None, b"v".to_vec())]);
    let mut batch = Batch::new();
    batch.put(Cf::Default, b"b", b"\x07");
    engine.write(&batch, Durability::Buffered).unwrap();
    let view = engine.view();
    let region = region(b"", b"");
    let reader = Reader { view: &*view, region: &region, now_seconds: NOW };
    assert!(matches!(reader.get(Cf::Default, b"b"), Err(storage::Error::Corrupt(_))));
    let scan = Scan {
        range: KeyRange::default(),
        direction: Direction::Forward,
        pairs_max: 9,
        bytes_max: 99,
        values: Values::Left,
    };
    assert!(matches!(reader.scan(Cf::Default, &scan), Err(storage::Error::Corrupt(_))));
    // Behind the damage it is not met.
    let before = Scan { pairs_max: 1, ..scan };
    assert_eq!(reader.scan(Cf::Default, &before).unwrap().pairs.len(), 1);
}
