//! Leaders that move, regions that split, stores that die: heard of early, late, or not at all.

use bytes::Bytes;
use client::{Client, ScanOptions};
use types::KeyRange;

use crate::world::{Fault, STORES, World};

fn stores(world: &World, command: &str) -> Vec<u64> {
    world.take_seen(command).iter().map(|seen| seen.store).collect()
}

/// Fills the letters, and returns them.
async fn letters(client: &Client) -> Vec<(Bytes, Bytes)> {
    let letters = ('a'..='z').map(|letter| (Bytes::from(letter.to_string()), Bytes::from("v")));
    let letters: Vec<_> = letters.collect();
    client.batch_put(letters.clone()).await.expect("a batch");
    letters
}

#[tokio::test]
async fn hint_leads_to_the_leader_without_asking_placement() {
    let world = World::v2(&[]);
    let client = world.client().await;
    client.put("a", "1").await.unwrap();
    for leader in [1, 2, 3, 1] {
        world.lead("a", leader, false);
        client.put("a", "1").await.unwrap();
        assert_eq!(stores(&world, "put").last(), Some(&leader));
        client.put("a", "2").await.unwrap();
        assert_eq!(stores(&world, "put"), [leader]);
    }
}

#[tokio::test]
async fn leader_is_found_without_hints_once_placement_knows() {
    let world = World::v2(&[]);
    world.state.lock().manners.has_hints = false;
    let client = world.client().await;
    client.put("a", "1").await.unwrap();
    let leader = stores(&world, "put")[0];
    let next = leader % STORES + 1;
    world.lead("a", next, false);
    let put = {
        let client = client.clone();
        tokio::spawn(async move { client.put("a", "2").await })
    };
    // It is refused again and again.
    while world.state.lock().seen.len() < 5 {
        tokio::task::yield_now().await;
    }
    world.state.lock().tell();
    put.await.unwrap().unwrap();
    assert_eq!(stores(&world, "put").last(), Some(&next));
}

#[tokio::test]
async fn peers_that_point_at_each_other_do_not_trap_a_command() {
    use proto::{errorpb, metapb};
    let world = World::v2(&[]);
    let client = world.client().await;
    client.put("a", "1").await.unwrap();
    let region = world.take_seen("put")[0].region;
    for turn in 0..12 {
        let store_id = turn % STORES + 1;
        let leader = metapb::Peer { id: region * 10 + store_id, store_id, ..Default::default() };
        let not_leader = errorpb::NotLeader { region_id: region, leader: Some(leader) };
        let error = errorpb::Error { not_leader: Some(not_leader), ..Default::default() };
        world.fault("put", Fault::region(error));
    }
    client.put("a", "2").await.unwrap();
    assert!(world.state.lock().faults.is_empty());
}

#[tokio::test]
async fn split_regions_are_learned_from_the_store_or_from_placement() {
    for tells_regions in [true, false] {
        for is_told in [true, false] {
            if !tells_regions && !is_told {
                // Then nobody knows.
                continue;
            }
            let world = World::v2(&[]);
            world.state.lock().manners.tells_regions = tells_regions;
            let client = world.client().await;
            client.put("a", "1").await.unwrap();
            world.split("m", is_told);
            client.put("z", "1").await.unwrap();
            world.split("c", is_told);
            client.put("b", "1").await.unwrap();
            client.put("d", "1").await.unwrap();
            assert_eq!(client.batch_get(["d", "b", "z", "a"]).await.unwrap().len(), 4);
            assert_eq!(world.take_seen("batch_get").len(), 3);
        }
    }
}

#[tokio::test]
async fn placement_that_is_behind_does_not_make_anyone_forget() {
    let world = World::v2(&[]);
    let client = world.client().await;
    client.put("a", "1").await.unwrap();
    world.split("m", false);
    client.put("a", "1").await.unwrap();
    client.put("z", "1").await.unwrap();
    world.take_seen("put");
    // Both parts are known, and used.
    client.put("a", "1").await.unwrap();
    client.put("z", "1").await.unwrap();
    assert_eq!(world.take_seen("put").len(), 2);
}

