//! What a new group may find in its place: an empty peer that a message made, a later one, one that
//! ends, a tombstone.

use multiraft::shard::Event;
use multiraft::{Body, Envelope, Outcome, Parcel};
use raft::{Change, Seat};
use storage::Cf;
use types::{EntryId, Index, PeerId, Term};

use crate::ledger::{BEGIN, FIRST};
use crate::spawn::{CHILD, SPAWN, campaign, release, with_third_slow};
use crate::world::{World, group, peer, store};

/// The first members of the group.
const SPAWNED: &[(u64, u64)] = &[(21, 1), (22, 2), (23, 3)];

fn parcel(to: u64, body: Body) -> Parcel {
    Parcel::Groups(vec![Envelope { group: group(CHILD), from: peer(21), to: peer(to), body }])
}

fn vote(to: u64, term: u64) -> Parcel {
    let last = EntryId::new(Term(term.min(5)), Index(5));
    let body = raft::Body::Vote { last, transfer: true };
    parcel(to, Body::Raft(raft::Message { term: Term(term), body }, Vec::new()))
}

fn removed(to: u64) -> Parcel {
    parcel(to, Body::Removed(Index(7)))
}

/// The place of the group on a store: term, vote and where its log begins.
fn place(world: &World, id: u64) -> (Term, Option<u64>, EntryId) {
    let status = world.peer_at(id, CHILD).expect("it lives").status();
    (status.term, status.vote.map(PeerId::get), status.log.base())
}

fn assert_buried(world: &mut World) {
    world.run(100);
    assert!(!world.hosts_of(3, CHILD));
    assert_eq!(world.state_of(3, CHILD), Vec::<String>::new(), "its data is removed");
    assert_eq!(world.state(3), [SPAWN]);
    let told = world.calls(3, "destroyed 2");
    assert!(told > 0 && told == world.calls(3, "destroy 2"), "nothing is in the way of others");
    world.deliver(1, 3, vote(23, 9));
    assert!(!world.hosts_of(3, CHILD), "a message brought it back");
}

/// And a loss of power changes nothing of it.
fn assert_stays_buried(world: &mut World) {
    assert_buried(world);
    world.crash(3, 0);
    world.start(3);
    assert_buried_after_start(world);
}

fn assert_buried_after_start(world: &mut World) {
    world.isolate(3);
    world.run(500);
    assert!(!world.hosts_of(3, CHILD));
    assert_eq!(world.state_of(3, CHILD), Vec::<String>::new());
    world.heal();
    world.deliver(1, 3, vote(23, 9));
    assert!(!world.hosts_of(3, CHILD), "a message brought it back");
}

#[test]
fn empty_peer_takes_up_its_beginning_and_keeps_its_vote() {
    let mut world = with_third_slow();
    campaign(&mut world, 1);
    world.propose_to(1, CHILD, "a");
    world.run(100);
    assert_eq!(place(&world, 3), (Term(6), Some(21), EntryId::default()), "it voted");
    release(&mut world);
    assert_eq!(place(&world, 3), (Term(6), Some(21), BEGIN));
    world.run(1_000);
    assert_eq!(world.state_of(3, CHILD), [FIRST, "a"]);
    assert_eq!(world.installs(CHILD), 0, "the log of the leader reaches back to the beginning");
    world.crash(3, 0);
    world.start(3);
    assert_eq!(place(&world, 3), (Term(6), Some(21), BEGIN));
    world.run(1_000);
    assert_eq!(world.state_of(3, CHILD), [FIRST, "a"]);
}

/// A message of a peer of the group to that on the third store.
fn say(world: &mut World, from: u64, term: u64, body: raft::Body) {
    let body = Body::Raft(raft::Message { term: Term(term), body }, Vec::new());
    let (from_peer, to) = (peer(20 + from), peer(23));
    let parcel = Parcel::Groups(vec![Envelope { group: group(CHILD), from: from_peer, to, body }]);
    world.deliver(from, 3, parcel);
}

