//! One test for each row of the table, and a model: whatever happens to stores, each step leaves a
//! majority, and when nothing happens any more all seats come to good stores.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// A group and its stores. Ids of members rise.
#[derive(Clone, Debug)]
struct World {
    wanted: usize,
    members: Vec<Sitting>,
    leader: PeerId,
    stores: BTreeMap<StoreId, StoreInfo>,
    given_up: BTreeMap<StoreId, Time>,
    config: SchedulerConfig,
    next_peer: u64,
}

fn store(id: u64) -> StoreId {
    StoreId::new(id).expect("not zero")
}

fn peer(id: u64) -> PeerId {
    PeerId::new(id).expect("not zero")
}

fn info(id: u64) -> StoreInfo {
    StoreInfo::new(store(id), StoreState::Up)
}

impl World {
    /// So many stores that are up; the first ones hold the seats, and the first leads.
    fn new(stores: u64, seats: u64) -> World {
        let seat = |id| RegionPeer { id: peer(id), store: store(id), role: PeerRole::Voter };
        let sitting = |id| Sitting::well(seat(id));
        World {
            wanted: usize::try_from(seats).expect("few"),
            members: (1..=seats).map(sitting).collect(),
            leader: peer(1),
            stores: (1..=stores).map(|id| (store(id), info(id))).collect(),
            given_up: BTreeMap::new(),
            config: SchedulerConfig::default(),
            next_peer: 1_000,
        }
    }

    fn set(&mut self, id: u64, state: StoreState) {
        let store = self.stores.get_mut(&store(id)).expect("it is there");
        store.state = state;
        store.silent = match state {
            StoreState::Down | StoreState::Removed => self.config.down_after,
            StoreState::Disconnected => self.config.silent_after,
            _ => Duration::ZERO,
        };
    }

    fn seats(&self) -> Seats<'_> {
        Seats {
            wanted: self.wanted,
            members: &self.members,
            is_joint: false,
            leader: self.leader,
            stores: &self.stores,
            given_up: &self.given_up,
            config: &self.config,
        }
    }

    fn next(&self) -> SeatFinding {
        self.seats().next()
    }

    fn step(&self) -> SeatStep {
        match self.next() {
            SeatFinding::Do { step, .. } => step,
            other => panic!("nothing is done: {other}"),
        }
    }

    /// Carries out a step as the group does.
    fn carry_out(&mut self, step: &SeatStep) {
        match *step {
            SeatStep::Invite(store) => {
                let id = peer(self.next_peer);
                self.next_peer += 1;
                let peer = RegionPeer { id, store, role: PeerRole::Learner };
                let behind = Some(Duration::ZERO);
                self.members.push(Sitting { behind, ..Sitting::well(peer) });
            }
            SeatStep::Seat { learner, leaves } => {
                self.members.retain(|of| Some(of.peer) != leaves);
                let seated = self.members.iter_mut().find(|of| of.peer == learner);
                seated.expect("it is there").peer.role = PeerRole::Voter;
            }
            SeatStep::Dismiss(old) => self.members.retain(|of| of.peer != old),
            SeatStep::GiveUp(old) => {
                self.members.retain(|of| of.peer != old);
                let at = Time(self.given_up.values().map(|at| at.0 + 1).max().unwrap_or(1));
                self.given_up.insert(old.store, at);
            }
            SeatStep::HandOver(heir) => self.leader = heir.id,
        }
        if self.members.iter().all(|of| of.peer.id != self.leader) {
            // Whoever was left out asks another to campaign.
            let up = |of: &&Sitting| self.seats().is_up(of);
            let next = self.seats().voters().find(|of| up(&of)).expect("a majority is up");
            self.leader = next.peer.id;
        }
    }

    /// Takes the next step.
    fn go(&mut self) {
        let step = self.step();
        self.carry_out(&step);
    }

    fn fill(&mut self) {
        self.members.iter_mut().for_each(|of| of.behind = None);
    }

    /// Where voters sit.
    fn sit(&self) -> Vec<u64> {
        let mut sit: Vec<u64> = self.seats().voters().map(|of| of.peer.store.get()).collect();
        sit.sort_unstable();
        sit
    }

    /// Goes on until there is nothing to be done any more; returns how many steps that took.
    fn settle(&mut self) -> usize {
        for steps in 0..100 {
            self.fill();
            match self.next() {
                SeatFinding::Do { step, .. } => self.carry_out(&step),
                SeatFinding::Fine | SeatFinding::Stuck { .. } => return steps,
                SeatFinding::Wait { .. } => panic!("nothing is left to wait for: {}", self.next()),
            }
        }
        panic!("it does not end: {self:?}");
    }
}

