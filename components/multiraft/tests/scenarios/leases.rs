//! What readers are told of leases: never more than the leader itself would grant.

use multiraft::shard::Event;
use multiraft::{Outcome, Refusal};

use crate::spawn::{CHILD, SPAWN, campaign};
use crate::world::{GROUP, World, peer};

#[test]
fn only_a_leader_whose_state_is_whole_has_a_lease() {
    let mut world = World::empty(3);
    world.create(GROUP, &[(11, 1), (12, 2), (13, 3)]);
    world.run(50);
    world.node(1).holds_apply = true;
    world.ask(1, |group, token| Event::Campaign { group, token });
    world.run(200);
    assert!(world.leads(1));
    assert_eq!(world.lease(1), None, "what earlier leaders answered may not be applied yet");
    world.node(1).holds_apply = false;
    world.run(200);
    let lease = world.lease(1).expect("its first entry is applied");
    assert_eq!(lease.term, world.peer_at(1, GROUP).expect("it lives").status().term);
    assert_eq!((world.lease(2), world.lease(3)), (None, None));
}

#[test]
fn lease_is_renewed_and_covers_what_was_answered() {
    let mut world = World::led();
    let before = world.lease(1).expect("it leads");
    let token = world.propose(1, "a");
    world.run(100);
    let [Outcome::Applied { index, .. }] = world.answers(token) else { panic!("not applied") };
    let index = *index;
    world.run(2_000);
    let token = world.propose(1, "b");
    world.run(100);
    assert!(matches!(world.answers(token), [Outcome::Applied { .. }]));
    let after = world.lease(1).expect("it leads still");
    assert!(after.until > before.until && after.applied > index, "{before:?} {after:?}");
}

/// The lease of store 1, which the others do not hear any more.
fn assert_ends_before_others_lead(world: &mut World) {
    let others_lead = |world: &World| [2, 3].into_iter().any(|id| world.leads(id));
    world.run_until("the others go on", others_lead);
    assert_eq!(world.lease(1), None);
}

#[test]
fn lease_ends_before_another_leads() {
    let mut world = World::led();
    world.isolate(1);
    assert_ends_before_others_lead(&mut world);
}

#[test]
fn lease_ends_before_another_leads_whose_store_has_shorter_timeouts_since_it_started() {
    let mut world = World::led();
    world.isolate(1);
    world.set_election_timeout(40);
    for id in [2, 3] {
        world.crash(id, 0);
        world.start(id);
        // What was promised outlives a second life as well.
        world.crash(id, 0);
        world.start(id);
    }
    assert_ends_before_others_lead(&mut world);
}

#[test]
fn store_without_leases_keeps_what_it_promised_when_it_had_them() {
    let mut world = World::led();
    world.isolate(1);
    world.crash(3, 0);
    world.crash(2, 0);
    world.set_raft(|raft| raft.lease = raft::Lease::Off);
    world.start(3);
    world.start(2);
    let campaign = world.ask(2, |group, token| Event::Campaign { group, token });
    let refused = world.answers(campaign);
    let is_promised = |why: &Refusal| matches!(why, Refusal::Raft(raft::Refused::Promised(_)));
    assert!(matches!(refused, [Outcome::Refused(why)] if is_promised(why)), "{refused:?}");
    assert_ends_before_others_lead(&mut world);
}

#[test]
fn lease_is_taken_back_before_leadership_is_handed_over() {
    let mut world = World::led();
    assert!(world.lease(1).is_some());
    world.ask(1, |group, token| Event::Transfer { group, token, to: peer(12) });
    assert!(world.leads(1), "nobody has heard of it yet");
    assert_eq!(world.lease(1), None);
    world.run(500);
    assert!(world.lease(2).is_some(), "the next one has one");
}

/// Groups that begin with a command may answer for what was this group's, and their leader may be
/// on a store that has applied it.
#[test]
fn lease_is_taken_back_until_the_groups_that_a_command_begins_are_here() {
    let mut world = World::led();
    world.node(1).holds_apply = true;
    world.propose(1, "before");
    assert!(world.lease(1).is_some(), "its own state answers");
    world.propose(1, SPAWN);
    assert_eq!(world.lease(1), None);
    // Not before the group has a leader elsewhere, which needs what is here for nothing.
    world.run(50);
    campaign(&mut world, 2);
    assert!(world.leads(1));
    assert_eq!(world.lease(1), None);
    world.node(1).holds_apply = false;
    world.run(50);
    assert!(world.hosts_of(1, CHILD) && world.lease(1).is_some());

    // What was proposed in another term, and is not there any more, holds up nobody.
    world.isolate(1);
    for _ in 0..3 {
        world.propose(1, "spawn 3 31@1 32@2 33@3");
    }
    let others_lead = |world: &World| [2, 3].into_iter().any(|id| world.leads(id));
    world.run_until("the others go on", others_lead);
    world.heal();
    world.run(500);
    let leader = [2, 3].into_iter().find(|&id| world.leads(id)).expect("one of them");
    world.ask(leader, |group, token| Event::Transfer { group, token, to: peer(11) });
    world.run_until("the first leads again", |world| world.leads(1) && world.lease(1).is_some());
}

#[test]
#[should_panic(expected = "groups came unannounced")]
fn command_that_begins_groups_must_be_proposed_as_one() {
    let mut world = World::led();
    let command = bytes::Bytes::from(SPAWN);
    let spawns = false;
    world.ask(1, |group, token| Event::Propose { group, token, command, spawns });
    world.run(50);
}

#[test]
fn lease_goes_with_what_is_led() {
    let mut world = World::led();
    world.stand_down(1);
    assert_eq!(world.lease(1), None);
    let mut world = World::led();
    world.ask(1, |group, token| Event::Destroy { group, token });
    assert_eq!(world.lease(1), None);
}
