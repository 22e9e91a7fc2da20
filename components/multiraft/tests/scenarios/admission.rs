//! Whether a snapshot may be installed is the machines' to say, twice: when it is offered, and when
//! all of it is here.

use std::ops::Bound;

use multiraft::shard::Event;
use multiraft::{Parcel, SnapshotBody, SnapshotFrame, SnapshotOffer};
use storage::{Cf, Direction};

use crate::ledger::FIRST;
use crate::spawn::{CHILD, campaign, release, with_third_slow};
use crate::world::{GROUP, World, group, store};

/// Store 3 missed more than the log still has.
fn with_third_behind() -> World {
    let mut world = World::led();
    world.isolate(3);
    for nth in 0..30 {
        world.propose(1, &format!("a command of some length, number {nth}"));
        world.run(20);
    }
    world.heal();
    world
}

fn assert_caught_up(world: &mut World) {
    world.run(5_000);
    assert!(world.installs(GROUP) > 0, "by a snapshot");
    assert_eq!(world.state(3), world.state(1));
    assert_eq!(world.state(3).len(), 30);
}

/// Chunks of snapshots that are staged on a store.
fn staged(world: &World, id: u64) -> usize {
    let mut count = 0;
    let bounds = (Bound::Included(&b"c"[..]), Bound::Excluded(&b"d"[..]));
    let each = &mut |_: &[u8], _: &[u8]| {
        count += 1;
        true
    };
    let view = world.engine(id).view();
    view.scan(Cf::Meta, bounds, Direction::Forward, each).expect("a healthy disk can be read");
    count
}

/// The last snapshot of a group that was offered to store 3.
fn offered(world: &World, of: u64) -> (SnapshotFrame, Box<SnapshotOffer>) {
    let found = world.sent.iter().rev().find_map(|(_, to, parcel)| match parcel {
        Parcel::Snapshot(frame) if *to == 3 && frame.group == group(of) => match &frame.body {
            SnapshotBody::Offer(offer) => Some((frame.clone(), Box::new(offer.clone()))),
            _ => None,
        },
        _ => None,
    });
    found.expect("a snapshot was offered")
}

#[test]
fn snapshot_that_is_not_admitted_is_offered_again() {
    let mut world = with_third_behind();
    world.ways(3).refuses_offers = true;
    world.run(5_000);
    assert!(world.calls(3, "look at 1") > 1, "it is asked for again and again");
    assert_eq!(world.state(3), Vec::<String>::new());
    assert_eq!(staged(&world, 3), 0, "nothing of it was sent");
    world.ways(3).refuses_offers = false;
    assert_caught_up(&mut world);
    assert_eq!(world.calls(3, "reserve 1"), 1);
    assert_eq!(world.calls(3, "dismiss 1"), 0);
}

#[test]
fn snapshot_that_is_not_admitted_at_its_end_is_thrown_away_and_sent_again() {
    let mut world = with_third_behind();
    world.ways(3).refuses_to_reserve = true;
    world.run(5_000);
    assert!(world.calls(3, "keep from 1") > 1, "it came more than once");
    assert_eq!(world.state(3), Vec::<String>::new());
    assert_eq!(world.installs(GROUP), 0);
    assert_eq!(staged(&world, 3), 0, "what was refused is thrown away");
    world.ways(3).refuses_to_reserve = false;
    assert_caught_up(&mut world);
}

#[test]
fn snapshot_of_another_format_is_never_installed() {
    let mut world = with_third_behind();
    for id in [1, 2] {
        world.ways(id).format = 2;
    }
    world.run(5_000);
    assert_eq!(offered(&world, GROUP).1.format, 2);
    assert_eq!(world.calls(3, "look at 1"), 0, "its header need not make sense here");
    assert_eq!(world.state(3), Vec::<String>::new());
    world.ways(3).format = 2;
    assert_caught_up(&mut world);
}

#[test]
fn reserved_snapshot_that_nobody_wants_any_more_is_dismissed() {
    let mut world = with_third_behind();
    world.ways(3).refuses_offers = true;
    world.run(2_000);
    let (frame, offer) = offered(&world, GROUP);
    world.ask(3, |group, token| Event::Destroy { group, token });
    world.handle(3, Event::Staged { from: store(1), frame, offer });
    assert_eq!(world.calls(3, "dismiss 1"), 1);
}

#[test]
fn what_was_reserved_ends_with_the_group() {
    let mut world = with_third_behind();
    world.node(3).holds_apply = true;
    world.run(2_000);
    assert_eq!(world.calls(3, "reserve 1"), 1);
    world.ask(3, |group, token| Event::Destroy { group, token });
    assert_eq!(world.calls(3, "destroyed 1"), 0);
    world.node(3).holds_apply = false;
    world.run(100);
    assert_eq!(world.calls(3, "destroyed 1"), 1);
    assert_eq!(world.calls(3, "dismiss 1"), 0);
    assert!(!world.hosts(3));
    assert_eq!(staged(&world, 3), 0);
}

#[test]
fn snapshot_that_arrives_while_the_group_is_about_to_begin_is_dismissed() {
    let mut world = with_third_slow();
    world.node(3).holds_writes = true;
    campaign(&mut world, 1);
    world.propose_to(1, CHILD, "a");
    world.run(500);
    let (frame, offer) = offered(&world, CHILD);
    world.node(3).holds_apply = false;
    world.turn(3);
    world.handle(3, Event::Staged { from: store(1), frame, offer });
    assert_eq!(world.calls(3, "dismiss 2"), 1);
    world.node(3).holds_writes = false;
    release(&mut world);
    world.run(3_000);
    assert_eq!(world.state_of(3, CHILD), [FIRST, "a"]);
}

#[test]
fn snapshot_that_came_before_its_group_was_brought_into_being_stays() {
    let mut world = with_third_slow();
    world.ways(3).refuses_offers = false;
    campaign(&mut world, 1);
    world.propose_to(1, CHILD, "a");
    world.run(2_000);
    assert!(world.installs(CHILD) > 0, "its place in the log is taken");
    release(&mut world);
    world.run(1_000);
    for keep in [0, 9] {
        assert_eq!(world.state_of(3, CHILD), [FIRST, "a"]);
        world.crash(3, keep);
        world.start(3);
        world.run(1_000);
    }
    assert_eq!(world.state_of(3, CHILD), [FIRST, "a"]);
}
