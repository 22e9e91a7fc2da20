//! Which part of the space of keys each group of a store has: no two overlap. A group that a
//! command brings into being takes over the upper half of its parent's; what would overlap what is
//! here is not admitted.

use std::collections::BTreeMap;

use types::GroupId;

/// Groups of the beginning have ids up to this one.
const FIRST_MAX: u64 = 1_000;

/// From a key on, up to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub start: u64,
    pub end: u64,
}

/// The ranges of the groups of one store, in one of its lives.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    held: BTreeMap<GroupId, Range>,
    /// Those of snapshots that were admitted and are not installed yet.
    reserved: BTreeMap<GroupId, Range>,
}

impl Range {
    /// That of a group of the beginning.
    pub(crate) fn first(group: GroupId) -> Option<Range> {
        let id = group.get();
        (id <= FIRST_MAX).then_some(Range { start: id << 32, end: (id + 1) << 32 })
    }

    /// What stays and what goes, when it is parted.
    pub(crate) fn parted(self) -> Option<(Range, Range)> {
        let at = self.start.midpoint(self.end);
        let stays = Range { start: self.start, end: at };
        (self.start < at).then_some((stays, Range { start: at, end: self.end }))
    }

    pub(crate) fn encoded(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.start.to_be_bytes());
        bytes[8..].copy_from_slice(&self.end.to_be_bytes());
        bytes
    }

    pub(crate) fn decoded(bytes: &[u8]) -> Option<Range> {
        let (start, end) = bytes.get(..16)?.split_at(8);
        let number = |bytes: &[u8]| Some(u64::from_be_bytes(bytes.try_into().ok()?));
        Some(Range { start: number(start)?, end: number(end)? })
    }

    fn overlaps(self, other: Range) -> bool {
        self.start < other.end && other.start < self.end
    }
}

impl Ranges {
    /// Which other group is in the way of this one.
    fn in_the_way(&self, group: GroupId, range: Range) -> Option<GroupId> {
        let others = self.held.iter().chain(&self.reserved);
        let mut others = others.filter(|&(&other, _)| other != group);
        others.find(|(_, other)| other.overlaps(range)).map(|(&other, _)| other)
    }

    /// The group has this range here, whatever it had before.
    pub(crate) fn hold(&mut self, group: GroupId, range: Range) -> Result<(), String> {
        self.reserved.remove(&group);
        self.held.insert(group, range);
        self.in_the_way(group, range)
            .map_or(Ok(()), |other| Err(format!("{group} and {other} overlap, with {range:?}")))
    }

    /// Whether a snapshot with this range may come here.
    pub(crate) fn admit(&mut self, group: GroupId, range: Range, reserve: bool) -> bool {
        if self.in_the_way(group, range).is_some() {
            return false;
        }
        if reserve {
            self.reserved.insert(group, range);
        }
        true
    }

    pub(crate) fn dismiss(&mut self, group: GroupId) {
        self.reserved.remove(&group);
    }

    pub(crate) fn forget(&mut self, group: GroupId) {
        self.held.remove(&group);
        self.reserved.remove(&group);
    }
}
