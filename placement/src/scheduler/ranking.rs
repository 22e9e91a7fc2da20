//! Stores by how much they have, kept in order while moves between them are planned.
//!
//! A tick may plan a move for each of a thousand stores. So none of them is looked for: what has
//! given all it can, or takes no more, leaves its set once and is not passed over again.

use std::collections::{BTreeMap, BTreeSet};

use types::StoreId;

use super::balance::{leader_tolerance, region_tolerance};
use super::load::{Ledger, leaders_with, score_with};
use super::{Cluster, Origin, StoreInfo, StoreState};

type Ranked = BTreeSet<(u64, StoreId)>;

/// The stores that a scheduler moves between, in one tick.
#[derive(Debug)]
pub(super) struct Ranking<'a> {
    origin: Origin,
    /// How far two stores may differ: leaders, or bytes of score.
    pub(super) tolerance: u64,
    keys: BTreeMap<StoreId, u64>,
    all: Ranked,
    /// Those that may still give.
    sources: Ranked,
    /// Those that may still take, by where they are: what a region may not have in one place it may
    /// have in another, however small the stores of the first.
    targets: BTreeMap<&'a str, Ranked>,
    /// Whether some neither give nor take now, since as much as may be is under way for them.
    pub(super) is_waiting: bool,
}

impl<'a> Ranking<'a> {
    /// The stores that leaders are moved to, by how many they have, or those that are up, by their
    /// score.
    pub(super) fn of(cluster: &Cluster<'a>, ledger: &Ledger, origin: Origin) -> Ranking<'a> {
        let tolerance = match origin {
            Origin::BalanceLeader => leader_tolerance(cluster),
            _ => region_tolerance(cluster),
        };
        let mut ranking = Ranking {
            origin,
            tolerance,
            keys: BTreeMap::new(),
            all: Ranked::new(),
            sources: Ranked::new(),
            targets: BTreeMap::new(),
            is_waiting: false,
        };
        if origin == Origin::BalanceLeader {
            for store in cluster.stores.values().filter(|store| store.wants_leaders()) {
                ranking.put(leaders_with(cluster, ledger, store.id), store.id);
            }
            return ranking;
        }
        let up = || cluster.stores.values().filter(|store| store.state == StoreState::Up);
        let label = divider(cluster, up());
        for store in up() {
            let score = score_with(cluster, ledger, store, (0, 0));
            ranking.put(score, store.id);
            if store.refuses_replicas(cluster.config).is_none() {
                let place = label.map_or("", |label| store.label(label));
                ranking.targets.entry(place).or_default().insert((score, store.id));
            }
            ranking.close_if_occupied(cluster, ledger, store.id);
        }
        ranking
    }

    fn put(&mut self, key: u64, store: StoreId) {
        self.keys.insert(store, key);
        self.all.insert((key, store));
        self.sources.insert((key, store));
    }

    /// The store that has least.
    pub(super) fn least(&self) -> Option<(u64, StoreId)> {
        self.all.first().copied()
    }

    /// By how much the stores differ.
    pub(super) fn difference(&self) -> u64 {
        let (first, last) = (self.all.first(), self.all.last());
        first.zip(last).map_or(0, |((least, _), (most, _))| most - least)
    }

    /// How many of so many leaders a store has if all have the same.
    pub(super) fn share_of(&self, leaders: usize) -> u64 {
        leaders.div_ceil(self.all.len().max(1)) as u64
    }

    /// Of the stores that may still give, the one that has most.
    pub(super) fn source(&self) -> Option<(u64, StoreId)> {
        self.sources.last().copied()
    }

    /// Of the stores that may still take, what the one has that has least.
    pub(super) fn least_target(&self) -> Option<u64> {
        self.targets.values().filter_map(BTreeSet::first).map(|(key, _)| *key).min()
    }

    /// The stores that may still take, by place, in each from the one that has least.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Ranked> {
        self.targets.values()
    }

    /// Nothing more is found on this store in this tick.
    pub(super) fn spend(&mut self, store: StoreId) {
        if let Some(key) = self.keys.get(&store) {
            self.sources.remove(&(*key, store));
        }
    }

    /// A move was planned: puts a store that it touches where it belongs now.
    pub(super) fn touch(&mut self, cluster: &Cluster, ledger: &Ledger, id: StoreId) {
        let (Some(store), Some(old)) = (cluster.store(id), self.keys.get(&id).copied()) else {
            return;
        };
        let key = match self.origin {
            Origin::BalanceLeader => leaders_with(cluster, ledger, id),
            _ => score_with(cluster, ledger, store, (0, 0)),
        };
        self.keys.insert(id, key);
        let sets = [&mut self.all, &mut self.sources].into_iter();
        for set in sets.chain(self.targets.values_mut()) {
            if set.remove(&(old, id)) {
                set.insert((key, id));
            }
        }
        if self.origin == Origin::BalanceRegion {
            self.close_if_occupied(cluster, ledger, id);
        }
    }

    fn close_if_occupied(&mut self, cluster: &Cluster, ledger: &Ledger, id: StoreId) {
        let (config, under_way) = (cluster.config, ledger.of(id));
        let reaches =
            |count: i64, limit: usize| usize::try_from(count).is_ok_and(|count| count >= limit);
        let is_occupied = reaches(under_way.moves, config.region_moves_per_store);
        let Some(key) = self.keys.get(&id).copied() else { return };
        if is_occupied {
            self.sources.remove(&(key, id));
        }
        if is_occupied || reaches(under_way.fills, config.fills_per_store) {
            self.is_waiting = true;
            self.targets.values_mut().for_each(|place| {
                place.remove(&(key, id));
            });
        }
    }
}

/// The widest location label in which these stores differ.
fn divider<'a>(
    cluster: &Cluster<'a>,
    mut stores: impl Iterator<Item = &'a StoreInfo> + Clone,
) -> Option<&'a str> {
    let first = stores.next()?;
    let differs = |key: &&String| stores.clone().any(|store| store.label(key) != first.label(key));
    cluster.config.location_labels.iter().find(differs).map(String::as_str)
}