#[test]
fn peer_that_a_question_made_votes_as_soon_as_it_begins() {
    let mut world = with_third_slow();
    world.isolate(2);
    let last = EntryId::new(Term(5), Index(5));
    say(&mut world, 1, 5, raft::Body::PreVote { last });
    assert_eq!(place(&world, 3).2, EntryId::default(), "it is there, and empty");
    release(&mut world);
    campaign(&mut world, 1);
    world.run(100);
    let leader = world.peer_at(1, CHILD).expect("it lives").status().leader;
    assert_eq!(leader, Some(peer(21)), "it did not wait for a restart that there was not");
}

#[test]
fn empty_peer_that_heard_a_leader_protects_it_when_it_begins() {
    let mut world = with_third_slow();
    say(&mut world, 1, 6, raft::Body::Beat { commit: Index(5), stamp: raft::Stamp(1) });
    release(&mut world);
    let last = EntryId::new(Term(6), Index(9));
    say(&mut world, 2, 7, raft::Body::Vote { last, transfer: false });
    assert_eq!(place(&world, 3).0, Term(6), "it does not listen to another so soon");
}

#[test]
fn empty_peer_keeps_when_it_begins_what_an_earlier_life_promised_for_longer() {
    let mut world = with_third_slow();
    say(&mut world, 1, 6, raft::Body::Beat { commit: Index(5), stamp: raft::Stamp(1) });
    world.crash(3, 9);
    world.set_election_timeout(40);
    world.start(3);
    release(&mut world);
    world.run(150);
    assert_eq!(place(&world, 3), (Term(6), None, BEGIN));
    let last = EntryId::new(Term(6), Index(9));
    say(&mut world, 2, 7, raft::Body::Vote { last, transfer: false });
    assert_eq!(place(&world, 3).0, Term(6), "it does not listen to another so soon");
}

#[test]
fn empty_peer_that_was_restarted_keeps_its_vote_when_it_begins() {
    let mut world = with_third_slow();
    campaign(&mut world, 1);
    world.crash(3, 0);
    world.start(3);
    assert_eq!(place(&world, 3), (Term(6), Some(21), EntryId::default()), "its vote is durable");
    world.node(3).holds_apply = false;
    world.run(1_000);
    assert_eq!(place(&world, 3), (Term(6), Some(21), BEGIN));
}

#[test]
fn vote_of_a_term_before_the_beginning_is_not_one_of_its_term() {
    let mut world = with_third_slow();
    world.deliver(1, 3, vote(23, 3));
    assert_eq!(place(&world, 3), (Term(3), Some(21), EntryId::default()));
    release(&mut world);
    assert_eq!(place(&world, 3), (Term(5), None, BEGIN));
    world.crash(3, 9);
    world.start(3);
    assert_eq!(place(&world, 3), (Term(5), None, BEGIN));
}

#[test]
fn empty_peer_waits_for_its_writes_before_it_begins() {
    for keep in 0..4 {
        let mut world = with_third_slow();
        world.node(3).holds_writes = true;
        campaign(&mut world, 1);
        world.node(3).holds_apply = false;
        world.turn(3);
        assert_eq!(world.state_of(3, CHILD), [FIRST], "the command is applied");
        assert_eq!(place(&world, 3), (Term(6), Some(21), EntryId::default()), "not durable yet");
        world.deliver(1, 3, vote(23, 8));
        assert_eq!(place(&world, 3).0, Term(6), "it does not listen until it has begun");
        if keep > 0 {
            // Its vote was not given: nobody was told.
            world.crash(3, keep - 1);
            world.start(3);
        }
        world.node(3).holds_writes = false;
        world.turn(3);
        world.propose_to(1, CHILD, "a");
        world.run(2_000);
        assert_eq!(world.state_of(3, CHILD), [FIRST, "a"]);
        assert_eq!(world.state(3), [SPAWN]);
    }
}

