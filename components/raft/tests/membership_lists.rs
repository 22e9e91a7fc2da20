//! Lists of membership changes against a map from peer to seat.
//!
//! By value: a change in one joint step ends where its parts end one by one; memberships survive a
//! codec; a change is refused exactly when the map says so, with a reason that is true.
//!
//! In a cluster of test hosts (`membership_lists/cluster.rs`): after a list of changes has
//! committed, every member has the membership that the map has, nobody stays joint, and no leader
//! knows less of a member that stayed than before.

#[path = "membership_lists/cluster.rs"]
mod cluster;

use std::collections::BTreeMap;

use proptest::prelude::*;
use raft::{BadChange, Change, MEMBERS_MAX, Member, Membership, Refused, Seat};
use types::PeerId;

use cluster::{Cluster, id};

/// The model of a membership at rest.
type Seats = BTreeMap<PeerId, Seat>;

fn seats(membership: &Membership) -> Seats {
    membership.iter().filter_map(|member| Some((member.id, member.seat?))).collect()
}

fn membership(seats: &Seats) -> Membership {
    let members: Vec<Member> = seats.iter().map(|(&id, &seat)| Member::new(id, seat)).collect();
    Membership::new(&members).expect("tests make valid memberships")
}

fn apply(seats: &Seats, changes: &[Change]) -> Seats {
    let mut seats = seats.clone();
    for change in changes {
        match *change {
            Change::Set(id, seat) => seats.insert(id, seat),
            Change::Remove(id) => seats.remove(&id),
        };
    }
    seats
}

fn voters(seats: &Seats) -> Vec<PeerId> {
    let votes = |(_, seat): &(&PeerId, &Seat)| **seat == Seat::Voter;
    seats.iter().filter(votes).map(|(id, _)| *id).collect()
}

/// Whether this is a true reason to refuse the changes.
fn is_reason(why: BadChange, before: &Seats, changes: &[Change]) -> bool {
    let after = apply(before, changes);
    // Those on their way out are members until the change is done.
    let together =
        after.len() + voters(before).iter().filter(|&id| !after.contains_key(id)).count();
    match why {
        BadChange::Empty => changes.is_empty(),
        BadChange::NoVoters => voters(&after).is_empty(),
        BadChange::TooMany(count) => count == together && count > MEMBERS_MAX,
        BadChange::Witness(id) => after.get(&id) == Some(&Seat::Witness),
        BadChange::NoSeat(_) => false,
        BadChange::Twice(id) => changes.iter().filter(|change| change.peer() == id).count() > 1,
    }
}

fn is_legal(before: &Seats, changes: &[Change]) -> bool {
    let named: Vec<PeerId> = changes.iter().map(|change| change.peer()).collect();
    let reasons = [BadChange::Empty, BadChange::NoVoters];
    let witnesses = named.iter().map(|&id| BadChange::Witness(id));
    let twice = named.iter().map(|&id| BadChange::Twice(id));
    let too_many = (MEMBERS_MAX + 1..=2 * MEMBERS_MAX + 10).map(BadChange::TooMany);
    let mut all = reasons.into_iter().chain(witnesses).chain(twice).chain(too_many);
    !all.any(|why| is_reason(why, before, changes))
}

fn change(ids: u64) -> impl Strategy<Value = Change> {
    let wish = prop_oneof![
        5 => Just(Some(Seat::Voter)),
        3 => Just(Some(Seat::Learner)),
        4 => Just(None),
    ];
    (1..=ids, wish)
        .prop_map(|(n, seat)| seat.map_or(Change::Remove(id(n)), |seat| Change::Set(id(n), seat)))
}

/// Changes of different peers.
fn distinct(ids: u64, most: usize) -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec(change(ids), 1..most).prop_map(|mut changes| {
        changes.sort_by_key(|change| change.peer());
        changes.dedup_by_key(|change| change.peer());
        changes
    })
}

fn start(ids: u64, most: usize) -> impl Strategy<Value = Seats> {
    let seat = prop::sample::select(vec![Seat::Voter, Seat::Voter, Seat::Learner]);
    let seats = prop::collection::btree_map((1..=ids).prop_map(id), seat, 1..most);
    seats.prop_filter("nobody votes", |seats| !voters(seats).is_empty())
}

/// Any list, also with witnesses, repetitions, none, or more than there may be.
fn any_changes() -> impl Strategy<Value = Vec<Change>> {
    let witness = (1..12_u64).prop_map(|n| Change::Set(id(n), Seat::Witness));
    let some = prop::collection::vec(prop_oneof![12 => change(12), 1 => witness], 0..6);
    let many = (240..260_u64)
        .prop_map(|count| (20..20 + count).map(|n| Change::Set(id(n), Seat::Learner)).collect());
    prop_oneof![9 => some, 1 => many]
}

