//! Snapshots that are late, lost, damaged, interrupted, or arrive in the middle of something.

use multiraft::shard::Event;
use multiraft::{Outcome, Parcel, Refusal, SnapshotBody};
use raft::{Change, Seat};

use crate::world::{GROUP, World, peer};

fn write(world: &mut World, count: usize) {
    for nth in 0..count {
        world.propose(1, &format!("a command of some length, number {nth}"));
        world.run(20);
    }
}

/// Store 3 missed more than the log still has.
fn with_third_behind() -> World {
    let mut world = World::led();
    world.isolate(3);
    write(&mut world, 40);
    world.heal();
    world
}

fn assert_caught_up(world: &World) {
    assert!(world.installs(GROUP) > 0, "by a snapshot");
    assert_eq!(world.state(3), world.state(1));
    assert_eq!(world.state(3).len(), 40);
}

#[test]
fn snapshot_waits_behind_committed_entries_in_the_apply_lane() {
    let mut world = World::led();
    world.node(3).holds_apply = true;
    world.propose(1, "in the lane");
    world.run(100);
    world.isolate(3);
    write(&mut world, 40);
    world.heal();
    world.run(3_000);
    assert_eq!(world.state(3), Vec::<String>::new(), "the lane stands still");
    world.node(3).holds_apply = false;
    world.run(2_000);
    assert_eq!(world.state(3), world.state(1));
    assert_eq!(world.state(3).len(), 41);
}

#[test]
fn install_interrupted_by_a_crash_begins_anew() {
    for keep in 0..4 {
        let mut world = with_third_behind();
        world.node(3).holds_apply = true;
        world.run(2_000);
        assert!(world.installs(GROUP) > 0, "its place in the log is taken");
        world.apply_one(3);
        world.crash(3, keep);
        world.node(3).holds_apply = false;
        world.start(3);
        world.run(2_000);
        assert_caught_up(&world);
    }
}

#[test]
fn snapshot_whose_place_in_the_log_is_not_durable_is_not_installed() {
    let mut world = with_third_behind();
    world.node(3).holds_writes = true;
    world.run(2_000);
    assert_eq!(world.state(3), Vec::<String>::new());
    world.crash(3, 0);
    world.node(3).holds_writes = false;
    world.start(3);
    world.run(4_000);
    assert_caught_up(&world);
}

#[test]
fn damaged_chunk_is_found_and_the_snapshot_sent_again() {
    let mut world = with_third_behind();
    world.corrupts_next = true;
    world.run(5_000);
    assert!(!world.corrupts_next, "a chunk was damaged");
    assert_caught_up(&world);
}

#[test]
fn sending_that_fails_is_reported_and_tried_again() {
    let mut world = with_third_behind();
    world.loses_frames = true;
    world.run(3_000);
    assert_eq!(world.state(3), Vec::<String>::new());
    world.loses_frames = false;
    world.run(5_000);
    assert_caught_up(&world);
}

#[test]
fn old_snapshot_that_arrives_late_changes_nothing() {
    let mut world = with_third_behind();
    world.run(3_000);
    assert_caught_up(&world);
    world.propose(1, "later");
    world.run(200);
    for (from, to, parcel) in world.sent.clone() {
        if to == 3 && matches!(parcel, Parcel::Snapshot(_)) {
            world.deliver(from, to, parcel);
        }
    }
    world.run(2_000);
    assert_eq!(world.state(3).len(), 41);
    assert_eq!(world.state(3), world.state(1));
}

#[test]
fn group_destroyed_while_installing_comes_back_as_a_later_peer_with_its_data() {
    let mut world = with_third_behind();
    world.node(3).holds_apply = true;
    world.run(2_000);
    world.change(1, Change::Remove(peer(13)), None);
    world.change(1, Change::Set(peer(23), Seat::Voter), Some(3));
    world.run(1_000);
    world.node(3).holds_apply = false;
    world.change(1, Change::Set(peer(23), Seat::Voter), Some(3));
    world.run(6_000);
    assert_eq!(world.state(3), world.state(1), "the late deletion took what is new");
}

#[test]
fn old_log_below_a_snapshot_is_not_read_after_a_restart() {
    let mut world = World::led();
    for nth in 0..6 {
        world.propose(1, &format!("early {nth}"));
        world.run(20);
    }
    world.isolate(3);
    write(&mut world, 40);
    world.heal();
    world.run(3_000);
    for keep in [0, 1] {
        world.crash(3, keep);
        world.start(3);
        world.run(1_000);
        assert_eq!(world.state(3), world.state(1));
    }
}

#[test]
fn entries_read_back_after_the_leader_changed_are_not_sent() {
    let mut world = World::led();
    world.isolate(3);
    for nth in 0..4 {
        world.propose(1, &format!("c{nth}"));
        world.run(10);
    }
    world.node(1).holds_fetches = true;
    world.heal();
    world.run(100);
    assert!(world.fetches(1) > 0, "entries are being read back");
    world.ask(1, |group, token| Event::Transfer { group, token, to: peer(12) });
    world.run(200);
    assert!(world.leads(2));
    let before = world.sent.len();
    world.fetch_all(1);
    world.turn(1);
    let later = &world.sent[before..];
    assert!(later.iter().all(|&(from, _, _)| from != 1), "an append of a former leadership");
    world.run(2_000);
    assert_eq!(world.state(3), world.state(2));
}