#[test]
fn later_peer_without_state_takes_up_the_beginning() {
    for keep in [None, Some(0), Some(1), Some(9)] {
        let mut world = with_third_slow();
        world.isolate(3);
        campaign(&mut world, 1);
        for (change, home) in
            [(Change::Remove(peer(23)), None), (Change::Set(peer(33), Seat::Learner), Some(3))]
        {
            let changes = vec![(change, home.map(store))];
            world.ask_of(1, CHILD, |group, token| Event::Change {
                group,
                token,
                since: None,
                changes,
            });
            world.run(200);
        }
        world.heal();
        world.run(1_000);
        let here = |world: &World| world.peer_at(3, CHILD).map(|peer| peer.status().id);
        assert_eq!(here(&world), Some(peer(33)), "a message made it");
        release(&mut world);
        assert_eq!(here(&world), Some(peer(33)));
        assert_eq!(place(&world, 3).2, BEGIN);
        if let Some(keep) = keep {
            world.crash(3, keep);
            world.start(3);
        }
        world.propose_to(1, CHILD, "a");
        world.run(1_500);
        assert_eq!(here(&world), Some(peer(33)));
        assert_eq!(world.state_of(3, CHILD), [FIRST, "a"]);
    }
}

#[test]
fn peer_that_left_before_it_came_is_destroyed_with_the_command() {
    for buried in [23, 33] {
        let mut world = with_third_slow();
        world.deliver(1, 3, removed(buried));
        release(&mut world);
        assert_eq!(world.calls(3, "destroy 2"), 1);
        assert_stays_buried(&mut world);
    }
    for keep in 0..3 {
        let mut world = with_third_slow();
        world.deliver(1, 3, removed(23));
        world.apply_one(3);
        world.crash(3, keep);
        release_after_crash(&mut world);
        assert_buried_after_start(&mut world);
        assert_eq!(world.state(3), [SPAWN]);
    }
}

fn release_after_crash(world: &mut World) {
    world.node(3).holds_apply = false;
    world.node(3).holds_writes = false;
    world.ways(3).refuses_offers = false;
    world.start(3);
    world.run(1_000);
}

#[test]
fn tombstone_of_an_earlier_peer_is_not_in_the_way() {
    let mut world = with_third_slow();
    world.deliver(1, 3, removed(22));
    release(&mut world);
    assert_eq!(place(&world, 3).2, BEGIN);
    world.crash(3, 9);
    world.start(3);
    assert_eq!(place(&world, 3).2, BEGIN);
    assert_eq!(world.calls(3, "destroy 2"), 0);
}

#[test]
fn peer_whose_tombstone_is_not_durable_yet_ends_buried() {
    let mut world = with_third_slow();
    world.node(3).holds_writes = true;
    world.deliver(1, 3, removed(23));
    release(&mut world);
    world.node(3).holds_writes = false;
    assert_stays_buried(&mut world);
}

/// Who says it forgets it when it is acknowledged, and then nobody knows any more.
#[test]
fn removal_is_acknowledged_when_the_tombstone_is_durable() {
    let acks = |world: &World| {
        let is_ack = |parcel: &Parcel| match parcel {
            Parcel::Groups(all) => all.iter().any(|one| matches!(one.body, Body::RemovedAck)),
            _ => false,
        };
        world.sent.iter().filter(|(from, _, parcel)| *from == 3 && is_ack(parcel)).count()
    };
    let mut world = with_third_slow();
    world.node(3).holds_writes = true;
    world.deliver(1, 3, removed(23));
    world.run(5);
    assert_eq!(acks(&world), 0, "a crash would forget it");
    world.node(3).holds_writes = false;
    world.turn(3);
    world.run(5);
    assert_eq!(acks(&world), 1);
    // And again, whoever asks.
    world.deliver(1, 3, removed(22));
    world.run(5);
    assert_eq!(acks(&world), 2);
    release(&mut world);
    assert_stays_buried(&mut world);
}

