//! How loaded stores are, with what is already under way counted as if it had happened.
//!
//! The score of a store is its replicas' bytes, and a little for each region, times one to three by
//! how full its disk is. All of it is whole numbers, so that every build plans the same. Two
//! properties are tested: more load or a fuller disk never lowers a score; and it stays within
//! three times the load, so that a store that is short of space is avoided and not taken for
//! infinitely bad.

use std::collections::BTreeMap;

use types::{RegionPeer, StoreId};

use super::step::Step;
use super::{Cluster, Operator, Origin, StoreInfo};
use crate::table::RegionEntry;

/// Below this, in thousandths of the disk, being full costs nothing.
const FILL_FREE: u64 = 600;
/// At this it costs most.
const FILL_WORST: u64 = 900;
/// The factor, in thousandths, then.
const FACTOR_WORST: u64 = 3000;

/// What an operator, or all, will still change about a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// Bytes of replicas.
    pub bytes: i64,
    /// Replicas.
    pub regions: i64,
    /// Leaders.
    pub leaders: i64,
    /// Replicas that are being filled on it.
    pub fills: i64,
    /// Replicas that are moved to or from it for balance.
    pub moves: i64,
}

/// What is under way, by store.
#[derive(Debug, Default)]
pub struct Ledger {
    stores: BTreeMap<StoreId, Effect>,
}

impl Ledger {
    /// What is under way for a store.
    #[must_use]
    pub fn of(&self, store: StoreId) -> Effect {
        self.stores.get(&store).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, effects: &[(StoreId, Effect)]) {
        for (store, effect) in effects {
            self.stores.entry(*store).or_default().add(effect, 1);
        }
    }

    pub(super) fn subtract(&mut self, effects: &[(StoreId, Effect)]) {
        for (store, effect) in effects {
            let sum = self.stores.entry(*store).or_default();
            sum.add(effect, -1);
            if *sum == Effect::default() {
                self.stores.remove(store);
            }
        }
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stores.is_empty()
    }
}

impl Effect {
    fn add(&mut self, other: &Effect, times: i64) {
        self.bytes += other.bytes * times;
        self.regions += other.regions * times;
        self.leaders += other.leaders * times;
        self.fills += other.fills * times;
        self.moves += other.moves * times;
    }
}

/// The score of a store: `load` bytes on a disk of `capacity` bytes of which `available` are free.
/// A capacity of 0 is not known, and costs nothing.
#[must_use]
pub fn score(load: u64, capacity: u64, available: u64) -> u64 {
    let used = u128::from(capacity.saturating_sub(available));
    let fill = (used * 1000).checked_div(capacity.into()).unwrap_or(0);
    let (free, worst) = (u128::from(FILL_FREE), u128::from(FILL_WORST));
    let steep = u128::from(FACTOR_WORST - 1000);
    let factor = 1000 + (fill.clamp(free, worst) - free) * steep / (worst - free);
    u64::try_from(u128::from(load) * factor / 1000).unwrap_or(u64::MAX)
}

/// The score of a store once all that is under way, and a move of so many replicas of so many
/// bytes, has happened.
pub(super) fn score_with(
    cluster: &Cluster,
    ledger: &Ledger,
    store: &StoreInfo,
    (regions, bytes): (i64, i64),
) -> u64 {
    let (tally, under_way) = (cluster.table.tally_of(store.id), ledger.of(store.id));
    let more_bytes = under_way.bytes.saturating_add(bytes);
    let bytes = tally.bytes.saturating_add_signed(more_bytes);
    let regions = tally.regions.saturating_add_signed(under_way.regions + regions);
    let load = bytes.saturating_add(regions.saturating_mul(cluster.config.region_weight));
    score(load, store.capacity, store.available.saturating_add_signed(more_bytes.saturating_neg()))
}

/// Leaders on a store once all that is under way has happened.
pub(super) fn leaders_with(cluster: &Cluster, ledger: &Ledger, store: StoreId) -> u64 {
    cluster.table.tally_of(store).leaders.saturating_add_signed(ledger.of(store).leaders)
}

/// What an operator will still change, given what its region is now.
pub(super) fn effects(operator: &Operator, entry: &RegionEntry) -> Vec<(StoreId, Effect)> {
    let mut effects: BTreeMap<StoreId, Effect> = BTreeMap::new();
    let bytes = i64::try_from(entry.report.bytes.get()).unwrap_or(i64::MAX);
    let mut members = entry.peers().to_vec();
    let mut leader = entry.leader_store();
    for step in operator.steps.iter().skip(operator.at) {
        members = step.applied_to(&members);
        match step {
            Step::TransferLeader(to) => leader = to.store,
            Step::AddLearner(peer) if !step.is_finished(entry) => {
                effects.entry(peer.store).or_default().fills += 1;
            }
            _ => {}
        }
    }
    let has = |peers: &[RegionPeer], peer: &RegionPeer| peers.iter().any(|p| p.id == peer.id);
    let mut weigh = |peer: &RegionPeer, sign: i64| {
        let effect = effects.entry(peer.store).or_default();
        effect.bytes += bytes * sign;
        effect.regions += sign;
    };
    members.iter().filter(|peer| !has(entry.peers(), peer)).for_each(|peer| weigh(peer, 1));
    entry.peers().iter().filter(|peer| !has(&members, peer)).for_each(|peer| weigh(peer, -1));
    if leader != entry.leader_store() {
        effects.entry(leader).or_default().leaders += 1;
        effects.entry(entry.leader_store()).or_default().leaders -= 1;
    }
    if operator.origin == Origin::BalanceRegion {
        // For as long as it runs: from both ends.
        for step in &operator.steps {
            let ends: &[RegionPeer] = match step {
                Step::AddLearner(peer) => std::slice::from_ref(peer),
                Step::ChangePeers { remove, .. } => remove,
                _ => &[],
            };
            for peer in ends {
                effects.entry(peer.store).or_default().moves += 1;
            }
        }
    }
    effects.into_iter().collect()
}
