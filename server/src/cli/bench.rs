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
    match command {
        Bench::Put(args) => load::run(Workload::put(), &args, target, output).await,
        Bench::Get(args) => load::run(Workload::get(), &args, target, output).await,
        Bench::Scan { length, load } => {
            load::run(Workload::scan(length), &load, target, output).await
        }
        Bench::Mixed { read_share, load } => {
            load::run(Workload::mixed(read_share), &load, target, output).await
        }
        Bench::Cas(args) => load::run(Workload::cas(), &args, target, output).await,
        Bench::Ycsb { workload, load } => {
            load::run(Workload::ycsb(workload.into()), &load, target, output).await
        }
    }
}
