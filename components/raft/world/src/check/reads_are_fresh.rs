//! Linearizable reads: a read sees at least what anyone knew to be committed when it was asked
//! (thesis §6.4).

use std::collections::BTreeMap;

use raft::ReadToken;
use types::Index;

use super::{Seen, Verdict};

/// What each open read must see.
#[derive(Default)]
pub(crate) struct Reads(BTreeMap<ReadToken, Index>);

impl Reads {
    pub(crate) fn submitted(&mut self, token: ReadToken, committed: Index) {
        self.0.insert(token, committed);
    }

    pub(crate) fn check(&mut self, seen: &Seen<'_>) -> Verdict {
        for (token, result) in &seen.turn.reads {
            let Some(floor) = self.0.remove(token) else {
                return Err(format!("{} answers {token:?} a second time", seen.node.id));
            };
            if let Ok(index) = *result
                && index < floor
            {
                return Err(format!(
                    "{} reads at {index}, {floor} was committed when it was asked",
                    seen.node.id
                ));
            }
        }
        Ok(())
    }
}
