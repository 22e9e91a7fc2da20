//! Planning: which replicas and leaders should be elsewhere, and the steps that bring them there.
//!
//! Pure: the [`Controller`] is shown the cluster and the time, and returns orders. Its caller
//!
//! 1. calls [`Controller::tick`] every 100 ms to 1 s, and [`Controller::on_report`] after each
//!    report that the table has taken, and for each region that a report has removed;
//! 2. sends the orders to the stores named in them; they may be lost, since they are sent again;
//! 3. offers ids for new peers, up to [`Controller::ids_wanted`];
//! 4. makes a new controller and a new table whenever it begins to lead.
//!
//! Invariants: a region has at most one operator. No step takes a region below a quorum of voters
//! that are up, nor puts two of its peers on one store (`Step::danger`, asked when a step is due).
//!
//! Not here: hot regions, merges, rules per key range.

mod admin;
mod balance;
mod checker;
mod cluster;
mod config;
mod controller;
mod explain;
mod load;
mod operator;
mod places;
pub mod plan;
mod ranking;
mod reasons;
mod running;
pub mod seats;
mod step;
#[cfg(test)]
mod tests;

pub use admin::{DrainPlan, drain_check, is_empty};
pub use checker::{Finding, Overdue, check};
pub use cluster::{Cluster, StoreInfo, StoreState};
pub use config::SchedulerConfig;
pub use controller::Controller;
pub use load::{Effect, Ledger, score};
pub use operator::{Ended, Operator, Origin, Outcome, Priority};
pub use places::Places;
pub use reasons::{Reasons, Verdict};
pub use running::Tally;
pub use step::{Order, OrderStep, Step};
