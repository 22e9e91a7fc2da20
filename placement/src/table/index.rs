//! What stores have, kept up to date with every region that comes, goes or changes.
//!
//! Sets of ids rather than lists with positions: twelve bytes more for each replica, and a walk can
//! begin at any id, so that a scheduler samples by going on where it stopped, without chance.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use types::{GroupId, PeerRole, StoreId};

use super::{Figure, RegionEntry, RegionTable};

/// What the regions on a store add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreTally {
    /// Regions with a peer on it, learners too.
    pub regions: u64,
    /// Regions that it leads.
    pub leaders: u64,
    /// Bytes of its replicas.
    pub bytes: u64,
    /// Its peers that are behind.
    pub pending: u64,
}

#[derive(Debug, Default)]
struct StoreIndex {
    regions: BTreeSet<GroupId>,
    leaders: BTreeSet<GroupId>,
    bytes: Figure,
    pending: u64,
}

/// What all regions add up to, and what those on each store do.
#[derive(Debug, Default)]
pub(super) struct Index {
    stores: BTreeMap<StoreId, StoreIndex>,
    /// Regions with a peer that is down, pending, or not a plain voter.
    pub(super) troubled: BTreeSet<GroupId>,
    /// How many regions have so many voters.
    pub(super) voters: BTreeMap<usize, usize>,
    pub(super) bytes: Figure,
}

impl Index {
    pub(super) fn tally(&mut self, entry: &RegionEntry) {
        let (id, bytes) = (entry.id(), entry.report.bytes.get());
        for peer in entry.peers() {
            let store = self.stores.entry(peer.store).or_default();
            // Two peers of a region on one store are a mistake, and still one region of that store.
            if store.regions.insert(id) {
                store.bytes.shift(0, bytes);
            }
            store.pending += u64::from(entry.is_pending(peer.id));
        }
        self.stores.entry(entry.leader_store()).or_default().leaders.insert(id);
        if entry.is_troubled() {
            self.troubled.insert(id);
        }
        *self.voters.entry(voters(entry)).or_default() += 1;
        self.bytes.shift(0, bytes);
    }

    pub(super) fn untally(&mut self, entry: &RegionEntry) {
        let (id, bytes) = (entry.id(), entry.report.bytes.get());
        for peer in entry.peers() {
            let Some(store) = self.stores.get_mut(&peer.store) else { continue };
            if store.regions.remove(&id) {
                store.bytes.shift(bytes, 0);
            }
            store.leaders.remove(&id);
            store.pending -= u64::from(entry.is_pending(peer.id));
            if store.regions.is_empty() {
                self.stores.remove(&peer.store);
            }
        }
        self.troubled.remove(&id);
        if let Some(count) = self.voters.get_mut(&voters(entry)) {
            *count = count.saturating_sub(1);
        }
        self.bytes.shift(bytes, 0);
    }

    /// The same region, told anew: what is as it was in a set is not looked for there. To take a
    /// region out and put it back costs ten searches; a region that is written to changes its
    /// bytes with every report.
    pub(super) fn retally(&mut self, old: &RegionEntry, new: &RegionEntry) {
        if has_twins(old) || has_twins(new) {
            self.untally(old);
            self.tally(new);
            return;
        }
        let (id, leader, next) = (new.id(), old.leader_store(), new.leader_store());
        for peer in old.peers() {
            let Some(store) = self.stores.get_mut(&peer.store) else { continue };
            store.bytes.shift(old.report.bytes.get(), 0);
            store.pending -= u64::from(old.is_pending(peer.id));
            if peer.store == leader && leader != next {
                store.leaders.remove(&id);
            }
            if new.region().peer_on(peer.store).is_none() {
                store.regions.remove(&id);
                if store.regions.is_empty() {
                    self.stores.remove(&peer.store);
                }
            }
        }
        for peer in new.peers() {
            let store = self.stores.entry(peer.store).or_default();
            store.bytes.shift(0, new.report.bytes.get());
            store.pending += u64::from(new.is_pending(peer.id));
            if peer.store == next && leader != next {
                store.leaders.insert(id);
            }
            if old.region().peer_on(peer.store).is_none() {
                store.regions.insert(id);
            }
        }
        match (old.is_troubled(), new.is_troubled()) {
            (true, false) => _ = self.troubled.remove(&id),
            (false, true) => _ = self.troubled.insert(id),
            _ => {}
        }
        if voters(old) != voters(new) {
            if let Some(count) = self.voters.get_mut(&voters(old)) {
                *count = count.saturating_sub(1);
            }
            *self.voters.entry(voters(new)).or_default() += 1;
        }
        self.bytes.shift(old.report.bytes.get(), new.report.bytes.get());
    }

