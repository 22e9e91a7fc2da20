//! `crib bench …`: load on a cluster, and what it comes to.
//!
//! - `args`: what can be typed. `load`: from there to a result.
//! - `called`: the cluster that is called, ours or etcd.

pub mod args;
mod called;
mod load;

use ::load::Workload;

use self::args::Bench;
use super::connect::Target;
use super::output::Output;
use crate::errors::Failure;

/// Does what a command says.
///
/// # Errors
/// If the cluster cannot be called, or the result is invalid.
pub(super) async fn run(command: Bench, target: &Target, output: &Output) -> Result<(), Failure> {
    let (workload, args) = match command {
        Bench::Put(args) => (Workload::put(), args),
        Bench::Get(args) => (Workload::get(), args),
        Bench::Scan { length, load } => (Workload::scan(length), load),
        Bench::Mixed { read_share, load } => (Workload::mixed(read_share), load),
        Bench::Cas(args) => (Workload::cas(), args),
        Bench::Ycsb { workload, load } => (Workload::ycsb(workload.into()), load),
    };
    load::run(workload, &args, target, output).await
}
