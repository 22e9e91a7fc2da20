//! `crib bench …`: load on a cluster, and what it comes to.
//!
//! - `args`: the flags. `load`: from there to a result.
//! - `called`: the cluster that is called, ours or etcd.

mod args;
mod called;
mod load;

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
#[command(after_help = HELP)]
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
}

/// Does what a command says.
///
/// # Errors
/// If the cluster cannot be called, or the result is invalid.
pub(super) async fn run(command: Bench, global: &Global, output: &Output) -> Result<(), Failure> {
    let target = super::target(global, output)?;
    match command {
        Bench::Put(args) => load::run(Workload::put(), &args, &target, output).await,
        Bench::Get(args) => load::run(Workload::get(), &args, &target, output).await,
        Bench::Scan { length, load } => {
            load::run(Workload::scan(length), &load, &target, output).await
        }
        Bench::Mixed { read_share, load } => {
            load::run(Workload::mixed(read_share), &load, &target, output).await
        }
        Bench::Cas(args) => load::run(Workload::cas(), &args, &target, output).await,
        Bench::Ycsb { workload, load } => {
            load::run(Workload::ycsb(workload.into()), &load, &target, output).await
        }
    }
}