#[test]
fn burial_that_a_crash_cut_off_is_done_at_the_next_start() {
    for keep in 0..3 {
        let mut world = with_third_slow();
        world.node(3).holds_writes = true;
        world.deliver(1, 3, removed(23));
        // The command is applied, and then the tombstone is durable; what comes of it is not done.
        world.apply_one(3);
        assert_eq!(world.state_of(3, CHILD), [FIRST]);
        world.write_one(3);
        world.crash(3, keep);
        release_after_crash(&mut world);
        assert_buried_after_start(&mut world);
        assert_eq!(world.calls(3, "destroyed 2"), 1);
    }
}

#[test]
fn later_peer_waits_for_a_burial_that_a_crash_cut_off() {
    let mut world = with_third_slow();
    world.node(3).holds_writes = true;
    world.deliver(1, 3, removed(23));
    world.apply_one(3);
    world.write_one(3);
    world.crash(3, 9);
    world.node(3).holds_writes = false;
    world.start(3);
    world.deliver(1, 3, vote(33, 9));
    assert!(!world.hosts_of(3, CHILD), "what was left is not removed yet");
    release(&mut world);
    world.deliver(1, 3, vote(33, 9));
    world.crash(3, 0);
    world.start(3);
    assert_eq!(world.peer_at(3, CHILD).map(|core| core.status().id), Some(peer(33)));
}

#[test]
fn later_peer_waits_until_what_was_written_is_buried_again() {
    let mut world = with_third_slow();
    world.node(3).holds_writes = true;
    world.deliver(1, 3, removed(23));
    world.apply_one(3);
    world.node(3).holds_writes = false;
    world.turn(3);
    world.deliver(1, 3, vote(33, 9));
    world.deliver(1, 3, removed(34));
    world.deliver(1, 3, vote(33, 9));
    world.create(CHILD, &[(33, 3)]);
    release(&mut world);
    world.deliver(1, 3, vote(33, 9));
    assert!(world.hosts_of(3, CHILD), "now its place is free");
    world.crash(3, 0);
    world.start(3);
    let status = world.peer_at(3, CHILD).expect("it is not forgotten").status();
    assert_eq!((status.id, status.term, status.vote), (peer(33), Term(9), Some(peer(21))));
}

#[test]
fn later_peer_waits_for_all_that_a_peer_that_ends_leaves_behind() {
    let mut world = with_third_slow();
    world.deliver(1, 3, vote(23, 6));
    world.ask_of(3, CHILD, |group, token| Event::Destroy { group, token });
    // The command, the end of the empty peer; what the command left is still in the lane.
    world.apply_one(3);
    world.turn(3);
    world.apply_one(3);
    world.turn(3);
    world.deliver(1, 3, vote(33, 9));
    release(&mut world);
    world.deliver(1, 3, vote(33, 9));
    world.crash(3, 0);
    world.start(3);
    let status = world.peer_at(3, CHILD).expect("it is not forgotten").status();
    assert_eq!((status.id, status.term, status.vote), (peer(33), Term(9), Some(peer(21))));
}

#[test]
fn peer_that_ends_stays_gone_when_its_group_begins() {
    // Whether its writes, the command and its end come to pass in this order or another.
    for order in 0..4 {
        let mut world = with_third_slow();
        world.node(3).holds_writes = order == 1;
        world.deliver(1, 3, vote(23, 6));
        let ended = world.ask_of(3, CHILD, |group, token| Event::Destroy { group, token });
        match order {
            1 => release(&mut world),
            2 => {
                world.apply_one(3);
                world.turn(3);
            }
            // Its end overtakes the command.
            3 => while world.state(3).is_empty() && world.apply_one(3) {},
            _ => {}
        }
        world.node(3).holds_writes = false;
        release(&mut world);
        assert_stays_buried(&mut world);
        assert_eq!(world.answers(ended), [Outcome::Done], "order {order}");
    }
}

