//! The operations, on a cluster in which nothing goes wrong: both encodings of keys, on streams and
//! with calls.

use std::time::Duration;

use bytes::Bytes;
use client::{Client, Lifetime, Options, ScanOptions, Swap};
use types::{GroupId, KeyRange, StoreId};

use crate::world::{self, World};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn pairs(keys: &[&str]) -> Vec<(Bytes, Bytes)> {
    keys.iter().map(|key| (bytes(key), bytes(&format!("of {key}")))).collect()
}

/// Both encodings, and both ways to talk to a store.
async fn everywhere<F: AsyncFn(World, Client)>(cuts: &[&str], test: F) {
    for is_encoded in [true, false] {
        for (batched, has_stream) in [(true, true), (true, false), (false, true)] {
            let world = if is_encoded { World::v2(cuts) } else { World::v1(cuts) };
            world.state.lock().manners.has_stream = has_stream;
            let options = Options { batched, ..world.options() };
            let client = world.client_with(options).await;
            test(world, client).await;
        }
    }
}

#[tokio::test]
async fn single_keys_are_written_read_and_removed() {
    everywhere(&["m"], async |world, client| {
        assert_eq!(client.get("a").await.unwrap(), None);
        client.put("a", "1").await.unwrap();
        client.put("z", "").await.unwrap();
        assert_eq!(client.get("a").await.unwrap(), Some(bytes("1")));
        assert_eq!(client.get("z").await.unwrap(), Some(bytes("")));
        client.delete("a").await.unwrap();
        client.delete("a").await.unwrap();
        assert_eq!(client.get("a").await.unwrap(), None);
        let stores: Vec<u64> = world.take_seen("put").iter().map(|seen| seen.store).collect();
        assert!(stores.len() == 2 && stores[0] != stores[1], "{stores:?}");
        assert_eq!(client.cluster_id(), world::CLUSTER);
    })
    .await;
}