    /// The bytes of a region are others, and nothing else is.
    pub(super) fn reweigh(&self, entry: &RegionEntry, bytes: u64) {
        let old = entry.report.bytes.get();
        let peers = entry.peers();
        for (at, peer) in peers.iter().enumerate() {
            // Two peers of a region on one store count once.
            if !peers[..at].iter().any(|other| other.store == peer.store)
                && let Some(store) = self.stores.get(&peer.store)
            {
                store.bytes.shift(old, bytes);
            }
        }
        self.bytes.shift(old, bytes);
    }
}

impl RegionTable {
    /// What the regions on a store add up to.
    #[must_use]
    pub fn tally_of(&self, store: StoreId) -> StoreTally {
        self.index.stores.get(&store).map(StoreIndex::tally).unwrap_or_default()
    }

    /// The regions with a peer on a store, by ascending id, from `from` on; found in O(log n).
    pub fn regions_of(
        &self,
        store: StoreId,
        from: Option<GroupId>,
    ) -> impl Iterator<Item = &RegionEntry> {
        self.walk(self.index.stores.get(&store).map(|index| &index.regions), from)
    }

    /// The regions that a store leads, by ascending id, from `from` on; found in O(log n).
    pub fn leaders_of(
        &self,
        store: StoreId,
        from: Option<GroupId>,
    ) -> impl Iterator<Item = &RegionEntry> {
        self.walk(self.index.stores.get(&store).map(|index| &index.leaders), from)
    }

    fn walk<'a>(
        &'a self,
        set: Option<&'a BTreeSet<GroupId>>,
        from: Option<GroupId>,
    ) -> impl Iterator<Item = &'a RegionEntry> {
        let from = from.map_or(Bound::Unbounded, Bound::Included);
        set.into_iter()
            .flat_map(move |set| set.range((from, Bound::Unbounded)))
            .filter_map(|id| self.by_id(*id))
    }

    /// Whether tallies and ranges are what the regions say. Walks everything: for tests.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let mut fresh = RegionTable::default();
        for entry in self.from_id(None) {
            fresh.insert(entry.clone());
        }
        let tallies = |table: &RegionTable| -> Vec<(StoreId, StoreTally)> {
            table.index.stores.iter().map(|(id, store)| (*id, store.tally())).collect()
        };
        let mut end: Option<&[u8]> = Some(&[]);
        let in_order = self.ranges.values().filter_map(|id| self.by_id(*id)).all(|entry| {
            let range = &entry.region().range;
            let is_behind = end.is_some_and(|end| end <= range.start.as_slice());
            end = (!range.end.is_empty()).then_some(&range.end);
            is_behind
        });
        in_order
            && self.ranges == fresh.ranges
            && self.gaps == fresh.gaps
            && self.index.bytes == fresh.index.bytes
            && self.index.troubled == fresh.index.troubled
            && tallies(self) == tallies(&fresh)
    }
}

impl StoreIndex {
    fn tally(&self) -> StoreTally {
        StoreTally {
            regions: self.regions.len() as u64,
            leaders: self.leaders.len() as u64,
            bytes: self.bytes.get(),
            pending: self.pending,
        }
    }
}

/// Whether two peers are on one store, by mistake.
fn has_twins(entry: &RegionEntry) -> bool {
    let peers = entry.peers();
    peers.iter().enumerate().any(|(at, peer)| peers[..at].iter().any(|p| p.store == peer.store))
}

fn voters(entry: &RegionEntry) -> usize {
    entry.peers().iter().filter(|peer| peer.role != PeerRole::Learner).count()
}
