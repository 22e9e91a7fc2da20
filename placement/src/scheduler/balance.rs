//! Schedulers: leaders and replicas from stores that have much to stores that have little.
//!
//! A move is planned only if afterwards its source still has more than its target by the tolerance.
//! So no move can call for its reverse, and a balanced cluster is quiet. What is under way counts
//! as done, so that ten planners' worth of moves to one empty store do not overshoot.
//!
//! Which region moves is not left to chance: each store has a cursor that goes through its regions.

use std::collections::{BTreeMap, BTreeSet};

use types::{GroupId, RegionPeer, StoreId};

use super::load::{Ledger, leaders_with, score_with};
use super::{Cluster, Origin, StoreInfo, StoreState, plan};
use crate::table::RegionEntry;

/// A move that a scheduler wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Move {
    Leader { region: GroupId, to: RegionPeer, reason: String },
    Replica { region: GroupId, old: RegionPeer, to: StoreId, reason: String },
}

/// Where each scheduler stopped on each store.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    at: BTreeMap<(Origin, StoreId), GroupId>,
}

/// What one run looks at, and whom it may not touch.
pub(super) struct Round<'a> {
    pub(super) cluster: &'a Cluster<'a>,
    pub(super) ledger: &'a Ledger,
    /// Whether a region is left alone: it has an operator, or was just tried in vain.
    pub(super) is_busy: &'a dyn Fn(GroupId) -> bool,
}

impl Cursors {
    pub(super) fn keep(&mut self, is_known: impl Fn(StoreId) -> bool) {
        self.at.retain(|(_, store), _| is_known(*store));
    }

    /// The next regions of a store, at most `limit`, once around; and moves on.
    fn sample<'a>(
        &mut self,
        round: &Round<'a>,
        (origin, store): (Origin, StoreId),
        fits: impl Fn(&RegionEntry) -> bool,
    ) -> Vec<&'a RegionEntry> {
        let (table, limit) = (round.cluster.table, round.cluster.config.samples);
        let from = self.at.get(&(origin, store)).copied();
        let pick = |from| -> Vec<&'a RegionEntry> {
            match origin {
                Origin::BalanceRegion => table.regions_of(store, from).take(limit).collect(),
                _ => table.leaders_of(store, from).take(limit).collect(),
            }
        };
        let mut found = pick(from);
        if found.len() < limit
            && let Some(first) = from
        {
            let rest = limit - found.len();
            found.extend(pick(None).into_iter().filter(|entry| entry.id() < first).take(rest));
        }
        if let Some(last) = found.last() {
            self.at.insert((origin, store), next(last.id()));
        }
        found.retain(|entry| fits(entry) && !(round.is_busy)(entry.id()));
        found
    }
}

/// The id after this one.
pub(super) fn next(id: GroupId) -> GroupId {
    GroupId::new(id.get().saturating_add(1)).unwrap_or(id)
}

/// How many leaders two stores may differ by: a share of the mean.
pub(super) fn leader_tolerance(cluster: &Cluster) -> u64 {
    let leaders = cluster.table.len() as u64;
    share(leaders, cluster.config.tolerance_percent, takers(cluster, StoreInfo::takes_leaders))
}

/// How many bytes of score two stores may differ by: a share of the mean, and a few regions.
pub(super) fn region_tolerance(cluster: &Cluster) -> u64 {
    let (table, config) = (cluster.table, cluster.config);
    let regions = (table.len() as u64).max(1);
    let weight = regions.saturating_mul(config.region_weight).saturating_add(table.bytes());
    let stores = takers(cluster, |store| store.state == StoreState::Up);
    let total = weight.saturating_mul(config.replicas as u64);
    let few = (weight / regions).saturating_mul(config.tolerance_regions);
    share(total, config.tolerance_percent, stores).max(few)
}

