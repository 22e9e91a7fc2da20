//! The region table: what the leaders of regions last said about them, found by key, id or store.
//!
//! ```text
//! report ──▶ is it newer than what is known of this region?      no ▶ Stale
//!        ──▶ is it newer than every region it overlaps?           no ▶ Stale
//!        ──▶ those are removed, it takes their place, tallies follow ▶ Taken
//! ```
//!
//! Invariant: regions of the table never overlap, whatever order reports arrive in. Of two that
//! would, the one with the higher version is right: whoever split or merged knew of the other.
//!
//! Invariant: tallies of stores are those of the regions (`check`).
//!
//! Figures may be told while others read (`retell`, `docs/decisions/0018`); whoever compares them
//! sees to it that nobody tells meanwhile.
//!
//! Not here: anything that outlives the process. A new leader of placement begins with an empty
//! table.

mod entry;
mod figure;
mod index;
mod order;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::ops::Bound;

use types::{GroupId, KeyRange, Time};

pub use entry::{Change, RegionEntry, RegionReport, Reported, Stale};
pub use figure::Figure;
use index::Index;
pub use index::StoreTally;

/// All regions that are known. Every operation is O(log n), but those that walk a range.
#[derive(Debug, Default)]
pub struct RegionTable {
    regions: BTreeMap<GroupId, RegionEntry>,
    /// By the first key. Invariant: as many as `regions`, and none overlaps the next.
    ranges: BTreeMap<Vec<u8>, GroupId>,
    index: Index,
    /// Ranges without a region, less the one that the empty table is.
    gaps: isize,
}

impl RegionTable {
    /// A table that knows no region.
    #[must_use]
    pub fn new() -> RegionTable {
        RegionTable::default()
    }

    /// Takes in a report that says nothing new but figures, which is by far the most frequent, and
    /// returns whether it is one. Others may read meanwhile, and see each figure as it was or is;
    /// but only one at a time may tell.
    #[must_use]
    pub fn retell(&self, now: Time, report: &RegionReport) -> bool {
        let Some(known) = self.by_id(report.region.id).filter(|known| known.is_as(report)) else {
            return false;
        };
        self.index.reweigh(known, report.bytes.get());
        known.retell(now, report);
        true
    }

    /// Takes in what a leader says about its region at `now`.
    pub fn report(&mut self, now: Time, report: RegionReport) -> Reported {
        if self.retell(now, &report) {
            return Reported::Taken { changes: Vec::new(), removed: Vec::new() };
        }
        if let Err(stale) = self.admit(&report) {
            return Reported::Stale(stale);
        }
        let entry = RegionEntry::new(report, now);
        if let Some(known) = self.regions.get_mut(&entry.id())
            && known.region().range == entry.region().range
        {
            let changes = known.changes(&entry);
            self.index.retally(known, &entry);
            *known = entry;
            return Reported::Taken { changes, removed: Vec::new() };
        }
        let id = entry.id();
        let others = self.overlapping(&entry.region().range).map(RegionEntry::id);
        let removed: Vec<GroupId> = others.filter(|&other| other != id).collect();
        for &other in &removed {
            self.remove(other);
        }
        let changes = self.remove(id).map_or(vec![Change::New], |old| old.changes(&entry));
        self.insert(entry);
        Reported::Taken { changes, removed }
    }

    fn admit(&self, report: &RegionReport) -> Result<(), Stale> {
        let region = &report.region;
        if region.range.is_empty() {
            return Err(Stale::NoKeys);
        }
        if region.peer(report.leader.id).is_none_or(|peer| peer.store != report.leader.store) {
            return Err(Stale::Stranger { leader: report.leader.id });
        }
        if let Some(known) = self.regions.get(&region.id) {
            known.admit(report)?;
            if known.region().range == region.range {
                // Nobody else in the table has any of its keys.
                return Ok(());
            }
        }
        for other in self.overlapping(&region.range) {
            let known = other.region().epoch.version;
            if other.id() != region.id && known >= region.epoch.version {
                return Err(Stale::Overlap { with: other.id(), version: known });
            }
        }
        Ok(())
    }

    /// Forgets a region.
    pub fn remove(&mut self, id: GroupId) -> Option<RegionEntry> {
        let entry = self.regions.remove(&id)?;
        let range = &entry.region().range;
        self.ranges.remove(&range.start);
        self.gaps -= self.gaps_around(range) - 1;
        self.index.untally(&entry);
        Some(entry)
    }

    fn insert(&mut self, entry: RegionEntry) {
        let id = entry.id();
        let range = &entry.region().range;
        self.gaps += self.gaps_around(range) - 1;
        self.ranges.insert(range.start.clone(), id);
        self.index.tally(&entry);
        self.regions.insert(id, entry);
    }