#[tokio::test]
async fn scan_goes_on_where_it_was_when_regions_split() {
    for is_reverse in [false, true] {
        for is_told in [true, false] {
            let world = World::v2(&["m"]);
            let client = world.client().await;
            let mut wanted = letters(&client).await;
            if is_reverse {
                wanted.reverse();
            }
            // While pages are read.
            for key in ["c", "c\0", "s", "t", "m", "y"] {
                world.fault("scan", Fault::Split(key));
            }
            let options = ScanOptions { page_keys: 4, is_reverse, ..ScanOptions::default() };
            let mut scan = client.scan(&KeyRange::default(), options);
            let mut found = Vec::new();
            while let Some(pair) = scan.next().await.unwrap() {
                found.push(pair);
                // Between them, and behind its back.
                match found.len() {
                    4 => world.split("g", is_told),
                    5 => world.split("q", is_told),
                    12 => world.lead("k", 2, is_told),
                    13 => world.lead("r", 3, is_told),
                    _ => {}
                }
            }
            assert_eq!(found, wanted);
        }
    }
}

#[tokio::test]
async fn batches_are_grouped_anew_when_regions_split() {
    let world = World::v2(&["m"]);
    let client = world.client().await;
    let wanted = letters(&client).await;
    for key in ["d", "t"] {
        world.fault("batch_get", Fault::Split(key));
    }
    let keys: Vec<&[u8]> = wanted.iter().map(|(key, _)| &key[..]).collect();
    assert_eq!(client.batch_get(&keys).await.unwrap(), wanted);
    for key in ["f", "w"] {
        world.fault("batch_put", Fault::Split(key));
    }
    let changed: Vec<_> = wanted.iter().map(|(key, _)| (key.clone(), Bytes::from("w"))).collect();
    client.batch_put(changed.clone()).await.unwrap();
    assert_eq!(client.batch_get(&keys).await.unwrap(), changed);
    world.fault("batch_delete", Fault::Split("h"));
    client.batch_delete(&keys).await.unwrap();
    assert_eq!(client.count(&KeyRange::default()).await.unwrap(), 0);
}

#[tokio::test]
async fn range_is_removed_whole_when_regions_split() {
    let world = World::v2(&["m"]);
    let client = world.client().await;
    letters(&client).await;
    for key in ["d", "c", "t"] {
        world.fault("delete_range", Fault::Split(key));
    }
    client.delete_range(&KeyRange::new("b", "y")).await.unwrap();
    let left = client.scan(&KeyRange::default(), ScanOptions::default()).collect().await.unwrap();
    assert_eq!(left.iter().map(|(key, _)| &key[..]).collect::<Vec<_>>(), [b"a", b"y", b"z"]);
}

#[tokio::test]
async fn dead_leader_is_replaced_by_what_its_peers_say() {
    for _ in 0..5 {
        let world = World::v2(&[]);
        let client = world.client().await;
        client.put("a", "1").await.unwrap();
        let leader = stores(&world, "put")[0];
        world.kill_store(leader);
        // Placement takes the dead one for the leader still.
        world.lead("a", leader % STORES + 1, false);
        client.put("a", "2").await.unwrap();
        assert_eq!(client.get("a").await.unwrap(), Some(Bytes::from("2")));
    }
}

#[tokio::test]
async fn store_that_comes_back_elsewhere_is_found() {
    let world = World::v2(&[]);
    let client = world.client().await;
    client.put("a", "1").await.unwrap();
    let leader = stores(&world, "put")[0];
    world.kill_store(leader);
    let get = {
        let client = client.clone();
        tokio::spawn(async move { client.get("a").await })
    };
    tokio::task::yield_now().await;
    world.start_store(leader);
    assert_eq!(get.await.unwrap().unwrap(), Some(Bytes::from("1")));
}

#[tokio::test]
async fn address_that_is_another_stores_now_is_not_trusted() {
    let world = World::v2(&[]);
    let client = world.client().await;
    let right = world.state.lock().addresses.clone();
    {
        let mut state = world.state.lock();
        for (store, address) in &right {
            state.addresses.insert(store % STORES + 1, address.clone());
        }
    }
    let put = {
        let client = client.clone();
        tokio::spawn(async move { client.put("a", "1").await })
    };
    while world.state.lock().seen.len() < 3 {
        tokio::task::yield_now().await;
    }
    world.state.lock().addresses = right;
    put.await.unwrap().unwrap();
}
