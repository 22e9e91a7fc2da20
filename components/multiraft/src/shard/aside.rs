//! Groups that were set aside when the store was opened, since what is on the disk of them makes no
//! sense. Nobody answers in their names. What they have here stays as it was, for whoever wants to
//! look, until they are destroyed, are told that they were removed, or a later peer comes in their
//! place: then it is removed first.

use types::{GroupId, PeerId};

use super::Shard;
use super::event::Token;
use crate::apply::{ApplyTask, Work};

impl Shard {
    /// A group that was set aside. `peer` is who it was here.
    pub(crate) fn remember_aside(&mut self, id: GroupId, peer: PeerId) {
        self.tombstones.insert(id, peer);
        self.aside.insert(id);
    }

    /// Removes what a group has here that was set aside, if it was; `token` is answered when that
    /// is durable. No peer up to `last` comes back.
    pub(super) fn bury_aside(&mut self, id: GroupId, last: Option<PeerId>, token: Option<Token>) {
        if !self.aside.remove(&id) {
            return;
        }
        let buried = self.tombstones.get_mut(&id).expect("what is set aside has a tombstone");
        *buried = last.map_or(*buried, |last| last.max(*buried));
        let peer = *buried;
        tracing::info!(group = %id, %peer, "what was set aside is removed");
        self.pending.apply.push(ApplyTask { group: id, peer, work: Work::Destroy });
        *self.burying.entry(id).or_default() += 1;
        self.told_when_buried.extend(token.map(|token| (id, token)));
    }
}
