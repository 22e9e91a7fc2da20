//! Planning in a virtual cluster: it comes to rest, at rest it is quiet, and no order does harm.
//!
//! Scenarios at scale, with all that is asserted of them, are in `scheduler/scale.rs`.

mod scheduler {
    mod judge;
    mod scale;
    pub(crate) mod world;
}

use std::time::Duration;

use placement::scheduler::{Cluster, Outcome, StoreState, drain_check, is_empty};
use placement::table::RegionTable;
use scheduler::world::{MIB, World, group, store};
use types::{PeerRole, Time};

const MINUTE: Duration = Duration::from_secs(60);

fn three_stores(regions: u64) -> World {
    World::new(3, regions, |_| vec![1, 2, 3])
}

#[test]
fn leaders_on_one_store_spread_and_rest() {
    let mut world = three_stores(90);
    assert_eq!(world.spread().0, (0, 90));
    world.run(20 * MINUTE);
    let ((least, most), _) = world.spread();
    assert!(most - least <= 3, "leaders {least} to {most}");
    world.assert_quiet(120 * MINUTE);
    let why = &world.controller.reasons().verdict(placement::scheduler::Origin::BalanceLeader);
    let why = &why.expect("it looked").why;
    assert!(why.contains("within the tolerance"), "{why}");
}

#[test]
fn new_stores_get_their_share_and_rest() {
    let mut world = three_stores(100);
    world.run(10 * MINUTE);
    world.add_store(4);
    world.add_store(5);
    world.run(60 * MINUTE);
    let ((fewest, most), (small, large)) = world.spread();
    assert!(large - small <= 6, "replicas {small} to {large}");
    assert!(most - fewest <= 4, "leaders {fewest} to {most}");
    world.assert_quiet(240 * MINUTE);
}

#[test]
fn lost_store_is_replaced_after_its_time() {
    let mut world = World::new(5, 60, |at| (0..3).map(|nth| (at + nth) % 5 + 1).collect());
    world.run(10 * MINUTE);
    world.kill(2);
    world.run(25 * MINUTE);
    assert_ne!(world.table.tally_of(store(2)).regions, 0, "nobody hurries");
    world.run(30 * MINUTE);
    assert_eq!(world.table.tally_of(store(2)).regions, 0);
    assert_eq!(world.table.with_fewer_voters(3), 0);
    world.assert_quiet(60 * MINUTE);
}

#[test]
fn flapping_store_moves_no_replica() {
    let mut world = World::new(4, 60, |at| (0..3).map(|nth| (at + nth) % 4 + 1).collect());
    world.run(10 * MINUTE);
    for _ in 0..30 {
        world.kill(2);
        world.run(Duration::from_secs(25));
        world.revive(2);
        world.run(Duration::from_secs(40));
    }
    assert_eq!(world.judge.since().replicas, 0);
}

#[test]
fn draining_store_is_emptied() {
    let mut world = World::new(4, 80, |at| (0..3).map(|nth| (at + nth) % 4 + 1).collect());
    let plan = world.with(|_, cluster| drain_check(cluster, store(3))).expect("it can end");
    assert_eq!((plan.regions, plan.leaders, plan.bytes), (60, 20, 60 * 64 * MIB));
    world.stores.get_mut(&store(3)).expect("known").state = StoreState::Draining;
    world.run(20 * MINUTE);
    assert!(world.with(|_, cluster| is_empty(cluster, store(3))));
    let explained = world.with(|controller, cluster| controller.explain_store(cluster, store(3)));
    let empty = "it is empty, and can be removed unless it holds a seat of placement".to_owned();
    assert!(explained.contains(&empty), "{explained:?}");
    world.assert_quiet(60 * MINUTE);
    let refusal = world.with(|_, cluster| drain_check(cluster, store(1))).expect_err("cannot end");
    assert_eq!(
        refusal,
        "without store 1, only stores 2, 4 would be up, and every region needs 3: add a store first"
    );
}

#[test]
fn stopping_store_gives_its_leaders_away() {
    let mut world = three_stores(30);
    world.run(10 * MINUTE);
    world.stores.get_mut(&store(1)).expect("known").is_stopping = true;
    world.run(2 * MINUTE);
    assert_eq!(world.table.tally_of(store(1)).leaders, 0);
    assert_eq!(world.table.tally_of(store(1)).regions, 30);
}

