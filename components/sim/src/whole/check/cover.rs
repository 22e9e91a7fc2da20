//! The regions of a cluster are one partition of all keys, at any time.
//!
//! What a region was in each of its versions is known here: the first ones from the birth, all
//! others from splits, which must cut exactly what was there. What a store has must be one of
//! these, and no two regions of a store overlap. So of two regions that overlap, anywhere, one is
//! older, and the newest of all leave no gap.

use std::collections::BTreeMap;

use types::{GroupId, KeyRange, Region, StoreId};

use super::broken;
use crate::check::Violation;

const CHECK: &str = "regions part all keys";

#[derive(Debug, Default)]
pub(crate) struct Cover {
    known: BTreeMap<(GroupId, u64), KeyRange>,
    newest: BTreeMap<GroupId, u64>,
}

impl Cover {
    /// The cluster is born with these.
    pub(crate) fn born(&mut self, regions: &[Region]) -> Result<(), Violation> {
        regions.iter().try_for_each(|region| self.learn(region))?;
        self.whole()
    }

    /// What a region was in a version.
    pub(crate) fn range_of(&self, id: GroupId, version: u64) -> Option<KeyRange> {
        self.known.get(&(id, version)).cloned()
    }

    /// How many regions there are.
    pub(crate) fn len(&self) -> usize {
        self.newest.len()
    }

    /// All regions.
    pub(crate) fn ids(&self) -> Vec<GroupId> {
        self.newest.keys().copied().collect()
    }

    /// A split was applied somewhere for the first time: of this version, into these.
    pub(crate) fn split(
        &mut self,
        id: GroupId,
        version: u64,
        parts: &[Region],
    ) -> Result<(), Violation> {
        let Some(whole) = self.range_of(id, version) else {
            return broken(CHECK, format!("{id} of version {version} was never there, and splits"));
        };
        let mut next = whole.start;
        let is_last = |nth: usize| nth + 1 == parts.len();
        for (nth, part) in parts.iter().enumerate() {
            let fits = part.range.start == next
                && part.epoch.version == version + parts.len() as u64 - 1
                && (part.range.end == whole.end) == is_last(nth)
                && (part.id == id) == is_last(nth);
            if !fits {
                return broken(CHECK, format!("{id} of version {version} splits into {parts:?}"));
            }
            next.clone_from(&part.range.end);
            self.learn(part)?;
        }
        self.whole()
    }

    fn learn(&mut self, region: &Region) -> Result<(), Violation> {
        let Region { id, range, epoch, .. } = region;
        let known = self.known.entry((*id, epoch.version)).or_insert_with(|| range.clone());
        if known != range {
            let what = format!("{id} of version {} is {known:?} and {range:?}", epoch.version);
            return broken(CHECK, what);
        }
        let newest = self.newest.entry(*id).or_default();
        *newest = epoch.version.max(*newest);
        Ok(())
    }

    /// The newest forms of all regions part all keys.
    fn whole(&self) -> Result<(), Violation> {
        let mut ranges: Vec<(&KeyRange, GroupId)> =
            self.newest.iter().map(|(&id, &version)| (&self.known[&(id, version)], id)).collect();
        ranges.sort();
        let mut next: Option<&[u8]> = Some(&[]);
        for (range, id) in ranges {
            if next != Some(range.start.as_slice()) {
                let what = format!("before {id} {range:?} a gap, or an overlap, from {next:?}");
                return broken(CHECK, what);
            }
            next = Some(range.end.as_slice()).filter(|end| !end.is_empty());
        }
        if next.is_some() { broken(CHECK, format!("nobody has {next:?}")) } else { Ok(()) }
    }

    /// What a store has now.
    pub(crate) fn seen(&self, store: StoreId, mut regions: Vec<Region>) -> Result<(), Violation> {
        for Region { id, range, epoch, .. } in &regions {
            if self.known.get(&(*id, epoch.version)) != Some(range) {
                let what = format!("{store} has {id} of version {} as {range:?}", epoch.version);
                return broken(CHECK, what);
            }
        }
        regions.sort_by(|one, other| one.range.start.cmp(&other.range.start));
        for pair in regions.windows(2) {
            if pair[0].range.overlaps(&pair[1].range) {
                return broken(CHECK, format!("{store} has {:?} and {:?}", pair[0], pair[1]));
            }
        }
        Ok(())
    }
}
