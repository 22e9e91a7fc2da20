//! Groups that a command of another group brought into being, and what may be in their place.
//!
//! | here already | then |
//! |---|---|
//! | nothing | it begins |
//! | an empty peer, made by a faster message | it takes up the beginning, and keeps its promises |
//! | a peer with state | it began before |
//! | a tombstone of this peer, or a later one | it left before it came: what it has goes |
//!
//! The apply lane wrote its records with what the command changed, and decided by what was on the
//! disk. What this shard knows beyond the disk is settled here.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use raft::{Boot, Peer};
use types::{GroupId, Time};

use super::event::Beginning;
use super::group::{Group, Life};
use super::{Owed, Shard};
use crate::apply::{ApplyTask, Work};
use crate::disk;
use crate::outcome::Outcome;

impl Shard {
    pub(super) fn spawned(&mut self, now: Time, id: GroupId, beginning: Box<Beginning>) {
        if let Some(group) = self.groups.get_mut(&id) {
            match group.life {
                Life::Live if group.is_empty() => {
                    group.begins = Some(beginning);
                    self.mark(id);
                }
                // It began before, or the end of it comes behind the records.
                Life::Live | Life::Ending(_) => {}
                Life::Buried(_) => self.bury_again(id),
            }
            return;
        }
        if self.tombstones.get(&id).is_some_and(|&buried| buried >= beginning.peer) {
            return self.bury_again(id);
        }
        let boot = self.boot_of(id, beginning.peer, &beginning);
        let core = Peer::restore(Arc::clone(&self.config.raft), &boot, now)
            .expect("a state machine gives its groups a beginning that makes sense");
        let mut group = Group::begun(id, core, &beginning);
        // The lane leaves names to the shard: that of a later peer may be on its way.
        disk::put_live(&mut self.records, id, beginning.peer, None);
        self.done_when_written.push(Owed::Record(id, beginning.peer));
        group.writes += 1;
        self.begin_lane(id, &beginning, &group);
        self.insert(group);
    }

    /// An empty peer takes up its beginning. None of its writes is on its way, so that what it
    /// promised is what the engine was given last.
    pub(super) fn begin_in_place(&mut self, now: Time, id: GroupId) {
        let old = self.groups.remove(&id).expect("looked up by the caller");
        let beginning = old.begins.expect("looked at by the caller");
        assert!(old.pledged.is_none(), "who knows of no members pledges nothing");
        let (term, vote) = old.hard_state.unwrap_or_default();
        let first = self.boot_of(id, old.core.status().id, &beginning);
        let boot = Boot {
            // A promise to a leader holds. One that only was asked whom it would vote for has made
            // none, and is to answer: whoever asked waits, and the keys of the group with it.
            restarted: old.core.has_promised(now),
            vote: vote.filter(|_| term >= first.term),
            term: term.max(first.term),
            ..first
        };
        let mut core = Peer::restore(Arc::clone(&self.config.raft), &boot, now)
            .expect("a state machine gives its groups a beginning that makes sense");
        if boot.restarted {
            self.bind(&mut core, now);
        }
        let mut group = Group::begun(id, core, &beginning);
        group.hard_state = old.hard_state;
        group.armed = old.armed;
        group.counted = old.counted;
        group.told = old.told;
        for (peer, store) in old.homes {
            if group.home(peer).is_none() {
                group.learn_home(peer, store);
            }
        }
        self.begin_lane(id, &beginning, &group);
        self.insert(group);
    }

    fn begin_lane(&mut self, id: GroupId, beginning: &Beginning, group: &Group) {
        let roster = (beginning.at.index, beginning.roster.clone());
        let work = Work::Begin { at: beginning.at, roster };
        self.pending.apply.push(ApplyTask { group: id, peer: group.peer(), work });
    }

    /// What was written of the group's beginning goes the way of what was here before. No later
    /// peer comes until it has: its record would go with it.
    fn bury_again(&mut self, id: GroupId) {
        self.aside.remove(&id);
        let buried = self.groups.get(&id).map(|group| group.peer());
        let peer = buried.or_else(|| self.tombstones.get(&id).copied());
        let peer = peer.expect("the group was here, or is");
        self.pending.apply.push(ApplyTask { group: id, peer, work: Work::Destroy });
        *self.burying.entry(id).or_default() += 1;
    }

    /// What was left of a group that is not here any more is removed.
    pub(super) fn on_buried_again(&mut self, id: GroupId) {
        if let Entry::Occupied(mut left) = self.burying.entry(id) {
            *left.get_mut() -= 1;
            if *left.get() > 0 {
                return;
            }
            left.remove();
            let told = self.told_when_buried.extract_if(.., |(of, _)| *of == id);
            self.pending.replies.extend(told.map(|(_, token)| (token, Outcome::Done)));
        }
    }

    /// A tombstone beside which something was left, which the apply lane has been told to remove.
    pub(crate) fn remember_burial(&mut self, id: GroupId) {
        self.burying.insert(id, 1);
    }
}
