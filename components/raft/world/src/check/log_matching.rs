//! Log matching: an entry is what its slot and term say, with the same entry before it. By
//! induction two logs that share an entry share all before it (thesis §3.5).

use std::collections::BTreeMap;

use types::{Index, Term};

use super::{Seen, Verdict};
use crate::entry::Payload;

/// Every entry ever put into a log: the term before it, and its content.
#[derive(Default)]
pub(crate) struct Entries(BTreeMap<(Index, Term), (Option<Term>, Payload)>);

impl Entries {
    pub(crate) fn check(&mut self, seen: &Seen<'_>) -> Verdict {
        let Some(range) = &seen.turn.placed else { return Ok(()) };
        let log = &seen.node.log;
        for index in (range.start.0..range.end.0).map(Index) {
            let Some(entry) = log.get(index) else { continue };
            let now = (log.term(index.prev()), entry.payload.clone());
            let known = self.0.entry((index, entry.id.term)).or_insert_with(|| now.clone());
            if *known != now {
                return Err(format!(
                    "{} has {} {} behind {:?}, elsewhere it is {} behind {:?}",
                    seen.node.id, entry.id, now.1, now.0, known.1, known.0
                ));
            }
        }
        Ok(())
    }
}
