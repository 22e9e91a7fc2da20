//! Who lives where: tombstones, stale messages, later peers, foreign and damaged disks.

use multiraft::shard::Event;
use multiraft::{Body, Envelope, Outcome, Parcel, Refusal};
use prost::Message as _;
use proto::crib::store::v1;
use raft::{Change, Seat};
use storage::{Batch, Cf, Durability, Engine, MemoryDisk, MemoryEngine};
use types::{Index, Term};

use crate::world::{GROUP, World, group, open, peer, store};

fn knock(to: u64) -> Parcel {
    let body = raft::Body::PreVote { last: types::EntryId::new(Term(1), Index(1)) };
    let message = raft::Message { term: Term(2), body };
    let body = Body::Raft(message, Vec::new());
    Parcel::Groups(vec![Envelope { group: group(GROUP), from: peer(11), to: peer(to), body }])
}

fn with_third_removed() -> World {
    let mut world = World::led();
    world.change(1, Change::Remove(peer(13)), None);
    world.run(1_500);
    assert!(!world.hosts(3), "the removed peer is destroyed");
    world
}

#[test]
fn tombstone_is_not_revived_by_recorded_messages() {
    let mut world = with_third_removed();
    world.start(3);
    for (from, to, parcel) in world.sent.clone() {
        if to == 3 {
            world.deliver(from, to, parcel);
        }
    }
    assert!(!world.hosts(3), "a message of its former life brought it back");
    world.change(1, Change::Set(peer(23), Seat::Voter), Some(3));
    world.propose(1, "after");
    world.run(1_000);
    assert_eq!(world.state(3), ["after"], "a later peer lives in its place");
}

#[test]
fn removed_peer_that_does_not_know_is_told_until_it_is_gone() {
    let mut world = World::led();
    world.isolate(3);
    world.change(1, Change::Remove(peer(13)), None);
    world.run(1_500);
    assert!(world.hosts(3), "nobody could tell it");
    world.heal();
    world.run(2_000);
    assert!(!world.hosts(3));
    // And its confirmation is heard: nothing is said to it any more.
    let before = world.sent.len();
    world.run(2_500);
    let later = &world.sent[before..];
    assert!(later.iter().all(|&(_, to, _)| to != 3), "the tombstone was not confirmed");
}

#[test]
fn later_peer_is_not_said_to_be_absent_while_its_place_is_cleared() {
    let mut world = World::led();
    world.node(3).holds_apply = true;
    world.deliver(1, 3, knock(23));
    let before = world.sent.len();
    world.deliver(1, 3, knock(23));
    let is_absent = |parcel: &Parcel| match parcel {
        Parcel::Groups(envelopes) => envelopes.iter().any(|one| one.body == Body::Absent),
        _ => false,
    };
    let said = world.sent[before..].iter().any(|(from, _, parcel)| *from == 3 && is_absent(parcel));
    assert!(!said, "its leader would stop asking");
    world.node(3).holds_apply = false;
    world.turn(3);
    world.deliver(1, 3, knock(23));
    assert!(world.hosts(3), "the place is free");
}

#[test]
fn removed_learner_that_does_not_know_is_told_until_it_is_gone() {
    let mut world = World::led();
    world.change(1, Change::Set(peer(14), Seat::Learner), Some(4));
    world.run(500);
    assert!(world.hosts(4), "the learner is there");
    world.isolate(4);
    world.change(1, Change::Remove(peer(14)), None);
    world.run(2_000);
    assert!(world.hosts(4), "nobody could tell it");
    world.heal();
    world.run(2_000);
    assert!(!world.hosts(4), "it does not vote, so it asks for nothing: it has to be told");
}

