//! An ordered map of bytes that can still be read as it was at earlier writes.
//!
//! Every key has a chain of versions, each with the number of the write that made it. A view is a
//! number, so it costs nothing to take; a crash goes back to a number. What neither a view nor a
//! crash can reach is dropped as soon as that is so: a write that replaces or deletes a key leaves
//! a note, and the notes are worked off in order.
//!
//! Rejected: one persistent tree per column family. It shares less than it seems (each write copies
//! a path of nodes), and going back in time needs one root for every unsynced write.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use crate::batch::{Batch, Op};
use crate::cf::Cf;
use crate::engine::{Bounds, Direction};

/// A key or a value, shared by the map and those who read it.
pub(super) type Bytes = Arc<[u8]>;

/// The number of a write; zero is before the first.
pub(super) type Number = u64;

#[derive(Debug, Default)]
pub(super) struct Versions {
    spaces: [BTreeMap<Bytes, Chain>; Cf::ALL.len()],
    /// The last write.
    last: Number,
    /// Keys that had an older version, or were deleted, by which write. Ascending numbers.
    replaced: VecDeque<(Number, Cf, Bytes)>,
}

/// The versions of a key, ascending. Never empty. Nothing stands for a deleted key.
type Chain = Vec<(Number, Option<Bytes>)>;

impl Versions {
    pub(super) fn last(&self) -> Number {
        self.last
    }

    /// Carries out a batch; returns its number.
    pub(super) fn apply(&mut self, batch: &Batch) -> Number {
        self.last += 1;
        for op in batch.iter() {
            match op {
                Op::Put(cf, key, value) => self.set(cf, key, Some(value.into())),
                Op::Delete(cf, key) => self.set(cf, key, None),
                Op::DeleteRange(cf, start, end) => {
                    let within = (Bound::Included(start), Bound::Excluded(end));
                    let keys: Vec<Bytes> = self.spaces[cf.index()]
                        .range::<[u8], _>(within)
                        .map(|(key, _)| key.clone())
                        .collect();
                    for key in keys {
                        self.set(cf, &key, None);
                    }
                }
            }
        }
        self.last
    }

    pub(super) fn get(&self, cf: Cf, key: &[u8], at: Number) -> Option<Bytes> {
        seen(self.spaces[cf.index()].get(key)?, at).cloned()
    }

    /// Up to `limit` pairs within the bounds, in the direction, as they were at a number. Fewer
    /// mean that there are no more.
    pub(super) fn some(
        &self,
        cf: Cf,
        bounds: Bounds<'_>,
        direction: Direction,
        at: Number,
        limit: usize,
    ) -> Vec<(Bytes, Bytes)> {
        if is_empty(bounds) {
            return Vec::new();
        }
        let range = self.spaces[cf.index()].range::<[u8], _>(bounds);
        let pair = |(key, chain): (&Bytes, &Chain)| Some((key.clone(), seen(chain, at)?.clone()));
        match direction {
            Direction::Forward => range.filter_map(pair).take(limit).collect(),
            Direction::Reverse => range.rev().filter_map(pair).take(limit).collect(),
        }
    }

    /// Drops what cannot be seen at `floor` or later.
    pub(super) fn prune(&mut self, floor: Number) {
        while self.replaced.front().is_some_and(|note| note.0 <= floor) {
            let Some((_, cf, key)) = self.replaced.pop_front() else { return };
            let space = &mut self.spaces[cf.index()];
            let Some(chain) = space.get_mut(&key) else { continue };
            let newer = chain.partition_point(|version| version.0 <= floor);
            chain.drain(..newer.saturating_sub(1));
            if chain.len() == 1 && newer == 1 && chain[0].1.is_none() {
                space.remove(&key);
            }
        }
    }

    /// Forgets all writes after a number. Not below the floor of the last pruning.
    pub(super) fn back_to(&mut self, number: Number) {
        for space in &mut self.spaces {
            space.retain(|_, chain| {
                chain.truncate(chain.partition_point(|version| version.0 <= number));
                !chain.is_empty()
            });
        }
        self.replaced.retain(|note| note.0 <= number);
        self.last = number;
    }

    /// A map of its own with what is seen at a number. Keys and values are shared.
    pub(super) fn copy(&self, at: Number) -> Versions {
        let mut copy = Versions { last: 1, ..Versions::default() };
        for (from, to) in self.spaces.iter().zip(&mut copy.spaces) {
            let pairs = from.iter().filter_map(|(key, chain)| {
                Some((key.clone(), vec![(1, Some(seen(chain, at)?.clone()))]))
            });
            to.extend(pairs);
        }
        copy
    }

