//! Leader completeness: a new leader's log holds every entry that was committed in an earlier term
//! (thesis §3.6.3). Not in a later one: votes may arrive so late that their term is long over.

use super::same_state::Ledger;
use super::{Seen, Verdict};

pub(crate) fn check(seen: &Seen<'_>, ledger: &Ledger) -> Verdict {
    let log = &seen.node.log;
    let Some(status) = seen.leading() else { return Ok(()) };
    for (id, committed_in) in ledger.since(log.base.index.next()) {
        if committed_in < status.term && log.term(id.index) != Some(id.term) {
            return Err(format!(
                "{} leads without the committed entry {id}; its log ends at {}",
                seen.node.id,
                log.last()
            ));
        }
    }
    Ok(())
}
