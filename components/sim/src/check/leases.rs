//! Nobody has a lease when another has been elected in a later term (thesis §6.4.1): whoever found
//! it would miss what that one answers.

use multiraft::Standing;
use raft::RoleStatus;
use types::{GroupId, Term, Time};

use super::Violation;
use crate::node::Node;

/// A store says how a group stands that it hosts. No other store's readers may find a lease of an
/// earlier leader at this moment, by their own clock.
pub(crate) fn when_led<'a>(
    group: GroupId,
    standing: Option<Standing>,
    mut others: impl Iterator<Item = &'a Node>,
    now: Time,
) -> Result<(), Violation> {
    let Some(Standing { term, .. }) = standing.filter(Standing::leads) else { return Ok(()) };
    others.try_for_each(|node| ended(group, term, node, now))
}

/// The same of all groups that a store leads now: a lease must not come back either.
pub(crate) fn of_all_led<'a>(
    leads: &Node,
    others: impl Iterator<Item = &'a Node>,
    now: Time,
) -> Result<(), Violation> {
    let Some(up) = &leads.up else { return Ok(()) };
    for node in others {
        for (&group, _) in node.up.iter().flat_map(|there| &there.leases) {
            let Some(status) = up.shard.core(group).map(raft::Peer::status) else { continue };
            if status.role == RoleStatus::Leader {
                ended(group, status.term, node, now)?;
            }
        }
    }
    Ok(())
}

/// Whether a store has no lease of a leader before this term.
fn ended(group: GroupId, term: Term, node: &Node, now: Time) -> Result<(), Violation> {
    let Some(up) = &node.up else { return Ok(()) };
    let Some(grant) = up.leases.get(&group) else { return Ok(()) };
    let (lease, clock) = (grant.lease(&up.pledges), node.clock(now));
    if !lease.holds(clock) || lease.term >= term {
        return Ok(());
    }
    let (held, until, store) = (lease.term, lease.until, node.id);
    let what = format!(
        "{group} is led in term {term}; at {clock} {store} has one of term {held} until {until}"
    );
    Err(Violation { check: "leases are exclusive", what })
}
