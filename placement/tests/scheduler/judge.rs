//! What is asserted of every order that was carried out, and what orders came to.
//!
//! | property | where |
//! |---|---|
//! | at any time no more is under way than may be, on a store and in all | `check_limits` |
//! | no region has fewer voters, nor voters nearer to each other, than before | `members_changed` |
//! | no store that should get no replica does | `members_changed` |
//! | what moved once does not move again, nor back | `Tally`, told by `since` |

use std::collections::{BTreeMap, BTreeSet};

use placement::scheduler::{Controller, Origin, SchedulerConfig, StoreInfo};
use types::{GroupId, PeerId, PeerRole, Region, RegionPeer, StoreId};

/// What was moved since it was asked last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Leaders handed over.
    pub(crate) leaders: u64,
    /// Replicas that were begun on a store.
    pub(crate) replicas: u64,
    /// Of those that left a store, how many had come meanwhile.
    pub(crate) again: u64,
    /// Replicas that came to a store that their region had left meanwhile.
    pub(crate) back: u64,
    /// Leaders that came to a store that had handed them over meanwhile.
    pub(crate) leaders_back: u64,
}

#[derive(Default)]
pub(crate) struct Judge {
    tally: Tally,
    /// Peers that came.
    came: BTreeSet<PeerId>,
    left: BTreeSet<(GroupId, StoreId)>,
    led: BTreeSet<(GroupId, StoreId)>,
}

impl Judge {
    /// What was moved since this was asked last.
    pub(crate) fn since(&mut self) -> Tally {
        std::mem::take(self).tally
    }

    /// What was moved so far.
    pub(crate) fn so_far(&self) -> Tally {
        self.tally.clone()
    }

    pub(crate) fn leader_moved(&mut self, region: GroupId, (from, to): (StoreId, StoreId)) {
        self.tally.leaders += 1;
        self.led.insert((region, from));
        self.tally.leaders_back += u64::from(self.led.contains(&(region, to)));
    }

    /// A membership was changed to what the region has now.
    pub(crate) fn members_changed(
        &mut self,
        (stores, config): (&BTreeMap<StoreId, StoreInfo>, &SchedulerConfig),
        before: &[RegionPeer],
        region: &Region,
    ) {
        let voters = |peers: &[RegionPeer]| -> Vec<RegionPeer> {
            peers.iter().copied().filter(|peer| peer.role == PeerRole::Voter).collect()
        };
        let (old, new) = (voters(before), voters(&region.peers));
        let enough = old.len().min(config.replicas);
        assert!(new.len() >= enough, "{region:?} lost a replica that counts");
        let crowding = |peers: &[RegionPeer]| -> usize {
            let pairs = peers.iter().enumerate().flat_map(|(at, one)| {
                peers[at + 1..].iter().map(move |other| (one.store, other.store))
            });
            pairs.map(|(one, other)| stores[&one].nearness(&stores[&other], config)).sum()
        };
        if new.len() == old.len() {
            assert!(crowding(&new) <= crowding(&old), "{region:?} came together, from {before:?}");
        }
        let has = |peers: &[RegionPeer], id| peers.iter().any(|peer| peer.id == id);
        for peer in region.peers.iter().filter(|peer| !has(before, peer.id)) {
            // It may have become fuller on the way of the order, by what was on its way before.
            let roomy =
                SchedulerConfig { full_permille: config.full_permille + 20, ..config.clone() };
            let why = stores[&peer.store].refuses_replicas(&roomy);
            assert_eq!(why, None, "{peer:?} of {region:?}");
            self.tally.replicas += 1;
            self.tally.back += u64::from(self.left.contains(&(region.id, peer.store)));
            self.came.insert(peer.id);
        }
        for peer in before.iter().filter(|peer| !has(&region.peers, peer.id)) {
            self.tally.again += u64::from(self.came.contains(&peer.id));
            self.left.insert((region.id, peer.store));
        }
    }

    /// What is under way is within the limits.
    pub(crate) fn check_limits(
        &self,
        controller: &Controller,
        stores: &BTreeMap<StoreId, StoreInfo>,
        config: &SchedulerConfig,
    ) {
        let mut counts: BTreeMap<Origin, usize> = BTreeMap::new();
        for operator in controller.running() {
            *counts.entry(operator.origin).or_default() += 1;
        }
        let limits = [
            (Origin::Repair, config.repairs_max),
            (Origin::EvictLeader, config.evictions_max),
            (Origin::BalanceLeader, config.leader_moves_max),
            (Origin::BalanceRegion, config.region_moves_max),
        ];
        for (origin, limit) in limits {
            let count = counts.get(&origin).copied().unwrap_or(0);
            assert!(count <= limit, "{count} of {origin} at once");
        }
        let within = |count: i64, limit| usize::try_from(count).is_ok_and(|count| count <= limit);
        for id in stores.keys() {
            let under_way = controller.ledger().of(*id);
            assert!(within(under_way.fills, config.fills_per_store), "{id}: {under_way:?}");
            assert!(within(under_way.moves, config.region_moves_per_store), "{id}: {under_way:?}");
        }
    }
}
