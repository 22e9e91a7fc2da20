//! Every request ends once, whatever happens to messages and leaders.

use multiraft::shard::Event;
use multiraft::{Body, Change, Envelope, Outcome, Parcel, Refusal, Seat};
use types::{EntryId, Index, PeerId, Term};

use crate::world::{GROUP, World, group, peer, store};

#[test]
fn requests_of_a_leader_that_was_cut_off_end_once() {
    let mut world = World::led();
    world.isolate(1);
    let lost: Vec<_> = (0..3).map(|nth| world.propose(1, &format!("lost {nth}"))).collect();
    world.run(2_000);
    // Its lease is over, and others lead.
    let read = world.ask(1, |group, token| Event::Read { group, token });
    let leader = [2, 3].into_iter().find(|&id| world.leads(id)).expect("the others go on");
    for nth in 0..3 {
        world.propose(leader, &format!("new {nth}"));
    }
    world.run(500);
    world.heal();
    world.run(4_000);
    for token in lost {
        let [outcome] = world.answers(token) else { panic!("{:?}", world.answers(token)) };
        let is_known = matches!(outcome, Outcome::Refused(Refusal::Superseded));
        assert!(is_known || *outcome == Outcome::Undetermined, "{outcome:?}");
    }
    let answers = world.answers(read);
    assert!(matches!(answers, [Outcome::Refused(_)]), "{answers:?}");
    assert_eq!(world.state(1), ["new 0", "new 1", "new 2"]);
    world.assert_each_answered_once();
}

#[test]
fn requests_displaced_beyond_the_log_of_the_next_leadership_end() {
    let mut world = World::led();
    world.isolate(1);
    let lost: Vec<_> = (0..3).map(|nth| world.propose(1, &format!("lost {nth}"))).collect();
    world.run(2_000);
    let leader = [2, 3].into_iter().find(|&id| world.leads(id)).expect("the others go on");
    world.heal();
    world.run(300);
    // It leads again, with a log that never reaches as far as what it was asked.
    world.ask(leader, |group, token| Event::Transfer { group, token, to: peer(11) });
    world.run(500);
    assert!(world.leads(1));
    world.run(4_000);
    for token in lost {
        assert_eq!(world.answers(token).len(), 1, "{:?}", world.answers(token));
    }
}

#[test]
fn requests_of_a_group_that_is_destroyed_end_once() {
    let mut world = World::led();
    world.isolate(1);
    let token = world.propose(1, "a");
    world.ask(1, |group, token| Event::Read { group, token });
    world.ask(1, |group, token| Event::Destroy { group, token });
    world.run(100);
    assert_eq!(world.answers(token), [Outcome::Undetermined]);
    world.assert_each_answered_once();
}

#[test]
fn messages_twice_and_in_the_wrong_order_change_nothing() {
    let mut world = World::led();
    world.is_wild = true;
    let expected: Vec<String> = (0..30).map(|nth| format!("c{nth:02}")).collect();
    for command in &expected {
        world.propose(1, command);
        world.run(10);
    }
    world.run(3_000);
    for id in 1..=3 {
        assert_eq!(world.state(id), expected);
    }
    world.assert_each_answered_once();
}

#[test]
fn command_that_is_too_large_is_refused_for_good() {
    let mut world = World::led();
    let token = world.propose(1, &"x".repeat(1_025));
    let fits = world.propose(1, &"x".repeat(1_024));
    world.run(100);
    let expected = Refusal::TooLarge { bytes: 1_025, limit: 1_024 };
    assert_eq!(world.answers(token), [Outcome::Refused(expected)]);
    assert!(matches!(world.answers(fits), [Outcome::Applied { .. }]));
}

#[test]
fn proposal_during_a_transfer_is_refused_and_ends() {
    let mut world = World::led();
    world.ask(1, |group, token| Event::Transfer { group, token, to: peer(12) });
    let token = world.propose(1, "in between");
    world.run(1_000);
    assert!(matches!(world.answers(token), [Outcome::Refused(_)]));
    assert!(world.leads(2));
    world.assert_each_answered_once();
}

#[test]
fn backlog_of_the_apply_lane_keeps_nobody_from_leading_or_committing() {
    let mut world = World::led();
    world.node(2).holds_apply = true;
    for nth in 0..20 {
        world.propose(1, &format!("c{nth:02}"));
    }
    world.run(200);
    world.crash(1, 0);
    world.ask(2, |group, token| Event::Campaign { group, token });
    world.run(2_000);
    let leader = [2, 3].into_iter().find(|&id| world.leads(id)).expect("one leads");
    let token = world.propose(leader, "last");
    world.run(200);
    world.node(2).holds_apply = false;
    world.run(200);
    assert!(matches!(world.answers(token), [Outcome::Applied { .. }]));
    assert_eq!(world.state(2).len(), 21);
    assert!(world.peer_at(2, GROUP).is_some());
}