#[test]
fn sender_that_is_not_known_is_answered() {
    let mut world = World::led();
    let envelope = |to| {
        let body = raft::Body::PreVote { last: types::EntryId::new(Term(9), Index(9)) };
        let message = raft::Message { term: Term(9), body };
        let body = Body::Raft(message, Vec::new());
        Envelope { group: group(GROUP), from: peer(14), to: peer(to), body }
    };
    // Whoever hears its leader answers nobody else.
    world.part(1, 2);
    world.run(400);
    let before = world.sent.len();
    world.deliver(4, 2, Parcel::Groups(vec![envelope(12)]));
    let answers = world.sent[before..].iter().filter(|(from, to, parcel)| {
        let Parcel::Groups(envelopes) = parcel else { return false };
        (*from, *to) == (2, 4) && envelopes.iter().all(|one| one.to == peer(14))
    });
    assert_eq!(answers.count(), 1, "whoever asks may be a member that this one does not know yet");
}

#[test]
fn empty_peer_destroyed_is_not_followed_by_an_earlier_one() {
    let mut world = World::led();
    world.deliver(1, 4, knock(15));
    assert!(world.hosts(4));
    world.ask(4, |group, token| Event::Destroy { group, token });
    world.run(50);
    for id in [14, 15] {
        world.deliver(1, 4, knock(id));
        assert!(!world.hosts(4), "peer {id} is older than the tombstone");
    }
    world.deliver(1, 4, knock(16));
    assert!(world.hosts(4), "a later one may come");
}

#[test]
fn empty_peer_makes_no_healthy_peer_go() {
    let mut world = World::led();
    world.deliver(1, 4, knock(14));
    world.propose(1, "a");
    let body = Body::Absent;
    for to in [11, 12, 13] {
        let envelope =
            Envelope { group: group(GROUP), from: peer(14), to: peer(to), body: body.clone() };
        world.deliver(4, to - 10, Parcel::Groups(vec![envelope]));
    }
    world.run(2_000);
    for id in 1..=3 {
        assert_eq!(world.state(id), ["a"]);
        assert!(world.hosts(id));
    }
}

#[test]
fn later_peer_waits_for_the_apply_lane_of_the_one_before() {
    let mut world = World::led();
    world.node(3).holds_apply = true;
    world.propose(1, "a");
    world.run(200);
    world.deliver(1, 3, knock(23));
    world.run(100);
    world.deliver(1, 3, knock(23));
    assert!(world.hosts(3), "the one before is still in the lane");
    world.node(3).holds_apply = false;
    world.run(10);
    world.deliver(1, 3, knock(23));
    assert_eq!(world.peer_at(3, GROUP).map(|peer| peer.status().id), Some(peer(23)));
    assert_eq!(world.state(3), Vec::<String>::new(), "nothing of the one before is left");
}

#[test]
fn message_for_an_earlier_peer_is_not_taken_by_the_later_one() {
    let mut world = with_third_removed();
    world.change(1, Change::Set(peer(23), Seat::Voter), Some(3));
    world.run(500);
    let term = world.peer_at(3, GROUP).expect("it lives").status().term;
    let body = raft::Body::Vote { last: types::EntryId::new(Term(90), Index(900)), transfer: true };
    let message = raft::Message { term: Term(99), body };
    let body = Body::Raft(message, Vec::new());
    let envelope = Envelope { group: group(GROUP), from: peer(12), to: peer(13), body };
    world.deliver(2, 3, Parcel::Groups(vec![envelope]));
    assert_eq!(world.peer_at(3, GROUP).expect("it lives").status().term, term);
}

#[test]
fn disk_of_another_store_or_cluster_is_refused_and_unchanged() {
    let disk = MemoryDisk::new();
    assert!(open(&disk, 7, 1).is_ok());
    for (cluster, id) in [(7, 2), (8, 1)] {
        let why = open(&disk, cluster, id).err().expect("it is another's");
        assert!(why.starts_with("Foreign"), "{why}");
    }
    assert_eq!(open(&disk, 7, 1).expect("its own").life, 2, "refusals are no lives");
}