#[test]
fn all_is_fine_while_stores_are_up_or_silent_for_a_while() {
    let mut world = World::new(5, 3);
    assert_eq!(world.next(), SeatFinding::Fine);
    world.set(2, StoreState::Disconnected);
    assert_eq!(world.next(), SeatFinding::Fine);
    assert_eq!(World::new(1, 1).next(), SeatFinding::Fine);
    assert_eq!(World::new(5, 1).next(), SeatFinding::Fine, "one seat stays one");
}

#[test]
fn seat_of_a_lost_or_draining_store_moves_by_way_of_a_learner() {
    for state in [StoreState::Down, StoreState::Draining, StoreState::Removed] {
        let mut world = World::new(4, 3);
        world.set(2, state);
        assert_eq!(world.step(), SeatStep::Invite(store(4)));
        world.go();
        assert!(matches!(world.next(), SeatFinding::Wait { .. }), "it is being filled");
        world.fill();
        let (learner, old) = (world.members[3].peer, world.members[1].peer);
        assert_eq!(world.step(), SeatStep::Seat { learner, leaves: Some(old) });
        world.go();
        assert_eq!((world.next(), world.sit()), (SeatFinding::Fine, vec![1, 3, 4]));
    }
}

#[test]
fn lost_store_goes_before_one_that_drains() {
    let mut world = World::new(5, 3);
    world.set(2, StoreState::Draining);
    world.set(3, StoreState::Down);
    world.settle();
    assert_eq!(world.sit(), [1, 4, 5]);
    let mut world = World::new(4, 3);
    world.set(2, StoreState::Draining);
    world.set(3, StoreState::Down);
    world.settle();
    assert_eq!(world.sit(), [1, 2, 4], "there is one place, and the lost one needs it more");
}

#[test]
fn leader_that_has_to_go_hands_over_first_to_one_that_stays_and_has_everything() {
    let mut world = World::new(4, 3);
    world.set(1, StoreState::Draining);
    world.members[1].behind = Some(Duration::ZERO);
    assert_eq!(world.step(), SeatStep::HandOver(world.members[2].peer));
    world.members[1].behind = None;
    world.set(2, StoreState::Disconnected);
    assert_eq!(world.step(), SeatStep::HandOver(world.members[2].peer));
    world.settle();
    assert_eq!((world.sit(), world.leader), (vec![2, 3, 4], peer(3)));
}

#[test]
fn sole_member_moves_as_a_whole() {
    let mut world = World::new(2, 1);
    world.set(1, StoreState::Draining);
    assert_eq!(world.settle(), 2);
    assert_eq!(world.sit(), [2]);
    assert_eq!(world.leader, peer(1_000));
}

#[test]
fn learner_whose_store_goes_is_given_up_at_once_and_one_not_heard_of_yet_is_waited_for() {
    for state in [StoreState::Disconnected, StoreState::Down, StoreState::Draining] {
        let mut world = World::new(5, 3);
        world.set(2, StoreState::Down);
        world.go();
        world.set(4, state);
        let learner = world.members[3].peer;
        assert_eq!(world.step(), SeatStep::Dismiss(learner));
        world.settle();
        assert_eq!(world.sit(), [1, 3, 5]);
    }
    let mut world = World::new(5, 3);
    world.set(2, StoreState::Down);
    world.go();
    world.set(4, StoreState::Joining);
    world.fill();
    assert!(matches!(world.next(), SeatFinding::Wait { .. }));
}

#[test]
fn member_that_is_not_heard_is_told_of_until_it_is_replaced() {
    let mut world = World::new(4, 3);
    world.members[1].unheard = Some(almost(world.config.silent_after));
    assert_eq!(world.seats().unheard(), None, "it may be back at once");
    let told = |world: &World| world.seats().unheard().expect("it is told");
    world.members[1].unheard = Some(almost(world.config.down_after));
    let line = told(&world);
    assert!(line.starts_with("store 2 ") && line.ends_with("takes its place in 1 s"), "{line}");
    // There is no other place; its store is silent, of which placement speaks already.
    let mut full = world.clone();
    full.stores.remove(&store(4));
    assert!(told(&full).ends_with("add a store"), "{}", told(&full));
    let mut silent = world.clone();
    silent.set(2, StoreState::Disconnected);
    assert_eq!(silent.seats().unheard(), None);
    world.members[1].unheard = Some(world.config.down_after);
    world.go();
    assert!(told(&world).contains("is not heard"), "{}", told(&world));
    world.settle();
    assert_eq!(world.seats().unheard(), None);
}

#[test]
fn stores_where_no_learner_is_ever_filled_keep_nobody_from_others() {
    let mut world = World::new(7, 3);
    world.set(2, StoreState::Down);
    let mut tried = Vec::new();
    while tried.len() < 5 {
        let step = world.step();
        if let SeatStep::Invite(on) = step {
            tried.push(on.get());
        }
        world.carry_out(&step);
        let fill = world.config.fill_timeout;
        for of in world.members.iter_mut().filter(|of| of.peer.role == PeerRole::Learner) {
            of.behind = Some(fill);
        }
    }
    assert_eq!(tried, [4, 5, 6, 7, 4], "all, and then the one that is longest ago");
}