    /// How many versions there are, of all keys.
    #[cfg(test)]
    fn count(&self) -> usize {
        self.spaces.iter().flat_map(BTreeMap::values).map(Vec::len).sum()
    }

    fn set(&mut self, cf: Cf, key: &[u8], value: Option<Bytes>) {
        let number = self.last;
        let space = &mut self.spaces[cf.index()];
        let Some((shared, chain)) = space.get_key_value(key) else {
            if value.is_some() {
                space.insert(key.into(), vec![(number, value)]);
            }
            return;
        };
        let last = chain.last();
        if value.is_none() && last.is_some_and(|version| version.1.is_none()) {
            return;
        }
        let is_again = last.is_some_and(|version| version.0 == number);
        self.replaced.push_back((number, cf, shared.clone()));
        let Some(chain) = space.get_mut(key) else { return };
        if is_again {
            chain.pop();
        }
        chain.push((number, value));
    }
}

/// What of a chain is seen at a number.
fn seen(chain: &Chain, at: Number) -> Option<&Bytes> {
    let newer = chain.partition_point(|version| version.0 <= at);
    chain[..newer].last()?.1.as_ref()
}

/// Whether no key can lie within; a map refuses such bounds.
fn is_empty(bounds: Bounds<'_>) -> bool {
    match bounds {
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end))
        | (Bound::Excluded(start), Bound::Included(end)) => start >= end,
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(versions: &mut Versions, key: &[u8], value: &[u8]) -> Number {
        let mut batch = Batch::new();
        batch.put(Cf::Default, key, value);
        versions.apply(&batch)
    }

    fn delete(versions: &mut Versions, key: &[u8]) -> Number {
        let mut batch = Batch::new();
        batch.delete(Cf::Default, key);
        versions.apply(&batch)
    }

    fn get(versions: &Versions, key: &[u8], at: Number) -> Option<Vec<u8>> {
        versions.get(Cf::Default, key, at).map(|value| value.to_vec())
    }

    #[test]
    fn earlier_numbers_see_earlier_versions() {
        let mut map = Versions::default();
        let one = put(&mut map, b"k", b"1");
        let two = delete(&mut map, b"k");
        let three = put(&mut map, b"k", b"3");
        assert_eq!(get(&map, b"k", 0), None);
        assert_eq!(get(&map, b"k", one), Some(b"1".to_vec()));
        assert_eq!(get(&map, b"k", two), None);
        assert_eq!(get(&map, b"k", three), Some(b"3".to_vec()));
    }

    #[test]
    fn pruned_is_only_what_the_floor_hides() {
        let mut map = Versions::default();
        put(&mut map, b"k", b"1");
        let two = put(&mut map, b"k", b"2");
        put(&mut map, b"k", b"3");
        map.prune(two);
        assert_eq!(map.count(), 2);
        assert_eq!(get(&map, b"k", two), Some(b"2".to_vec()));
        let gone = delete(&mut map, b"k");
        map.prune(gone);
        assert_eq!(map.count(), 0);
    }

    #[test]
    fn a_batch_that_sets_a_key_twice_leaves_one_version() {
        let mut map = Versions::default();
        let mut batch = Batch::new();
        batch.put(Cf::Default, b"k", b"1");
        batch.delete(Cf::Default, b"k");
        batch.put(Cf::Default, b"k", b"2");
        let at = map.apply(&batch);
        assert_eq!(map.count(), 1);
        assert_eq!(get(&map, b"k", at), Some(b"2".to_vec()));
        map.prune(at);
        assert_eq!(map.count(), 1);
    }

    #[test]
    fn going_back_forgets_later_writes_and_their_notes() {
        let mut map = Versions::default();
        let one = put(&mut map, b"a", b"1");
        delete(&mut map, b"a");
        put(&mut map, b"b", b"1");
        map.back_to(one);
        assert_eq!((map.last(), map.count()), (one, 1));
        let again = put(&mut map, b"a", b"2");
        assert_eq!(again, one + 1);
        map.prune(again);
        assert_eq!(map.count(), 1);
        assert_eq!(get(&map, b"a", again), Some(b"2".to_vec()));
    }
}