fn share(total: u64, percent: u64, stores: u64) -> u64 {
    let share = u128::from(total) * u128::from(percent) / 100 / u128::from(stores.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

fn takers(cluster: &Cluster, takes: impl Fn(&StoreInfo) -> bool) -> u64 {
    cluster.stores.values().filter(|store| takes(store)).count() as u64
}

/// The stores that take leaders, by how many they have.
pub(super) fn by_leaders(cluster: &Cluster, ledger: &Ledger) -> BTreeSet<(u64, StoreId)> {
    let takers = cluster.stores.values().filter(|store| store.takes_leaders());
    takers.map(|store| (leaders_with(cluster, ledger, store.id), store.id)).collect()
}

/// The stores that are up, by their score.
pub(super) fn by_score(cluster: &Cluster, ledger: &Ledger) -> BTreeSet<(u64, StoreId)> {
    let up = cluster.stores.values().filter(|store| store.state == StoreState::Up);
    up.map(|store| (score_with(cluster, ledger, store, (0, 0)), store.id)).collect()
}

/// One leader to move, or why none, in words.
pub(super) fn balance_leader(
    round: &Round,
    cursors: &mut Cursors,
    spent: &mut BTreeSet<StoreId>,
    order: &BTreeSet<(u64, StoreId)>,
) -> Result<Move, String> {
    let tolerance = leader_tolerance(round.cluster);
    let Some(&(least, smallest)) = order.first() else {
        return Err("no store takes leaders".to_owned());
    };
    for &(most, source) in order.iter().rev() {
        if most < least + 2 + tolerance {
            break;
        }
        if spent.contains(&source) {
            continue;
        }
        let fits = |entry: &RegionEntry| round.cluster.is_healthy(entry);
        let sampled = cursors.sample(round, (Origin::BalanceLeader, source), fits);
        let best = sampled.iter().filter_map(|entry| {
            let to = plan::heir(round.cluster, round.ledger, entry).ok()?;
            Some((leaders_with(round.cluster, round.ledger, to.store), entry.id(), to))
        });
        match best.min_by_key(|(count, id, _)| (*count, *id)) {
            Some((count, region, to)) if most >= count + 2 + tolerance => {
                let (from, on) = (source.get(), to.store.get());
                let reason = format!("store {from} leads {most} regions, store {on} {count}");
                return Ok(Move::Leader { region, to, reason });
            }
            // Looked at once per tick: the next samples come with the next tick.
            _ => spent.insert(source),
        };
    }
    let most = order.last().map_or(0, |(most, _)| *most);
    Err(if most < least + 2 + tolerance {
        format!(
            "store {} leads the fewest regions, but the difference of {} is within the tolerance \
             of {}",
            smallest.get(),
            most - least,
            tolerance + 1
        )
    } else {
        "no region looked at has a replica on a store with fewer leaders that may lead".to_owned()
    })
}

/// One replica to move, or why none, in words.
pub(super) fn balance_region(
    round: &Round,
    cursors: &mut Cursors,
    spent: &mut BTreeSet<StoreId>,
    order: &BTreeSet<(u64, StoreId)>,
) -> Result<Move, String> {
    let (cluster, ledger) = (round.cluster, round.ledger);
    let tolerance = region_tolerance(cluster);
    let is_occupied = |store: StoreId| {
        let moves = usize::try_from(ledger.of(store).moves).unwrap_or(0);
        moves >= cluster.config.region_moves_per_store
    };
    let Some(&(least, smallest)) = order.first() else { return Err("no store is up".to_owned()) };
    let mut is_waiting = false;
    for &(most, source) in order.iter().rev() {
        if most <= least.saturating_add(tolerance) {
            break;
        }
        if is_occupied(source) {
            is_waiting = true;
            continue;
        }
        if spent.contains(&source) {
            continue;
        }
        let fits = |entry: &RegionEntry| cluster.is_healthy(entry);
        let mut sampled = cursors.sample(round, (Origin::BalanceRegion, source), fits);
        // Followers first: to move a leader's replica takes one step more.
        sampled.sort_by_key(|entry| entry.leader_store() == source);
        for entry in sampled.into_iter().take(SOURCES_TRIED) {
            for &(_, to) in order.iter().take(TARGETS_TRIED).filter(|(_, to)| !is_occupied(*to)) {
                if let Some(reason) = worth(round, entry, (source, to), tolerance)
                    && let Some(old) = entry.region().peer_on(source)
                {
                    return Ok(Move::Replica { region: entry.id(), old, to, reason });
                }
            }
        }
        spent.insert(source);
    }
    let most = order.last().map_or(0, |(most, _)| *most);
    let difference = most - least;
    Err(if difference <= tolerance {
        let weight = tolerance.max(1) / tolerance_in_regions(cluster).max(1);
        format!(
            "store {} is the smallest, but the difference of {} regions is within the tolerance \
             of {}",
            smallest.get(),
            difference / weight.max(1),
            tolerance_in_regions(cluster)
        )
    } else if is_waiting {
        "as many moves as may be are under way for the stores that differ most".to_owned()
    } else {
        "no region looked at fits on a smaller store without overshooting".to_owned()
    })
}

/// The tolerance of balance-region in regions of mean size, for people.
fn tolerance_in_regions(cluster: &Cluster) -> u64 {
    let regions = (cluster.table.len() as u64).max(1);
    let mean = cluster.table.bytes() / regions + cluster.config.region_weight;
    region_tolerance(cluster) / mean.max(1)
}

/// Regions of a source for which targets are tried, and how many of the smallest stores are.
const SOURCES_TRIED: usize = 8;
const TARGETS_TRIED: usize = 16;

/// Why a replica is better off on `to` than on `from`, in words; `None` if it is not.
fn worth(
    round: &Round,
    entry: &RegionEntry,
    (from, to): (StoreId, StoreId),
    tolerance: u64,
) -> Option<String> {
    let (cluster, ledger) = (round.cluster, round.ledger);
    let (source, target) = (cluster.store(from)?, cluster.store(to)?);
    if plan::refuses(cluster, ledger, entry, target).is_some()
        || plan::crowding(cluster, entry, Some(from), to)
            > plan::crowding(cluster, entry, Some(from), from)
    {
        return None;
    }
    let bytes = i64::try_from(entry.report.bytes).unwrap_or(i64::MAX);
    let left = score_with(cluster, ledger, source, (-1, bytes.saturating_neg()));
    let given = score_with(cluster, ledger, target, (1, bytes));
    (left >= given.saturating_add(tolerance)).then(|| {
        let now = |store| score_with(cluster, ledger, store, (0, 0)) >> 20;
        let (high, low) = (now(source), now(target));
        format!("store {} has a score of {high} MiB, store {} of {low} MiB", from.get(), to.get())
    })
}

/// Leaders to move off stores that drain or stop, at most `limit`, and why others stay, in words.
pub(super) fn evict(
    round: &Round,
    cursors: &mut Cursors,
    limit: usize,
) -> (Vec<Move>, Vec<&'static str>) {
    let (mut moves, mut refusals) = (Vec::new(), Vec::new());
    let leaves = |store: &&StoreInfo| store.state == StoreState::Draining || store.is_stopping;
    for store in round.cluster.stores.values().filter(leaves) {
        for entry in cursors.sample(round, (Origin::EvictLeader, store.id), |_| true) {
            if moves.len() >= limit {
                return (moves, refusals);
            }
            if entry.is_joint() {
                refusals.push("its membership is between two");
                continue;
            }
            match plan::heir(round.cluster, round.ledger, entry) {
                Ok(to) => {
                    let verb = if store.is_stopping { "stops" } else { "drains" };
                    let reason = format!("store {} {verb}", store.id.get());
                    moves.push(Move::Leader { region: entry.id(), to, reason });
                }
                Err(why) => refusals.push(why),
            }
        }
    }
    (moves, refusals)
}
