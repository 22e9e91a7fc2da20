//! Benches of a whole cluster: processes, clients, disks, beside etcd.
//!
//! Three nodes of ours and three of etcd stand side by side on this machine, each syncing its log,
//! and take turns; a ratio is that of one turn. What is compared is what a caller sees, and what it
//! costs: CPU of the servers and of the callers, apart from each other.
//!
//! No figure without health: a run with an error, a dead node or a cluster that says of itself that
//! it is not well ends in words instead.
//!
//! Modules
//! - `rates`     puts, gets and both by few and many callers, beside etcd
//! - `events`    what callers notice when regions split, leaders change, or a store is killed
//! - `scale`     thousands of regions beside ten, a fourth store, and a model of more of them
//! - `turn`      the callers, for a while: those of `crib bench`, in crate `load`
//! - `watch`     few callers that notice what happens
//! - `crib`      our cluster; `etcd` the other; `floor` less than any can do with; `nodes` their
//!   processes
//!
//! Not here: machines apart from each other, networks that lose messages, transactions.

pub mod crib;
pub mod etcd;
pub mod events;
pub mod floor;
pub mod nodes;
pub mod rates;
pub mod scale;
pub mod turn;
pub mod watch;

use std::path::PathBuf;

use tokio::runtime::Handle;

use crate::table::Row;

/// Why there is no figure, in words.
pub type Result<T> = std::result::Result<T, String>;

/// How all of them run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Fewer and shorter turns.
    pub is_quick: bool,
    /// Where nodes put their files: the disk that is measured.
    pub dir: PathBuf,
    /// Run only what has this in its name.
    pub only: Option<String>,
    /// The binary of ours.
    pub crib: PathBuf,
    /// The peer's; without it the comparison is absent.
    pub etcd: Option<PathBuf>,
    /// The binary of the thinnest path; without it puts have no such bound.
    pub floor: Option<PathBuf>,
    /// Words before the command of every node, as of a program that sets its priority.
    pub under: Vec<String>,
    /// Regions that the keys of `rates` lie in.
    pub regions: usize,
    /// Where `scale` is to draw its curves.
    pub plot: Option<PathBuf>,
}

impl Settings {
    /// Whether a measurement of this name is to run.
    pub fn is_selected(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|pattern| name.contains(pattern))
    }
}

/// Measures, and hands out rows as they are known.
pub type Run = fn(&Settings, &Handle, &mut dyn FnMut(Row)) -> Result<()>;

/// A bench by name.
pub struct Bench {
    /// What it is called on the command line.
    pub name: &'static str,
    /// Runs it, and hands over each row when it is known.
    pub run: Run,
}

/// All of them, in the order in which they run.
pub const BENCHES: &[Bench] = &[
    Bench { name: "rates", run: rates::run },
    Bench { name: "split", run: events::split },
    Bench { name: "transfer", run: events::transfer },
    Bench { name: "kill", run: events::kill },
    Bench { name: "scale", run: scale::run },
];
