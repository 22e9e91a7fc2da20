//! A group is where the command is that brings it into being: on the disk of a store with what its
//! parent is there, or not at all, whatever a crash leaves.

use std::collections::BTreeMap;

use multiraft::Spawn;
use storage::{Cf, Engine};
use types::{GroupId, Index, PeerId, StoreId};

use super::Violation;
use crate::machine::key;
use crate::spoiled::{is_buried, peer_of};

const CHECK: &str = "groups begin with their commands";

#[derive(Debug, Default)]
pub(crate) struct Births {
    /// By child: its parent, and the slot of the command there.
    places: BTreeMap<GroupId, (GroupId, Index)>,
    /// Where the command was applied and is not lost, as far as is known: the peer that began.
    begun: BTreeMap<(StoreId, GroupId), PeerId>,
    /// Children of which nobody has taken notice yet, with the store that was first.
    news: Vec<(StoreId, GroupId)>,
    /// Snapshots that were not admitted.
    pub not_admitted: u64,
}

fn meta(engine: &dyn Engine, kind: u8, group: GroupId) -> Option<Vec<u8>> {
    let key = [&[kind][..], &group.get().to_be_bytes()].concat();
    engine.get(Cf::Meta, &key).expect("a healthy disk can be read")
}

impl Births {
    /// A store applies a command that brings a group into being, with this peer if one is there.
    pub(crate) fn applied(
        &mut self,
        store: StoreId,
        place: (GroupId, Index),
        child: GroupId,
        spawn: Option<&Spawn>,
    ) {
        if self.places.insert(child, place).is_none() {
            self.news.push((store, child));
        }
        if let Some(spawn) = spawn {
            self.begun.insert((store, child), spawn.beginning.peer);
        }
    }

    pub(crate) fn take_news(&mut self) -> Vec<(StoreId, GroupId)> {
        std::mem::take(&mut self.news)
    }

    /// Whether a snapshot may come was asked for.
    pub(crate) fn asked(&mut self, admits: bool) {
        self.not_admitted += u64::from(!admits);
    }

    /// A store was opened: what it had applied may be lost.
    pub(crate) fn started(&mut self, store: StoreId, engine: &dyn Engine) {
        let Births { places, begun, .. } = self;
        begun.retain(|&(at, child), _| at != store || is_applied(engine, places[&child]));
    }

    /// What is on the disk of a store.
    pub(crate) fn disk(&self, store: StoreId, engine: &dyn Engine) -> Result<(), Violation> {
        for (&child, &place) in &self.places {
            let is_applied = is_applied(engine, place);
            let (parent, index) = place;
            let has_begun = has_begun(engine, child);
            let life = meta(engine, b'g', child);
            let begun = self.begun.get(&(store, child)).filter(|_| is_applied);
            let is_after = |peer: PeerId| {
                life.as_ref().is_some_and(|life| match peer_of(life) {
                    // It was here and left, or left before it came; or a later one is here.
                    found if is_buried(life) => found >= peer.get(),
                    found => found > peer.get(),
                })
            };
            if let Some(&peer) = begun
                && !has_begun
                && !is_after(peer)
            {
                let what = format!("{store} has {parent} as of {index}, and nothing of {child}");
                return Err(Violation { check: CHECK, what });
            }
            let is_here = has_begun && life.is_none_or(|life| !is_buried(&life));
            let is_behind = !is_applied && self::has_begun(engine, parent);
            if is_here && is_behind {
                let what = format!("{store} has {child}, and {parent} from before {index}");
                return Err(Violation { check: CHECK, what });
            }
        }
        Ok(())
    }
}

/// Whether the disk says where the log of a group begins: only that of a peer without state does
/// not.
pub(crate) fn has_begun(engine: &dyn Engine, group: GroupId) -> bool {
    meta(engine, b'b', group).is_some()
}

/// Whether the command in this place is part of what a store has of its group.
fn is_applied(engine: &dyn Engine, (group, index): (GroupId, Index)) -> bool {
    let found = engine.get(Cf::Default, &key(group, index));
    found.expect("a healthy disk can be read").is_some()
}
