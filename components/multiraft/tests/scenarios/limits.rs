//! What has a limit: sessions of snapshots, bytes, entries; and limits that change while groups
//! run.

use std::time::Duration;

use multiraft::{Outcome, Parcel, Refusal, SnapshotBody, SnapshotRefusal};
use storage::{Cf, Direction};

use crate::world::{GROUP, World};

/// A second group of the same stores, but for the last.
const OTHER: u64 = 2;

fn write(world: &mut World, at: u64, of: u64) {
    for nth in 0..30 {
        world.propose_to(at, of, &format!("a command of some length, number {nth}"));
        world.run(20);
    }
}

/// Store 3 missed more of two groups than their logs still have.
fn with_third_behind_twice() -> World {
    let mut world = World::led();
    world.create(OTHER, &[(21, 1), (22, 2), (23, 3)]);
    world.run(50);
    world.ask_of(1, OTHER, |group, token| multiraft::shard::Event::Campaign { group, token });
    world.run(200);
    assert!(world.leads_of(1, OTHER));
    world.isolate(3);
    write(&mut world, 1, GROUP);
    write(&mut world, 1, OTHER);
    world.heal();
    world
}

/// How often a snapshot was refused for want of room.
fn refusals(world: &World) -> usize {
    let is_busy = |parcel: &Parcel| match parcel {
        Parcel::Snapshot(frame) => frame.body == SnapshotBody::Refuse(SnapshotRefusal::Busy),
        _ => false,
    };
    world.sent.iter().filter(|(_, _, parcel)| is_busy(parcel)).count()
}

/// How often one store offered another a snapshot of a group.
fn offers(world: &World, ends: (u64, u64), of: u64) -> usize {
    let is_offer = |parcel: &Parcel| match parcel {
        Parcel::Snapshot(frame) => {
            frame.group.get() == of && matches!(frame.body, SnapshotBody::Offer(_))
        }
        _ => false,
    };
    let sent = world.sent.iter();
    sent.filter(|(from, to, parcel)| (*from, *to) == ends && is_offer(parcel)).count()
}

/// Slots of a group's log that a store has on its disk.
fn slots(world: &World, at: u64, of: u64) -> usize {
    let (mut start, mut end) = (of.to_be_bytes().to_vec(), of.to_be_bytes().to_vec());
    start.push(1);
    end.push(2);
    let bounds =
        (std::ops::Bound::Included(start.as_slice()), std::ops::Bound::Excluded(end.as_slice()));
    let mut count = 0;
    let each = &mut |_: &[u8], _: &[u8]| {
        count += 1;
        true
    };
    let view = world.engine(at).view();
    view.scan(Cf::Raft, bounds, Direction::Forward, each).expect("a healthy disk can be read");
    count
}

#[test]
fn receiver_without_room_refuses_and_gets_every_snapshot_in_the_end() {
    let mut world = with_third_behind_twice();
    world.reconfigure(3, |config| config.snapshots_received_max = 1);
    // The first is on its way and does not arrive: it takes the only place.
    world.loses_frames = true;
    world.run(800);
    assert!(refusals(&world) > 0, "there was room for both");
    assert_eq!(world.installs(GROUP) + world.installs(OTHER), 0);
    world.loses_frames = false;
    world.run(8_000);
    for of in [GROUP, OTHER] {
        assert_eq!(world.state_of(3, of), world.state_of(1, of), "group {of}");
        assert_eq!(world.state_of(3, of).len(), 30);
    }
}

#[test]
fn store_that_sends_as_many_snapshots_as_it_may_still_receives() {
    let mut world = World::led();
    world.create(OTHER, &[(21, 1), (22, 2), (24, 4)]);
    world.run(50);
    world.ask_of(2, OTHER, |group, token| multiraft::shard::Event::Campaign { group, token });
    world.run(200);
    assert!(world.leads_of(2, OTHER));
    world.reconfigure(1, |config| {
        config.snapshots_sent_max = 1;
        config.snapshots_received_max = 1;
    });
    // Store 3 misses the one group, store 1 the other.
    world.isolate(3);
    write(&mut world, 1, GROUP);
    world.part(1, 2);
    world.part(1, 4);
    write(&mut world, 2, OTHER);
    world.heal();
    world.loses_frames = true;
    world.run(600);
    assert!(offers(&world, (1, 3), GROUP) > 0, "store 1 sends one");
    world.loses_frames = false;
    world.run(8_000);
    assert!(offers(&world, (2, 1), OTHER) > 0, "store 1 is sent one");
    assert_eq!(refusals(&world), 0, "what it sends took the place of what it receives");
    assert_eq!(world.state_of(1, OTHER), world.state_of(2, OTHER));
    assert_eq!(world.state_of(1, OTHER).len(), 30);
}

#[test]
fn group_at_rest_pins_no_log_of_another() {
    let mut world = World::led();
    world.create(OTHER, &[(21, 1), (22, 2), (23, 3)]);
    world.run(50);
    world.propose(1, "before");
    world.ask_of(1, OTHER, |group, token| multiraft::shard::Event::Campaign { group, token });
    world.run(200);
    world.propose_to(1, OTHER, "the last for long");
    world.run(100);
    for _ in 0..4 {
        write(&mut world, 1, GROUP);
    }
    world.run(500);
    assert_eq!(world.state_of(1, GROUP).len(), 121);
    for at in 1..=3 {
        assert!(slots(&world, at, GROUP) <= 16, "{} on store {at}", slots(&world, at, GROUP));
        assert!(slots(&world, at, OTHER) > 0, "what is at rest keeps what it has");
    }
}

