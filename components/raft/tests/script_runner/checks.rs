//! What must hold after every command, whatever the script: a broken one fails the test at once.
//!
//! One leader per term, and only once; terms and votes never taken back; `applied ≤ commit ≤ last`;
//! the same entry in the same applied slot everywhere; logs match; the newest leader has all that
//! was ever applied; the host was told of every leader.

use std::collections::BTreeMap;

use raft::RoleStatus;
use raft_world::{Entries, Entry, Node};
use types::{Index, PeerId, Term};

#[derive(Default)]
pub(crate) struct Checks {
    /// Who led a term, in which life of its host.
    leaders: BTreeMap<Term, (PeerId, u64)>,
    /// What was applied in each slot.
    applied: BTreeMap<Index, Entry>,
    /// The state after each slot, as far as seen.
    states: BTreeMap<Index, u64>,
    /// The latest term and vote of each peer in its present life.
    promises: BTreeMap<(PeerId, u64), (Term, Option<PeerId>)>,
}

impl Checks {
    /// These slots were just applied.
    pub(crate) fn on_applied(&mut self, node: &Node, slots: std::ops::Range<Index>) {
        for index in (slots.start.0..slots.end.0).map(Index) {
            let entry = node.log.get(index).expect("what is applied is in the log");
            let first = self.applied.entry(index).or_insert_with(|| entry.clone());
            assert_eq!(first, entry, "{} applies something else in slot {index}", node.id);
        }
    }

    /// A node after its turn.
    pub(crate) fn on_turn(&mut self, node: &Node) {
        let Some(peer) = &node.peer else { return };
        let status = peer.status();
        let (id, life) = (node.id, node.incarnation);
        assert!(!peer.is_dirty(), "{id} has more to do after a drain");
        assert!(status.reported <= status.commit, "{id} applied beyond its commit index");
        assert!(status.commit <= status.log.last().index, "{id} committed beyond its log");
        assert_eq!(status.log.last(), node.log.last(), "{id}: the host's log is another");
        assert_eq!(status.reported, node.app.applied.index, "{id}: the host applied otherwise");
        let promise = (status.term, status.vote);
        let before = self.promises.insert((id, life), promise).unwrap_or(promise);
        assert!(before.0 <= promise.0, "{id}: the term fell");
        let is_kept = before.0 < promise.0 || before.1.is_none() || before.1 == promise.1;
        assert!(is_kept, "{id}: a vote was taken back");
        if status.role == RoleStatus::Leader {
            let leader = *self.leaders.entry(status.term).or_insert((id, life));
            assert_eq!(leader, (id, life), "term {} has two leaders", status.term);
            if self.leaders.keys().next_back() == Some(&status.term) {
                self.check_complete(node);
            }
        }
        let at = node.app.applied.index;
        let state = *self.states.entry(at).or_insert(node.app.hash);
        assert_eq!(state, node.app.hash, "{id}: another state after slot {at}");
    }

    /// The newest leader's log holds everything that was ever applied (thesis §3.6.3).
    fn check_complete(&self, leader: &Node) {
        for (index, entry) in self.applied.range(leader.log.base.index.next()..) {
            let held = leader.log.get(*index);
            assert_eq!(held, Some(entry), "{} leads without slot {index}", leader.id);
        }
    }

    /// All nodes, after a command.
    pub(crate) fn on_command<'a>(&self, nodes: impl Iterator<Item = &'a Node> + Clone) {
        for (nth, one) in nodes.clone().enumerate() {
            for other in nodes.clone().skip(nth + 1) {
                check_matching(one.id, &one.log, other.id, &other.log);
            }
        }
    }
}

/// If two logs hold the same entry, they hold the same before it (thesis §3.5).
fn check_matching(one: PeerId, log: &Entries, two: PeerId, other: &Entries) {
    let end = log.last().index.min(other.last().index);
    let begin = log.base.index.max(other.base.index).next();
    let mut agrees = false;
    for index in (begin.0..=end.0).rev().map(Index) {
        let (mine, theirs) = (log.get(index), other.get(index));
        agrees |= mine.map(|entry| entry.id) == theirs.map(|entry| entry.id);
        assert!(!agrees || mine == theirs, "{one} and {two} differ in slot {index}");
    }
}
