//! Examples, and sequences of changes of a cluster that are heard of late and out of order.

use proptest::prelude::*;
use types::{PeerId, PeerRole};

use super::*;

fn group(id: u64) -> GroupId {
    GroupId::new(id).unwrap()
}

fn peer(id: u64, store: u64) -> RegionPeer {
    let (id, store) = (PeerId::new(id).unwrap(), StoreId::new(store).unwrap());
    RegionPeer { id, store, role: PeerRole::Voter }
}

fn region(id: u64, range: (&str, &str), version: u64) -> Region {
    let peers = (1..=3).map(|store| peer(id * 10 + store, store)).collect();
    let epoch = Epoch { version, conf_ver: 1 };
    Region { id: group(id), range: KeyRange::new(range.0, range.1), epoch, peers }
}

fn route(id: u64, range: (&str, &str), version: u64) -> Route {
    Route { region: region(id, range, version), leader: None }
}

fn found(cache: &RegionCache, key: &str) -> Option<u64> {
    cache.find(key.as_bytes()).map(|route| route.region.id.get())
}

fn found_before(cache: &RegionCache, key: &str) -> Option<u64> {
    cache.find_before(key.as_bytes()).map(|route| route.region.id.get())
}

#[test]
fn regions_are_found_by_their_keys() {
    let mut cache = RegionCache::default();
    for route in [route(1, ("", "d"), 1), route(2, ("d", "m"), 1), route(3, ("t", ""), 1)] {
        assert!(cache.insert(route));
    }
    let all: Vec<_> =
        ["", "c", "d", "lz", "m", "s", "t", "zz"].map(|key| found(&cache, key)).into();
    assert_eq!(all, [Some(1), Some(1), Some(2), Some(2), None, None, Some(3), Some(3)]);
    let all: Vec<_> =
        ["a", "d", "dd", "m", "n", "t", "u", ""].map(|key| found_before(&cache, key)).into();
    assert_eq!(all, [Some(1), Some(1), Some(2), Some(2), None, None, Some(3), Some(3)]);
}

#[test]
fn newer_regions_replace_what_they_overlap_and_older_ones_are_refused() {
    let mut cache = RegionCache::default();
    assert!(cache.insert(route(1, ("", ""), 1)));
    assert!(cache.insert(route(2, ("m", ""), 2)));
    assert_eq!((found(&cache, "a"), found(&cache, "n")), (None, Some(2)));
    assert!(!cache.insert(route(1, ("", ""), 1)));
    assert!(cache.insert(route(1, ("", "m"), 2)));
    assert_eq!((found(&cache, "a"), found(&cache, "n")), (Some(1), Some(2)));
    // They are merged: one of them has both ranges.
    assert!(cache.insert(route(2, ("", ""), 3)));
    assert_eq!((found(&cache, "a"), found(&cache, "n")), (Some(2), Some(2)));
    assert!(cache.get(group(1)).is_none());
}

#[test]
fn only_what_was_wrong_is_invalidated() {
    let mut cache = RegionCache::default();
    cache.insert(route(1, ("", ""), 2));
    cache.invalidate(group(1), Epoch { version: 1, conf_ver: 1 });
    assert_eq!(found(&cache, "a"), Some(1));
    cache.invalidate(group(1), Epoch { version: 2, conf_ver: 1 });
    assert_eq!(found(&cache, "a"), None);
}

#[test]
fn leader_is_one_of_the_peers() {
    let mut cache = RegionCache::default();
    let epoch = Epoch { version: 1, conf_ver: 1 };
    cache.insert(route(1, ("", ""), 1));
    assert!(cache.set_leader(group(1), epoch, peer(12, 2)));
    assert_eq!(cache.find(b"").unwrap().leader, Some(peer(12, 2)));
    assert!(!cache.set_leader(group(1), epoch, peer(99, 9)));
    assert!(!cache.set_leader(group(2), epoch, peer(12, 2)));
    assert!(!cache.set_leader(group(1), Epoch { version: 2, ..epoch }, peer(13, 3)));
}

#[test]
fn regions_that_a_store_tells_of_are_led_by_it() {
    let mut cache = RegionCache::default();
    cache.insert(route(1, ("", ""), 1));
    let told = vec![region(1, ("", "m"), 2), region(2, ("m", ""), 2)];
    let store = StoreId::new(3).unwrap();
    assert_eq!(cache.learn(told.clone(), store), 2);
    assert_eq!(cache.find(b"z").unwrap().leader, Some(peer(23, 3)));
    assert_eq!(cache.learn(told, store), 0);
}

