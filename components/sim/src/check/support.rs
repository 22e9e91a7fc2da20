//! Store liveness keeps its word: what was withdrawn is never supported again, a life does not use
//! the epoch of another, and whoever counts on support has it.

use std::collections::BTreeMap;

use multiraft::Liveness;
use types::StoreId;

use super::Violation;

/// What stores told each other.
#[derive(Debug, Default)]
pub(crate) struct Support {
    /// The highest epoch below which a store said to support nothing of another.
    withdrawn: BTreeMap<(StoreId, StoreId), u64>,
    /// The latest life of a store, and the highest epochs used in it and in those before.
    epochs: BTreeMap<StoreId, (u64, u64, u64)>,
}

impl Support {
    /// A store says something, in one of its lives.
    pub(crate) fn says(
        &mut self,
        (from, life): (StoreId, u64),
        to: StoreId,
        message: &Liveness,
    ) -> Result<(), Violation> {
        let floor = self.withdrawn.entry((from, to)).or_default();
        if message.supports > 0 && message.supports < *floor {
            let what = format!("{from} supports epoch {} of {to} again", message.supports);
            return Err(Violation { check: "withdrawn support stays withdrawn", what });
        }
        *floor = (*floor).max(message.at_least);
        let epochs = self.epochs.entry(from).or_insert((life, 0, 0));
        let (last, used, before) = epochs;
        if life > *last {
            (*last, *before) = (life, *used);
        }
        *used = (*used).max(message.epoch);
        if message.epoch <= *before {
            let what = format!("{from} is in epoch {} again", message.epoch);
            return Err(Violation { check: "epochs are used in one life", what });
        }
        Ok(())
    }

    /// A store vouches for another, which supports this epoch of it.
    pub(crate) fn vouches(
        (store, epoch): (StoreId, u64),
        other: StoreId,
        supported: Option<u64>,
    ) -> Result<(), Violation> {
        if supported == Some(epoch) {
            return Ok(());
        }
        let what = format!("{store} in epoch {epoch} vouches for {other}, which has {supported:?}");
        Err(Violation { check: "whoever vouches is supported", what })
    }
}
