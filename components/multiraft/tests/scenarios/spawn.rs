//! Groups that a command brings into being: on every store with the command, or not at all.

use multiraft::Outcome;
use multiraft::shard::Event;
use raft::{Change, Seat};

use crate::ledger::{BEGIN, FIRST};
use crate::world::{GROUP, World, group, peer, store};

/// The group that comes into being.
pub(crate) const CHILD: u64 = 2;
/// What brings it into being, with voters on stores 1 to 3.
pub(crate) const SPAWN: &str = "spawn 2 21@1 22@2 23@3";

pub(crate) fn campaign(world: &mut World, at: u64) {
    world.ask_of(at, CHILD, |group, token| Event::Campaign { group, token });
    world.run(200);
    assert!(world.leads_of(at, CHILD), "store {at} leads the new group");
}

/// A group that is begun on stores 1 and 2, while the lane of store 3 stands still before that.
pub(crate) fn with_third_slow() -> World {
    let mut world = World::led();
    world.node(3).holds_apply = true;
    world.ways(3).refuses_offers = true;
    world.propose(1, SPAWN);
    world.run(100);
    assert_eq!(world.state(1), [SPAWN]);
    assert!(!world.hosts_of(3, CHILD));
    world
}

/// The lane of store 3 goes on.
pub(crate) fn release(world: &mut World) {
    world.node(3).holds_apply = false;
    world.ways(3).refuses_offers = false;
    world.turn(3);
}

#[test]
fn group_begins_on_every_store_with_the_command_that_spawns_it() {
    let mut world = World::led();
    let token = world.propose(1, SPAWN);
    world.run(50);
    assert!(matches!(world.answers(token), [Outcome::Applied { .. }]));
    for id in 1..=3 {
        let status = world.peer_at(id, CHILD).expect("it lives").status();
        assert_eq!((status.id, status.log.base()), (peer(20 + id), BEGIN));
        assert_eq!(world.state_of(id, CHILD), [FIRST]);
    }
    assert!(!world.hosts_of(4, CHILD), "no peer of it is on store 4");
    campaign(&mut world, 1);
    let token = world.propose_to(1, CHILD, "a");
    world.run(50);
    assert!(matches!(world.answers(token), [Outcome::Applied { .. }]));
    for id in 1..=3 {
        assert_eq!(world.state_of(id, CHILD), [FIRST, "a"]);
        assert_eq!(world.state(id), [SPAWN]);
    }
}

/// Step by step towards a group that has begun and taken commands.
fn step(world: &mut World, nth: u64) {
    match nth {
        0 => drop(world.propose(1, SPAWN)),
        2 => drop(world.ask_of(1, CHILD, |group, token| Event::Campaign { group, token })),
        6 => drop(world.propose_to(1, CHILD, "a")),
        7 => drop(world.propose(1, "after")),
        _ => {}
    }
}

#[test]
fn group_is_there_if_and_only_if_its_command_is_whatever_a_crash_leaves() {
    let mut seen = [false; 2];
    for steps in 0..10 {
        for keep in 0..5 {
            let mut world = World::led();
            for id in 1..=3 {
                // Two lanes are slower than what is written to the log.
                world.node(id).holds_apply = id > 1 && steps < 4;
                world.ways(id).refuses_offers = true;
            }
            (0..steps).for_each(|nth| {
                step(&mut world, nth);
                world.run(10);
            });
            for id in 2..=3 {
                world.apply_one(id);
            }
            for id in 1..=3 {
                world.crash(id, keep);
                world.node(id).holds_apply = false;
            }
            (1..=3).for_each(|id| world.start(id));
            for id in 1..=3 {
                let is_applied = world.state(id).contains(&SPAWN.to_owned());
                seen[usize::from(is_applied)] = true;
                let context = format!("store {id}, {steps} steps, {keep} writes survived");
                let base = world.peer_at(id, CHILD).map(|peer| peer.status().log.base());
                assert_eq!(base == Some(BEGIN), is_applied, "{context}");
                let first = world.state_of(id, CHILD).first().cloned();
                assert_eq!(first.as_deref(), is_applied.then_some(FIRST), "{context}");
            }
            (1..=3).for_each(|id| world.ways(id).refuses_offers = false);
            world.run(2_000);
            (steps..10).for_each(|nth| {
                step(&mut world, nth);
                world.run(50);
            });
            if steps == 0 {
                assert_eq!(world.state_of(2, CHILD), [FIRST, "a"], "all of it was done");
            }
            for id in 2..=3 {
                assert_eq!(world.state(id), world.state(1));
                assert_eq!(world.state_of(id, CHILD), world.state_of(1, CHILD));
            }
        }
    }
    assert_eq!(seen, [true; 2], "crashes fell on both sides of the command");
}

