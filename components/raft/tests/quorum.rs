//! Majorities against brute force: every set of members is tried.
//!
//! The oracle knows one thing: a set is a quorum when in each half that counts more voters are in
//! it than outside of it. [`agreed`] and [`tally`] are compared with all quorums of small
//! memberships, joint or not, and with plain counting for groups of 200.
//!
//! Overlap: no quorum of a membership is apart from a quorum of the one before or after it. Without
//! the joint step some are, which shows that the check can fail.

use std::collections::BTreeMap;

use proptest::prelude::*;
use raft::quorum::{Ballot, Outcome, agreed, tally};
use raft::{Change, Member, Membership, Seat};
use types::PeerId;

/// One half of a membership.
type Half = fn(&Member) -> bool;

const INCOMING: Half = |member| member.seat == Some(Seat::Voter);
const OUTGOING: Half = |member| member.outgoing;

fn id(n: u64) -> PeerId {
    PeerId::new(n).expect("tests name peers from 1")
}

/// Seat and whether it votes in the old half. Valid ones only, the first two also when not joint.
const PARTS: [(Option<Seat>, bool); 5] = [
    (Some(Seat::Voter), false),
    (Some(Seat::Learner), false),
    (Some(Seat::Voter), true),
    (Some(Seat::Learner), true),
    (None, true),
];

