//! Which region of this store has which keys.
//!
//! Invariant: of different groups, the ranges of regions, what is held beyond them, and
//! reservations do not overlap.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use multiraft::GroupMap;
use types::{GroupId, KeyRange, Region};

use super::state::{Load, RegionState};

/// The regions of a store, by id and by range.
#[derive(Debug, Default)]
pub(crate) struct Index {
    places: GroupMap<Place>,
    /// Where the ranges of places begin.
    starts: BTreeMap<Vec<u8>, GroupId>,
    /// What was a region's own beyond its range, and is being removed.
    held: BTreeMap<GroupId, Vec<KeyRange>>,
    reserved: BTreeMap<GroupId, Reservation>,
    lives: u64,
}

/// A region that has keys here.
#[derive(Debug)]
struct Place {
    state: Arc<RegionState>,
    /// Not while its data is being replaced or removed.
    serves: bool,
    /// A split has made it, and what that wrote may not be in the engine yet.
    is_unborn: bool,
}

/// Keys that a group is about to have.
#[derive(Debug)]
struct Reservation {
    range: KeyRange,
    reason: Reason,
}

/// Why keys are reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Its record was written, and it is about to be created.
    Prepared,
    /// A snapshot is about to be installed.
    Snapshot,
}

impl Index {
    /// The region, if it serves.
    pub(crate) fn get(&self, id: GroupId) -> Option<&Arc<RegionState>> {
        self.places.get(&id).filter(|place| place.serves).map(|place| &place.state)
    }

    /// The region that has a key, if it serves.
    pub(crate) fn find(&self, key: &[u8]) -> Option<&Arc<RegionState>> {
        let (_, id) = self.last_upto(key)?;
        self.get(*id).filter(|state| state.region.range.contains(key))
    }