#[test]
fn limits_that_change_hold_for_what_comes_and_times_do_not_change() {
    let mut world = World::led();
    world.isolate(1);
    let first = world.propose(1, "first");
    world.reconfigure(1, |config| {
        let raft = raft::Config { uncommitted_bytes_max: 1, ..(*config.raft).clone() };
        config.raft = raft.into();
    });
    let second = world.propose(1, "second");
    world.run(10);
    let answers = world.answers(second);
    assert!(matches!(answers, [Outcome::Refused(Refusal::Busy(_))]), "{answers:?}");
    assert!(world.answers(first).is_empty(), "what was taken stays");
    let refused = world.try_reconfigure(1, |config| {
        let timeout = Duration::from_millis(400);
        let raft = raft::Config { campaign_after: timeout, ..(*config.raft).clone() };
        config.raft = raft.into();
    });
    assert_eq!(refused.expect_err("others rely on it")[0].field, "times");
    let refused = world.try_reconfigure(1, |config| config.compact_entries = 0);
    assert_eq!(refused.expect_err("out of bounds")[0].field, "compact-entries");
}

#[test]
fn snapshots_go_no_faster_than_their_rate() {
    const RATE: u64 = 400;
    let mut world = World::empty(3);
    world.set_config(|config| {
        config.snapshot_bytes_per_second = RATE;
        config.snapshot_patience = Duration::from_secs(20);
    });
    for id in 1..=3 {
        world.crash(id, 0);
        world.start(id);
    }
    world.create(GROUP, &[(11, 1), (12, 2), (13, 3)]);
    world.run(50);
    world.ask(1, |group, token| multiraft::shard::Event::Campaign { group, token });
    world.run(500);
    world.isolate(3);
    write(&mut world, 1, GROUP);
    let sent = |world: &World| -> u64 {
        let bytes = |parcel: &Parcel| match parcel {
            Parcel::Snapshot(frame) => match &frame.body {
                SnapshotBody::Chunk(chunk) => chunk.data.len() as u64,
                _ => 0,
            },
            _ => 0,
        };
        world.sent.iter().map(|(_, _, parcel)| bytes(parcel)).sum()
    };
    let state = world.state(1);
    world.heal();
    let mut waited = 0;
    while world.state(3) != state {
        world.run(100);
        waited += 100;
        // A second of it may have been saved up, and the last chunk may go beyond.
        let most = RATE * waited / 1_000 + RATE + 100;
        assert!(sent(&world) <= most, "{} bytes in {waited} ms", sent(&world));
        assert!(waited < 60_000, "it does not arrive");
    }
    assert!(waited > 1_000 && sent(&world) > 3 * RATE / 2, "{} bytes", sent(&world));
}

/// What a store has committed is not its own to refuse: its lane may be any time behind.
#[test]
fn lane_that_is_behind_is_given_little_from_memory_and_reads_the_rest_back() {
    let mut world = World::led();
    world.node(2).holds_apply = true;
    let before = world.attached(2);
    write(&mut world, 1, GROUP);
    world.run(500);
    assert_eq!(world.state(1).len(), 30);
    // The memory of a log is a byte here, so that what a lane may have is less than a command.
    let given = world.attached(2) - before;
    assert!(given <= 2, "{given} commands wait in memory");
    world.node(2).holds_apply = false;
    world.turn(2);
    world.run(500);
    assert_eq!(world.state(2), world.state(1));
    // It has caught up, and is given what comes from memory again.
    world.propose(1, "later");
    world.run(200);
    assert!(world.attached(2) - before > given);
}

#[test]
fn log_is_cut_as_far_as_a_machine_that_is_always_late_is_durable() {
    let mut world = World::led();
    for id in 1..=3 {
        world.ways(id).persists_late = 3;
    }
    for nth in 0..100 {
        world.propose(1, &format!("a command of some length, number {nth}"));
        world.run(20);
    }
    world.run(1_000);
    let slots: Vec<usize> = (1..=3).map(|id| slots(&world, id, GROUP)).collect();
    assert!(slots.iter().all(|&slots| (3..60).contains(&slots)), "{slots:?}");
    // What is kept is all that is needed.
    world.crash(2, 0);
    world.start(2);
    world.run(1_000);
    assert_eq!(world.state(2).len(), 100);
}

#[test]
fn snapshots_that_have_no_place_yet_wait_for_it_and_are_not_begun_again_and_again() {
    let mut world = World::led();
    let others = 2..=24;
    for of in others.clone() {
        world.create(of, &[(10 * of + 1, 1), (10 * of + 2, 2), (10 * of + 3, 3)]);
    }
    world.run(50);
    for of in others.clone() {
        world.ask_of(1, of, |group, token| multiraft::shard::Event::Campaign { group, token });
    }
    world.run(1_000);
    world.isolate(3);
    for of in others.clone() {
        assert!(world.leads_of(1, of), "{of}");
        for nth in 0..30 {
            world.propose_to(1, of, &format!("a command of some length, number {nth}"));
        }
        world.run(100);
    }
    let begun = |world: &World| {
        let calls = &world.ways(1).calls;
        calls.iter().filter(|call| call.starts_with("read out ")).count()
    };
    // What is sent does not arrive: there are fewer places than groups, and beats go on.
    world.loses_frames = true;
    world.reconfigure(1, |config| config.snapshots_sent_max = 1);
    world.heal();
    world.run(1_000);
    let first = begun(&world);
    assert!((1..=17).contains(&first), "{first}");
    world.loses_frames = false;
    world.run(30_000);
    for of in others {
        assert_eq!(world.state_of(3, of).len(), 30, "group {of}");
    }
}
