//! Groups that were set aside when the store was opened, and what becomes of what they have.

use multiraft::shard::Event;
use multiraft::{Beginning, Body, Envelope, Outcome, Parcel, Refusal, Roster};
use prost::Message as _;
use proto::crib::raft::v1 as raft_v1;
use proto::crib::store::v1;
use raft::{Change, Seat};
use storage::{Batch, Cf, Durability};
use types::{EntryId, Index, Term};

use crate::world::{GROUP, World, group, peer, store};

fn meta_key(kind: u8, of: u64) -> Vec<u8> {
    [&[kind][..], &of.to_be_bytes()].concat()
}

fn put(world: &World, key: &[u8], value: &[u8]) {
    let mut batch = Batch::new();
    batch.put(Cf::Meta, key, value);
    world.engine(3).write(&batch, Durability::Synced).expect("the disk is well");
}

/// The third replica's record is damaged, and the store opened again.
fn with_third_aside() -> World {
    let mut world = World::led();
    world.propose(1, "a");
    world.run(1_000);
    put(&world, &meta_key(b'g', GROUP), b"\xff\xff\xff");
    world.crash(3, 0);
    let damaged = world.start_with_damage(3);
    assert_eq!(damaged.len(), 1, "{damaged:?}");
    world.propose(1, "b");
    world.run(1_000);
    assert!(!world.hosts(3), "nobody answers in its name");
    world
}

/// The store opens again with nothing that is damaged, whatever is lost that was not synced.
fn assert_clean(world: &mut World) {
    world.crash(3, 0);
    world.start(3);
}

#[test]
fn later_peer_comes_in_the_place_of_a_damaged_one_which_is_removed_first() {
    let mut world = with_third_aside();
    world.change(1, Change::Remove(peer(13)), None);
    world.run(2_000);
    world.change(1, Change::Set(peer(23), Seat::Voter), Some(3));
    world.run(3_000);
    assert_eq!(world.state(3), ["a", "b"]);
    assert_clean(&mut world);
    world.run(1_000);
    assert_eq!(world.state(3), ["a", "b"]);
}

#[test]
fn later_peer_does_not_need_that_the_damaged_one_was_told() {
    let mut world = with_third_aside();
    world.isolate(3);
    world.change(1, Change::Remove(peer(13)), None);
    world.run(1_000);
    world.change(1, Change::Set(peer(23), Seat::Learner), Some(3));
    world.run(100);
    world.heal();
    world.run(5_000);
    assert_eq!(world.state(3), ["a", "b"]);
    assert_clean(&mut world);
}

#[test]
fn damaged_group_that_is_destroyed_is_gone_when_that_is_told() {
    let mut world = with_third_aside();
    world.ways(3).calls.clear();
    let token = world.ask(3, |group, token| Event::Destroy { group, token });
    world.run(50);
    // Only an open machine knows what else it has.
    assert_eq!(world.ways(3).calls, ["open 1", "destroy 1", "destroyed 1"]);
    assert_eq!(world.answers(token), [Outcome::Done]);
    assert_clean(&mut world);
    // Its tombstone is on the disk: no message brings it back.
    world.run(2_000);
    assert!(!world.hosts(3));
    let token = world.ask(3, |group, token| Event::Destroy { group, token });
    world.run(50);
    assert_eq!(world.answers(token), [Outcome::Done]);
}

#[test]
fn place_of_a_damaged_group_is_cleared_before_another_is_created_in_it() {
    let mut world = with_third_aside();
    let token = world.create_on(3, GROUP, &[(23, 3)]);
    world.run(50);
    let refused = world.answers(token);
    assert!(matches!(refused[..], [Outcome::Refused(Refusal::Busy(_))]), "{refused:?}");
    let token = world.create_on(3, GROUP, &[(23, 3)]);
    world.run(50);
    assert_eq!(world.answers(token), [Outcome::Done]);
    assert_clean(&mut world);
    assert_eq!(world.peer_at(3, GROUP).map(|core| core.status().id), Some(peer(23)));
}