fn almost(span: Duration) -> Duration {
    span.saturating_sub(Duration::from_secs(1))
}

#[test]
fn member_that_is_not_heard_for_long_is_replaced_though_its_store_is_up() {
    let mut world = World::new(4, 3);
    let down_after = world.config.down_after;
    world.members[1].unheard = Some(almost(down_after));
    assert_eq!(world.next(), SeatFinding::Fine, "it may come back");
    world.members[1].unheard = Some(down_after);
    let SeatFinding::Do { reason, .. } = world.next() else { panic!("nothing is done") };
    assert!(reason.contains("has not been heard for long"), "{reason}");
    world.settle();
    assert_eq!(world.sit(), [1, 3, 4]);
}

#[test]
fn member_that_is_not_heard_is_neither_heir_nor_counted_as_up() {
    let mut world = World::new(4, 3);
    world.set(1, StoreState::Draining);
    world.members[1].unheard = Some(Duration::ZERO);
    assert_eq!(world.step(), SeatStep::HandOver(world.members[2].peer));
    world.members[1].unheard = Some(world.config.silent_after);
    world.set(3, StoreState::Disconnected);
    assert!(matches!(world.next(), SeatFinding::Stuck { .. }), "{}", world.next());
    // Of too many, it is the one that is missed least.
    let mut world = World::new(5, 5);
    world.wanted = 3;
    world.members[2].unheard = Some(world.config.silent_after);
    assert_eq!(world.step(), SeatStep::Dismiss(world.members[2].peer));
}

#[test]
fn learner_that_is_not_heard_or_not_filled_in_time_is_given_up_and_another_store_is_next() {
    let mut world = World::new(5, 3);
    world.set(2, StoreState::Down);
    world.go();
    let learner = world.members[3].peer;
    let (silent, fill) = (world.config.silent_after, world.config.fill_timeout);
    for (behind, unheard, is_given_up) in [
        (Some(almost(fill)), Some(almost(silent)), false),
        (Some(Duration::ZERO), Some(silent), true),
        (None, Some(silent), true),
        (Some(fill), None, true),
    ] {
        world.members[3] = Sitting { peer: learner, behind, unheard };
        let found = world.next();
        let step = SeatStep::GiveUp(learner);
        let gives_up = matches!(&found, SeatFinding::Do { step: of, .. } if *of == step);
        assert_eq!(gives_up, is_given_up, "{behind:?} {unheard:?}: {found}");
        assert!(is_given_up || matches!(found, SeatFinding::Wait { .. }), "{found}");
    }
    world.carry_out(&SeatStep::GiveUp(learner));
    assert_eq!(world.step(), SeatStep::Invite(store(5)));
    // There is no other: it is tried again.
    world.set(5, StoreState::Down);
    assert_eq!(world.step(), SeatStep::Invite(store(4)));
}

#[test]
fn learner_that_nobody_needs_any_more_goes() {
    let mut world = World::new(4, 3);
    world.set(2, StoreState::Draining);
    world.go();
    world.set(2, StoreState::Up);
    assert_eq!(world.step(), SeatStep::Dismiss(world.members[3].peer));
}

#[test]
fn nothing_is_changed_while_it_changes_or_without_a_majority() {
    let mut world = World::new(5, 3);
    world.set(2, StoreState::Down);
    let joint = Seats { is_joint: true, ..world.seats() };
    assert!(matches!(joint.next(), SeatFinding::Wait { .. }));
    world.set(3, StoreState::Down);
    assert!(matches!(world.next(), SeatFinding::Stuck { .. }));
    // A new leader has heard of nobody yet.
    world.set(3, StoreState::Joining);
    assert!(matches!(world.next(), SeatFinding::Wait { .. }));
}

#[test]
fn members_that_are_not_up_are_given_up_before_those_that_drain() {
    let mut world = World::new(3, 3);
    world.wanted = 1;
    world.set(2, StoreState::Draining);
    world.set(3, StoreState::Disconnected);
    // The other way round, one of two would be up in between.
    assert_eq!(world.step(), SeatStep::Dismiss(world.members[2].peer));
    assert_eq!((world.settle(), world.sit()), (2, vec![1]));
}

#[test]
fn more_seats_are_filled_and_fewer_are_given_up() {
    let mut world = World::new(5, 1);
    world.wanted = 3;
    world.settle();
    assert_eq!(world.sit(), [1, 2, 3]);
    world.wanted = 5;
    world.settle();
    assert_eq!(world.sit(), [1, 2, 3, 4, 5]);
    world.wanted = 3;
    world.set(4, StoreState::Disconnected);
    world.settle();
    assert_eq!(world.sit(), [1, 2, 3], "who is not up goes first, then the latest");
    world.wanted = 7;
    assert!(matches!(world.next(), SeatFinding::Do { .. }));
}

