//! Benches of a whole store: many groups on RocksDB, beside RocksDB alone.
//!
//! Three stores run in this process, each with an engine of its own on disk, and reach each other
//! by function calls. What they are measured against does the same writes without Raft, in the same
//! batch sizes, in the same minutes: turns alternate, and a ratio is the median of the turns'
//! ratios.
//!
//! Modules
//! - `groups`    proposals over few and many groups, beside three bare engines
//! - `log`       the log path alone, beside a bare engine and a bare file
//! - `purge`     how much of the log is dropped before it reaches a table
//! - `idle`      many groups that nobody asks anything
//! - `restart`   opening a store
//! - `led`       who leads, told by the stores
//! - `cluster`   the three stores; `machine` their state machine; `load` the callers
//! - `bare`      RocksDB without us
//!
//! Not here: the network between processes, clients.

pub mod bare;
pub mod cluster;
pub mod groups;
pub mod idle;
pub mod led;
pub mod load;
pub mod log;
pub mod machine;
pub mod purge;
pub mod restart;

use std::path::PathBuf;

use crate::table::Row;

/// How all of them run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Fewer and shorter turns, fewer groups.
    pub is_quick: bool,
    /// Where engines put their files: the disk that is measured.
    pub dir: PathBuf,
    /// Run only what has this in its name.
    pub only: Option<String>,
}

impl Settings {
    /// Whether a measurement of this name is to run.
    pub fn is_selected(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|pattern| name.contains(pattern))
    }
}

/// A bench by name.
pub struct Bench {
    /// What it is called on the command line.
    pub name: &'static str,
    /// Runs it.
    pub run: fn(&Settings) -> Vec<Row>,
}

/// All of them, in the order in which they run.
pub const BENCHES: &[Bench] = &[
    Bench { name: "groups", run: groups::run },
    Bench { name: "log", run: log::run },
    Bench { name: "purge", run: purge::run },
    Bench { name: "idle", run: idle::run },
    Bench { name: "restart", run: restart::run },
];