/// Memberships of `sizes` members with ids below `ids`, joint in about half of the cases.
fn memberships(
    ids: u64,
    sizes: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = Membership> {
    let members = prop::collection::btree_map(1..ids, 0..PARTS.len(), sizes);
    (members, any::<bool>()).prop_filter_map("nobody votes", |(parts, is_joint)| {
        let kinds = if is_joint { PARTS.len() } else { 2 };
        let member = |(&n, &part): (&u64, &usize)| {
            let (seat, outgoing) = PARTS[part % kinds];
            Member { id: id(n), seat, outgoing }
        };
        let members: Vec<Member> = parts.iter().map(member).collect();
        Membership::new(&members).ok()
    })
}

/// Whether the members that `has` accepts by slot are a quorum: in each half more are than are not.
fn is_quorum(membership: &Membership, has: impl Fn(usize) -> bool) -> bool {
    let carries = |half: Half| {
        let members = membership.iter().enumerate().filter(|(_, member)| half(member));
        let (inside, outside): (Vec<_>, Vec<_>) = members.partition(|&(slot, _)| has(slot));
        inside.len() > outside.len()
    };
    carries(INCOMING) && (!membership.is_joint() || carries(OUTGOING))
}

/// All sets of members, each as a bit per slot.
fn sets(membership: &Membership) -> impl Iterator<Item = u64> + use<> {
    0..1_u64 << membership.len()
}

fn in_set(set: u64) -> impl Fn(usize) -> bool {
    move |slot| set >> slot & 1 == 1
}

fn votes(membership: &Membership, slot: usize) -> bool {
    membership.iter().nth(slot).is_some_and(|member| INCOMING(&member) || OUTGOING(&member))
}

/// The largest value that every voter of some quorum has reached.
fn agreed_by_force(membership: &Membership, values: &[u64]) -> u64 {
    let reached = |set: u64| {
        let voters = (0..membership.len()).filter(|&s| in_set(set)(s) && votes(membership, s));
        voters.map(|slot| values[slot]).min()
    };
    let quorums = sets(membership).filter(|&set| is_quorum(membership, in_set(set)));
    quorums.filter_map(reached).max().unwrap_or(0)
}

/// The same by counting, for groups too large to try every set.
fn agreed_by_counting(membership: &Membership, values: &[u64]) -> u64 {
    let holds = |&least: &u64| is_quorum(membership, |slot| values[slot] >= least);
    values.iter().copied().filter(holds).max().unwrap_or(0)
}

/// Won with what was granted; lost if everyone else granting would not do either.
fn tally_by_force(membership: &Membership, ballots: &[Ballot]) -> Outcome {
    if is_quorum(membership, |slot| ballots[slot] == Ballot::Granted) {
        Outcome::Won
    } else if is_quorum(membership, |slot| ballots[slot] != Ballot::Refused) {
        Outcome::Pending
    } else {
        Outcome::Lost
    }
}

/// The two halves, each as a membership of its own.
fn halves(membership: &Membership) -> [Option<Membership>; 2] {
    [INCOMING, OUTGOING].map(|half| {
        let voters: Vec<PeerId> = membership.iter().filter(half).map(|member| member.id).collect();
        Membership::of_voters(&voters).ok()
    })
}

/// The value of each peer, whichever slot it has.
fn by_id(membership: &Membership, values: &BTreeMap<PeerId, u64>) -> Vec<u64> {
    membership.iter().map(|member| values[&member.id]).collect()
}

fn ballot() -> impl Strategy<Value = Ballot> {
    prop_oneof![Just(Ballot::Open), Just(Ballot::Granted), Just(Ballot::Refused)]
}

/// Changes of peers below `ids`, at most one of each.
fn changes(ids: u64) -> impl Strategy<Value = Vec<Change>> {
    let wishes = prop::collection::btree_map(1..ids, 0..3_u8, 1..5);
    wishes.prop_map(|wishes| {
        let change = |(n, wish)| match wish {
            0 => Change::Remove(id(n)),
            1 => Change::Set(id(n), Seat::Learner),
            _ => Change::Set(id(n), Seat::Voter),
        };
        wishes.into_iter().map(change).collect()
    })
}

/// Two quorums without a common member, as `tally` decides what a quorum is.
fn apart(one: &Membership, other: &Membership) -> Option<(Vec<PeerId>, Vec<PeerId>)> {
    let quorums = |membership: &Membership| -> Vec<Vec<PeerId>> {
        let wins = |set: u64| {
            let ballot = |slot| if in_set(set)(slot) { Ballot::Granted } else { Ballot::Refused };
            tally(membership, ballot) == Outcome::Won
        };
        let members = |set: u64| {
            let chosen = membership.iter().enumerate().filter(|&(slot, _)| in_set(set)(slot));
            chosen.map(|(_, member)| member.id).collect()
        };
        sets(membership).filter(|&set| wins(set)).map(members).collect()
    };
    let others = quorums(other);
    quorums(one).into_iter().find_map(|quorum| {
        let disjoint = others.iter().find(|other| other.iter().all(|id| !quorum.contains(id)));
        disjoint.map(|other| (quorum.clone(), other.clone()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agreed_equals_brute_force(
        membership in memberships(40, 1..=9),
        values in prop::collection::vec(0..6_u64, 9),
    ) {
        let got = agreed(&membership, |slot| values[slot]);
        prop_assert_eq!(got, agreed_by_force(&membership, &values), "{}", membership);
        prop_assert_eq!(got, agreed_by_counting(&membership, &values), "{}", membership);
    }

    #[test]
    fn tally_equals_brute_force(
        membership in memberships(40, 1..=9),
        ballots in prop::collection::vec(ballot(), 9),
    ) {
        let got = tally(&membership, |slot| ballots[slot]);
        prop_assert_eq!(got, tally_by_force(&membership, &ballots), "{}", membership);
    }

    #[test]
    fn agreed_is_what_the_members_at_it_could_vote_for(
        membership in memberships(40, 1..=9),
        values in prop::collection::vec(1..5_u64, 9),
    ) {
        let reached = agreed(&membership, |slot| values[slot]);
        for least in 1..=5 {
            let ballot = |slot: usize| {
                if values[slot] >= least { Ballot::Granted } else { Ballot::Refused }
            };
            let won = tally(&membership, ballot) == Outcome::Won;
            prop_assert_eq!(won, least <= reached, "{} at {}", membership, least);
        }
    }

    #[test]
    fn joint_is_the_lesser_of_its_halves(
        membership in memberships(40, 1..=9),
        values in prop::collection::vec(0..6_u64, 40),
        ballots in prop::collection::vec(ballot(), 40),
    ) {
        let values: BTreeMap<PeerId, u64> = (1..).map(id).zip(values).collect();
        let ballots: BTreeMap<PeerId, Ballot> = (1..).map(id).zip(ballots).collect();
        let of = |half: &Membership| {
            let (values, ids) = (by_id(half, &values), half.iter().map(|member| member.id));
            let ballots: Vec<Ballot> = ids.map(|id| ballots[&id]).collect();
            (agreed(half, |slot| values[slot]), tally(half, |slot| ballots[slot]))
        };
        let [incoming, outgoing] = halves(&membership);
        let all: Vec<_> = [incoming, outgoing].iter().flatten().map(of).collect();
        let outcomes: Vec<Outcome> = all.iter().map(|&(_, outcome)| outcome).collect();
        let outcome = if outcomes.contains(&Outcome::Lost) {
            Outcome::Lost
        } else if outcomes.contains(&Outcome::Pending) {
            Outcome::Pending
        } else {
            Outcome::Won
        };
        let least = all.iter().map(|&(value, _)| value).min().expect("one half always votes");
        prop_assert_eq!(of(&membership), (least, outcome), "{}", membership);
    }

    #[test]
    fn learners_have_no_say(
        membership in memberships(40, 1..=9),
        values in prop::collection::vec(0..6_u64, 9),
    ) {
        let loud = |slot: usize| if votes(&membership, slot) { values[slot] } else { u64::MAX };
        prop_assert_eq!(agreed(&membership, loud), agreed(&membership, |slot| values[slot]));
        let eager = |slot: usize| {
            if votes(&membership, slot) { Ballot::Open } else { Ballot::Granted }
        };
        prop_assert_eq!(tally(&membership, eager), Outcome::Pending);
    }

    #[test]
    fn neighbouring_memberships_overlap(
        (old, changes) in (memberships(7, 1..=6), changes(7)),
    ) {
        let old = old.leave_joint();
        prop_assert_eq!(apart(&old, &old), None);
        if let Ok(joint) = old.enter_joint(&changes) {
            let new = joint.leave_joint();
            for pair in [[&old, &joint], [&joint, &joint], [&joint, &new], [&new, &new]] {
                prop_assert_eq!(apart(pair[0], pair[1]), None, "{} {}", pair[0], pair[1]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn large_groups_equal_counting(
        membership in memberships(1000, 190..=210_usize),
        values in prop::collection::vec(0..50_u64, 210),
        ballots in prop::collection::vec(ballot(), 210),
    ) {
        let got = agreed(&membership, |slot| values[slot]);
        prop_assert_eq!(got, agreed_by_counting(&membership, &values));
        let got = tally(&membership, |slot| ballots[slot]);
        prop_assert_eq!(got, tally_by_force(&membership, &ballots));
    }
}

#[test]
fn unknown_membership_agrees_on_nothing_and_elects_nobody() {
    let nobody = Membership::unknown();
    assert_eq!(agreed(&nobody, |_| panic!("there is nobody to ask")), 0);
    assert_eq!(tally(&nobody, |_| panic!("there is nobody to ask")), Outcome::Lost);
}

#[test]
fn without_the_joint_step_quorums_can_be_apart() {
    let voters = |ids: [u64; 3]| Membership::of_voters(&ids.map(id)).expect("three voters");
    let (old, new) = (voters([1, 2, 3]), voters([3, 4, 5]));
    assert!(apart(&old, &new).is_some());
}

/// Ballots of a full half decide nothing while the other half is open.
#[test]
fn one_half_alone_does_not_decide() {
    let swap: Vec<Change> = [1, 2, 3]
        .map(|n| Change::Remove(id(n)))
        .into_iter()
        .chain([4, 5, 6].map(|n| Change::Set(id(n), Seat::Voter)))
        .collect();
    let old = Membership::of_voters(&[1, 2, 3].map(id)).expect("three voters");
    let joint = old.enter_joint(&swap).expect("a valid change");
    let old_grants = |slot| if slot < 3 { Ballot::Granted } else { Ballot::Open };
    assert_eq!(tally(&joint, old_grants), Outcome::Pending);
    let old_refuses = |slot| if slot < 2 { Ballot::Refused } else { Ballot::Granted };
    assert_eq!(tally(&joint, old_refuses), Outcome::Lost);
    assert_eq!(agreed(&joint, |slot| if slot < 3 { 9 } else { 4 }), 4);
}
