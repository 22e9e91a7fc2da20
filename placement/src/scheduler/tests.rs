//! Properties of scores and of steps.

use std::collections::BTreeMap;

use proptest::prelude::*;
use types::{Epoch, GroupId, KeyRange, PeerId, PeerRole, Region, RegionPeer, StoreId, Term, Time};

use super::{Cluster, Finding, Ledger, SchedulerConfig, StoreInfo, StoreState, check, score};
use crate::table::{RegionEntry, RegionReport, RegionTable};

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
        bytes: 1 << 26,
        keys: 1,
        written_per_second: 0,
        read_per_second: 0,
    };
    RegionEntry { report, at: Time::ZERO }
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
        let found = check(&cluster, &Ledger::default(), &entry, false, &mut || PeerId::new(100));
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
}

#[test]
fn ids_are_given_out_rising_and_none_that_later_ones_have_overtaken() {
    let mut controller = super::Controller::new();
    let wanted = controller.ids_wanted();
    assert!(wanted > 0);
    controller.offer_ids((1..).filter_map(PeerId::new).take(wanted));
    assert_eq!(controller.ids_wanted(), 0);
    controller.forget_ids();
    assert_eq!(controller.ids_wanted(), wanted);
}
