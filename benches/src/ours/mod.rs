//! Our core, driven as a store would drive it, in two settings.
//!
//! `cribwork`       payloads are shared between the replicas' logs by reference count, as a store
//!                  with one log cache does.
//! `cribwork/copy`  every replica copies every payload, as the peer's codec makes it: what remains
//!                  is the core alone.
//!
//! Not here: the loop that drives the peers (`cluster`), the log (`log`).

mod cluster;
mod log;

use std::mem::size_of;
use std::sync::Arc;

use raft::Peer;

use crate::contender::{Cluster, Contender, FOOTPRINT_PROPOSALS, Footprint, REPLICAS, Role, Side};
use crate::counts::{Counter, released};
use cluster::OurCluster;
use log::{Log, Payload};

/// How payloads reach the followers' logs.
#[derive(Clone, Copy, Debug)]
pub enum Ours {
    /// By reference count.
    Sharing,
    /// By copy.
    Copying,
}

fn footprint_of<P: Payload>(role: Role, groups: usize, counter: Counter) -> Footprint {
    let mut cluster = OurCluster::<P>::new(groups);
    cluster.propose_round(FOOTPRINT_PROPOSALS, &[7; 16]);
    cluster.settle();
    cluster.compact_all();
    for _ in 0..3 {
        cluster.heartbeat_round();
    }
    let wanted = |group: usize, store: usize| (group % REPLICAS == store) == (role == Role::Leader);
    let (mut peers, mut logs) = cluster.into_parts(wanted);
    let count = peers.len() as f64;
    let (core_heap, core_allocations) = released(counter, || peers.fill_with(|| None));
    let (log_heap, log_allocations) = released(counter, || logs.fill_with(|| None));
    Footprint {
        core_bytes: core_heap / count + size_of::<Peer>() as f64,
        core_allocations: core_allocations / count,
        storage_bytes: log_heap / count + size_of::<Log<P>>() as f64,
        storage_allocations: log_allocations / count,
    }
}

impl Contender for Ours {
    fn name(&self) -> &'static str {
        match self {
            Ours::Sharing => "cribwork",
            Ours::Copying => "cribwork/copy",
        }
    }

    fn side(&self) -> Side {
        Side::Ours
    }

    fn cluster(&self, groups: usize) -> Box<dyn Cluster> {
        match self {
            Ours::Sharing => Box::new(OurCluster::<Arc<[u8]>>::new(groups)),
            Ours::Copying => Box::new(OurCluster::<Box<[u8]>>::new(groups)),
        }
    }

    fn footprint(&self, role: Role, groups: usize, counter: Counter) -> Footprint {
        match self {
            Ours::Sharing => footprint_of::<Arc<[u8]>>(role, groups, counter),
            Ours::Copying => footprint_of::<Box<[u8]>>(role, groups, counter),
        }
    }
}
