//! Election safety: at most one peer leads a term, and in one life only: a peer that comes back and
//! leads its old term again may have lost what it had sent (thesis §3.6, fig. 3.2).

use std::collections::BTreeMap;

use types::{PeerId, Term};

use super::Seen;

/// Who led each term, in which life.
#[derive(Default)]
pub(crate) struct Leaders(BTreeMap<Term, (PeerId, u64)>);

impl Leaders {
    /// Returns whether the node leads a term that nobody was seen to lead before.
    pub(crate) fn check(&mut self, seen: &Seen<'_>) -> Result<bool, String> {
        let Some(status) = seen.leading() else { return Ok(false) };
        let now = (seen.node.id, seen.node.incarnation);
        match self.0.insert(status.term, now) {
            None => Ok(true),
            Some(before) if before == now => Ok(false),
            Some((who, life)) => Err(format!(
                "term {} is led by {} in life {}, and was by {who} in life {life}",
                status.term, now.0, now.1
            )),
        }
    }
}
