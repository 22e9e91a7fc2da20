//! What a store has for each of its groups, found by a group's id.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Index;

use rustc_hash::FxBuildHasher;
use types::GroupId;

/// A map by group. A store looks up a group several times for each message, and has thousands of
/// them: one step leads to a group, whatever there are, where an ordered map takes one for each of
/// its levels. Whoever goes through all of them does so rarely, and pays for the order then.
///
/// Ids are given out by placement, so that nobody chooses those that collide.
#[derive(Clone, Debug)]
pub struct GroupMap<T>(HashMap<GroupId, T, FxBuildHasher>);

impl<T> GroupMap<T> {
    /// A map without groups.
    #[must_use]
    pub const fn new() -> GroupMap<T> {
        GroupMap(HashMap::with_hasher(FxBuildHasher))
    }

    /// What is there for the group.
    #[must_use]
    pub fn get(&self, group: &GroupId) -> Option<&T> {
        self.0.get(group)
    }

    /// What is there for the group, to be changed.
    pub fn get_mut(&mut self, group: &GroupId) -> Option<&mut T> {
        self.0.get_mut(group)
    }

    /// The place of a group.
    pub fn entry(&mut self, group: GroupId) -> Entry<'_, GroupId, T> {
        self.0.entry(group)
    }

    /// Sets what is there for the group. Returns what was there before.
    pub fn insert(&mut self, group: GroupId, value: T) -> Option<T> {
        self.0.insert(group, value)
    }

    /// Takes out what is there for the group.
    pub fn remove(&mut self, group: &GroupId) -> Option<T> {
        self.0.remove(group)
    }

    /// Whether there is anything for the group.
    #[must_use]
    pub fn contains(&self, group: &GroupId) -> bool {
        self.0.contains_key(group)
    }

    /// How many groups there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no group.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All groups, by ascending id.
    pub fn iter(&self) -> impl Iterator<Item = (GroupId, &T)> {
        let mut all: Vec<_> = self.0.iter().map(|(&group, value)| (group, value)).collect();
        all.sort_unstable_by_key(|&(group, _)| group);
        all.into_iter()
    }

    /// All groups, by ascending id, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (GroupId, &mut T)> {
        let mut all: Vec<_> = self.0.iter_mut().map(|(&group, value)| (group, value)).collect();
        all.sort_unstable_by_key(|&(group, _)| group);
        all.into_iter()
    }
}

impl<T> Default for GroupMap<T> {
    fn default() -> GroupMap<T> {
        GroupMap::new()
    }
}

impl<T> Index<&GroupId> for GroupMap<T> {
    type Output = T;

    /// # Panics
    /// If there is nothing for the group.
    fn index(&self, group: &GroupId) -> &T {
        &self.0[group]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_come_in_the_order_of_their_ids_however_they_were_put_in() {
        let ids = [7, 1 << 40, 3, 1_000, 2];
        let mut map = GroupMap::new();
        for id in ids {
            map.insert(GroupId::new(id).expect("not zero"), id);
        }
        map.iter_mut().for_each(|(_, value)| *value += 1);
        let found: Vec<u64> = map.iter().map(|(group, value)| value - group.get()).collect();
        let order: Vec<u64> = map.iter().map(|(group, _)| group.get()).collect();
        assert_eq!((order, found), (vec![2, 3, 7, 1_000, 1 << 40], vec![1; 5]));
    }
}
