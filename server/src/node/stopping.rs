//! The end of a node in peace: what it leads is handed to others first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use multiraft::{GroupStatus, Outcome};
use tokio::time::{Instant, sleep};
use types::{GroupId, PeerId, Term};

use super::Parts;

/// How long leaders may take to leave.
const LEAVE_MAX: Duration = Duration::from_secs(8);
/// How often it is looked whether they have, and those that have not are asked again.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Looks that must find nothing to hand over: leaders may be on their way here that placement sent
/// before it heard that this store stops.
const QUIET_LOOKS: u32 = 5;

/// Groups that were handed over, and the term in which each was led here.
///
/// One that comes back in another term is kept: whoever it was handed to stops as well. Where all
/// stores stop together, leaders would go round until the time is up.
#[derive(Default)]
struct Handed(BTreeMap<GroupId, Term>);

impl Handed {
    /// Whether to hand over a group that is led here in this term.
    fn is_due(&mut self, group: GroupId, term: Term) -> bool {
        *self.0.entry(group).or_insert(term) == term
    }
}

/// Hands over what this store leads. Returns how many groups it leads still.
pub(super) async fn hand_over(parts: &Arc<Parts>) -> usize {
    let until = Instant::now() + LEAVE_MAX;
    let mut quiet = 0;
    let mut handed = Handed::default();
    loop {
        let led = parts.data.standings.led();
        let mut asked = 0;
        for &(group, standing) in &led {
            if handed.is_due(group, standing.term)
                && let Some(to) = heir(parts, group).await
            {
                asked += 1;
                // Refused or not, the next look shows it.
                let _ = parts.data.handle.transfer(group, to);
            }
        }
        quiet = if asked == 0 { quiet + 1 } else { 0 };
        if quiet >= QUIET_LOOKS || Instant::now() >= until {
            return led.len();
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn heir(parts: &Parts, group: GroupId) -> Option<PeerId> {
    let Outcome::Status(status) = parts.data.handle.status(group).await else { return None };
    heir_of(&status)
}

/// The voter elsewhere that has the most of a group's log, of those that are heard: another takes
/// nothing over, and the group no writes while it is waited for. `None` if there is none.
fn heir_of(status: &GroupStatus) -> Option<PeerId> {
    let membership = &status.membership;
    let may_lead = |peer: PeerId| {
        peer != status.peer && membership.is_voter(peer) && !status.unheard.contains(&peer)
    };
    let voters = status.matched.iter().filter(|(peer, _)| may_lead(*peer));
    voters.max_by_key(|(_, matched)| *matched).map(|&(peer, _)| peer)
}

#[cfg(test)]
mod tests {
    use multiraft::Roster;
    use types::{EntryId, Index, StoreId};

    use super::*;

    #[test]
    fn group_is_handed_over_to_the_voter_with_most_of_those_that_are_heard() {
        let peer = |id| PeerId::new(id).unwrap();
        let voters: Vec<_> = (1..=5).map(|id| (peer(id), StoreId::new(id).unwrap())).collect();
        let roster = Roster::of_voters(&voters).unwrap();
        let mut status = GroupStatus {
            group: GroupId::new(7).unwrap(),
            peer: peer(1),
            term: Term(3),
            leads: true,
            leader: Some(peer(1)),
            commit: Index(9),
            applied: Index(9),
            base: EntryId::new(Term(1), Index(1)),
            last: EntryId::new(Term(3), Index(9)),
            membership: roster.membership().clone(),
            since: Index(1),
            roster,
            is_asleep: true,
            matched: (1..=5).map(|id| (peer(id), Index(9))).collect(),
            unheard: vec![peer(5)],
            is_timed: false,
        };
        // All have the same, and the last one is dead.
        assert_eq!(heir_of(&status), Some(peer(4)));
        status.matched[3].1 = Index(8);
        assert_eq!(heir_of(&status), Some(peer(3)));
        status.unheard = (2..=5).map(peer).collect();
        assert_eq!(heir_of(&status), None);
    }

    #[test]
    fn group_is_handed_over_until_it_has_left_and_kept_when_it_comes_back() {
        let mut handed = Handed::default();
        let group = |id| GroupId::new(id).unwrap();
        assert!(handed.is_due(group(1), Term(5)));
        assert!(handed.is_due(group(1), Term(5)), "refused, or not yet");
        assert!(!handed.is_due(group(1), Term(7)), "it was led elsewhere, and came back");
        assert!(handed.is_due(group(2), Term(7)));
    }
}
