//! What a crash may not take back.

use multiraft::Outcome;
use multiraft::shard::Event;
use raft::Change;

use crate::world::{GROUP, World, peer};

#[test]
fn vote_is_not_given_before_it_is_durable() {
    let mut world = World::empty(3);
    world.create(GROUP, &[(11, 1), (12, 2), (13, 3)]);
    world.run(10);
    world.node(2).holds_writes = true;
    world.node(3).holds_writes = true;
    world.ask(1, |group, token| Event::Campaign { group, token });
    world.run(100);
    assert!(!world.leads(1), "elected by votes that no disk holds");
    for id in [2, 3] {
        world.node(id).holds_writes = false;
        world.turn(id);
    }
    world.run(100);
    assert!(world.leads(1));
}

#[test]
fn command_is_not_answered_before_a_majority_holds_it_durably() {
    let mut world = World::led();
    for id in [2, 3] {
        world.node(id).holds_writes = true;
    }
    let token = world.propose(1, "a");
    world.run(100);
    assert_eq!(world.answers(token), []);
    assert_eq!(world.state(1), Vec::<String>::new());
    world.write_one(2);
    world.turn(2);
    world.run(50);
    assert!(matches!(world.answers(token), [Outcome::Applied { .. }]));
    // All lose power at once: what was answered is on the disks of 1 and 2.
    for id in 1..=3 {
        world.crash(id, 0);
        world.node(id).holds_writes = false;
    }
    (1..=3).for_each(|id| world.start(id));
    world.run(2_000);
    for id in 1..=3 {
        assert_eq!(world.state(id), ["a"]);
    }
}

#[test]
fn sole_voter_applies_nothing_that_is_not_durable() {
    let mut world = World::empty(1);
    world.create(GROUP, &[(11, 1)]);
    world.run(1_000);
    assert!(world.leads(1));
    world.node(1).holds_writes = true;
    let token = world.propose(1, "a");
    world.run(100);
    assert_eq!(world.answers(token), []);
    assert_eq!(world.state(1), Vec::<String>::new());
    world.node(1).holds_writes = false;
    world.run(10);
    assert!(matches!(world.answers(token), [Outcome::Applied { .. }]));
}

#[test]
fn every_number_of_surviving_writes_leads_to_the_same_state() {
    for keep in 0..40 {
        let mut world = World::led();
        let expected: Vec<String> = (0..20).map(|nth| format!("command {nth:02}")).collect();
        for command in &expected {
            world.propose(1, command);
            world.run(10);
        }
        for id in 1..=3 {
            world.crash(id, keep);
        }
        (1..=3).for_each(|id| world.start(id));
        world.run(2_000);
        for id in 1..=3 {
            assert_eq!(world.state(id), expected, "{keep} writes survived");
        }
    }
}

#[test]
fn log_is_not_dropped_behind_what_is_applied() {
    let mut world = World::led();
    world.node(2).holds_apply = true;
    for nth in 0..40 {
        world.propose(1, &format!("command {nth}"));
        world.run(10);
    }
    world.run(500);
    let base =
        |world: &World, id| world.peer_at(id, GROUP).expect("it lives").status().log.base().index.0;
    assert!(base(&world, 3) > 20, "others compact");
    assert!(base(&world, 2) < 5, "what was not applied is needed");
    world.crash(2, 0);
    world.node(2).holds_apply = false;
    world.start(2);
    world.run(1_000);
    assert_eq!(world.state(2), world.state(1));
}

#[test]
fn creation_survives_when_it_was_answered_and_is_whole_or_not_at_all() {
    let mut world = World::empty(3);
    world.node(1).holds_writes = true;
    let token = world.create_on(1, GROUP, &[(11, 1), (12, 2), (13, 3)]);
    world.run(10);
    assert_eq!(world.answers(token), [], "not durable yet");
    world.crash(1, 0);
    world.node(1).holds_writes = false;
    world.start(1);
    assert!(!world.hosts(1), "nothing was written");
    world.create(GROUP, &[(11, 1), (12, 2), (13, 3)]);
    world.run(10);
    world.crash(1, 0);
    world.start(1);
    assert!(world.hosts(1), "it was answered");
    world.run(2_000);
    assert!((1..=3).any(|id| world.leads(id)));
}

#[test]
fn leader_that_removes_itself_and_dies_leaves_a_group_that_works() {
    let mut world = World::led();
    world.change(1, Change::Remove(peer(11)), None);
    world.run(20);
    world.crash(1, 0);
    world.run(3_000);
    let leader = [2, 3].into_iter().find(|&id| world.leads(id)).expect("the others go on");
    let token = world.propose(leader, "a");
    world.run(500);
    assert!(matches!(world.answers(token), [Outcome::Applied { .. }]));
    world.start(1);
    world.run(4_000);
    assert!(!world.hosts(1), "the removed one goes when it is back");
}
