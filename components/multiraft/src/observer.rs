//! What a store tells whoever watches its groups.

use types::{GroupId, PeerId, Term};

/// Who leads a group, as one of its peers knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The peer on this store.
    pub peer: PeerId,
    /// Its term.
    pub term: Term,
    /// Whom it takes for the leader of that term; itself, if it leads.
    pub leader: Option<PeerId>,
}

/// Watches the groups of a store.
///
/// Called by workers: it must not block. What it is told of one group comes in order; between two
/// calls more may have changed.
pub trait Observer: Send + Sync {
    /// Who leads changed, or the term of it.
    fn standing(&self, group: GroupId, standing: Standing);

    /// The group takes part in nothing here any more.
    fn gone(&self, group: GroupId);
}

impl Standing {
    /// Whether the peer on this store leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.leader == Some(self.peer)
    }
}