#[test]
fn seats_are_kept_apart() {
    let mut world = World::new(5, 3);
    world.config.location_labels = vec!["zone".to_owned()];
    for (id, zone) in [(1, "a"), (2, "b"), (3, "c"), (4, "a"), (5, "b")] {
        let store = world.stores.get_mut(&store(id)).expect("it is there");
        store.labels = vec![("zone".to_owned(), zone.to_owned())];
    }
    world.set(2, StoreState::Draining);
    world.settle();
    assert_eq!(world.sit(), [1, 3, 5]);
}

#[test]
fn drain_that_could_not_end_is_known_beforehand() {
    let world = World::new(3, 3);
    let why = world.seats().holds_on(store(2)).expect("there is no other place");
    assert!(why.contains("add a store"), "{why}");
    assert_eq!(World::new(4, 3).seats().holds_on(store(2)), None);
    assert_eq!(World::new(4, 3).seats().holds_on(store(4)), None, "it holds none");
    let mut world = World::new(3, 3);
    world.wanted = 1;
    assert_eq!(world.seats().holds_on(store(2)), None, "one more than needed");
}

fn state() -> impl Strategy<Value = StoreState> {
    prop_oneof![
        5 => Just(StoreState::Up),
        2 => Just(StoreState::Disconnected),
        2 => Just(StoreState::Down),
        2 => Just(StoreState::Draining),
        1 => Just(StoreState::Joining),
    ]
}

fn spell() -> impl Strategy<Value = Option<Duration>> {
    let config = SchedulerConfig::default();
    prop_oneof![Just(Duration::ZERO), Just(config.silent_after), Just(config.down_after)]
        .prop_map(Some)
}

proptest! {
    #[test]
    fn each_step_leaves_a_majority_and_all_come_to_good_stores(
        stores in 1..8_u64,
        seats in prop_oneof![Just(1), Just(3), Just(5)],
        events in proptest::collection::vec(
            (0..8_u64, state(), any::<bool>(), prop_oneof![4 => Just(None), 1 => spell()]),
            0..60,
        ),
    ) {
        prop_assume!(seats <= stores);
        let mut world = World::new(stores, seats);
        for (at, state, fills, unheard) in events {
            let mut after = world.clone();
            after.set(at % stores + 1, state);
            let leader = after.leader;
            for of in &mut after.members {
                if of.peer.store == store(at % stores + 1) && of.peer.id != leader {
                    of.unheard = unheard;
                }
            }
            // Without a majority, or its leader, nobody asks what to do.
            let up = after.seats().up(after.seats().voters());
            let leads = after.members.iter().find(|of| of.peer.id == after.leader);
            let leader = leads.expect("a member leads").peer.store;
            let majority = after.seats().voters().count() / 2 + 1;
            if !after.stores[&leader].is_alive(&after.config) || up < majority {
                continue;
            }
            world = after;
            if fills {
                world.fill();
            }
            let SeatFinding::Do { step, .. } = world.next() else { continue };
            world.carry_out(&step);
            let (voters, seats) = (world.seats().voters().count(), world.seats());
            prop_assert!(voters >= 1 && seats.up(seats.voters()) > voters / 2, "{step} {world:?}");
            let learners = world.members.len() - voters;
            prop_assert!(learners <= 1, "{step} {world:?}");
            let mut homes: Vec<StoreId> = world.members.iter().map(|of| of.peer.store).collect();
            homes.sort_unstable();
            homes.dedup();
            prop_assert!(homes.len() == world.members.len(), "{step} {world:?}");
        }
        // Who was not heard of yet is, and who was silent comes back.
        let down_after = world.config.down_after;
        for of in world.members.iter_mut().filter(|of| of.unheard < Some(down_after)) {
            of.unheard = None;
        }
        for id in 1..=stores {
            if matches!(
                world.stores[&store(id)].state,
                StoreState::Joining | StoreState::Disconnected
            ) {
                world.set(id, StoreState::Up);
            }
        }
        world.settle();
        let is_good = |id: &&u64| world.stores[&store(**id)].state == StoreState::Up;
        let good = world.stores.values().filter(|store| store.state == StoreState::Up).count();
        let sit = world.sit();
        prop_assert_eq!(sit.iter().filter(is_good).count(), world.wanted.min(good), "{:?}", world);
        prop_assert_eq!(sit.len(), world.wanted, "{:?}", world);
        let is_heard = world.members.iter().all(|of| of.unheard.is_none());
        prop_assert!(is_heard || good <= world.wanted, "{:?}", world);
    }
}