#[test]
fn disk_of_a_newer_format_is_refused() {
    let disk = MemoryDisk::new();
    let engine = MemoryEngine::open(disk.clone()).expect("a new disk opens");
    let identity = v1::Identity { format: 2, cluster: 7, store: 1, life: 1, promised_ns: 0 };
    let mut batch = Batch::new();
    batch.put(Cf::Meta, b"i", &identity.encode_to_vec());
    engine.write(&batch, Durability::Synced).expect("the disk is well");
    let why = open(&disk, 7, 1).err().expect("it is newer");
    assert!(why.starts_with("Format"), "{why}");
}

#[test]
fn damaged_group_is_set_aside_and_the_others_run() {
    let mut world = World::led();
    world.create(2, &[(21, 1), (22, 2), (23, 3)]);
    world.run(1_000);
    let mut key = vec![b'g'];
    key.extend(group(2).get().to_be_bytes());
    let mut batch = Batch::new();
    batch.put(Cf::Meta, &key, b"\xff\xff\xff");
    world.engine(3).write(&batch, Durability::Synced).expect("the disk is well");
    world.crash(3, 0);
    let damaged = world.start_with_damage(3);
    assert_eq!(damaged.len(), 1);
    assert_eq!(damaged[0].0, group(2));
    world.run(1_000);
    world.propose(1, "on");
    world.run(1_000);
    assert_eq!(world.state(3), ["on"]);
    assert!(world.peer_at(3, 2).is_none(), "no message makes it anew");
    assert_eq!(store(3).get(), 3);
}

#[test]
fn group_that_was_here_is_not_created_again() {
    let mut world = with_third_removed();
    world.create(GROUP, &[(13, 3)]);
    world.run(50);
    assert!(!world.hosts(3));
    let token = world.ask(3, |group, token| Event::Look { group, token });
    world.run(10);
    assert_eq!(world.answers(token), [Outcome::Refused(Refusal::NoGroup(group(GROUP)))]);
}

#[test]
fn newcomer_with_an_earlier_id_than_a_member_is_refused() {
    let mut world = World::led();
    let token = world.change(1, Change::Set(peer(5), Seat::Learner), Some(4));
    let refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(Refusal::Invalid(_)));
    assert!(world.answers(token).iter().all(refused) && !world.answers(token).is_empty());
    let token = world.change(1, Change::Set(peer(14), Seat::Learner), Some(4));
    world.run(200);
    assert_eq!(world.answers(token), [Outcome::Done]);
}

/// On store 4 is peer 14 with a snapshot; the membership that took it in was overwritten. And the
/// store that leads.
fn with_stray() -> (World, u64) {
    let mut world = World::led();
    world.propose(1, "a");
    world.run(100);
    world.part(1, 2);
    world.part(1, 3);
    world.change(1, Change::Set(peer(14), Seat::Learner), Some(4));
    world.run(100);
    assert_eq!(world.state(4), ["a"], "it has a snapshot");
    world.isolate(4);
    world.run(2_000);
    world.heal();
    world.isolate(4);
    world.run(500);
    let leads = [2, 3].into_iter().find(|&id| world.leads(id));
    let leader = leads.expect("one that did not hear of the newcomer leads");
    assert!(world.hosts(4) && !world.leads(1));
    world.heal();
    (world, leader)
}

fn inquiry(from: u64, to: u64) -> Parcel {
    let (from, to) = (peer(from), peer(to));
    Parcel::Groups(vec![Envelope { group: group(GROUP), from, to, body: Body::Inquiry }])
}

fn is_told(world: &World, told: u64) -> bool {
    world.sent.iter().any(|(_, _, parcel)| match parcel {
        Parcel::Groups(all) => {
            all.iter().any(|one| one.to == peer(told) && matches!(one.body, Body::Removed(_)))
        }
        _ => false,
    })
}

