//! Nothing is taken back: within a life the term and the commit index never fall and a vote is not
//! changed; across lives what is durable of term and vote is not either (thesis §3.8).

use std::collections::BTreeMap;

use types::{Index, PeerId, Term};

use super::{Seen, Verdict};

/// What each node was last seen to hold.
#[derive(Default)]
pub(crate) struct Pasts(BTreeMap<PeerId, Past>);

#[derive(Clone, Copy, Default)]
struct Past {
    life: u64,
    ballot: Ballot,
    commit: Index,
    durable: Ballot,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ballot {
    term: Term,
    vote: Option<PeerId>,
}

impl Ballot {
    /// Whether a peer may go from this to `next`.
    fn may_become(self, next: Ballot) -> bool {
        let keeps_vote = self.vote.is_none() || self.vote == next.vote;
        next.term > self.term || next.term == self.term && keeps_vote
    }
}

impl Pasts {
    pub(crate) fn check(&mut self, seen: &Seen<'_>) -> Verdict {
        let node = seen.node;
        let past = self.0.entry(node.id).or_default();
        let image = &node.disk.image;
        let durable = Ballot { term: image.term, vote: image.vote };
        if !past.durable.may_become(durable) {
            return Err(format!("{} stored {durable:?} over {:?}", node.id, past.durable));
        }
        past.durable = durable;
        let Some(status) = seen.status() else { return Ok(()) };
        let ballot = Ballot { term: status.term, vote: status.vote };
        if past.life == node.incarnation {
            if !past.ballot.may_become(ballot) {
                return Err(format!("{} went from {:?} to {ballot:?}", node.id, past.ballot));
            }
            if status.commit < past.commit {
                let (before, now) = (past.commit, status.commit);
                return Err(format!("{}'s commit index fell from {before} to {now}", node.id));
            }
        }
        (past.life, past.ballot, past.commit) = (node.incarnation, ballot, status.commit);
        Ok(())
    }
}
