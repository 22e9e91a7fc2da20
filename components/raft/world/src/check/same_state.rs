//! State machine safety: a slot holds the same entry wherever and whenever it is applied, and the
//! same slots lead to the same state (thesis §3.6.3). Applying a slot twice, or not at all, shows
//! in the state's hash.

use std::collections::BTreeMap;

use types::{EntryId, Index, Term};

use super::{Seen, Verdict};
use crate::entry::Payload;

/// Every slot ever applied by anyone.
#[derive(Default)]
pub(crate) struct Ledger {
    entries: BTreeMap<Index, (EntryId, Payload)>,
    /// A term in which each slot was known to be committed.
    terms: BTreeMap<Index, Term>,
    hashes: BTreeMap<Index, u64>,
    committed: Index,
}

impl Ledger {
    pub(crate) fn committed(&self) -> Index {
        self.committed
    }

    /// The entries applied in slots `from..`, and a term in which each was committed.
    pub(crate) fn since(&self, from: Index) -> impl Iterator<Item = (EntryId, Term)> + '_ {
        self.entries.range(from..).map(|(slot, (id, _))| (*id, self.terms[slot]))
    }

    pub(crate) fn check(&mut self, seen: &Seen<'_>) -> Verdict {
        let node = seen.node;
        if let Some(range) = &seen.turn.committed {
            let term = seen.status().map_or(Term(0), |status| status.term);
            for index in (range.start.0..range.end.0).map(Index) {
                let Some(entry) = node.log.get(index) else { continue };
                let known =
                    self.entries.entry(index).or_insert_with(|| (entry.id, entry.payload.clone()));
                self.terms.entry(index).or_insert(term);
                if *known != (entry.id, entry.payload.clone()) {
                    return Err(format!(
                        "{} applied {} {}, elsewhere it was {} {}",
                        node.id, entry.id, entry.payload, known.0, known.1
                    ));
                }
            }
            self.committed = self.committed.max(range.end.prev());
        }
        if node.peer.is_some() {
            let (applied, hash) = (node.app.applied.index, node.app.hash);
            let known = *self.hashes.entry(applied).or_insert(hash);
            if known != hash {
                return Err(format!("{} has another state at {applied}", node.id));
            }
        }
        Ok(())
    }
}