#[tokio::test]
async fn values_may_live_for_a_while() {
    everywhere(&[], async |_world, client| {
        assert_eq!(client.get_ttl("a").await.unwrap(), None);
        client.put("a", "1").await.unwrap();
        assert_eq!(client.get_ttl("a").await.unwrap(), Some(Lifetime::Forever));
        client.put_with_ttl("a", "1", Duration::from_millis(1_001)).await.unwrap();
        let left = Lifetime::Left(Duration::from_secs(2));
        assert_eq!(client.get_ttl("a").await.unwrap(), Some(left));
        client.batch_put_with_ttl([("b", "2")], Duration::from_secs(9)).await.unwrap();
        let left = Lifetime::Left(Duration::from_secs(9));
        assert_eq!(client.get_ttl("b").await.unwrap(), Some(left));
        assert!(client.put_with_ttl("a", "1", Duration::ZERO).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn swaps_happen_if_the_value_is_the_expected_one() {
    everywhere(&[], async |_world, client| {
        let swap = async |expected: Option<&str>, value: &'static str| {
            client.compare_and_swap("a", expected.map(bytes), value).await.unwrap()
        };
        assert_eq!(swap(None, "1").await, Swap { is_swapped: true, previous: None });
        let seen = Swap { is_swapped: false, previous: Some(bytes("1")) };
        assert_eq!(swap(None, "2").await, seen);
        assert_eq!(swap(Some("0"), "2").await, seen);
        assert_eq!(swap(Some("1"), "2").await, Swap { is_swapped: true, ..seen });
        assert_eq!(client.get("a").await.unwrap(), Some(bytes("2")));
        assert!(client.compare_and_delete("a", "2").await.unwrap().is_swapped);
        assert_eq!(client.get("a").await.unwrap(), None);
        let ttl = Duration::from_secs(5);
        client.compare_and_swap_with_ttl("a", None, "3", ttl).await.unwrap();
        assert_eq!(client.get_ttl("a").await.unwrap(), Some(Lifetime::Left(ttl)));
    })
    .await;
}

#[tokio::test]
async fn many_keys_are_grouped_by_region() {
    everywhere(&["f", "m", "t"], async |world, client| {
        let all = pairs(&["a", "b", "f", "g", "n", "z", "zz"]);
        client.batch_put(all.clone()).await.unwrap();
        let groups: Vec<usize> = world.take_seen("batch_put").iter().map(|it| it.keys).collect();
        assert_eq!((groups.len(), groups.iter().sum::<usize>()), (4, 7));
        // In the order of the keys that were asked for, and without those that are not there.
        let found = client.batch_get(["z", "a", "no", "n", "a"]).await.unwrap();
        assert_eq!(found, pairs(&["z", "a", "n", "a"]));
        assert_eq!(world.take_seen("batch_get").len(), 3);
        client.batch_delete(["a", "z", "no"]).await.unwrap();
        let left = client.scan(&KeyRange::default(), ScanOptions::default()).collect().await;
        assert_eq!(left.unwrap(), pairs(&["b", "f", "g", "n", "zz"]));
        assert_eq!(client.batch_get([""; 0]).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn requests_for_many_keys_are_of_bounded_size() {
    let world = World::v2(&[]);
    let options = Options { request_bytes: 1_000, fan_out: 2, ..world.options() };
    let client = world.client_with(options).await;
    let keys: Vec<String> = (0..100).map(|n| format!("{n:03}")).collect();
    let value = "v".repeat(100);
    client.batch_put(keys.iter().map(|key| (key, value.clone()))).await.unwrap();
    let groups: Vec<usize> = world.take_seen("batch_put").iter().map(|it| it.keys).collect();
    assert!(groups.iter().all(|&keys| keys <= 9) && groups.len() == 12, "{groups:?}");
    assert_eq!(client.count(&KeyRange::default()).await.unwrap(), 100);
    // One that alone is larger goes alone, and past the stream.
    client.batch_put([("big", "v".repeat(2 << 20)), ("c", value)]).await.unwrap();
    assert_eq!(client.get("big").await.unwrap().unwrap().len(), 2 << 20);
}

#[tokio::test]
async fn ranges_are_scanned_in_both_directions() {
    everywhere(&["f", "m", "t"], async |world, client| {
        let keys = ["a", "b", "f", "g", "n", "z", "zz"];
        client.batch_put(pairs(&keys)).await.unwrap();
        for (start, end) in [("", ""), ("b", "z"), ("f", "t"), ("g", "g"), ("zz", ""), ("z", "a")] {
            let range = KeyRange::new(start, end);
            let is_in = |key: &&&str| range.contains(key.as_bytes());
            let wanted: Vec<&str> = keys.iter().filter(is_in).copied().collect();
            for page_keys in [1, 2, 100] {
                for limit in [None, Some(0), Some(1), Some(3), Some(50)] {
                    for is_reverse in [false, true] {
                        let options =
                            ScanOptions { limit, is_reverse, page_keys, ..ScanOptions::default() };
                        let mut wanted = wanted.clone();
                        if is_reverse {
                            wanted.reverse();
                        }
                        wanted.truncate(limit.unwrap_or(usize::MAX));
                        let found = client.scan(&range, options).collect().await.unwrap();
                        assert_eq!(found, pairs(&wanted), "{range} {options:?}");
                    }
                }
            }
            assert_eq!(client.count(&range).await.unwrap(), wanted.len() as u64);
        }
        let options = ScanOptions { is_keys_only: true, limit: Some(1), ..ScanOptions::default() };
        let found = client.scan(&KeyRange::default(), options).collect().await.unwrap();
        assert_eq!(found, [(bytes("a"), bytes(""))]);
        drop(world);
    })
    .await;
}

#[tokio::test]
async fn scan_does_not_leave_its_keyspace() {
    let world = World::v2(&["m"]);
    for foreign in [&b"r\0\0\x01a"[..], b"x\0\0\0a", b"a", b"r\0\0"] {
        let foreign = Bytes::copy_from_slice(foreign);
        world.state.lock().data.insert(foreign, (bytes("foreign"), 0));
    }
    let client = world.client().await;
    client.put("a", "of a").await.unwrap();
    for is_reverse in [false, true] {
        let options = ScanOptions { is_reverse, ..ScanOptions::default() };
        let found = client.scan(&KeyRange::default(), options).collect().await.unwrap();
        assert_eq!(found, pairs(&["a"]));
    }
}

#[tokio::test]
async fn large_values_make_small_pages() {
    let world = World::v2(&[]);
    let client = world.client().await;
    let keys: Vec<String> = (0..40).map(|n| format!("{n:03}")).collect();
    client.batch_put(keys.iter().map(|key| (key, "v".repeat(100_000)))).await.unwrap();
    let options = ScanOptions { page_keys: 20, ..ScanOptions::default() };
    let found = client.scan(&KeyRange::default(), options).collect().await.unwrap();
    assert_eq!(found.len(), 40);
    // Twenty, and from then on ten.
    assert_eq!(world.take_seen("scan").len(), 4);
}

#[tokio::test]
async fn first_page_is_small_since_nobody_knows_how_large_values_are() {
    let world = World::v2(&[]);
    let client = world.client().await;
    let keys: Vec<String> = (0..200).map(|n| format!("{n:03}")).collect();
    client.batch_put(keys.iter().map(|key| (key, "v"))).await.unwrap();
    let options = ScanOptions::default();
    assert_eq!(client.scan(&KeyRange::default(), options).collect().await.unwrap().len(), 200);
    assert_eq!(world.take_seen("scan").len(), 2, "sixty-four, and the rest");
    assert_eq!(client.count(&KeyRange::default()).await.unwrap(), 200);
    assert_eq!(world.take_seen("scan").len(), 1, "keys are small");
}

#[tokio::test]
async fn ranges_are_removed_across_regions() {
    everywhere(&["f", "m", "t"], async |world, client| {
        client.batch_put(pairs(&["a", "b", "f", "g", "n", "z"])).await.unwrap();
        assert_eq!(client.delete_range(&KeyRange::new("b", "n")).await.unwrap(), 3);
        let all = client.scan(&KeyRange::default(), ScanOptions::default()).collect().await;
        assert_eq!(all.unwrap(), pairs(&["a", "n", "z"]));
        assert_eq!(client.delete_range(&KeyRange::new("n", "b")).await.unwrap(), 0);
        assert_eq!(client.delete_range(&KeyRange::default()).await.unwrap(), 4);
        assert_eq!(client.count(&KeyRange::default()).await.unwrap(), 0);
        drop(world);
    })
    .await;
}

#[tokio::test]
async fn regions_stores_and_members_are_those_of_placement() {
    let world = World::v2(&["f", "m"]);
    let client = world.client().await;
    assert_eq!(client.every_region().await.unwrap().len(), 5);
    let inner = client.regions(&KeyRange::new("g", "h")).await.unwrap();
    assert_eq!(inner.len(), 1);
    assert_eq!(client.region_of("g").await.unwrap().as_ref(), inner.first());
    let id = inner[0].region.id;
    assert_eq!(client.region(id).await.unwrap().as_ref(), inner.first());
    assert_eq!(client.region(GroupId::new(99).unwrap()).await.unwrap(), None);
    assert_eq!(client.stores().await.unwrap().len(), 3);
    let store = client.store(StoreId::new(2).unwrap()).await.unwrap().unwrap();
    assert_eq!(store.address, world.state.lock().addresses[&2]);
    assert_eq!(client.store(StoreId::new(9).unwrap()).await.unwrap(), None);
    let members = client.members().await.unwrap();
    assert_eq!(members.leader.as_ref(), world.endpoints().first());
    assert_eq!(members.addresses, world.endpoints());
}