#[test]
fn shard_hears_of_a_burial_also_if_another_group_is_installed_when_the_store_opens() {
    let mut world = World::led();
    world.create(2, &[(21, 1), (22, 2), (23, 3)]);
    world.run(1_000);
    // A crash came when the first was half buried, and when a snapshot of the second was whole.
    let tombstone =
        v1::GroupRecord { peer: 13, life: v1::GroupLife::Tombstone.into(), ..Default::default() };
    put(&world, &meta_key(b'g', GROUP), &tombstone.encode_to_vec());
    let voter = |of: u64| raft_v1::Member {
        peer: 20 + of,
        store: of,
        seat: raft_v1::Seat::Voter.into(),
        ..Default::default()
    };
    let roster = raft_v1::Roster { members: (1..=3).map(voter).collect() };
    let offer = raft_v1::SnapshotOffer {
        term: 1,
        covers: Some(raft_v1::EntryId { term: 1, index: 5 }),
        roster_index: 1,
        roster: Some(roster),
        ..Default::default()
    };
    let installing =
        v1::GroupRecord { peer: 23, life: v1::GroupLife::Live.into(), installing: Some(offer) };
    put(&world, &meta_key(b'g', 2), &installing.encode_to_vec());
    // Its only chunk is the last, and empty.
    put(&world, &[meta_key(b'c', 2), vec![0; 8]].concat(), &[1]);
    world.crash(3, 0);
    world.start(3);
    world.run(100);
    assert!(!world.hosts(3));
    // A later peer comes: nothing is in its way.
    world.change(1, Change::Remove(peer(13)), None);
    world.run(1_000);
    world.change(1, Change::Set(peer(33), Seat::Learner), Some(3));
    world.run(3_000);
    assert_eq!(world.peer_at(3, GROUP).map(|core| core.status().id), Some(peer(33)));
}

#[test]
fn word_that_an_earlier_peer_was_removed_does_not_touch_what_is_set_aside() {
    let mut world = with_third_aside();
    let removed = |to: u64| {
        let body = Body::Removed(Index(7));
        Parcel::Groups(vec![Envelope { group: group(GROUP), from: peer(11), to: peer(to), body }])
    };
    world.deliver(1, 3, removed(12));
    world.run(100);
    world.crash(3, 9);
    assert_eq!(world.start_with_damage(3).len(), 1, "it is still there");
    world.deliver(1, 3, removed(13));
    world.run(100);
    assert_clean(&mut world);
}

#[test]
fn destroying_twice_is_told_no_sooner_than_once() {
    let mut world = with_third_aside();
    world.node(3).holds_apply = true;
    let destroy = |group, token| Event::Destroy { group, token };
    let tokens = [world.ask(3, destroy), world.ask(3, destroy)];
    world.run(100);
    assert!(tokens.iter().all(|&token| world.answers(token).is_empty()), "nothing is removed yet");
    world.node(3).holds_apply = false;
    world.run(100);
    assert!(tokens.iter().all(|&token| world.answers(token) == [Outcome::Done]));
    assert_clean(&mut world);
}

#[test]
fn beginning_that_makes_no_sense_removes_nothing() {
    let mut world = with_third_aside();
    let roster = Roster::of_voters(&[(peer(23), store(2))]).expect("a voter");
    let at = EntryId::new(Term(1), Index(1));
    let token = world.ask(3, |group, token| {
        let beginning = Box::new(Beginning { peer: peer(23), at, roster });
        Event::Create { group, token, beginning }
    });
    world.run(100);
    assert!(matches!(world.answers(token), [Outcome::Refused(Refusal::Invalid(_))]));
    world.crash(3, 9);
    assert_eq!(world.start_with_damage(3).len(), 1, "it is still there");
}

#[test]
fn group_of_which_nothing_can_be_read_can_be_destroyed() {
    let mut world = World::led();
    world.run(1_000);
    put(&world, &meta_key(b'g', GROUP), b"\xff\xff\xff");
    put(&world, &meta_key(b'r', GROUP), b"\xff\xff\xff");
    world.crash(3, 0);
    assert_eq!(world.start_with_damage(3).len(), 1);
    world.change(1, Change::Remove(peer(13)), None);
    world.run(1_000);
    let token = world.ask(3, |group, token| Event::Destroy { group, token });
    world.run(100);
    assert_eq!(world.answers(token), [Outcome::Done]);
    assert_clean(&mut world);
}
