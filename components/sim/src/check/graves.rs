//! A peer that was destroyed on a store does not come back there, nor does an earlier one: no late
//! message, replay or crash brings it about.

use std::collections::BTreeMap;

use types::{GroupId, PeerId, StoreId};

use super::Violation;

/// Who lives where, and who did.
#[derive(Debug, Default)]
pub(crate) struct Graves {
    here: BTreeMap<(StoreId, GroupId), PeerId>,
    buried: BTreeMap<(StoreId, GroupId), PeerId>,
}

impl Graves {
    /// All groups of a store, with their peers where they take part.
    pub(crate) fn look(
        &mut self,
        store: StoreId,
        groups: &BTreeMap<GroupId, Option<PeerId>>,
    ) -> Result<(), Violation> {
        let Graves { here, buried } = self;
        here.retain(|&(at, group), peer| {
            let stays = at != store || groups.contains_key(&group);
            if !stays {
                let last = buried.entry((at, group)).or_insert(*peer);
                *last = (*last).max(*peer);
            }
            stays
        });
        for (&group, &peer) in groups {
            let Some(peer) = peer else { continue };
            here.insert((store, group), peer);
            if let Some(last) = buried.get(&(store, group)).filter(|&&last| last >= peer) {
                let what = format!("{peer} of {group} is on {store}, {last} was destroyed there");
                return Err(Violation { check: "the destroyed stay destroyed", what });
            }
        }
        Ok(())
    }

    /// A store stopped: what it had begun to destroy may be there again.
    pub(crate) fn forget(&mut self, store: u64) {
        self.here.retain(|(at, _), _| at.get() != store);
    }

    /// Whether a peer was destroyed on a store.
    pub(crate) fn is_buried(&self, store: StoreId, group: GroupId, peer: PeerId) -> bool {
        self.buried.get(&(store, group)).is_some_and(|&last| last >= peer)
    }

    /// How many replicas were destroyed.
    pub(crate) fn count(&self) -> u64 {
        self.buried.len() as u64
    }
}
