//! The membership that a group has applied last, as its shard needs it.

use types::PeerId;

use crate::apply::AppliedRoster;
use crate::message::RemovedPeer;

/// What was applied of a group's membership. Two things are asked of it after each step, and found
/// out when it changes: looking them up means memory that nothing else of a step touches.
#[derive(Debug)]
pub(crate) struct Seated {
    roster: Option<Box<AppliedRoster>>,
    is_stray: bool,
    has_removed: bool,
}

impl Seated {
    /// Nothing is known to be applied.
    pub(crate) const fn unknown() -> Seated {
        Seated { roster: None, is_stray: true, has_removed: false }
    }

    /// This was applied, on the store of the group's peer `own`.
    pub(crate) fn set(&mut self, own: PeerId, roster: Box<AppliedRoster>) {
        self.is_stray = roster.roster.store_of(own).is_none();
        self.has_removed = !roster.removed.is_empty();
        self.roster = Some(roster);
    }

    /// What was applied, if anything was.
    pub(crate) fn get(&self) -> Option<&AppliedRoster> {
        self.roster.as_deref()
    }

    /// Whether nothing that was applied says that the peer of this store is a member.
    pub(crate) fn is_stray(&self) -> bool {
        self.is_stray
    }

    /// Peers that were removed, and may not know of it.
    pub(crate) fn removed(&self) -> &[RemovedPeer] {
        let roster = self.roster.as_ref().filter(|_| self.has_removed);
        roster.map_or(&[], |roster| &roster.removed)
    }

    /// A removed peer knows of it. Returns whether that is news.
    pub(crate) fn forget(&mut self, removed: PeerId) -> bool {
        let Some(roster) = &mut self.roster else { return false };
        let before = roster.removed.len();
        roster.removed.retain(|gone| gone.peer != removed);
        self.has_removed = !roster.removed.is_empty();
        roster.removed.len() < before
    }
}