    /// How many holes lie beside a range that is not in the table: 0 to 2.
    fn gaps_around(&self, range: &KeyRange) -> isize {
        let before = self.last_before(Bound::Excluded(&range.start));
        let touches_before = match before {
            Some(entry) => entry.region().range.end == range.start,
            None => range.start.is_empty(),
        };
        let touches_after = range.end.is_empty() || self.ranges.contains_key(&range.end);
        isize::from(!touches_before) + isize::from(!touches_after)
    }

    /// The region that has a key.
    #[must_use]
    pub fn by_key(&self, key: &[u8]) -> Option<&RegionEntry> {
        self.last_before(Bound::Included(key)).filter(|entry| entry.region().range.contains(key))
    }

    /// The region before the one that has a key, if it ends where that begins.
    #[must_use]
    pub fn before_key(&self, key: &[u8]) -> Option<&RegionEntry> {
        let start = self.by_key(key)?.region().range.start.as_slice();
        self.last_before(Bound::Excluded(start)).filter(|entry| entry.region().range.end == start)
    }

    fn last_before(&self, key: Bound<&[u8]>) -> Option<&RegionEntry> {
        let (_, id) = self.ranges.range::<[u8], _>((Bound::Unbounded, key)).next_back()?;
        self.by_id(*id)
    }

    /// A region by its id.
    #[must_use]
    pub fn by_id(&self, id: GroupId) -> Option<&RegionEntry> {
        self.regions.get(&id)
    }

    /// The regions that hold a key of a range, by ascending key, at most `limit`.
    #[must_use]
    pub fn scan<'a>(&'a self, range: &KeyRange, limit: usize) -> Vec<&'a RegionEntry> {
        self.overlapping(range).take(limit).collect()
    }

    /// The regions that hold a key of a range, by ascending key.
    pub fn overlapping<'a, 'r>(
        &'a self,
        range: &'r KeyRange,
    ) -> impl Iterator<Item = &'a RegionEntry> + use<'a, 'r> {
        let first = self.by_key(&range.start).map(|entry| entry.region().range.start.as_slice());
        let from = first.unwrap_or(&range.start);
        let (from, is_empty) = (Bound::Included(from), range.is_empty());
        self.ranges
            .range::<[u8], _>((from, Bound::Unbounded))
            .take_while(move |(start, _)| {
                !is_empty && (range.end.is_empty() || start.as_slice() < range.end.as_slice())
            })
            .filter_map(|(_, id)| self.by_id(*id))
    }

    /// All regions with an id from `from` on, by ascending id: a patrol continues where it stopped.
    pub fn from_id(&self, from: Option<GroupId>) -> impl Iterator<Item = &RegionEntry> {
        let from = from.map_or(Bound::Unbounded, Bound::Included);
        self.regions.range((from, Bound::Unbounded)).map(|(_, entry)| entry)
    }

    /// The ranges within `range` that no region is known to cover, at most `limit`.
    #[must_use]
    pub fn holes(&self, range: &KeyRange, limit: usize) -> Vec<KeyRange> {
        let mut holes = Vec::new();
        let mut from = range.start.clone();
        for entry in self.overlapping(range) {
            let covered = &entry.region().range;
            if from < covered.start && holes.len() < limit {
                holes.push(KeyRange::new(from.as_slice(), covered.start.as_slice()));
            }
            from.clone_from(&covered.end);
            if from.is_empty() || holes.len() >= limit {
                return holes;
            }
        }
        let rest = KeyRange::new(from, range.end.clone());
        if !rest.is_empty() && holes.len() < limit {
            holes.push(rest);
        }
        holes
    }

    /// Whether every key has a region. Costs nothing: holes are counted as regions come and go.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.gaps == -1
    }

    /// How many regions are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.regions.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.regions.is_empty()
    }

    /// Bytes of all regions, each counted once.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.index.bytes.get()
    }

    /// How many regions have fewer voters than `replicas`.
    #[must_use]
    pub fn with_fewer_voters(&self, replicas: usize) -> usize {
        self.index.voters.range(..replicas).map(|(_, count)| count).sum()
    }

    /// How many regions have more voters than `replicas`.
    #[must_use]
    pub fn with_more_voters(&self, replicas: usize) -> usize {
        self.index.voters.range(replicas.saturating_add(1)..).map(|(_, count)| count).sum()
    }

    /// Regions with a peer that is down, pending, or not a plain voter, by ascending id.
    pub fn troubled(&self) -> impl Iterator<Item = &RegionEntry> {
        self.index.troubled.iter().filter_map(|id| self.by_id(*id))
    }
}
