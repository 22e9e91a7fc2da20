//! Operators: a plan for one region, and how far it is.

use std::fmt;

use types::{Epoch, GroupId, RegionPeer, StoreId, Time};

use super::load::Effect;
use super::step::Step;

/// Who made an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Replicas that are missing, down, surplus or on a store that drains.
    Repair,
    /// Leaders off stores that drain or stop.
    EvictLeader,
    /// Leaders from stores with many to those with few.
    BalanceLeader,
    /// Replicas from loaded stores to others.
    BalanceRegion,
    /// A person.
    Operator,
}

/// Of two plans for a region the one with the higher priority is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// It can wait.
    Balance,
    /// Data or availability depends on it.
    Repair,
    /// A person asked for it.
    Operator,
}

/// A plan for one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Rises with every operator of this controller, from 1.
    pub id: u64,
    /// The region.
    pub region: GroupId,
    /// What the region was when the plan was made.
    pub epoch: Epoch,
    /// Who made it.
    pub origin: Origin,
    /// What it is for, in words.
    pub reason: String,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The step that it is at, from 0; as many as there are when it is done.
    pub at: usize,
    /// When it was made.
    pub started_at: Time,
    /// When it came to this step.
    pub step_at: Time,
    /// When this step's order was last sent.
    pub sent_at: Option<Time>,
    /// The members when it came to this step.
    pub(super) before: Vec<RegionPeer>,
    /// What it still changes about stores, as it is counted.
    pub(super) effects: Vec<(StoreId, Effect)>,
}

/// How an operator ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All its steps show in the region's report.
    Done,
    /// It was given up, for this reason.
    Cancelled(String),
    /// This step took too long.
    TimedOut(String),
}

/// An operator that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The operator, as it was then.
    pub operator: Operator,
    /// When.
    pub at: Time,
    /// How.
    pub outcome: Outcome,
}

impl Operator {
    /// The step that it is at; `None` when it is done.
    #[must_use]
    pub fn step(&self) -> Option<&Step> {
        self.steps.get(self.at)
    }
}

impl Origin {
    /// All of them.
    pub const ALL: [Origin; 5] = [
        Origin::Repair,
        Origin::EvictLeader,
        Origin::BalanceLeader,
        Origin::BalanceRegion,
        Origin::Operator,
    ];

    /// How urgent its operators are.
    #[must_use]
    pub fn priority(self) -> Priority {
        match self {
            Origin::BalanceLeader | Origin::BalanceRegion => Priority::Balance,
            Origin::Repair | Origin::EvictLeader => Priority::Repair,
            Origin::Operator => Priority::Operator,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Repair => "repair",
            Origin::EvictLeader => "evict-leader",
            Origin::BalanceLeader => "balance-leader",
            Origin::BalanceRegion => "balance-region",
            Origin::Operator => "operator",
        })
    }
}

impl Outcome {
    /// What it is called, without a reason.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Cancelled(_) => "cancelled",
            Outcome::TimedOut(_) => "timed-out",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Done => f.write_str("done"),
            Outcome::Cancelled(why) => write!(f, "cancelled: {why}"),
            Outcome::TimedOut(step) => write!(f, "timed out at: {step}"),
        }
    }
}
