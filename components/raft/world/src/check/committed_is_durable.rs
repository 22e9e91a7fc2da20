//! What a leader commits is durable on a majority of the membership in force, of each half while
//! that is joint, and it is of the leader's own term (thesis §3.6.2, §10.2.1).

use raft::quorum;
use types::{Index, PeerId, Term};

use super::{Seen, Verdict};

/// The last commit of a leader that was checked.
#[derive(Default)]
pub(crate) struct Checked(Option<(PeerId, Term, Index)>);

impl Checked {
    pub(crate) fn check(&mut self, seen: &Seen<'_>) -> Verdict {
        let Some(status) = seen.leading() else { return Ok(()) };
        let now = (status.id, status.term, status.commit);
        let is_own = status.log.term(status.commit) == Some(status.term);
        let before = self.0.replace(now);
        if before == Some(now) {
            return Ok(());
        }
        let advanced = before.is_some_and(|(id, term, _)| (id, term) == (now.0, now.1));
        if advanced && !is_own {
            return Err(format!("{} committed {}, of an older term, by counting", now.0, now.2));
        }
        if !is_own {
            return Ok(());
        }
        let members: Vec<PeerId> = status.membership.1.iter().map(|member| member.id).collect();
        let holds = |slot: usize| {
            let node = seen.nodes.iter().find(|node| node.id == members[slot]);
            u64::from(node.is_some_and(|node| {
                let log = &node.disk.image.log;
                log.base.index >= status.commit || log.term(status.commit) == Some(status.term)
            }))
        };
        // The entry may have been committed by the membership before the one just appended.
        let last_membership = status.membership.0;
        if last_membership <= status.commit && quorum::agreed(status.membership.1, holds) == 0 {
            return Err(format!("{} committed {}, too few hold it", status.id, status.commit));
        }
        Ok(())
    }
}