/// A cluster that splits and merges; each state that a region ever had may be heard of at any time.
#[derive(Clone, Debug)]
struct World {
    /// Now, by first key.
    now: Vec<Route>,
    ever: Vec<Route>,
    next: u64,
}

impl World {
    fn new() -> World {
        let first = route(1, ("", ""), 1);
        World { now: vec![first.clone()], ever: vec![first], next: 2 }
    }

    fn split(&mut self, key: u8) {
        let key = vec![key];
        let Some(at) = self.now.iter().position(|it| it.region.range.contains(&key)) else {
            return;
        };
        if self.now[at].region.range.start == key {
            return;
        }
        let mut left = self.now[at].clone();
        left.region.epoch.version += 1;
        let mut right = left.clone();
        right.region.id = group(self.next);
        self.next += 1;
        left.region.range.end.clone_from(&key);
        right.region.range.start = key;
        self.ever.extend([left.clone(), right.clone()]);
        self.now.splice(at..=at, [left, right]);
    }

    fn merge(&mut self, at: usize) {
        if self.now.len() < 2 {
            return;
        }
        let at = at % (self.now.len() - 1);
        let (left, right) = (&self.now[at], &self.now[at + 1]);
        let mut both = left.clone();
        both.region.range.end.clone_from(&right.region.range.end);
        both.region.epoch.version = left.region.epoch.version.max(right.region.epoch.version) + 1;
        self.ever.push(both.clone());
        self.now.splice(at..=at + 1, [both]);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Split(u8),
    Merge(usize),
    Hear(usize),
    Invalidate(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => any::<u8>().prop_map(Step::Split),
        1 => any::<usize>().prop_map(Step::Merge),
        6 => any::<usize>().prop_map(Step::Hear),
        1 => any::<usize>().prop_map(Step::Invalidate),
    ]
}

fn check(cache: &RegionCache) {
    let routes: Vec<&Route> = cache.by_start.values().collect();
    for pair in routes.windows(2) {
        let (left, right) = (&pair[0].region.range, &pair[1].region.range);
        assert!(!left.overlaps(right), "{left} and {right}");
    }
    assert_eq!(cache.by_start.len(), cache.starts.len());
    for (start, route) in &cache.by_start {
        assert_eq!(start, &route.region.range.start);
        assert_eq!(cache.starts.get(&route.region.id), Some(start));
    }
}

proptest! {
    #[test]
    fn regions_never_overlap_and_news_is_never_lost_to_older_news(
        steps in proptest::collection::vec(step(), 1..200),
    ) {
        let mut world = World::new();
        let mut cache = RegionCache::default();
        for step in steps {
            match step {
                Step::Split(key) => world.split(key),
                Step::Merge(at) => world.merge(at),
                Step::Hear(at) => {
                    let heard = world.ever[at % world.ever.len()].clone();
                    let before: Vec<Route> = cache.by_start.values().cloned().collect();
                    let is_taken = cache.insert(heard.clone());
                    prop_assert_eq!(is_taken, !before.iter().any(|known| {
                        let version = known.region.epoch.version;
                        (known.region.range.overlaps(&heard.region.range)
                            || known.region.id == heard.region.id)
                            && heard.region.epoch.version < version
                    }));
                    // What does not overlap stays.
                    for known in before {
                        let is_apart = known.region.id != heard.region.id
                            && !known.region.range.overlaps(&heard.region.range);
                        if !is_taken || is_apart {
                            prop_assert_eq!(cache.get(known.region.id), Some(&known));
                        }
                    }
                }
                Step::Invalidate(at) => {
                    let Region { id, epoch, .. } = world.ever[at % world.ever.len()].region;
                    cache.invalidate(id, epoch);
                }
            }
            check(&cache);
        }
        // Once all is heard of as it is now, it is known as it is now.
        for route in &world.now {
            cache.insert(route.clone());
        }
        check(&cache);
        prop_assert!(cache.by_start.values().eq(&world.now));
        for key in 0..=255_u8 {
            let found = cache.find(&[key]);
            prop_assert_eq!(found, world.now.iter().find(|it| it.region.range.contains(&[key])));
        }
    }
}
