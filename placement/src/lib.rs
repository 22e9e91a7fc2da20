//! The placement driver as a library: who belongs to the cluster, which regions there are, where
//! their replicas live and should live.
//!
//! ```text
//!   clients ─► service::pd ────┐                     ┌─► StateView (every member)
//!   stores  ─► service::stores ┼─► Driver ─ propose ─┤
//!   people  ─► service::admin ─┘     │               └─► state (replicated, group 1)
//!                                    ├─ Lead: RegionTable, Controller, silence of stores (soft)
//!                                    └─ Oracle: timestamps (soft, fenced)
//! ```
//!
//! # What is replicated
//!
//! [`state`]: settings of the cluster, stores, ids, the window of timestamps, the safe point. It is
//! a state machine on [`GROUP`], whose peers live on the founders at first, and later on whatever
//! stores took over their seats ([`scheduler::seats`]). It changes a few times in a
//! second at most: ids are taken a thousand at a time, timestamps three seconds at a time.
//!
//! # What is soft
//!
//! Everything that is observed: regions, loads, which store is silent, which operators run. It
//! belongs to one leadership and ends with it. A new leader collects it anew: stores tell it of all
//! that they lead, once, and of changes from then on. It plans nothing before it knows enough.
//!
//! # Fencing
//!
//! What a leader decides goes through the log of its own group, so one that was deposed decides
//! nothing. What it merely says can be out of date, and routing may be. Timestamps may not: see
//! [`tso`]. Ids come from windows that the log gave to one leader alone; what is left of a window
//! when leadership ends is never used.
//!
//! A member that lost its seat cannot confirm anything, and what it had goes with its replica.
//!
//! Orders carry the epoch of their region, and stores refuse those for another. So a deposed leader
//! that still gives orders moves nothing that has been changed since.
//!
//! # Losing leadership
//!
//! [`Driver::on_standing`] clears the timestamps first, then drops what is soft, and then streams
//! end with a status that names the leader. A stream is never left open in silence.
//!
//! # Reading order
//!
//! [`state`] · `machine`: on an engine · [`tso`] · [`table`] · [`scheduler`] · `driver`: one
//! leadership · `service`: the RPCs. `TESTED.md` says which test
//! holds what.
//!
//! # Not here
//!
//! Opening ports, files of settings, the other end of what stores say, what an order does in a
//! store: the server's.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod clock;
mod config;
mod driver;
mod machine;
pub mod scheduler;
mod service;
pub mod state;
pub mod table;
pub mod tso;
mod wire;

use types::GroupId;

pub use config::{Config, first_regions};
pub use driver::{Driver, Hearsay, SeatWatch, Unavailable, changes};
pub use machine::{StateView, destroy_state, machines, open_state};
pub use service::{Service, Services};

/// Placement's own group.
pub const GROUP: GroupId = GroupId::new(1).expect("not zero");
