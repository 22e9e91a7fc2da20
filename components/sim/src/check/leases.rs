//! Nobody has a lease when another has been elected in a later term (thesis §6.4.1): whoever found
//! it would miss what that one answers.

use multiraft::Standing;
use types::{GroupId, Time};

use super::Violation;
use crate::node::Node;

/// A store says how a group stands that it hosts. No other store's readers may find a lease of an
/// earlier leader at this moment, by their own clock.
pub(crate) fn exclusive<'a>(
    group: GroupId,
    standing: Option<Standing>,
    others: impl Iterator<Item = &'a Node>,
    now: Time,
) -> Result<(), Violation> {
    let Some(standing) = standing.filter(Standing::leads) else { return Ok(()) };
    for node in others {
        let Some(up) = &node.up else { continue };
        let Some(lease) = up.leases.get(&group).map(|grant| grant.lease(&up.pledges)) else {
            continue;
        };
        let clock = node.clock(now);
        if lease.holds(clock) && lease.term < standing.term {
            let (peer, led, store) = (standing.peer, standing.term, node.id);
            let (held, until) = (lease.term, lease.until);
            let leads = format!("{peer} leads {group} in term {led}");
            let what = format!("{leads}; at {clock} {store} has one of {held} until {until}");
            return Err(Violation { check: "leases are exclusive", what });
        }
    }
    Ok(())
}
