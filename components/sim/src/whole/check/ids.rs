//! Ids are handed out once: of regions, of peers, of stores. A peer belongs to one region and
//! lives on one store.

use std::collections::BTreeMap;

use types::{GroupId, PeerId, Region, StoreId};

use super::broken;
use crate::check::Violation;

const CHECK: &str = "ids are handed out once";

#[derive(Debug, Default)]
pub(crate) struct Ids {
    /// To whom.
    handed: BTreeMap<u64, String>,
    /// From which split regions came.
    parents: BTreeMap<GroupId, GroupId>,
    homes: BTreeMap<PeerId, (GroupId, StoreId)>,
}

impl Ids {
    /// Placement hands one out. A store that asks again is told its own.
    pub(crate) fn handed(&mut self, id: u64, to: &str) -> Result<(), Violation> {
        match self.handed.insert(id, to.to_owned()) {
            Some(before) if before != to || !to.starts_with("store") => {
                broken(CHECK, format!("{id} to {before}, and to {to}"))
            }
            _ => Ok(()),
        }
    }

    /// A region has these peers, somewhere.
    pub(crate) fn region(&mut self, region: &Region) -> Result<(), Violation> {
        for peer in &region.peers {
            let home = (region.id, peer.store);
            let known = *self.homes.entry(peer.id).or_insert(home);
            if known != home {
                return broken(CHECK, format!("{} is {known:?} and {home:?}", peer.id));
            }
        }
        Ok(())
    }

    /// A split was applied for the first time.
    pub(crate) fn split(&mut self, parent: GroupId, parts: &[Region]) -> Result<(), Violation> {
        for part in parts {
            if part.id != parent
                && let Some(other) = self.parents.insert(part.id, parent)
            {
                return broken(CHECK, format!("{} came of {other}, and of {parent}", part.id));
            }
            self.region(part)?;
        }
        Ok(())
    }
}