#[test]
fn snapshot_has_the_term_of_what_it_covers() {
    let mut world = with_third_behind();
    let before = world.peer_at(2, GROUP).expect("it lives").status().log.last();
    // Store 2 cannot commit anything of its term before store 3 has what it missed.
    world.isolate(1);
    world.run(10_000);
    let offers = world.sent.iter().filter_map(|(from, to, parcel)| match parcel {
        Parcel::Snapshot(frame) if (*from, *to) == (2, 3) => match &frame.body {
            SnapshotBody::Offer(offer) => Some((offer.term, offer.covers)),
            _ => None,
        },
        _ => None,
    });
    let (term, covers) = offers.into_iter().next().expect("store 3 needs one");
    assert_eq!(covers, before);
    assert!(covers.term < term, "it is not of the leader's term");
    assert!(world.leads(2));
    assert_eq!(world.state(3), world.state(2));
    let term = world.peer_at(2, GROUP).and_then(|peer| peer.status().log.term(covers.index));
    assert!(term.is_none_or(|term| term == covers.term));
    world.heal();
    world.run(2_000);
    assert_caught_up(&world);
}

#[test]
fn snapshot_that_is_older_than_the_log_is_followed_by_another() {
    let mut world = with_third_behind();
    world.loses_frames = true;
    world.run(300);
    let covered = world.offers_to(3);
    assert!(!covered.is_empty(), "one is on its way");
    // Meanwhile the log goes on beyond what it covers.
    write(&mut world, 20);
    let base = world.peer_at(1, GROUP).expect("it leads").status().log.base().index;
    assert!(covered.iter().all(|at| *at < base), "{covered:?} {base}");
    world.loses_frames = false;
    world.run(5_000);
    assert_eq!(world.state(3), world.state(1));
    assert_eq!(world.state(3).len(), 60);
    assert!(world.offers_to(3).len() < 40, "without end: {:?}", world.offers_to(3));
}

#[test]
fn memberships_of_the_log_behind_a_snapshot_are_not_those_before_it() {
    let mut world = World::led();
    world.isolate(3);
    // A newcomer comes and goes while store 3 hears nothing.
    world.change(1, Change::Set(peer(14), Seat::Learner), Some(4));
    world.run(500);
    world.change(1, Change::Remove(peer(14)), None);
    world.run(1_000);
    write(&mut world, 40);
    world.heal();
    world.run(3_000);
    assert_caught_up(&world);
    let membership = |world: &World, at| {
        let status = world.peer_at(at, GROUP).expect("it lives").status();
        status.membership.1.clone()
    };
    assert_eq!(membership(&world, 3), membership(&world, 1));
    assert!(membership(&world, 3).get(peer(14)).is_none(), "an entry that the snapshot covers");
    world.crash(3, 0);
    world.start(3);
    world.run(1_000);
    assert_eq!(membership(&world, 3), membership(&world, 1), "nor after a restart");
}

#[test]
fn group_destroyed_while_installing_is_whole_or_gone_after_a_crash() {
    for keep in 0..6 {
        let mut world = with_third_behind();
        world.node(3).holds_apply = true;
        world.run(2_000);
        assert!(world.installs(GROUP) > 0, "its place in the log is taken");
        world.ask(3, |group, token| Event::Destroy { group, token });
        world.apply_one(3);
        world.apply_one(3);
        world.crash(3, keep);
        world.node(3).holds_apply = false;
        world.start(3);
        world.isolate(3);
        world.run(500);
        // What was to be destroyed is here as it was, or nothing of it is.
        let count = world.state(3).len();
        assert!(count == 0 || count == 40 && world.hosts(3), "{count} of 40 after {keep}");
        assert!(world.hosts(3) || count == 0);
    }
}

#[test]
fn read_of_a_peer_that_installs_is_refused() {
    let mut world = with_third_behind();
    world.node(3).holds_apply = true;
    world.run(2_000);
    assert!(world.installs(GROUP) > 0, "its place in the log is taken");
    let during = world.ask(3, |group, token| Event::Read { group, token });
    world.run(50);
    let answers = world.answers(during);
    assert!(matches!(answers, [Outcome::Refused(Refusal::NotLeader(_))]), "{answers:?}");
    world.node(3).holds_apply = false;
    world.run(2_000);
    assert_caught_up(&world);
}

#[test]
fn one_that_waits_for_a_snapshot_is_not_counted_on() {
    let mut world = with_third_behind();
    world.loses_frames = true;
    world.run(500);
    let token = world.change(1, Change::Remove(peer(12)), None);
    world.run(100);
    assert_eq!(world.answers(token), [Outcome::Refused(Refusal::OutOfReach(peer(13)))]);
    world.loses_frames = false;
    world.run(3_000);
    assert_caught_up(&world);
    let token = world.change(1, Change::Remove(peer(12)), None);
    world.run(100);
    assert_eq!(world.answers(token), [Outcome::Done]);
}
