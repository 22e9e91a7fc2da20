//! Schedulers: leaders and replicas from stores that have much to stores that have little.
//!
//! A replica moves only if afterwards its source still has more than its target by the tolerance.
//! So no move can call for its reverse, and a balanced cluster is quiet. What is under way counts
//! as done, so that ten planners' worth of moves to one empty store do not overshoot.
//!
//! A leader moves only if its source has more than the store that has least by the tolerance, and
//! then to a follower that has less than its share. If there has been none for long, whichever
//! follower has less will do: who has most and who has least may share no region, and leaders get
//! from one to the other by stores between. Not at once, as those would hand on what they get; and
//! where replicas move to new stores, regions come up that have one there. Each move lowers the sum
//! of the squares of what stores lead, so they come to an end.
//!
//! Which region moves is not left to chance: each store has a cursor that goes through its regions.
//! Where to, neither: to the smallest store of all places that the region's other replicas allow.

use std::collections::{BTreeMap, BTreeSet};

use types::{GroupId, RegionPeer, StoreId};

use super::load::{Ledger, leaders_with, score_with};
use super::ranking::Ranking;
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
    /// How many regions of each store that could have given a leader were looked at since one of
    /// them had a follower on a store that leads less than its share.
    in_vain: BTreeMap<StoreId, u64>,
}

/// How often all regions that a store leads are looked at in vain before a leader goes to a store
/// that has its share; or how many, where it leads very many.
const ROUNDS_IN_VAIN: u64 = 2;
const IN_VAIN_MAX: u64 = 2_048;

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
        self.in_vain.retain(|store, _| is_known(*store));
    }

    /// The next regions of a store that fit and are free, at most `count` of as many as may be
    /// looked at, once around; and moves on.
    fn sample<'a>(
        &mut self,
        round: &Round<'a>,
        (origin, store): (Origin, StoreId),
        count: usize,
        fits: impl Fn(&RegionEntry) -> bool,
    ) -> Vec<&'a RegionEntry> {
        let (table, config) = (round.cluster.table, round.cluster.config);
        let from = self.at.get(&(origin, store)).copied();
        let walk = |from| -> Box<dyn Iterator<Item = &'a RegionEntry>> {
            match origin {
                Origin::BalanceRegion => Box::new(table.regions_of(store, from)),
                _ => Box::new(table.leaders_of(store, from)),
            }
        };
        let around = from
            .into_iter()
            .flat_map(|first| walk(None).take_while(move |entry| entry.id() < first));
        let mut found = Vec::new();
        for entry in walk(from).chain(around).take(config.samples) {
            self.at.insert((origin, store), next(entry.id()));
            if fits(entry) && !(round.is_busy)(entry.id()) {
                found.push(entry);
                if found.len() == count {
                    break;
                }
            }
        }
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
    share(leaders, cluster.config.tolerance_percent, takers(cluster, StoreInfo::wants_leaders))
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

/// One leader to move, or why none, in words.
pub(super) fn balance_leader(
    round: &Round,
    cursors: &mut Cursors,
    ranking: &mut Ranking,
) -> Result<Move, String> {
    let (tolerance, share) = (ranking.tolerance, ranking.share_of(round.cluster.table.len()));
    let Some((least, smallest)) = ranking.least() else {
        return Err("no store takes leaders".to_owned());
    };
    if ranking.difference() < 2 + tolerance {
        cursors.in_vain.clear();
    }
    let mut may_later = false;
    while let Some((most, source)) = ranking.source() {
        if most < least + 2 + tolerance {
            break;
        }
        let fits = |entry: &RegionEntry| round.cluster.is_healthy(entry);
        let tried = round.cluster.config.samples_tried;
        let sampled = cursors.sample(round, (Origin::BalanceLeader, source), tried, fits);
        let best = sampled.iter().filter_map(|entry| {
            let to = plan::heir(round.cluster, round.ledger, entry).ok()?;
            round.cluster.store(to.store).filter(|store| store.wants_leaders())?;
            Some((leaders_with(round.cluster, round.ledger, to.store), entry.id(), to))
        });
        let best = best.min_by_key(|(count, id, _)| (*count, *id));
        let in_vain = cursors.in_vain.entry(source).or_default();
        match best {
            Some((count, ..)) if count < share => *in_vain = 0,
            _ => *in_vain = in_vain.saturating_add(sampled.len() as u64),
        }
        let may_go_round = *in_vain >= ROUNDS_IN_VAIN.saturating_mul(most).min(IN_VAIN_MAX);
        match best {
            Some((count, region, to)) if most >= count + 2 && (count < share || may_go_round) => {
                let (from, on) = (source.get(), to.store.get());
                let reason = format!("store {from} leads {most} regions, store {on} {count}");
                return Ok(Move::Leader { region, to, reason });
            }
            // Looked at once per tick: the next samples come with the next tick.
            _ => {
                may_later |= best.is_some_and(|(count, ..)| most >= count + 2);
                ranking.spend(source);
            }
        }
    }
    let difference = ranking.difference();
    Err(if difference < 2 + tolerance {
        format!(
            "store {} leads the fewest regions, but the difference of {difference} is within the \
             tolerance of {}",
            smallest.get(),
            tolerance + 1
        )
    } else if may_later {
        "no region looked at has a replica on a store with less than its share of leaders; others \
         are tried after more were looked at"
            .to_owned()
    } else {
        "no region looked at has a replica on a store with fewer leaders that may lead".to_owned()
    })
}