#[test]
fn change_of_a_membership_that_is_in_force_no_more_is_refused() {
    let mut world = World::led();
    let since = world.peer_at(1, GROUP).expect("it lives").status().membership.0;
    let change = |world: &mut World, since, change, home| {
        let (since, changes) = (Some(since), vec![(change, home)]);
        let token = world.ask(1, |group, token| Event::Change { group, token, since, changes });
        world.run(200);
        world.answers(token)[0].clone()
    };
    let (add, home) = (Change::Set(peer(14), Seat::Learner), Some(store(4)));
    assert_eq!(change(&mut world, since, add, home), Outcome::Done);
    let now = world.peer_at(1, GROUP).expect("it lives").status().membership.0;
    let refused = Outcome::Refused(Refusal::Changed(now));
    let remove = Change::Remove(peer(13));
    assert_eq!(change(&mut world, since, remove, None), refused, "it was for the one before");
    assert_eq!(change(&mut world, now, remove, None), Outcome::Done);
}

/// Changes the membership of the first test group as asked at store 1.
fn change(world: &mut World, changes: &[Change]) -> Outcome {
    let changes = changes.iter().map(|&change| (change, None)).collect();
    let token = world.ask(1, |group, token| Event::Change { group, token, since: None, changes });
    world.run(200);
    world.answers(token)[0].clone()
}

#[test]
fn change_after_which_the_group_could_not_go_on_is_refused() {
    let mut world = World::led();
    world.isolate(4);
    world.change(1, Change::Set(peer(14), Seat::Learner), Some(4));
    world.run(500);
    let out_of_reach = |id| Outcome::Refused(Refusal::OutOfReach(peer(id)));
    let promote = Change::Set(peer(14), Seat::Voter);
    let (without_2, without_3) = (Change::Remove(peer(12)), Change::Remove(peer(13)));
    // Never heard, and one of two.
    assert_eq!(change(&mut world, &[promote, without_2, without_3]), out_of_reach(14));
    // Heard until lately; it would be one of two, and nobody noticed but for its silence.
    world.heal();
    world.run(500);
    world.part(1, 3);
    world.part(2, 3);
    world.run(500);
    assert_eq!(change(&mut world, &[without_2]), out_of_reach(13));
    // One that is no member yet takes none; nor does it come where one lives that only leaves with
    // the same change: its first message would end that one before anything is decided.
    let stranger = Change::Set(peer(24), Seat::Voter);
    world.propose(1, "goes on");
    world.run(200);
    assert_eq!(world.state(1).len(), 1);
    assert_eq!(world.peer_at(1, GROUP).expect("it lives").status().membership.1.len(), 4);
    let newcomer = vec![(stranger, Some(store(3))), (without_3, None), (without_2, None)];
    let token =
        world.ask(1, |group, token| Event::Change { group, token, since: None, changes: newcomer });
    let invalid = Refusal::Invalid("another peer lives on that store");
    assert_eq!(world.answers(token), [Outcome::Refused(invalid)]);
    let newcomer = vec![(stranger, Some(store(5))), (without_3, None), (without_2, None)];
    let token =
        world.ask(1, |group, token| Event::Change { group, token, since: None, changes: newcomer });
    assert_eq!(world.answers(token), [out_of_reach(24)]);
    // Whom the others can do without may vote or go, in reach or not.
    assert_eq!(change(&mut world, &[promote]), Outcome::Done);
    assert_eq!(change(&mut world, &[without_3]), Outcome::Done);
    world.run(500);
    world.propose(1, "and on");
    world.run(200);
    assert_eq!(world.state(4), ["goes on", "and on"]);
}

#[test]
fn members_of_a_group_at_rest_are_in_reach_while_their_stores_are_heard() {
    let mut world = World::led();
    world.beats_at = Some(types::Time::ZERO);
    world.vouch();
    world.run(2_000);
    assert!(world.peer_at(1, GROUP).expect("it lives").status().is_asleep);
    assert_eq!(change(&mut world, &[Change::Remove(peer(13))]), Outcome::Done);
    // In the middle of a change there is no question yet what comes after the next.
    world.change(1, Change::Set(peer(12), Seat::Learner), None);
    let token = world.change(1, Change::Set(peer(12), Seat::Voter), None);
    let [Outcome::Refused(Refusal::Raft(why))] = world.answers(token) else {
        panic!("{:?}", world.answers(token))
    };
    assert!(matches!(why, raft::Refused::ChangeInFlight(_)), "{why}");
}