    /// All regions that serve, by id.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<RegionState>> {
        self.places.iter().filter(|(_, place)| place.serves).map(|(_, place)| &place.state)
    }

    /// The regions that serve and have keys of a range, by ascending keys.
    pub(crate) fn within(&self, range: &KeyRange) -> Vec<Arc<RegionState>> {
        let before = self.last_upto(&range.start).map(|(_, id)| *id);
        let inside = self.starting_from(&range.start).map(|(_, id)| *id);
        let mut found = Vec::new();
        for id in before.into_iter().chain(inside.filter(|id| Some(*id) != before)) {
            if !self.places[&id].state.region.range.overlaps(range) {
                if Some(id) == before {
                    continue;
                }
                break;
            }
            found.extend(self.get(id).cloned());
        }
        found
    }

    /// Whether the group has keys here, serving or not.
    pub(crate) fn contains(&self, id: GroupId) -> bool {
        self.places.contains(&id)
    }

    /// What the region has here, and what is held beyond it.
    pub(crate) fn ranges(&self, id: GroupId) -> Vec<KeyRange> {
        let Some(place) = self.places.get(&id) else { return Vec::new() };
        let mut ranges = self.held.get(&id).cloned().unwrap_or_default();
        ranges.push(place.state.region.range.clone());
        ranges
    }

    /// Whether a split has made the region, and its group was not begun since: the batch with its
    /// record is behind that.
    pub(crate) fn is_unborn(&self, id: GroupId) -> bool {
        self.places.get(&id).is_some_and(|place| place.is_unborn)
    }

    /// Another group that has, or will have, keys of this range.
    pub(crate) fn conflict(&self, id: GroupId, range: &KeyRange) -> Option<GroupId> {
        let reserved = self.reserved.iter().map(|(id, reservation)| (id, &reservation.range));
        let held = self.held.iter().flat_map(|(id, ranges)| ranges.iter().map(move |r| (id, r)));
        let in_the_way =
            |(other, theirs): &(&GroupId, &KeyRange)| **other != id && theirs.overlaps(range);
        self.overlapped(id, range)
            .or_else(|| reserved.chain(held).find(in_the_way).map(|(other, _)| *other))
    }

    /// As [`Index::conflict`], among ranges of regions alone.
    fn overlapped(&self, id: GroupId, range: &KeyRange) -> Option<GroupId> {
        // Ranges do not overlap and begin in ascending order, so they end in ascending order too;
        // one may be the group's own.
        let before = self.last_upto(&range.start);
        let inside = self.starting_from(&range.start);
        let overlaps = |other: &GroupId| self.places[other].state.region.range.overlaps(range);
        before
            .into_iter()
            .chain(inside.take_while(|(_, other)| overlaps(other)))
            .map(|(_, other)| *other)
            .find(|other| *other != id && overlaps(other))
    }

    /// The region is here from now on, with new data.
    ///
    /// # Errors
    /// The group that has keys of its range.
    pub(crate) fn insert(&mut self, region: Region, load: &Arc<Load>) -> Result<(), GroupId> {
        self.insert_as(region, load, false)
    }

    fn insert_as(
        &mut self,
        region: Region,
        load: &Arc<Load>,
        is_unborn: bool,
    ) -> Result<(), GroupId> {
        if let Some(other) = self.conflict(region.id, &region.range) {
            return Err(other);
        }
        self.held.remove(&region.id);
        self.lives += 1;
        let state = RegionState { region, load: Arc::clone(load), life: self.lives };
        self.put(Place { state: Arc::new(state), serves: true, is_unborn });
        Ok(())
    }

    /// The region has changed, and its data has not.
    ///
    /// # Panics
    /// If it is not here.
    pub(crate) fn update(&mut self, region: Region) {
        let place = self.places.get(&region.id).expect("a region that changes is here");
        let state =
            RegionState { region, load: Arc::clone(&place.state.load), life: place.state.life };
        let (serves, is_unborn) = (place.serves, place.is_unborn);
        self.put(Place { state: Arc::new(state), serves, is_unborn });
    }

    /// The region was cut: it has become the last of the parts. The others begin here, or else are
    /// being removed.
    ///
    /// # Panics
    /// If keys of the parts were somebody else's.
    pub(crate) fn split(&mut self, parent: &Region, children: &[Region], begin_here: bool) {
        self.update(parent.clone());
        if !begin_here {
            let held = self.held.entry(parent.id).or_default();
            held.extend(children.iter().map(|child| child.range.clone()));
            return;
        }
        let parts = children.len() as u64 + 1;
        let load = Arc::clone(&self.places[&parent.id].state.load);
        let each = load.share(parts);
        for child in children {
            let load = Arc::new(each.share(1));
            let inserted = self.insert_as(child.clone(), &load, true);
            assert_eq!(inserted, Ok(()), "part {} of region {} was taken", child.id, parent.id);
        }
    }

    /// What is held beyond the region is removed.
    pub(crate) fn release(&mut self, id: GroupId) {
        self.held.remove(&id);
    }

    /// The region's data is about to be replaced or removed. Its keys stay its own until then.
    pub(crate) fn suspend(&mut self, id: GroupId) {
        if let Some(place) = self.places.get_mut(&id) {
            place.serves = false;
        }
    }

    /// Nothing of the group is here any more.
    pub(crate) fn remove(&mut self, id: GroupId) {
        if let Some(place) = self.places.remove(&id) {
            self.starts.remove(&place.state.region.range.start);
        }
        self.held.remove(&id);
        self.reserved.remove(&id);
    }

    /// Keeps a range for a group, in place of what was kept before. Returns whether it is free.
    pub(crate) fn reserve(&mut self, id: GroupId, range: KeyRange, reason: Reason) -> bool {
        let is_free = self.conflict(id, &range).is_none();
        if is_free {
            self.reserved.insert(id, Reservation { range, reason });
        }
        is_free
    }

    /// What is kept for a group is free again, if it is kept for this reason.
    pub(crate) fn dismiss(&mut self, id: GroupId, reason: Reason) {
        if self.reserved.get(&id).is_some_and(|reservation| reservation.reason == reason) {
            self.reserved.remove(&id);
        }
    }

    /// The last place that begins at or before a key.
    fn last_upto(&self, key: &[u8]) -> Option<(&Vec<u8>, &GroupId)> {
        let bounds = (Bound::Unbounded, Bound::Included(key));
        self.starts.range::<[u8], _>(bounds).next_back()
    }

    /// The places that begin at a key or behind it.
    fn starting_from(&self, key: &[u8]) -> impl Iterator<Item = (&Vec<u8>, &GroupId)> {
        self.starts.range::<[u8], _>((Bound::Included(key), Bound::Unbounded))
    }

    fn put(&mut self, place: Place) {
        let Region { id, range, .. } = &place.state.region;
        let (id, start) = (*id, range.start.clone());
        if let Some(before) = self.places.insert(id, place) {
            self.starts.remove(&before.state.region.range.start);
        }
        self.starts.insert(start, id);
    }
}

#[cfg(test)]
mod tests;
