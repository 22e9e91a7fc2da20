//! Measuring, choosing where to cut, and the parts of a cut.

use std::collections::BTreeMap;

use proptest::prelude::*;
use storage::{Batch, Cf, Durability, Engine, MemoryDisk, MemoryEngine};
use types::{GroupId, PeerId, StoreId, encode_key};

use super::*;

fn engine(pairs: &BTreeMap<(Cf, Vec<u8>), usize>) -> MemoryEngine {
    let engine = MemoryEngine::open(MemoryDisk::new()).unwrap();
    let mut batch = Batch::new();
    for ((family, key), len) in pairs {
        batch.put(*family, key, &vec![0; *len]);
    }
    engine.write(&batch, Durability::Buffered).unwrap();
    engine
}

fn measure(engine: &MemoryEngine, range: &KeyRange, config: SplitConfig, step: u64) -> Measured {
    let mut scan = SizeScan::new(range.clone(), ApiVersion::V1, config);
    loop {
        if let Some(measured) = scan.step(&*engine.view(), step).unwrap() {
            return measured;
        }
    }
}

fn sizes(
    pairs: &BTreeMap<(Cf, Vec<u8>), usize>,
    range: &KeyRange,
    cuts: &[Vec<u8>],
) -> Vec<(u64, u64)> {
    let mut sizes = vec![(0, 0); cuts.len() + 1];
    for ((_, key), len) in pairs.iter().filter(|((_, key), _)| range.contains(key)) {
        let part = cuts.partition_point(|cut| cut <= key);
        sizes[part].0 += (key.len() + len) as u64;
        sizes[part].1 += 1;
    }
    sizes
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn regions_are_measured_and_cut_as_configured(
        pairs in prop::collection::btree_map(
            (
                prop::sample::select(vec![Cf::Default, Cf::Lock, Cf::Write]),
                prop::collection::vec(any::<u8>(), 1..4),
            ),
            0usize..40,
            0..120,
        ),
        (start, end) in (prop::collection::vec(any::<u8>(), 0..2), 200u8..),
        (max_bytes, share, max_keys) in (50u64..2000, 2u64..5, 10u64..200),
        (batch_max, step) in (0usize..12, 1u64..500),
    ) {
        let range = KeyRange::new(start, vec![end]);
        prop_assume!(!range.is_empty());
        let config = SplitConfig {
            max_bytes,
            target_bytes: (max_bytes / share).max(1),
            max_keys,
            batch_max,
        };
        let engine = engine(&pairs);
        let measured = measure(&engine, &range, config, step);
        let whole = sizes(&pairs, &range, &[])[0];
        prop_assert_eq!((measured.bytes, measured.keys), whole);
        let cuts = &measured.split_keys;
        prop_assert!(cuts.is_sorted_by(|one, other| one < other) && cuts.len() <= batch_max);
        let inside = |cut: &Vec<u8>| range.contains(cut) && *cut > range.start;
        prop_assert!(cuts.iter().chain(&measured.middle).all(inside));
        let parts = sizes(&pairs, &range, cuts);
        let last = parts[parts.len() - 1];
        for (bytes, keys) in &parts[..cuts.len()] {
            // Full, and larger than that by no more than one user key in all families.
            prop_assert!(*bytes >= config.target_bytes || *keys >= config.target_keys());
            prop_assert!(*bytes < config.target_bytes + 3 * 43 && *keys < config.target_keys() + 3);
        }
        if cuts.is_empty() {
            // A key more than a part is too much to be cut off at its end.
            let (bytes, keys) = (whole.0.saturating_sub(3 * 43), whole.1.saturating_sub(3));
            prop_assert!(batch_max == 0 || !config.is_too_large(bytes, keys));
        } else {
            prop_assert!(config.is_too_large(whole.0, whole.1));
            prop_assert!(cuts.len() == batch_max
                || !config.is_too_large(last.0.saturating_sub(3 * 43), last.1.saturating_sub(3)));
        }
        if let Some(middle) = &measured.middle {
            let halves = sizes(&pairs, &range, std::slice::from_ref(middle));
            prop_assert!(halves[0].0.abs_diff(halves[1].0) <= 2 * 3 * 43);
        }
    }
}

#[test]
fn marks_are_bounded_and_cuts_near_the_half() {
    let mut pairs = BTreeMap::new();
    for number in 0..20_000u32 {
        let len = usize::try_from(number % 97).unwrap();
        pairs.insert((Cf::Default, number.to_be_bytes().to_vec()), len);
    }
    let engine = engine(&pairs);
    let range = KeyRange::default();
    let measured = measure(&engine, &range, SplitConfig::default(), 1 << 16);
    let middle = measured.middle.unwrap();
    let halves = sizes(&pairs, &range, &[middle]);
    assert!(halves[0].0.abs_diff(halves[1].0) < measured.bytes / 100, "{halves:?}");
}

#[test]
fn cuts_of_v2_do_not_divide_a_key() {
    let mut pairs = BTreeMap::new();
    for key in [b"xa", b"xb"] {
        for version in 0..10u8 {
            let mut versioned = encode_key(key);
            versioned.extend_from_slice(&[version; 8]);
            pairs.insert((Cf::Write, versioned), 10);
        }
    }
    let engine = engine(&pairs);
    let config = SplitConfig { max_bytes: 100, target_bytes: 50, ..SplitConfig::default() };
    let mut scan = SizeScan::new(KeyRange::default(), ApiVersion::V2, config);
    let measured = scan.step(&*engine.view(), u64::MAX).unwrap().unwrap();
    assert_eq!(measured.split_keys.last(), Some(&encode_key(b"xb")));
    assert!(measured.split_keys.iter().all(|cut| ApiVersion::V2.is_boundary(cut)));
    assert_eq!(measured.middle, Some(encode_key(b"xb")));
}

#[test]
fn cut_of_v2_is_an_encoded_key() {
    let id = GroupId::new(7).unwrap();
    let (peer, store) = (PeerId::new(1).unwrap(), StoreId::new(1).unwrap());
    let peers = vec![RegionPeer { id: peer, store, role: PeerRole::Voter }];
    let region = Region { id, range: KeyRange::default(), epoch: Epoch::FIRST, peers };
    let child = |end: Vec<u8>| {
        let (region, peers) = (GroupId::new(8).unwrap(), vec![PeerId::new(2).unwrap()]);
        [NewRegion { end: end.into(), region, peers }]
    };
    let cut = encode_key(b"r\0\0\0m");
    let parts = parts_of(&region, &child(cut.clone()), ApiVersion::V2).unwrap();
    assert_eq!(parts[0].range, KeyRange::new("", cut.clone()));
    assert_eq!(parts[1].range, KeyRange::new(cut, ""));
    let refused = parts_of(&region, &child(b"m".to_vec()), ApiVersion::V2);
    assert_eq!(refused, Err("a cut at a key that no region may begin with"));
    let last = Region { epoch: Epoch { version: u64::MAX, conf_ver: 1 }, ..region };
    let refused = parts_of(&last, &child(b"m".to_vec()), ApiVersion::V1);
    assert_eq!(refused, Err("a version without end"));
}
