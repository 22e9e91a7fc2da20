//! A leader has at most one membership it has not committed, and follows the last one in its log
//! (thesis §4.1).

use types::Index;

use super::{Seen, Verdict};
use crate::entry::Payload;

pub(crate) fn check(seen: &Seen<'_>) -> Verdict {
    let Some(status) = seen.status() else { return Ok(()) };
    let log = &seen.node.log;
    let mut in_log = (log.membership.0, &log.membership.1);
    let mut open: Vec<Index> = Vec::new();
    for entry in log.all() {
        if let Payload::Membership(membership) = &entry.payload {
            in_log = (entry.id.index, membership);
            if entry.id.index > status.commit {
                open.push(entry.id.index);
            }
        }
    }
    if seen.leading().is_some() && open.len() > 1 {
        return Err(format!("{} has open memberships at {open:?}", seen.node.id));
    }
    if in_log.0 > log.base.index && in_log != status.membership {
        return Err(format!(
            "{} follows {} of {}, its log says {} of {}",
            seen.node.id, status.membership.1, status.membership.0, in_log.1, in_log.0
        ));
    }
    Ok(())
}