#[test]
fn store_without_room_gives_its_leaders_away_and_gets_none_unless_all_are_full() {
    let mut world = three_stores(30);
    world.run(10 * MINUTE);
    let full = |world: &mut World, id, is_full| {
        world.stores.get_mut(&store(id)).expect("known").is_full = is_full;
    };
    full(&mut world, 1, true);
    world.run(2 * MINUTE);
    assert_eq!(world.table.tally_of(store(1)).leaders, 0);
    assert_eq!(world.table.tally_of(store(1)).regions, 30);
    world.assert_quiet(60 * MINUTE);
    // Who would take them is no better off.
    full(&mut world, 2, true);
    full(&mut world, 3, true);
    world.assert_quiet(60 * MINUTE);
    for id in 1..=3 {
        full(&mut world, id, false);
    }
    world.run(10 * MINUTE);
    assert!(world.table.tally_of(store(1)).leaders >= 8);
}

#[test]
fn lost_and_doubled_orders_do_no_harm() {
    let mut world = three_stores(60);
    world.lost_percent = 30;
    world.add_store(4);
    world.add_store(5);
    world.run(30 * MINUTE);
    world.kill(1);
    world.run(120 * MINUTE);
    assert_eq!(world.table.tally_of(store(1)).regions, 0);
    assert_eq!(world.table.with_fewer_voters(3), 0);
    world.assert_quiet(60 * MINUTE);
    for truth in world.truth.values() {
        assert!(truth.region.peers.iter().all(|peer| peer.role == PeerRole::Voter));
        assert_eq!(truth.region.peers.len(), 3);
    }
}

#[test]
fn region_changed_by_others_cancels_its_operator() {
    let mut world = three_stores(1);
    world.lost_percent = 100;
    world.config.leader_moves_max = 0;
    world.run(MINUTE);
    let asked = world
        .with(|controller, cluster| controller.transfer_leader(cluster, group(1000), store(2)));
    let id = asked.expect("it may lead");
    let again = world
        .with(|controller, cluster| controller.transfer_leader(cluster, group(1000), store(3)));
    assert!(again.expect_err("one at a time").contains("still runs"));
    let mut report = world.table.by_id(group(1000)).expect("known").report.clone();
    report.region.epoch.conf_ver += 1;
    report.region.peers.pop();
    world.table.report(world.now, report);
    let order = world.with(|controller, cluster| controller.on_report(cluster, group(1000)));
    assert_eq!(order, None);
    let ended = world.controller.ended().next().expect("it ended");
    assert_eq!(ended.operator.id, id);
    assert!(matches!(&ended.outcome, Outcome::Cancelled(why) if why.contains("otherwise")));
}

#[test]
fn step_that_never_shows_times_out() {
    let mut world = three_stores(1);
    world.config.leader_moves_max = 0;
    world.run(MINUTE);
    world.lost_percent = 100;
    let asked = world
        .with(|controller, cluster| controller.transfer_leader(cluster, group(1000), store(2)));
    asked.expect("it may lead");
    world.run(2 * MINUTE);
    let ended = world.controller.ended().next().expect("it ended");
    assert!(matches!(&ended.outcome, Outcome::TimedOut(_)), "{:?}", ended.outcome);
}

#[test]
fn split_is_ordered_and_seen() {
    let mut world = three_stores(1);
    world.run(MINUTE);
    let keys = vec![b"m".to_vec()];
    let id = world.with(|controller, cluster| controller.split(cluster, group(1000), keys));
    let id = id.expect("it can be split");
    world.run(MINUTE);
    let ended = world.controller.ended().find(|ended| ended.operator.id == id);
    assert_eq!(ended.expect("it ended").outcome, Outcome::Done);
    let keys = vec![b"z".to_vec()];
    let outside = world.with(|controller, cluster| controller.split(cluster, group(1000), keys));
    assert_eq!(outside.expect_err("outside"), "z does not cut region 1000, [, m), in two");
}

#[test]
fn nothing_is_planned_before_enough_is_known() {
    let mut world = three_stores(100);
    let mut partial = RegionTable::new();
    for (_, truth) in world.truth.iter().take(80) {
        let entry = world.table.by_id(truth.region.id).expect("known");
        partial.report(world.now, entry.report.clone());
    }
    world.table = partial;
    let (table, stores, config) = (&world.table, &world.stores, &world.config);
    let since = world.now;
    let at = |expected, after| {
        let now: Time = since.after(after);
        Cluster { table, stores, config, now, since, expected }.unprepared()
    };
    let why = at(Some(100), MINUTE).expect("it is too early");
    assert_eq!(why, "only 80 of 100 regions are known yet");
    assert!(at(None, MINUTE).is_some() && at(Some(88), MINUTE).is_none());
    assert!(at(Some(100), 5 * MINUTE).is_none());
    // That is enough for planning, and not for a cluster to be well.
    let (now, expected) = (since.after(5 * MINUTE), Some(80));
    let unknown = Cluster { table, stores, config, now, since, expected }.unknown();
    assert_eq!(unknown.expect("a hole"), "some keys are in no region that is known");
}
