//! Properties of scores and of steps.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use types::{Epoch, GroupId, KeyRange, PeerId, PeerRole, Region, RegionPeer, StoreId, Term, Time};

use super::{
    Cluster, Finding, Ledger, Overdue, Places, SchedulerConfig, StoreInfo, StoreState, check, score,
};
use crate::table::{Figure, RegionEntry, RegionReport, RegionTable};

fn peer(id: u64, store: u64) -> RegionPeer {
    let id = PeerId::new(id).expect("not zero");
    RegionPeer { id, store: StoreId::new(store).expect("not zero"), role: PeerRole::Voter }
}

fn info(id: u64, state: StoreState) -> (StoreId, StoreInfo) {
    let id = StoreId::new(id).expect("not zero");
    (id, StoreInfo::new(id, state))
}

fn state() -> impl Strategy<Value = StoreState> {
    prop_oneof![
        4 => Just(StoreState::Up),
        1 => Just(StoreState::Disconnected),
        1 => Just(StoreState::Down),
        2 => Just(StoreState::Draining),
    ]
}

fn region(peers: Vec<RegionPeer>, pending: Vec<PeerId>) -> RegionEntry {
    let leader = peers[0];
    let region = Region {
        id: GroupId::new(9).expect("not zero"),
        range: KeyRange::default(),
        epoch: Epoch::FIRST,
        peers,
    };
    let report = RegionReport {
        region,
        leader,
        term: Term(1),
        down: Vec::new(),
        pending,
        bytes: Figure::from(1 << 26),
        keys: Figure::from(1),
        written_per_second: Figure::default(),
        read_per_second: Figure::default(),
    };
    RegionEntry::new(report, Time::ZERO)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn score_rises_with_load_and_with_fullness_within_bounds(
        (load, more) in (0..1_u64 << 50, 0..1_u64 << 50),
        (capacity, free) in (0..1_u64 << 50, 0..1_u64 << 50),
        less in 0..1_u64 << 50,
    ) {
        let base = score(load, capacity, free);
        prop_assert!(score(load + more, capacity, free) >= base);
        prop_assert!(score(load, capacity, free.saturating_sub(less)) >= base);
        prop_assert!(base >= load && base <= load * 3);
    }

    #[test]
    fn plans_keep_a_quorum_and_one_peer_a_store(
        states in proptest::collection::vec(state(), 3..9),
        count in 1_u64..6,
        pending in proptest::bool::weighted(0.2),
    ) {
        let total = states.len() as u64;
        let count = count.min(total);
        let infos = (1..).zip(&states).map(|(id, state)| info(id, *state));
        let stores: BTreeMap<_, _> = infos.collect();
        let peers: Vec<RegionPeer> = (1..=count).map(|id| peer(id, id)).collect();
        let behind = if pending { vec![peers[peers.len() - 1].id] } else { Vec::new() };
        let mut entry = region(peers, behind);
        let table = RegionTable::new();
        let config = SchedulerConfig::default();
        let now = Time::ZERO;
        let cluster = Cluster {
            table: &table, stores: &stores, config: &config, now, since: now, expected: None,
        };
        let around = (&Ledger::default(), &Places::of(&cluster));
        let found = check(&cluster, around, &entry, Overdue::default(), &mut || PeerId::new(100));
        let Finding::Mend { steps, .. } = found else { return Ok(()) };
        for step in steps {
            // Asked when a step is due; a step that is not safe is not taken.
            if step.danger(&cluster, &entry).is_some() {
                break;
            }
            entry.report.region.peers = step.applied_to(entry.peers());
            if let super::Step::TransferLeader(to) = step {
                entry.report.leader = to;
            }
            let mut on: Vec<StoreId> = entry.peers().iter().map(|peer| peer.store).collect();
            on.sort();
            on.dedup();
            prop_assert_eq!(on.len(), entry.peers().len());
            let voters = entry.voters().count();
            let up = entry.voters().filter(|peer| cluster.is_up(&entry, *peer)).count();
            prop_assert!(up > voters / 2, "{} of {} up", up, voters);
            prop_assert!(entry.region().peer(entry.report.leader.id).is_some());
        }
    }

    #[test]
    fn what_is_plainly_fine_is_fine_at_a_closer_look(
        states in proptest::collection::vec((state(), 0..4_u8, 0..2_u8), 6),
        roles in proptest::collection::vec(role(), 2..5),
        (silent, behind) in (proptest::bool::weighted(0.1), proptest::bool::weighted(0.1)),
        labels in 0..3_usize,
    ) {
        let labelled = |(id, (state, zone, rack)): (u64, (StoreState, u8, u8))| {
            let (id, mut info) = info(id, state);
            info.labels = vec![
                ("zone".to_owned(), zone.to_string()),
                ("rack".to_owned(), rack.to_string()),
            ];
            (id, info)
        };
        let stores: BTreeMap<StoreId, StoreInfo> = (1..).zip(states).map(labelled).collect();
        let peers = (1..).zip(roles).map(|(id, role)| RegionPeer { role, ..peer(id, id) });
        let mut entry = region(peers.collect(), Vec::new());
        let last = entry.peers()[entry.peers().len() - 1].id;
        if silent {
            entry.report.down.push((last, Duration::from_secs(1)));
        }
        if behind {
            entry.report.pending.push(last);
        }
        let table = RegionTable::new();
        let keys = ["zone", "rack"].map(str::to_owned);
        let location_labels = keys.into_iter().take(labels).collect();
        let config = SchedulerConfig { location_labels, ..SchedulerConfig::default() };
        let now = Time::ZERO;
        let cluster = Cluster {
            table: &table, stores: &stores, config: &config, now, since: now, expected: None,
        };
        let (ledger, places) = (Ledger::default(), Places::of(&cluster));
        let mut new_peer = || PeerId::new(100);
        let around = (&ledger, &places);
        let overdue = Overdue::default();
        let closely =
            super::checker::check_closely(&cluster, around, &entry, overdue, &mut new_peer);
        prop_assert!(!places.is_plainly_fine(&entry) || closely == Finding::Fine, "{closely:?}");
        // What could stand nowhere else is not looked for everywhere, and nothing is overlooked.
        let everywhere = stores.values().filter(|store| store.refuses_replicas(&config).is_none());
        let near: Vec<&StoreInfo> = entry.peers().iter().map(|peer| &stores[&peer.store]).collect();
        let crowding = |store: &StoreInfo| -> usize {
            near.iter().map(|other| store.nearness(other, &config)).sum()
        };
        let least = everywhere.map(crowding).min().unwrap_or(0);
        prop_assert_eq!(places.least_crowding(&near), least);
    }
}

fn role() -> impl Strategy<Value = PeerRole> {
    prop_oneof![
        12 => Just(PeerRole::Voter),
        1 => Just(PeerRole::Learner),
        1 => Just(PeerRole::Incoming),
        1 => Just(PeerRole::Demoting),
    ]
}

#[test]
fn ids_are_given_out_rising_and_none_that_later_ones_have_overtaken() {
    let mut controller = super::Controller::new();
    let config = SchedulerConfig::default();
    let wanted = controller.ids_wanted(&config);
    assert_eq!(wanted, config.repairs_max + config.region_moves_max);
    controller.offer_ids((1..).filter_map(PeerId::new).take(wanted));
    assert_eq!(controller.ids_wanted(&config), 0);
    controller.forget_ids();
    assert_eq!(controller.ids_wanted(&config), wanted);
}
