//! Snapshots that a shard's leaders want to send: so many are begun at a time, the others wait for
//! their turn. A store that was away for long needs one for each of its groups; were they refused
//! and asked for again, with thousands of them the apply lane would do little else.

use std::collections::{BTreeSet, VecDeque};

use raft::SnapshotWanted;
use types::{GroupId, PeerId, StoreId};

use super::Shard;
use crate::apply::{ApplyTask, Work};
use crate::courier;

/// Which snapshots are begun, and which wait.
#[derive(Debug, Default)]
pub(super) struct Departures {
    /// Until the courier says that their sending has ended.
    begun: BTreeSet<(GroupId, PeerId)>,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    group: GroupId,
    peer: PeerId,
    wanted: SnapshotWanted,
    store: StoreId,
}

impl Departures {
    /// A leader wants a snapshot to be sent. A later word takes the place of an earlier one.
    pub(super) fn want(
        &mut self,
        (group, peer): (GroupId, PeerId),
        wanted: SnapshotWanted,
        store: StoreId,
    ) {
        self.waiting.retain(|other| (other.group, other.wanted.to) != (group, wanted.to));
        self.waiting.push_back(Waiting { group, peer, wanted, store });
    }
}

impl Shard {
    /// Sending a snapshot has ended, well or not.
    pub(super) fn departed(&mut self, group: GroupId, to: PeerId) {
        self.departures.begun.remove(&(group, to));
    }

    /// Begins what waits and has a place.
    pub(super) fn depart(&mut self) {
        // The courier keeps as many of all shards.
        let kept = courier::WAITING_MAX + self.config.snapshots_sent_max;
        let places = kept.div_ceil(self.config.workers);
        let Shard { departures: Departures { begun, waiting }, groups, pending, .. } = self;
        while begun.len() < places {
            let Some(Waiting { group: id, peer, wanted, store }) = waiting.pop_front() else {
                return;
            };
            // Who does not lead any more, or again, has nothing to send to anybody.
            let leads = groups.get(&id).is_some_and(|group| {
                group.is_live()
                    && group.peer() == peer
                    && group.leads()
                    && group.core.status().term == wanted.term
            });
            if leads {
                begun.insert((id, wanted.to));
                let work = Work::Snapshot(wanted, store);
                pending.apply.push(ApplyTask { group: id, peer, work });
            }
        }
    }
}