/// As a host might store members: id, seat, whether it votes in the old half.
fn encode(membership: &Membership) -> Vec<u8> {
    let member = |member: Member| {
        let seat = member.seat.map_or(0, |seat| 1 + seat as u8);
        let mut bytes = member.id.get().to_le_bytes().to_vec();
        bytes.extend([seat, u8::from(member.outgoing)]);
        bytes
    };
    // In another order than they are kept in.
    membership.iter().rev().flat_map(member).collect()
}

fn decode(bytes: &[u8]) -> Result<Membership, BadChange> {
    let member = |bytes: &[u8]| Member {
        id: id(u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"))),
        seat: [None, Some(Seat::Voter), Some(Seat::Learner), Some(Seat::Witness)]
            [usize::from(bytes[8])],
        outgoing: bytes[9] == 1,
    };
    Membership::new(&bytes.chunks(10).map(member).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn joint_change_ends_as_the_model(start in start(9, 8), changes in distinct(12, 8)) {
        let after = apply(&start, &changes);
        if let Ok(joint) = membership(&start).enter_joint(&changes) {
            prop_assert_eq!(seats(&joint.leave_joint()), after.clone());
            // Both halves are as they should be, for everyone.
            for id in (1..=12).map(id) {
                let (old, new) = (voters(&start).contains(&id), voters(&after).contains(&id));
                prop_assert_eq!(joint.is_voter(id), old || new);
                prop_assert_eq!(joint.is_incoming_voter(id), new);
                prop_assert_eq!(joint.get(id).is_some_and(|member| member.outgoing), old);
                let is_member = after.contains_key(&id) || old;
                prop_assert_eq!(joint.get(id).is_some(), is_member);
            }
            prop_assert!(joint.is_joint() && !joint.leave_joint().is_joint());
        }
    }

    #[test]
    fn one_joint_step_ends_where_single_steps_end(
        start in start(9, 8),
        changes in distinct(12, 8),
    ) {
        let step = |now: Membership, change: &Change| {
            now.enter_joint(&[*change]).map(|joint| joint.leave_joint())
        };
        let at_once = membership(&start).enter_joint(&changes).map(|joint| joint.leave_joint());
        if let (Ok(at_once), Ok(by_steps)) =
            (at_once, changes.iter().try_fold(membership(&start), step))
        {
            prop_assert_eq!(at_once, by_steps);
        }
    }

    #[test]
    fn change_is_refused_exactly_for_a_true_reason(
        start in start(9, 8),
        changes in any_changes(),
    ) {
        match membership(&start).enter_joint(&changes) {
            Ok(_) => prop_assert!(is_legal(&start, &changes), "{:?} is taken", changes),
            Err(why) => prop_assert!(is_reason(why, &start, &changes), "{} is untrue", why),
        }
    }

    #[test]
    fn membership_survives_a_codec(start in start(60, 40), changes in distinct(60, 20)) {
        let rest = membership(&start);
        prop_assert_eq!(decode(&encode(&rest)), Ok(rest.clone()));
        if let Ok(joint) = rest.enter_joint(&changes) {
            prop_assert_eq!(decode(&encode(&joint)), Ok(joint.clone()));
            prop_assert_eq!(joint.iter().collect::<Vec<_>>(), {
                let mut members: Vec<Member> = joint.iter().rev().collect();
                members.sort_by_key(|member| member.id);
                members
            });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn cluster_follows_a_list_of_changes(
        (start, peers, base) in (start(5, 5), 3..=7_u64, prop::bool::ANY),
        lists in prop::collection::vec(distinct(7, 5), 1..6),
    ) {
        let mut expected = start.clone();
        let mut cluster = Cluster::new(&membership(&start), peers.max(5), base);
        cluster.elect(voters(&start)[0]);
        for changes in &lists {
            let known: Vec<Change> = (changes.iter().copied())
                .filter(|change| change.peer().get() <= peers.max(5))
                .collect();
            let (result, before, after) = cluster.change(&known);
            match result {
                Ok(()) => {
                    prop_assert!(is_legal(&expected, &known));
                    expected = apply(&expected, &known);
                }
                Err(Refused::BadChange(why)) => {
                    prop_assert!(is_reason(why, &expected, &known), "{}", why);
                    prop_assert_eq!(before, after, "a refused change leaves a trace");
                }
                Err(other) => prop_assert!(false, "{other}"),
            }
            cluster.propose();
            cluster.run();
            cluster.check(&membership(&expected));
        }
    }
}