#[test]
fn change_that_is_refused_anyway_is_told_why() {
    let mut world = World::led();
    world.isolate(3);
    world.run(500);
    world.ask(1, |group, token| Event::Transfer { group, token, to: peer(12) });
    let token = world.change(1, Change::Remove(peer(12)), None);
    let handing = raft::Refused::Transferring(peer(12));
    assert_eq!(world.answers(token), [Outcome::Refused(Refusal::Raft(handing))]);
}

/// Whom the leader on store 1 does not hear.
fn unheard(world: &mut World) -> Vec<PeerId> {
    let token = world.ask(1, |group, token| Event::Look { group, token });
    match world.answers(token) {
        [Outcome::Status(status)] => status.unheard.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn leader_says_which_members_it_does_not_hear_and_which_have_no_replica() {
    let mut world = World::led();
    // At rest, and while it asks.
    world.run(5_000);
    assert_eq!(unheard(&mut world), []);
    world.propose(1, "a");
    world.run(10);
    assert_eq!(unheard(&mut world), []);
    world.isolate(3);
    world.run(10_000);
    assert_eq!(unheard(&mut world), [peer(13)]);
    world.heal();
    world.run(2_000);
    assert_eq!(unheard(&mut world), []);
    // Its store is heard, and says that there is no such replica.
    world.ask(3, |group, token| Event::Destroy { group, token });
    world.propose(1, "b");
    world.run(2_000);
    assert_eq!(unheard(&mut world), [peer(13)]);
}

#[test]
fn read_that_may_be_answered_when_the_store_stops_is_answered_once() {
    let mut world = World::led();
    world.create(3, &[(31, 1)]);
    world.set_raft(|raft| raft.lease = raft::Lease::Off);
    world.crash(1, 0);
    world.start(1);
    world.run(2_000);
    assert!(world.leads_of(1, 3));
    // Alone, the leader needs nobody to be asked: it could answer in the same drain.
    let token = world.ask_and_stop((1, 3), |group, token| Event::Read { group, token });
    assert_eq!(world.answers(token).len(), 1, "{:?}", world.answers(token));
}

/// A peer that the leader of the second group does not know asks it for its vote.
fn knock(from: u64) -> Parcel {
    let body = raft::Body::PreVote { last: EntryId::new(Term(1), Index(1)) };
    let body = Body::Raft(raft::Message { term: Term(1), body }, Vec::new());
    let (from, to) = (peer(from), peer(21));
    Parcel::Groups(vec![Envelope { group: group(2), from, to, body }])
}

#[test]
fn newcomers_of_one_change_have_room_among_strangers() {
    let mut world = World::led();
    world.create(2, &[(21, 1), (22, 2)]);
    world.run(50);
    world.ask_of(1, 2, |group, token| Event::Campaign { group, token });
    world.run(200);
    assert!(world.leads_of(1, 2));
    // So many that there is room for one more.
    for stranger in 0..raft::MEMBERS_MAX as u64 * 2 - 3 {
        world.deliver(4, 1, knock(1_000 + stranger));
    }
    let changes = vec![
        (Change::Set(peer(23), Seat::Learner), Some(store(3))),
        (Change::Set(peer(24), Seat::Learner), Some(store(4))),
    ];
    let token =
        world.ask_of(1, 2, |group, token| Event::Change { group, token, since: None, changes });
    world.run(1_000);
    assert_eq!(world.answers(token), [Outcome::Done]);
    assert!(world.hosts_of(3, 2) && world.hosts_of(4, 2));
}

#[test]
fn proposal_of_a_leader_that_was_deposed_ends_in_time_though_leaders_go_on() {
    let mut world = World::led();
    world.part(1, 2);
    world.part(1, 3);
    let token = world.propose(1, "lost");
    // It hears of one leader after the other, and of nothing that they have.
    for term in 10..210 {
        world.run(50);
        let body = raft::Body::Beat { commit: Index(1), stamp: raft::Stamp(1) };
        let body = Body::Raft(raft::Message { term: Term(term), body }, Vec::new());
        let (from, to) = (peer(12), peer(11));
        let heard = Envelope { group: group(GROUP), from, to, body };
        world.deliver(4, 1, Parcel::Groups(vec![heard]));
        assert_eq!(world.peer_at(1, GROUP).expect("it lives").status().term, Term(term));
        if !world.answers(token).is_empty() {
            break;
        }
    }
    assert_eq!(world.answers(token), [Outcome::Undetermined]);
}
