//! What is known of regions: who has a key, and who leads there.
//!
//! All of it may be out of date; whoever is asked wrongly says so, and then it is corrected here.
//!
//! Invariant: no two regions overlap (checked after each step of the property test below).
//!
//! Which of two regions that overlap is newer follows from their versions: a split or a merge gives
//! all its parts a higher one than those had before. So an older one never replaces a newer one,
//! however late placement's answer comes.
//!
//! Pure: no clock, no network.

use std::collections::BTreeMap;
use std::ops::Bound;

use types::{Epoch, GroupId, KeyRange, Region, RegionPeer, StoreId};

/// Regions that are remembered. Beyond it all are forgotten, and asked for anew as they are needed.
const REGIONS_MAX: usize = 1 << 18;

/// A region, and who leads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The region. Its bounds have the form that placement gives them.
    pub region: Region,
    /// Who leads it, if that is known.
    pub leader: Option<RegionPeer>,
}

/// The regions that are known.
#[derive(Debug, Default)]
pub(crate) struct RegionCache {
    /// By first key.
    by_start: BTreeMap<Vec<u8>, Route>,
    /// First keys by region: one for each of `by_start`.
    starts: BTreeMap<GroupId, Vec<u8>>,
}

impl RegionCache {
    /// The region that has a key.
    pub(crate) fn find(&self, key: &[u8]) -> Option<&Route> {
        let upto = (Bound::Unbounded, Bound::Included(key));
        let (_, route) = self.by_start.range::<[u8], _>(upto).next_back()?;
        route.region.range.contains(key).then_some(route)
    }

    /// The region that has the keys just before this one; empty is behind all keys.
    pub(crate) fn find_before(&self, key: &[u8]) -> Option<&Route> {
        let before = if key.is_empty() { Bound::Unbounded } else { Bound::Excluded(key) };
        let (_, route) = self.by_start.range::<[u8], _>((Bound::Unbounded, before)).next_back()?;
        let end = &route.region.range.end;
        let reaches = end.is_empty() || (!key.is_empty() && end.as_slice() >= key);
        reaches.then_some(route)
    }

    /// The region with this id.
    pub(crate) fn get(&self, id: GroupId) -> Option<&Route> {
        self.by_start.get(self.starts.get(&id)?)
    }

    /// Takes in what was heard, in place of whatever overlaps it. Refuses it, and returns false, if
    /// something newer is known of its keys or of itself.
    pub(crate) fn insert(&mut self, route: Route) -> bool {
        let Region { id, epoch, range, .. } = &route.region;
        let overlapping = self.overlapping(range);
        let known = overlapping.iter().filter_map(|start| self.by_start.get(start));
        let is_old = known.clone().any(|known| epoch.version < known.region.epoch.version)
            || self.get(*id).is_some_and(|known| epoch.is_older(known.region.epoch));
        if is_old || range.is_empty() {
            return false;
        }
        if self.by_start.len() >= REGIONS_MAX {
            self.by_start.clear();
            self.starts.clear();
        }
        for start in overlapping {
            self.remove_at(&start);
        }
        if let Some(start) = self.starts.get(id).cloned() {
            self.remove_at(&start);
        }
        self.starts.insert(*id, range.start.clone());
        self.by_start.insert(range.start.clone(), route);
        true
    }

    /// Forgets a region, if what is known of it is not newer than what turned out to be wrong.
    pub(crate) fn invalidate(&mut self, id: GroupId, epoch: Epoch) {
        let is_it = self.get(id).is_some_and(|known| !epoch.is_older(known.region.epoch));
        if let Some(start) = self.starts.get(&id).cloned().filter(|_| is_it) {
            self.remove_at(&start);
        }
    }

    /// A peer has said who leads its region. Refuses it, and returns false, if the region, of this
    /// epoch, has no such peer.
    pub(crate) fn set_leader(&mut self, id: GroupId, epoch: Epoch, leader: RegionPeer) -> bool {
        let Some(start) = self.starts.get(&id) else { return false };
        let Some(route) = self.by_start.get_mut(start) else { return false };
        let is_member = route.region.peer(leader.id).is_some_and(|it| it.store == leader.store);
        if route.region.epoch != epoch || !is_member {
            return false;
        }
        route.leader = Some(leader);
        true
    }

    /// The leader of a region, as it is known, does not answer: it is not known any more.
    pub(crate) fn lose_leader(&mut self, id: GroupId, epoch: Epoch) {
        let start = self.starts.get(&id);
        let known = start.and_then(|start| self.by_start.get_mut(start));
        if let Some(route) = known.filter(|known| known.region.epoch == epoch) {
            route.leader = None;
        }
    }

    /// A store has said which regions there are instead of one. What it led before, it leads now,
    /// as far as is known. Returns how many of them are news.
    pub(crate) fn learn(&mut self, regions: Vec<Region>, store: StoreId) -> usize {
        let mut news = 0;
        for region in regions {
            let leader = region.peer_on(store);
            let is_known = self.get(region.id).is_some_and(|known| known.region == region);
            news += usize::from(!is_known && self.insert(Route { region, leader }));
        }
        news
    }

    fn overlapping(&self, range: &KeyRange) -> Vec<Vec<u8>> {
        let end = if range.end.is_empty() {
            Bound::Unbounded
        } else {
            Bound::Excluded(range.end.as_slice())
        };
        // From the end down: once one lies before the range, so do all others.
        let down = self.by_start.range::<[u8], _>((Bound::Unbounded, end)).rev();
        down.take_while(|(_, known)| known.region.range.overlaps(range))
            .map(|(start, _)| start.clone())
            .collect()
    }

    fn remove_at(&mut self, start: &[u8]) {
        if let Some(route) = self.by_start.remove(start) {
            self.starts.remove(&route.region.id);
        }
    }
}

#[cfg(test)]
mod tests;
