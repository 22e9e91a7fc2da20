//! What must hold, one checker per property, each fed with what happens.

mod answers;
pub(crate) mod births;
mod graves;
mod leaders;
pub(crate) mod leases;
mod promises;
mod states;
mod support;

use std::fmt;

use multiraft::Outcome;
use types::{GroupId, Index, PeerId, StoreId, Term};

use answers::Answers;
pub(crate) use answers::{Asked, What};
use births::Births;
use graves::Graves;
use leaders::Leaders;
use promises::Promises;
use states::States;
pub(crate) use support::Support;

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which checker says so.
    pub check: &'static str,
    /// What it saw.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.what)
    }
}

/// All checkers of a run. The first violation is kept.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    pub answers: Answers,
    pub births: Births,
    leaders: Leaders,
    pub states: States,
    pub graves: Graves,
    pub promises: Promises,
    pub support: Support,
    violation: Option<Violation>,
}

impl Checks {
    pub(crate) fn violation(&self) -> Option<Violation> {
        self.violation.clone()
    }

    pub(crate) fn report(&mut self, found: Result<(), Violation>) {
        if let Err(violation) = found {
            self.violation.get_or_insert(violation);
        }
    }

    /// A replica applies a command.
    pub(crate) fn applied(&mut self, group: GroupId, index: Index, command: &[u8]) {
        let found = self.states.applied(group, index, command);
        self.report(found);
    }

    /// Groups of a store have their ranges.
    pub(crate) fn ranges(&mut self, store: StoreId, found: Result<(), String>) {
        self.report(found.map_err(|why| Violation {
            check: "ranges of a store do not overlap",
            what: format!("{store}: {why}"),
        }));
    }

    /// A caller asked.
    pub(crate) fn asked(&mut self, token: u64, asked: Asked) {
        self.answers.asked(token, asked);
    }

    /// A caller is answered.
    pub(crate) fn answered(&mut self, token: u64, outcome: &Outcome) {
        let found = self.answers.answered(token, outcome, &mut self.states);
        self.report(found);
    }

    /// The callers of a store that stopped are gone.
    pub(crate) fn forget(&mut self, store: u64) {
        self.answers.forget(store);
        self.graves.forget(store);
    }

    /// Terms of groups in which someone led.
    pub(crate) fn leader_terms(&self) -> u64 {
        self.leaders.count()
    }

    /// A peer leads.
    pub(crate) fn leads(&mut self, group: GroupId, term: Term, peer: PeerId) {
        let found = self.leaders.leads(group, term, peer);
        self.report(found);
    }
}
