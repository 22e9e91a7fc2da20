//! What whoever watches is told: who leads, in order, and nothing twice.

use multiraft::Standing;
use multiraft::shard::Event;

use crate::spawn::{CHILD, campaign, release, with_third_slow};
use crate::world::{GROUP, World, peer};

fn last(world: &World, id: u64) -> Standing {
    world.told(id, GROUP).pop().expect("it was told").expect("it is here")
}

fn assert_nothing_twice(world: &World, id: u64, of: u64) {
    let told = world.told(id, of);
    for pair in told.windows(2) {
        assert_ne!(pair[0], pair[1], "store {id}: {told:?}");
    }
    let terms = told.iter().flatten().map(|standing| standing.term);
    assert!(terms.is_sorted(), "store {id}: {told:?}");
}

#[test]
fn every_store_is_told_who_leads_once() {
    let mut world = World::led();
    let term = world.peer_at(1, GROUP).expect("it lives").status().term;
    for id in 1..=3 {
        let expected = Standing { peer: peer(10 + id), term, leader: Some(peer(11)) };
        assert_eq!(world.told(id, GROUP), [Some(expected)]);
        assert_eq!(expected.leads(), id == 1);
    }
    world.propose(1, "a");
    world.run(3_000);
    assert_eq!(world.standings.len(), 3, "nothing changed");
    world.ask(1, |group, token| Event::Transfer { group, token, to: peer(12) });
    world.run(500);
    for id in 1..=3 {
        let standing = last(&world, id);
        assert_eq!(standing.leader, Some(peer(12)));
        assert!(standing.term > term);
        assert_eq!(standing.leads(), id == 2);
        assert_nothing_twice(&world, id, GROUP);
    }
}

#[test]
fn store_that_gives_up_what_it_leads_says_so() {
    let mut world = World::led();
    world.isolate(1);
    world.stand_down(1);
    assert_eq!(last(&world, 1).leader, None, "it does not lead any more");
    let told = world.told(1, GROUP).len();
    world.run(3_000);
    assert_eq!(world.told(1, GROUP).len(), told, "terms without leaders are no news");
    world.heal();
    world.run(3_000);
    for id in 1..=3 {
        assert_eq!(last(&world, id).leader, last(&world, 1).leader);
        assert_nothing_twice(&world, id, GROUP);
    }
}

#[test]
fn group_that_is_gone_is_not_told_of_any_more() {
    let mut world = World::led();
    world.ask(1, |group, token| Event::Destroy { group, token });
    assert_eq!(world.told(1, GROUP).last(), Some(&None));
    let told = world.told(1, GROUP).len();
    world.run(2_000);
    assert_eq!(world.told(1, GROUP).len(), told);
    let leader = last(&world, 2).leader;
    assert!(leader.is_some_and(|leader| leader != peer(11)), "others lead: {leader:?}");
    assert_nothing_twice(&world, 2, GROUP);
}

#[test]
fn group_that_begins_in_place_is_told_of_in_order() {
    let mut world = with_third_slow();
    campaign(&mut world, 1);
    world.run(200);
    assert_eq!(world.told(3, CHILD).len(), 1, "the empty peer knows its leader");
    release(&mut world);
    world.run(1_000);
    assert_nothing_twice(&world, 3, CHILD);
    let standing = world.told(3, CHILD).pop().flatten().expect("it is here");
    assert_eq!(standing.leader, Some(peer(21)));
}
