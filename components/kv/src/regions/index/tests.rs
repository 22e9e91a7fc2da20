//! The index against a list that is searched from end to end.

use proptest::prelude::*;
use types::Epoch;

use super::*;
use crate::regions::Amount;

fn id(id: u64) -> GroupId {
    GroupId::new(id).unwrap()
}

fn region(group: u64, range: KeyRange) -> Region {
    Region { id: id(group), range, epoch: Epoch::FIRST, peers: Vec::new() }
}

fn range() -> impl Strategy<Value = KeyRange> {
    (0u8..10, 0u8..12).prop_filter_map("empty", |(start, end)| {
        let start = if start == 0 { Vec::new() } else { vec![start] };
        let end = if end > 10 { Vec::new() } else { vec![end] };
        Some(KeyRange::new(start, end)).filter(|range| !range.is_empty())
    })
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, KeyRange),
    Reserve(u64, KeyRange),
    Dismiss(u64),
    Suspend(u64),
    Remove(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let group = 1u64..6;
    prop_oneof![
        3 => (group.clone(), range()).prop_map(|(group, range)| Step::Insert(group, range)),
        2 => (group.clone(), range()).prop_map(|(group, range)| Step::Reserve(group, range)),
        1 => group.clone().prop_map(Step::Dismiss),
        1 => group.clone().prop_map(Step::Suspend),
        1 => group.prop_map(Step::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn index_finds_what_a_list_finds(steps in prop::collection::vec(step(), 0..30)) {
        let mut index = Index::default();
        let mut places: BTreeMap<u64, (KeyRange, bool)> = BTreeMap::new();
        let mut reserved: BTreeMap<u64, KeyRange> = BTreeMap::new();
        let load = Arc::new(Load::unknown());
        for step in steps {
            let is_free = |group: u64, range: &KeyRange| {
                let places = places.iter().map(|(id, (range, _))| (id, range));
                let mut all = places.chain(&reserved);
                !all.any(|(id, theirs)| *id != group && theirs.overlaps(range))
            };
            match step {
                Step::Insert(group, range) => {
                    let inserted = index.insert(region(group, range.clone()), &load);
                    prop_assert_eq!(inserted.is_ok(), is_free(group, &range));
                    if inserted.is_ok() {
                        places.insert(group, (range, true));
                    }
                }
                Step::Reserve(group, range) => {
                    let kept = index.reserve(id(group), range.clone(), Reason::Snapshot);
                    prop_assert_eq!(kept, is_free(group, &range));
                    if kept {
                        reserved.insert(group, range);
                    }
                }
                Step::Dismiss(group) => {
                    index.dismiss(id(group), Reason::Prepared);
                    index.dismiss(id(group), Reason::Snapshot);
                    reserved.remove(&group);
                }
                Step::Suspend(group) => {
                    index.suspend(id(group));
                    places.entry(group).and_modify(|place| place.1 = false);
                }
                Step::Remove(group) => {
                    index.remove(id(group));
                    places.remove(&group);
                    reserved.remove(&group);
                }
            }
            for key in 0..12u8 {
                let found = index.find(&[key]).map(|state| state.region.id.get());
                let wanted = places.iter().find(|(_, (range, _))| range.contains(&[key]));
                let wanted = wanted.filter(|(_, (_, serves))| *serves).map(|(id, _)| *id);
                prop_assert_eq!(found, wanted);
                let range = KeyRange::new([key], [key + 3]);
                let found: Vec<u64> =
                    index.within(&range).iter().map(|state| state.region.id.get()).collect();
                let overlaps = |theirs: &KeyRange, serves: bool| serves && theirs.overlaps(&range);
                let mut wanted: Vec<(&KeyRange, u64)> = places
                    .iter()
                    .filter(|(_, (theirs, serves))| overlaps(theirs, *serves))
                    .map(|(id, (theirs, _))| (theirs, *id))
                    .collect();
                wanted.sort();
                let wanted: Vec<u64> = wanted.into_iter().map(|(_, id)| id).collect();
                prop_assert_eq!(found, wanted);
            }
        }
    }
}

#[test]
fn parts_of_a_split_share_its_size() {
    let mut index = Index::default();
    let load = Arc::new(Load::unknown());
    index.insert(region(1, KeyRange::default()), &load).unwrap();
    load.set(90, 30);
    let parent = region(1, KeyRange::new("t", ""));
    let children = [region(2, KeyRange::new("", "m")), region(3, KeyRange::new("m", "t"))];
    index.split(&parent, &children, true);
    for group in 1..=3 {
        let load = &index.get(id(group)).unwrap().load;
        assert_eq!((load.bytes(), load.keys()), (Some(30), Some(10)));
    }
    let starts: Vec<u64> =
        index.within(&KeyRange::default()).iter().map(|state| state.region.id.get()).collect();
    assert_eq!(starts, [2, 3, 1]);
}

#[test]
fn size_that_was_never_measured_stays_unknown() {
    let load = Load::unknown();
    load.wrote(Amount { bytes: 5, keys: 1 }, Amount { bytes: 5, keys: 1 });
    assert_eq!((load.bytes(), load.keys()), (None, None));
    assert_eq!((load.written_bytes(), load.written_keys()), (5, 1));
    assert_eq!(load.share(2).bytes(), None);
}

#[test]
#[should_panic(expected = "part g2 of region g1 was taken")]
fn split_into_keys_of_another_stops_the_store() {
    let mut index = Index::default();
    let load = Arc::new(Load::unknown());
    index.insert(region(1, KeyRange::new("", "m")), &load).unwrap();
    index.insert(region(9, KeyRange::new("m", "")), &load).unwrap();
    index.split(&region(1, KeyRange::new("a", "m")), &[region(2, KeyRange::new("x", "z"))], true);
}
