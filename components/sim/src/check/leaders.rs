//! At most one peer leads a group in a term (thesis §3.6.3, election safety).

use std::collections::BTreeMap;

use types::{GroupId, PeerId, Term};

use super::Violation;

#[derive(Debug, Default)]
pub(crate) struct Leaders {
    seen: BTreeMap<(GroupId, Term), PeerId>,
}

impl Leaders {
    /// Terms in which someone led.
    pub(crate) fn count(&self) -> u64 {
        self.seen.len() as u64
    }

    pub(crate) fn leads(
        &mut self,
        group: GroupId,
        term: Term,
        peer: PeerId,
    ) -> Result<(), Violation> {
        let first = *self.seen.entry((group, term)).or_insert(peer);
        if first == peer {
            return Ok(());
        }
        let what = format!("{first} and {peer} lead {group} in term {term}");
        Err(Violation { check: "one leader per term", what })
    }
}