#[test]
fn group_restarts_where_it_began_before_anybody_voted() {
    for keep in 0..3 {
        let mut world = World::led();
        world.propose(1, SPAWN);
        world.run(20);
        (1..=3).for_each(|id| world.crash(id, keep));
        (1..=3).for_each(|id| world.start(id));
        world.run(2_000);
        for id in 1..=3 {
            assert!(world.peer_at(id, CHILD).expect("it lives").status().term >= BEGIN.term);
            assert_eq!(world.state_of(id, CHILD), [FIRST]);
        }
        assert!((1..=3).any(|id| world.leads_of(id, CHILD)));
    }
    let mut world = World::led();
    world.propose(1, SPAWN);
    world.run(20);
    world.crash(3, 9);
    world.start(3);
    let status = world.peer_at(3, CHILD).expect("it lives").status();
    assert_eq!((status.term, status.vote), (BEGIN.term, None));
}

#[test]
fn machine_that_goes_back_brings_nothing_into_being_twice() {
    let mut world = World::led();
    world.propose(1, SPAWN);
    world.run(50);
    campaign(&mut world, 1);
    for nth in 0..20 {
        world.propose_to(1, CHILD, &format!("command {nth}"));
        world.run(10);
    }
    let base = world.peer_at(3, CHILD).expect("it lives").status().log.base();
    assert!(base.index > BEGIN.index, "the log of its beginning is gone");
    let expected = world.state_of(1, CHILD);
    world.ways(3).goes_back = Some((group(GROUP), 1));
    for nth in 1..=2 {
        world.crash(3, 9);
        world.start(3);
        world.run(1_000);
        assert_eq!(world.calls(3, &format!("1 applies {SPAWN}")), 1 + nth);
        assert_eq!(world.state_of(3, CHILD), expected);
    }
    world.propose_to(1, CHILD, "last");
    world.run(500);
    assert_eq!(world.state_of(3, CHILD), world.state_of(1, CHILD));
}

#[test]
fn memberships_reach_the_machine_in_order_with_commands() {
    let mut world = World::led();
    world.ways(2).goes_back = Some((group(GROUP), 3));
    world.isolate(3);
    world.propose(1, "a");
    world.change(1, Change::Set(peer(14), Seat::Learner), Some(4));
    world.run(100);
    world.propose(1, "b");
    world.run(100);
    world.heal();
    world.run(1_000);
    let expected = ["1 applies a", "1 has 11 12 13 14", "1 applies b"];
    let calls = |world: &World, id| {
        let is_work = |call: &&String| call.starts_with("1 ");
        // A change is two memberships: the one in between has the same members.
        let mut calls: Vec<String> = world.ways(id).calls.iter().filter(is_work).cloned().collect();
        calls.dedup();
        calls
    };
    for id in 1..=3 {
        assert_eq!(calls(&world, id), expected, "store {id}");
    }
    // A machine that lost the membership and what is behind it hears of both again.
    world.crash(2, 9);
    world.start(2);
    world.run(1_000);
    assert_eq!(calls(&world, 2), [&expected[..], &expected[1..]].concat());
}

#[test]
fn membership_reaches_the_machine_before_a_command_that_is_read_back_with_it() {
    let mut world = World::empty(4);
    world.create(CHILD, &[(21, 1)]);
    campaign(&mut world, 1);
    let change = |world: &mut World, change, home| {
        let changes = vec![(change, home)];
        world.ask_of(1, CHILD, |group, token| Event::Change { group, token, since: None, changes });
        world.run(200);
    };
    change(&mut world, Change::Set(peer(22), Seat::Learner), Some(store(4)));
    world.node(1).holds_apply = true;
    world.propose_to(1, CHILD, "a");
    change(&mut world, Change::Remove(peer(22)), None);
    world.propose_to(1, CHILD, "b");
    world.run(100);
    assert_eq!(world.calls(1, "2 has 21"), 0);
    // Short enough for one slice, and none of it in memory.
    world.crash(1, 9);
    world.node(1).holds_apply = false;
    world.start(1);
    world.run(2_000);
    let calls = world.ways(1).calls.clone();
    let calls: Vec<&str> = calls.iter().rev().take(4).rev().map(String::as_str).collect();
    // A change is two memberships.
    assert_eq!(calls, ["2 applies a", "2 has 21", "2 has 21", "2 applies b"]);
}
