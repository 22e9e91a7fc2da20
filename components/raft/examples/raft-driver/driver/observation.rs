//! What `obs` prints.

use std::fmt::Write;

use raft::{Member, Membership, RoleStatus, Seat};
use raft_world::Node;
use types::PeerId;

use super::cluster::Cluster;

/// One line for each node, and one for the reads.
pub(crate) fn write(cluster: &Cluster, out: &mut String) {
    for node in cluster.nodes() {
        write_node(node, out).expect("strings take everything");
    }
    writeln!(out, "READS {:?}", cluster.released()).expect("strings take everything");
}

fn write_node(node: &Node, out: &mut String) -> std::fmt::Result {
    let peer = node.peer.as_ref().expect("nodes are up between commands");
    let status = peer.status();
    let role = match status.role {
        RoleStatus::Leader => 'L',
        RoleStatus::Follower => 'F',
        RoleStatus::Candidate => 'C',
        RoleStatus::PreCandidate => 'P',
    };
    let last = status.log.last();
    writeln!(
        out,
        "OBS {} {role} t={} lead={} c={} a={} last={} lt={} cs={} app={:x}",
        node.id.get(),
        status.term,
        status.leader.map_or(0, PeerId::get),
        status.commit,
        node.app.applied.index,
        last.index,
        last.term,
        members(&node.app.membership.1),
        node.app.hash
    )
}

/// `[voters][outgoing voters][learners]`. A voter on its way to a learner's seat still votes in the
/// old half, and is listed there alone until that is left.
fn members(membership: &Membership) -> String {
    let list = |pick: fn(&Member) -> bool| -> Vec<u64> {
        membership.iter().filter(pick).map(|member| member.id.get()).collect()
    };
    format!(
        "{:?}{:?}{:?}",
        list(|member| member.seat == Some(Seat::Voter)),
        list(|member| member.outgoing),
        list(|member| member.seat == Some(Seat::Learner) && !member.outgoing)
    )
}
