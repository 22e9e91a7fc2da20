//! How a region gets from the replicas it has to those it should have.
//!
//! A replica is replaced in this order: a learner on the new store; once it has caught up, one
//! joint change that makes it a voter and removes the old one. At no time does the region have
//! fewer replicas that count than before. If the old one leads, leadership moves first.

use types::{PeerId, PeerRole, RegionPeer, StoreId};

use super::load::{Ledger, leaders_with, score_with};
use super::step::Step;
use super::{Cluster, StoreInfo};
use crate::table::RegionEntry;

/// The steps that add a replica.
#[must_use]
pub fn add(store: StoreId, id: PeerId) -> Vec<Step> {
    let learner = RegionPeer { id, store, role: PeerRole::Learner };
    vec![Step::AddLearner(learner), promote(learner)]
}

/// The step that makes a learner a voter.
#[must_use]
pub fn promote(learner: RegionPeer) -> Step {
    swap(&[learner], &[])
}

/// The steps that remove a replica; `heir` leads in its place if it leads.
#[must_use]
pub fn remove(entry: &RegionEntry, old: RegionPeer, heir: Option<RegionPeer>) -> Vec<Step> {
    let mut steps = Vec::new();
    if entry.report.leader.id == old.id {
        steps.extend(heir.map(Step::TransferLeader));
    }
    steps.push(swap(&[], &[old]));
    steps
}

/// The steps that put a replica on `store` in the place of `old`. If that leads, `heir` leads in
/// its place, or else, if there is none, the new one.
#[must_use]
pub fn replace(
    entry: &RegionEntry,
    old: RegionPeer,
    (store, id): (StoreId, PeerId),
    heir: Option<RegionPeer>,
) -> Vec<Step> {
    let learner = RegionPeer { id, store, role: PeerRole::Learner };
    let mut steps = vec![Step::AddLearner(learner)];
    steps.extend(settle(entry, learner, old, heir));
    steps
}

/// The steps that put a learner that has caught up in the place of `old`.
pub(super) fn settle(
    entry: &RegionEntry,
    learner: RegionPeer,
    old: RegionPeer,
    heir: Option<RegionPeer>,
) -> Vec<Step> {
    let voter = RegionPeer { role: PeerRole::Voter, ..learner };
    match (entry.report.leader.id == old.id, heir) {
        (false, _) => vec![swap(&[learner], &[old])],
        (true, Some(heir)) => vec![Step::TransferLeader(heir), swap(&[learner], &[old])],
        (true, None) => {
            vec![promote(learner), Step::TransferLeader(voter), swap(&[], &[old])]
        }
    }
}

fn swap(promote: &[RegionPeer], remove: &[RegionPeer]) -> Step {
    let as_voter = |peer: &RegionPeer| RegionPeer { role: PeerRole::Voter, ..*peer };
    Step::ChangePeers { set: promote.iter().map(as_voter).collect(), remove: remove.to_vec() }
}

/// The follower that may lead in the place of the leader: on a store that has room if there is one,
/// then on the one with the fewest leaders.
pub(super) fn heir(
    cluster: &Cluster,
    ledger: &Ledger,
    entry: &RegionEntry,
) -> Result<RegionPeer, &'static str> {
    let leader = entry.report.leader.id;
    let is_full = |store| cluster.store(store).is_none_or(|store| store.is_full);
    entry
        .peers()
        .iter()
        .copied()
        .filter(|peer| peer.id != leader && cluster.may_lead(entry, *peer))
        .min_by_key(|peer| {
            (is_full(peer.store), leaders_with(cluster, ledger, peer.store), peer.store)
        })
        .ok_or("no other replica of it may lead")
}

const IS_BUSY: &str = "is being filled as much as may be";

/// The best store for a new replica: the farthest from the others', then the least loaded.
/// `leaving` is the store whose replica goes; on `unfilled` one could not be filled, so that others
/// come first.
pub(super) fn target(
    cluster: &Cluster,
    ledger: &Ledger,
    entry: &RegionEntry,
    (leaving, unfilled): (Option<StoreId>, Option<StoreId>),
) -> Result<StoreId, String> {
    let mut refusals = Refusals::default();
    let allowed = |store: &&StoreInfo| match refuses(cluster, ledger, entry, store) {
        None => true,
        Some(why) => {
            refusals.count(why);
            false
        }
    };
    let bytes = i64::try_from(entry.report.bytes.get()).unwrap_or(i64::MAX);
    cluster
        .stores
        .values()
        .filter(allowed)
        .min_by_key(|store| {
            let score = score_with(cluster, ledger, store, (1, bytes));
            let is_unfilled = unfilled == Some(store.id);
            (is_unfilled, crowding(cluster, entry, leaving, store.id), score, store.id)
        })
        .map(|store| store.id)
        .ok_or_else(|| refusals.told())
}

/// Whether a replica that leaves a store would better wait: a store that is being filled as much as
/// may be is farther from the others than any that has a place. In words, if so.
pub(super) fn busy_but_farther(
    cluster: &Cluster,
    ledger: &Ledger,
    entry: &RegionEntry,
    (leaving, unfilled): (StoreId, Option<StoreId>),
) -> Option<String> {
    let nearest = |wanted: Option<&'static str>| {
        let such = cluster.stores.values().filter(|store| {
            let refusal = refuses(cluster, ledger, entry, store);
            refusal == wanted && unfilled != Some(store.id)
        });
        such.map(|store| (crowding(cluster, entry, Some(leaving), store.id), store.id)).min()
    };
    let ((busy, store), (free, _)) = (nearest(Some(IS_BUSY))?, nearest(None)?);
    (busy < free).then(|| {
        let told = store.get();
        format!("store {told}, which is farther from its other replicas than others, {IS_BUSY}")
    })
}

/// Why a store cannot be given a replica of this region now, in words.
pub(super) fn refuses(
    cluster: &Cluster,
    ledger: &Ledger,
    entry: &RegionEntry,
    store: &StoreInfo,
) -> Option<&'static str> {
    if entry.region().peer_on(store.id).is_some() {
        return Some("has a replica of it already");
    }
    if let Some(why) = store.refuses_replicas(cluster.config) {
        return Some(why);
    }
    if cluster.are_apart(entry.leader_store(), store.id) {
        return Some("is not reached from the store that leads it");
    }
    let fills = usize::try_from(ledger.of(store.id).fills).unwrap_or(0);
    (fills >= cluster.config.fills_per_store).then_some(IS_BUSY)
}

/// How near a store is to the replicas that stay: 0 if it shares no place with any.
pub(super) fn crowding(
    cluster: &Cluster,
    entry: &RegionEntry,
    leaving: Option<StoreId>,
    store: StoreId,
) -> usize {
    let stay = entry.peers().iter().filter(|peer| Some(peer.store) != leaving);
    stay.filter(|peer| peer.store != store).map(|peer| cluster.nearness(peer.store, store)).sum()
}

/// Why stores were refused, counted.
#[derive(Default)]
struct Refusals {
    counts: std::collections::BTreeMap<&'static str, usize>,
}

impl Refusals {
    fn count(&mut self, why: &'static str) {
        *self.counts.entry(why).or_default() += 1;
    }

    fn told(&self) -> String {
        let told: Vec<String> =
            self.counts.iter().map(|(why, count)| format!("{count} × {why}")).collect();
        format!("no store can take a replica of it ({})", told.join(", "))
    }
}
