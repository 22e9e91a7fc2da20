//! The peer: crates.io `raft` 0.7 (TiKV's core), prost codec, in three settings.
//!
//! `raft-rs`        as its documentation drives it: `propose` per proposal, `MemStorage`,
//!                  `batch_append`, ten ticks a second with `has_ready` after each.
//! `raft-rs/skip`   the same with `skip_bcast_commit`: followers learn of a commit with the next
//!                  append or heartbeat.
//! `raft-rs/tuned`  what we would write if we had to win with it: also all proposals of a drain in
//!                  one `MsgPropose`, a store without lock and copies, one tick a second,
//!                  `has_ready` only when `tick` says so and an idle leader's in-flight rings
//!                  freed (the last two as TiKV does).
//!
//! All: pre-vote and check-quorum on, logging compiled out, 1 MiB appends, 256 in flight.
//!
//! Not here: the loop that drives the nodes (`cluster`), the log (`store`).

mod cluster;
mod store;

use std::mem::size_of;

use raft_rs::RawNode;
use raft_rs::storage::MemStorage;

use crate::contender::{Cluster, Contender, FOOTPRINT_PROPOSALS, Footprint, REPLICAS, Role, Side};
use crate::counts::{Counter, released};
use cluster::PeerCluster;
use store::{LeanStorage, LogStore};

/// How the peer is configured and driven.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    name: &'static str,
    skip_bcast_commit: bool,
    /// What sets `raft-rs/tuned` apart, but for the ticks.
    is_tuned: bool,
    ticks_per_second: usize,
}

impl Settings {
    /// Every variant worth showing.
    pub fn variants() -> [Self; 3] {
        let plain = Self {
            name: "raft-rs",
            skip_bcast_commit: false,
            is_tuned: false,
            ticks_per_second: 10,
        };
        let skip = Self { name: "raft-rs/skip", skip_bcast_commit: true, ..plain };
        let tuned = Self { name: "raft-rs/tuned", is_tuned: true, ticks_per_second: 1, ..skip };
        [plain, skip, tuned]
    }

    fn footprint_of<S: LogStore>(self, role: Role, groups: usize, counter: Counter) -> Footprint {
        let mut cluster = PeerCluster::<S>::new(self, groups);
        cluster.propose_round(FOOTPRINT_PROPOSALS, &[7; 16]);
        cluster.settle();
        cluster.compact_all();
        for _ in 0..3 {
            cluster.heartbeat_round();
        }
        if self.is_tuned {
            cluster.free_inflight_buffers();
        }
        let wanted =
            |group: usize, store: usize| (group % REPLICAS == store) == (role == Role::Leader);
        let mut nodes = cluster.into_nodes(wanted);
        let count = nodes.len() as f64;
        let mut stores: Vec<Option<S>> =
            nodes.iter_mut().flatten().map(|node| Some(node.mut_store().detach())).collect();
        let (core_heap, core_allocations) = released(counter, || nodes.fill_with(|| None));
        let (store_heap, store_allocations) = released(counter, || stores.fill_with(|| None));
        Footprint {
            core_bytes: core_heap / count + (size_of::<RawNode<S>>() - size_of::<S>()) as f64,
            core_allocations: core_allocations / count,
            storage_bytes: store_heap / count + size_of::<S>() as f64,
            storage_allocations: store_allocations / count,
        }
    }
}

impl Contender for Settings {
    fn name(&self) -> &'static str {
        self.name
    }

    fn side(&self) -> Side {
        Side::Peer
    }

    fn cluster(&self, groups: usize) -> Box<dyn Cluster> {
        if self.is_tuned {
            Box::new(PeerCluster::<LeanStorage>::new(*self, groups))
        } else {
            Box::new(PeerCluster::<MemStorage>::new(*self, groups))
        }
    }

    fn footprint(&self, role: Role, groups: usize, counter: Counter) -> Footprint {
        if self.is_tuned {
            self.footprint_of::<LeanStorage>(role, groups, counter)
        } else {
            self.footprint_of::<MemStorage>(role, groups, counter)
        }
    }
}
