//! `crib bench …`: load on a cluster, and what it comes to.
//!
//! - `args`: the flags of a measurement. `load`: from there to a result.
//! - `called`: the cluster that is called, ours or etcd.
//! - `verify`: whether a cluster keeps its word. `local`: one of our own, to break.

mod args;
mod called;
mod load;
mod local;
mod verify;

use ::load::Workload;
use clap::Subcommand;

use self::args::{Letter, LoadArgs};
use super::args::Global;
use super::output::Output;
use crate::errors::Failure;

/// What is told below the flags.
const HELP: &str = "Lines of each second go to standard error, the result to standard output. A \
    result is\ninvalid, and the command ends with 7, if an operation failed (see --allow-errors), \
    the\ncluster was not healthy at any moment, or a rate could not be kept. --timeout is for \
    each\noperation; its client tries it again until then.";

/// Commands that put a load on a cluster.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// New values for keys.
    #[command(after_help = HELP)]
    Put(Box<LoadArgs>),
    /// Values of keys.
    #[command(after_help = HELP)]
    Get(Box<LoadArgs>),
    /// Keys and values from a key on.
    #[command(after_help = HELP)]
    Scan {
        /// How many.
        #[arg(long, value_name = "KEYS", default_value_t = 100)]
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        length: u64,
        #[command(flatten)]
        load: Box<LoadArgs>,
    },
    /// Values of keys, and new ones for others.
    #[command(after_help = HELP)]
    Mixed {
        /// Of a hundred operations, how many read.
        #[arg(long, value_name = "PERCENT", default_value_t = 50)]
        #[arg(value_parser = clap::value_parser!(u64).range(0..=100))]
        read_share: u64,
        #[command(flatten)]
        load: Box<LoadArgs>,
    },
    /// The value of a key, then another in its place if it is still the same.
    #[command(after_help = HELP)]
    Cas(Box<LoadArgs>),
    /// A workload of the YCSB benchmark.
    #[command(after_help = HELP)]
    Ycsb {
        /// Which: a half updates, b few updates, c reads, d reads of the latest, e scans, f reads
        /// and changes.
        #[arg(long, value_enum, value_name = "LETTER", default_value = "a")]
        workload: Letter,
        #[command(flatten)]
        load: Box<LoadArgs>,
    },
    /// Whether the cluster keeps its word while things break: writers remember what was
    /// acknowledged, processes are killed, and everything is checked in the end.
    Verify(Box<verify::VerifyArgs>),
}

impl Bench {
    /// How many threads it is to have.
    pub(super) fn threads(&self) -> usize {
        let load = match self {
            Bench::Put(load) | Bench::Get(load) | Bench::Cas(load) => load,
            Bench::Scan { load, .. } | Bench::Mixed { load, .. } | Bench::Ycsb { load, .. } => load,
            Bench::Verify(_) => return ::load::default_threads(),
        };
        load.threads.map_or_else(::load::default_threads, usize::from)
    }
}

/// Does what a command says.
///
/// # Errors
/// If the cluster cannot be called, the result is invalid, or a cluster does not keep its word.
pub(super) async fn run(command: Bench, global: &Global, output: &Output) -> Result<(), Failure> {
    let (workload, args) = match command {
        Bench::Put(args) => (Workload::put(), args),
        Bench::Get(args) => (Workload::get(), args),
        Bench::Scan { length, load } => (Workload::scan(length), load),
        Bench::Mixed { read_share, load } => (Workload::mixed(read_share), load),
        Bench::Cas(args) => (Workload::cas(), args),
        Bench::Ycsb { workload, load } => (Workload::ycsb(workload.into()), load),
        Bench::Verify(args) => return verify::run(&args, global, output).await,
    };
    load::run(workload, &args, &super::target(global, output)?, output).await
}