#[test]
fn end_of_a_peer_that_overtakes_the_command_holds() {
    let mut world = World::led();
    world.node(3).holds_apply = true;
    world.propose(1, "first");
    world.propose(1, SPAWN);
    world.run(100);
    world.deliver(1, 3, vote(23, 6));
    world.ask_of(3, CHILD, |group, token| Event::Destroy { group, token });
    while world.state_of(3, CHILD).is_empty() && world.calls(3, "destroyed 2") == 0 {
        assert!(world.apply_one(3));
        world.turn(3);
    }
    assert!(!world.state(3).contains(&SPAWN.to_owned()), "it overtook");
    world.node(3).holds_apply = false;
    world.turn(3);
    assert!(!world.hosts_of(3, CHILD));
    assert_eq!(world.state_of(3, CHILD), Vec::<String>::new());
    assert_eq!(world.calls(3, "destroyed 2"), 2);
}

#[test]
fn command_does_not_overwrite_the_name_of_a_later_peer() {
    let mut world = with_third_slow();
    world.node(3).holds_writes = true;
    world.deliver(1, 3, vote(33, 9));
    world.apply_one(3);
    assert_eq!(world.state_of(3, CHILD), [FIRST]);
    // The name is on its way: were there one now, it could as well have come behind that.
    let name = [&b"g"[..], &group(CHILD).get().to_be_bytes()].concat();
    assert_eq!(world.engine(3).get(Cf::Meta, &name), Ok(None));
    world.node(3).holds_writes = false;
    release(&mut world);
    assert_eq!(place(&world, 3), (Term(9), Some(21), BEGIN));
    world.crash(3, 0);
    world.start(3);
    let status = world.peer_at(3, CHILD).expect("it lives").status();
    assert_eq!((status.id, status.term, status.vote), (peer(33), Term(9), Some(peer(21))));
}

#[test]
fn name_that_was_not_written_is_found_in_the_roster_and_kept() {
    let mut world = with_third_slow();
    world.node(3).holds_writes = true;
    world.apply_one(3);
    world.crash(3, 9);
    release_after_crash(&mut world);
    assert_eq!(place(&world, 3).2, BEGIN);
    campaign(&mut world, 1);
    // The roster changes, and says nothing of the peer any more; it hears of that later.
    world.ask_of(1, CHILD, |group, token| Event::Change {
        group,
        token,
        since: None,
        changes: vec![(Change::Set(peer(24), Seat::Learner), Some(store(4)))],
    });
    world.run(500);
    world.crash(3, 9);
    world.start(3);
    assert_eq!(world.peer_at(3, CHILD).map(|core| core.status().id), Some(peer(23)));
}

#[test]
fn group_that_is_created_where_a_message_was_faster_keeps_its_vote() {
    for keep in 0..3 {
        let mut world = World::empty(3);
        world.node(3).holds_writes = true;
        world.deliver(1, 3, vote(23, 6));
        let tokens = [world.create_on(3, CHILD, SPAWNED), world.create_on(3, CHILD, SPAWNED)];
        assert_eq!(place(&world, 3).2, EntryId::default());
        for token in tokens {
            assert_eq!(world.answers(token), [], "not durable yet");
        }
        world.node(3).holds_writes = false;
        world.turn(3);
        let begun = (Term(6), Some(21), EntryId::new(Term(1), Index(1)));
        assert_eq!(place(&world, 3), begun);
        for token in tokens {
            assert_eq!(world.answers(token), [Outcome::Done]);
        }
        world.crash(3, keep);
        world.start(3);
        assert_eq!(place(&world, 3), begun);
    }
}

#[test]
fn group_that_is_created_where_one_ends_is_gone_afterwards() {
    let mut world = World::empty(3);
    world.node(3).holds_writes = true;
    world.deliver(1, 3, vote(23, 6));
    world.create_on(3, CHILD, SPAWNED);
    let ended = world.ask_of(3, CHILD, |group, token| Event::Destroy { group, token });
    world.node(3).holds_writes = false;
    world.turn(3);
    assert_eq!(world.answers(ended), [Outcome::Done]);
    world.crash(3, 0);
    world.start(3);
    assert!(!world.hosts_of(3, CHILD));
    world.assert_each_answered_once();
}