#[test]
fn newcomer_whose_membership_was_overwritten_asks_and_goes() {
    let (mut world, leader) = with_stray();
    world.run(2_000);
    assert!(world.hosts(4), "it may be that nobody has said so yet");
    world.run(5_000);
    assert!(!world.hosts(4), "nobody has it for a member");
    world.start(4);
    world.deliver(1, 4, knock(14));
    assert!(!world.hosts(4), "a tombstone stays");
    // And the group goes on: with a later peer in its place.
    world.change(leader, Change::Set(peer(24), Seat::Voter), Some(4));
    world.propose(leader, "b");
    world.run(1_000);
    assert_eq!(world.state(4), ["a", "b"]);
}

#[test]
fn stray_asks_whom_it_is_told_to_ask() {
    let (mut world, leader) = with_stray();
    let peers = vec![(peer(10 + leader), store(leader))];
    world.handle(4, Event::Inquire { group: group(GROUP), peers: peers.clone() });
    world.run(500);
    assert!(!world.hosts(4), "sooner than by itself");
    // A member does not ask.
    let before = world.sent.len();
    world.handle(3, Event::Inquire { group: group(GROUP), peers });
    world.run(10);
    let asks = |one: &Envelope| one.body == Body::Inquiry;
    let asked = world.sent[before..]
        .iter()
        .any(|(_, _, parcel)| matches!(parcel, Parcel::Groups(all) if all.iter().any(asks)));
    assert!(!asked);
}

#[test]
fn member_that_asks_is_told_nothing() {
    let mut world = World::led();
    world.deliver(3, 1, inquiry(13, 11));
    world.run(2_000);
    assert!(world.hosts(3) && !is_told(&world, 13));
}

#[test]
fn stranger_is_told_by_none_but_a_leader_with_a_majority() {
    let mut world = World::led();
    world.deliver(4, 2, inquiry(14, 12));
    world.run(2_000);
    assert!(!is_told(&world, 14), "a follower knows what it heard");
    world.part(1, 2);
    world.part(1, 3);
    world.deliver(4, 1, inquiry(14, 11));
    world.run(100);
    world.deliver(4, 1, inquiry(14, 11));
    world.run(10);
    assert!(!is_told(&world, 14), "nothing is committed there");
    world.run(2_000);
    assert!(!is_told(&world, 14), "nor later: it led no more");
}

#[test]
fn stranger_that_is_taken_in_meanwhile_is_not_told_that_it_is_none() {
    let mut world = World::led();
    world.isolate(3);
    world.node(1).holds_apply = true;
    world.deliver(4, 1, inquiry(14, 11));
    world.run(100);
    world.change(1, Change::Set(peer(14), Seat::Learner), Some(4));
    world.node(1).holds_apply = false;
    world.run(500);
    assert!(world.hosts(4) && !is_told(&world, 14));
}

#[test]
fn removed_peer_whose_store_is_lost_is_told_ever_more_seldom() {
    let mut world = World::led();
    world.isolate(3);
    world.run(1_000);
    world.change(1, Change::Remove(peer(13)), None);
    world.run(2_000);
    let told = |world: &World| {
        let is_told = |parcel: &Parcel| match parcel {
            Parcel::Groups(all) => all.iter().any(|one| matches!(one.body, Body::Removed(_))),
            _ => false,
        };
        world.sent.iter().filter(|(from, _, parcel)| *from == 1 && is_told(parcel)).count()
    };
    let before = told(&world);
    world.run(600_000);
    let count = told(&world) - before;
    assert!((8..=20).contains(&count), "{count} times in ten minutes");
    // Of another one that was removed it is told at once.
    world.change(1, Change::Set(peer(14), Seat::Learner), Some(4));
    world.run(2_000);
    world.change(1, Change::Remove(peer(14)), None);
    world.run(2_000);
    assert!(!world.hosts_of(4, GROUP));
    world.heal();
    world.run_until("a peer that is gone", |world| !world.hosts_of(3, GROUP));
}
