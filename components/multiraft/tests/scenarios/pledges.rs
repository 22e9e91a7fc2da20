//! Leases of groups at rest: as long as followers keep what they pledged, and never longer.

use multiraft::shard::Event;
use multiraft::{Outcome, Refusal};
use types::Time;

use crate::world::{GROUP, World, peer, store};

/// A group that sleeps; its stores hear each other.
fn asleep() -> World {
    let mut world = World::led();
    world.beats_at = Some(Time::ZERO);
    world.vouch();
    world.run(2_000);
    assert!(world.peer_at(1, GROUP).expect("it lives").status().is_asleep);
    world
}

fn leads_elsewhere(world: &World) -> bool {
    [2, 3].into_iter().any(|id| world.leads(id))
}

#[test]
fn group_at_rest_has_a_lease_and_says_nothing_for_it() {
    let mut world = asleep();
    let sent = world.sent.len();
    world.run(5_000);
    assert!(world.lease(1).is_some());
    assert_eq!(world.sent.len(), sent, "not one message");
    world.beats_at = None;
    world.run(310);
    assert_eq!(world.lease(1), None, "an election timeout without a beat");
}

#[test]
fn lease_of_a_group_at_rest_ends_before_another_leads() {
    let mut world = asleep();
    world.isolate(1);
    for id in [2, 3] {
        world.handle(id, Event::Lost(store(1)));
    }
    world.run_until("the others go on", leads_elsewhere);
    assert_eq!(world.lease(1), None);
}

#[test]
fn follower_that_pledged_neither_campaigns_nor_votes() {
    let mut world = asleep();
    let token = world.ask(2, |group, token| Event::Campaign { group, token });
    let [Outcome::Refused(Refusal::Raft(raft::Refused::Promised(_)))] = world.answers(token) else {
        panic!("{:?}", world.answers(token))
    };
    // One that does not hear the leader's store is free, and asks one that is not.
    world.part(1, 2);
    world.handle(2, Event::Support { store: store(1), held: false });
    world.run(5_000);
    assert!(world.leads(1) && !leads_elsewhere(&world) && world.lease(1).is_some());
    world.isolate(1);
    world.run(2_000);
    assert!(leads_elsewhere(&world));
}

#[test]
fn follower_is_let_go_of_a_leader_that_is_none_though_its_store_is_well() {
    let mut world = asleep();
    world.ask(1, |group, token| Event::Destroy { group, token });
    for id in [2, 3] {
        world.handle(id, Event::Lost(store(1)));
    }
    world.run(5_000);
    assert!(leads_elsewhere(&world));
}

#[test]
fn pledges_do_not_count_any_more_once_someone_was_told_to_campaign() {
    let mut world = asleep();
    assert!(world.lease(1).is_some());
    world.part(1, 2);
    world.ask(1, |group, token| Event::Transfer { group, token, to: peer(12) });
    assert_eq!(world.lease(1), None);
    world.run(3_000);
    assert!(world.leads(1), "it heard of nothing");
    assert_eq!(world.lease(1), None, "it may campaign at any time");
}

#[test]
fn follower_that_knows_no_members_pledges_nothing() {
    let mut world = World::empty(3);
    world.loses_frames = true;
    for at in [1, 2] {
        world.create_on(at, GROUP, &[(11, 1), (12, 2), (13, 3)]);
    }
    world.run(50);
    world.ask(1, |group, token| Event::Campaign { group, token });
    world.beats_at = Some(Time::ZERO);
    world.run(500);
    assert!(world.leads(1) && world.hosts(3), "a message has made the third");
    world.part(1, 2);
    world.hush(1, 3);
    world.run_until("the second is elected by the third", |world| world.leads(2));
    assert_eq!(world.lease(1), None);
    assert_ne!(world.pledges(3).offer(store(1)), raft::Pledge(0), "their stores hear each other");
}

#[test]
fn pledge_that_is_renewed_while_it_is_broken_off_is_kept_as_long_as_it_counts() {
    let mut world = asleep();
    let pledge = world.pledges(2).offer(store(1));
    world.hush(1, 2);
    world.handle(2, Event::Support { store: store(1), held: false });
    let mut waited = 0;
    while world.pledges(2).offer(store(1)) == pledge {
        world.wake_beside_a_beat(2, 10, 1);
        waited += 1;
        assert!(waited < 1_000, "its timer runs out");
    }
    world.wake_beside_a_beat(2, 295, 3);
    let token = world.ask(2, |group, token| Event::Campaign { group, token });
    let [Outcome::Refused(Refusal::Raft(raft::Refused::Promised(_)))] = world.answers(token) else {
        panic!("{:?}", world.answers(token))
    };
    world.wake_beside_a_beat(2, 6, 3);
    let token = world.ask(2, |group, token| Event::Campaign { group, token });
    assert!(matches!(world.answers(token), [Outcome::Done]), "{:?}", world.answers(token));
}

#[test]
fn answer_without_a_pledge_takes_none_back() {
    let mut world = asleep();
    world.node(2).holds_writes = true;
    world.propose(1, "x");
    world.run(10);
    world.hush(1, 2);
    world.run(270);
    let pledge = world.pledges(2).offer(store(1));
    world.beats_at = None;
    world.pledges(2).break_off(store(1), pledge);
    world.node(2).holds_writes = false;
    world.run(60);
    let token = world.ask(2, |group, token| Event::Campaign { group, token });
    let [Outcome::Refused(Refusal::Raft(raft::Refused::Promised(_)))] = world.answers(token) else {
        panic!("{:?}", world.answers(token))
    };
    world.run(300);
    let token = world.ask(2, |group, token| Event::Campaign { group, token });
    assert!(matches!(world.answers(token), [Outcome::Done]), "{:?}", world.answers(token));
}
