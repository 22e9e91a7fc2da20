//! What must hold after every step, on live and on crashed hosts. One property per file.
//!
//! Each checker is proven by a planted bug that it finds (`tests/mutants.rs`). Crashed hosts count
//! with what is durable.

mod acks_are_durable;
mod bounded_work;
mod bounds;
mod committed_is_durable;
mod leader_completeness;
mod lease_is_exclusive;
mod log_matching;
mod monotone;
mod one_change_at_a_time;
mod one_leader_per_term;
mod reads_are_fresh;
mod same_state;

use std::fmt;

use raft::{ReadToken, RoleStatus, Status};
use types::{Index, Time};

use crate::node::{Node, Turn};

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub property: &'static str,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.property, self.what)
    }
}

/// All checkers and what they remember.
#[derive(Default)]
pub struct Checks {
    same_state: same_state::Ledger,
    leaders: one_leader_per_term::Leaders,
    matching: log_matching::Entries,
    monotone: monotone::Pasts,
    durable: committed_is_durable::Checked,
    reads: reads_are_fresh::Reads,
}

/// One node has just acted.
pub(crate) struct Seen<'a> {
    pub nodes: &'a [Node],
    pub node: &'a Node,
    pub turn: &'a Turn,
    /// The clock of each node.
    pub clock: &'a dyn Fn(usize) -> Time,
    /// The last slot known to be committed by anyone.
    pub committed: Index,
}

type Verdict = Result<(), String>;

impl Checks {
    /// No history yet.
    #[must_use]
    pub fn new() -> Checks {
        Checks::default()
    }

    /// A read was handed to a leader: it must not miss what is committed by now.
    pub fn on_read(&mut self, token: ReadToken) {
        self.reads.submitted(token, self.same_state.committed());
    }

    /// The last slot known to be committed by anyone.
    #[must_use]
    pub fn committed(&self) -> Index {
        self.same_state.committed()
    }

    /// Checks everything after node number `at` acted. `clock` tells each node's time.
    ///
    /// # Errors
    /// The first property that does not hold.
    pub fn observe(
        &mut self,
        nodes: &[Node],
        at: usize,
        turn: &Turn,
        clock: &dyn Fn(usize) -> Time,
    ) -> Result<(), Violation> {
        let verdict =
            |property, verdict: Verdict| verdict.map_err(|what| Violation { property, what });
        let node = &nodes[at];
        // What was committed before this step: a leader elected now must have all of it.
        let committed = self.same_state.committed();
        let seen = Seen { nodes, node, turn, clock, committed };
        verdict("same state", self.same_state.check(&seen))?;
        let committed = self.same_state.committed();
        let seen = Seen { committed, ..seen };
        verdict("bounds", bounds::check(&seen))?;
        verdict("monotone", self.monotone.check(&seen))?;
        verdict("log matching", self.matching.check(&seen))?;
        let is_new_leader = self.leaders.check(&seen);
        let is_new_leader =
            is_new_leader.map_err(|what| Violation { property: "one leader per term", what })?;
        if is_new_leader {
            let checked = leader_completeness::check(&seen, &self.same_state);
            verdict("leader completeness", checked)?;
        }
        verdict("committed is durable", self.durable.check(&seen))?;
        verdict("acks are durable", acks_are_durable::check(&seen))?;
        verdict("one change at a time", one_change_at_a_time::check(&seen))?;
        verdict("reads are fresh", self.reads.check(&seen))?;
        verdict("lease is exclusive", lease_is_exclusive::check(&seen))?;
        verdict("bounded work", bounded_work::check(&seen))
    }
}

impl Seen<'_> {
    fn status(&self) -> Option<Status<'_>> {
        self.node.peer.as_ref().map(raft::Peer::status)
    }

    fn leading(&self) -> Option<Status<'_>> {
        self.status().filter(|status| status.role == RoleStatus::Leader)
    }
}
