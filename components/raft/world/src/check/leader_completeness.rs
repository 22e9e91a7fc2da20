//! Leader completeness: a new leader's log holds every entry ever committed (thesis §3.6.3).

use super::same_state::Ledger;
use super::{Seen, Verdict};

pub(crate) fn check(seen: &Seen<'_>, ledger: &Ledger) -> Verdict {
    let log = &seen.node.log;
    for id in ledger.since(log.base.index.next()) {
        if log.term(id.index) != Some(id.term) {
            return Err(format!(
                "{} leads without the committed entry {id}; its log ends at {}",
                seen.node.id,
                log.last()
            ));
        }
    }
    Ok(())
}