/// One replica to move, or why none, in words.
pub(super) fn balance_region(
    round: &Round,
    cursors: &mut Cursors,
    ranking: &mut Ranking,
) -> Result<Move, String> {
    let (cluster, tolerance) = (round.cluster, ranking.tolerance);
    let Some((_, smallest)) = ranking.least() else { return Err("no store is up".to_owned()) };
    while let (Some((most, source)), Some(least)) = (ranking.source(), ranking.least_target()) {
        if most <= least.saturating_add(tolerance) {
            break;
        }
        let fits = |entry: &RegionEntry| cluster.is_healthy(entry);
        let tried = cluster.config.samples_tried;
        let mut sampled = cursors.sample(round, (Origin::BalanceRegion, source), tried, fits);
        // Followers first: to move a leader's replica takes one step more.
        sampled.sort_by_key(|entry| entry.leader_store() == source);
        for entry in sampled {
            if let Some((to, old)) = target(round, ranking, entry, source) {
                let reason = told(round, source, to);
                return Ok(Move::Replica { region: entry.id(), old, to, reason });
            }
        }
        ranking.spend(source);
    }
    let difference = ranking.difference();
    Err(if difference <= tolerance {
        let weight = tolerance.max(1) / tolerance_in_regions(cluster).max(1);
        format!(
            "store {} is the smallest, but the difference of {} regions is within the tolerance \
             of {}",
            smallest.get(),
            difference / weight.max(1),
            tolerance_in_regions(cluster)
        )
    } else if ranking.is_waiting {
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

/// How many of the smallest stores of each place are tried for a region.
const TARGETS_TRIED: usize = 8;

/// The smallest store on which a replica is better off than on `source`, and the replica.
fn target(
    round: &Round,
    ranking: &Ranking,
    entry: &RegionEntry,
    source: StoreId,
) -> Option<(StoreId, RegionPeer)> {
    let (cluster, ledger) = (round.cluster, round.ledger);
    let (old, source) = (entry.region().peer_on(source)?, cluster.store(source)?);
    let others = entry.peers().iter().filter(|peer| peer.id != old.id);
    let stay: Vec<&StoreInfo> = others.filter_map(|peer| cluster.store(peer.store)).collect();
    let crowding = |store: &StoreInfo| -> usize {
        stay.iter().map(|other| other.nearness(store, cluster.config)).sum()
    };
    let here = crowding(source);
    let bytes = i64::try_from(entry.report.bytes.get()).unwrap_or(i64::MAX);
    let left = score_with(cluster, ledger, source, (-1, bytes.saturating_neg()));
    // At least this much more a target would have: nearly all stores are told apart by it.
    let weight = entry.report.bytes.get().saturating_add(cluster.config.region_weight);
    let added = ranking.tolerance.saturating_add(weight);
    let is_better = |&&(_, to): &&(u64, StoreId)| {
        cluster.store(to).is_some_and(|store| {
            score_with(cluster, ledger, store, (1, bytes)).saturating_add(ranking.tolerance) <= left
                && crowding(store) <= here
                && plan::refuses(cluster, ledger, entry, store).is_none()
        })
    };
    let best = |place: &BTreeSet<(u64, StoreId)>| {
        let smaller = place.iter().take_while(|(key, _)| key.saturating_add(added) <= left);
        smaller.take(TARGETS_TRIED).find(is_better).copied()
    };
    ranking.targets().filter_map(best).min().map(|(_, to)| (to, old))
}

/// Why a replica moves from one store to another, in words.
fn told(round: &Round, from: StoreId, to: StoreId) -> String {
    let score = |id| {
        let store = round.cluster.store(id);
        store.map_or(0, |store| score_with(round.cluster, round.ledger, store, (0, 0)) >> 20)
    };
    let (high, low) = (score(from), score(to));
    format!("store {} has a score of {high} MiB, store {} of {low} MiB", from.get(), to.get())
}

/// Leaders to move off stores that drain, stop, or have no room, at most `limit`, and why others
/// stay, in words.
///
/// A leader without room takes nothing but deletes; its followers may have some. Who is no better
/// off is not given it: leaders would go round.
pub(super) fn evict(
    round: &Round,
    cursors: &mut Cursors,
    limit: usize,
) -> (Vec<Move>, Vec<&'static str>) {
    let (mut moves, mut refusals) = (Vec::new(), Vec::new());
    let leaves = |store: &StoreInfo| store.state == StoreState::Draining || store.is_stopping;
    let evicts = |store: &&StoreInfo| leaves(store) || store.is_full;
    for store in round.cluster.stores.values().filter(evicts) {
        let count = round.cluster.config.samples;
        for entry in cursors.sample(round, (Origin::EvictLeader, store.id), count, |_| true) {
            if moves.len() >= limit {
                return (moves, refusals);
            }
            if entry.is_joint() {
                refusals.push("its membership is between two");
                continue;
            }
            match plan::heir(round.cluster, round.ledger, entry) {
                Ok(to) => {
                    let heir = round.cluster.store(to.store);
                    if !leaves(store) && !heir.is_some_and(StoreInfo::wants_leaders) {
                        refusals.push("no other replica that may lead has room");
                        continue;
                    }
                    let verb = match (store.is_stopping, leaves(store)) {
                        (true, _) => "stops",
                        (false, true) => "drains",
                        (false, false) => "has no room",
                    };
                    let reason = format!("store {} {verb}", store.id.get());
                    moves.push(Move::Leader { region: entry.id(), to, reason });
                }
                Err(why) => refusals.push(why),
            }
        }
    }
    (moves, refusals)
}
