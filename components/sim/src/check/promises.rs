//! A vote that was said is kept, whatever the disk went through: one per peer and term, and no
//! peer falls behind the term it voted in (thesis §3.6, figure 3.2).

use std::collections::BTreeMap;

use types::{GroupId, PeerId, Term};

use super::Violation;

const CHECK: &str = "votes that were said are kept";

/// The last vote that each peer told another one.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    said: BTreeMap<(GroupId, PeerId), (Term, PeerId)>,
}

impl Promises {
    /// A peer tells of its vote.
    pub(crate) fn votes(
        &mut self,
        (group, voter): (GroupId, PeerId),
        term: Term,
        candidate: PeerId,
    ) -> Result<(), Violation> {
        let (last, first) = *self.said.entry((group, voter)).or_insert((term, candidate));
        if last == term && first != candidate {
            let what = format!("{voter} of {group} voted for {first} and {candidate} in {term}");
            return Err(Violation { check: CHECK, what });
        }
        if term > last {
            self.said.insert((group, voter), (term, candidate));
        }
        Ok(())
    }

    /// A peer as it is now.
    pub(crate) fn is(
        &self,
        (group, peer): (GroupId, PeerId),
        term: Term,
        vote: Option<PeerId>,
    ) -> Result<(), Violation> {
        let Some(&(said, candidate)) = self.said.get(&(group, peer)) else { return Ok(()) };
        if term > said || term == said && vote == Some(candidate) {
            return Ok(());
        }
        let what = format!(
            "{peer} of {group} said that it voted for {candidate} in term {said}, \
             and is in term {term} with a vote for {vote:?}"
        );
        Err(Violation { check: CHECK, what })
    }
}
