//! Tables of membership changes: what each may be and what it may not.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::*;

fn id(n: u64) -> PeerId {
    PeerId::new(n).expect("tests name peers from 1")
}

fn voters(ids: &[u64]) -> Membership {
    Membership::of_voters(&ids.iter().map(|&n| id(n)).collect::<Vec<_>>()).expect("valid")
}

#[test]
fn replacing_a_voter_is_joint_until_left() {
    let old = voters(&[1, 2, 3]);
    let joint = old
        .enter_joint(&[Change::Set(id(4), Seat::Voter), Change::Remove(id(2))])
        .expect("a valid change");
    assert_eq!(joint.to_string(), "[p1 p3 p4][p1 p2 p3]");
    assert!(joint.is_joint() && joint.is_voter(id(2)) && !joint.is_incoming_voter(id(2)));
    let new = joint.leave_joint();
    assert_eq!(new, voters(&[1, 3, 4]));
    assert!(!new.is_joint());
}

#[test]
fn demoted_voter_votes_in_the_old_half_until_left() {
    let joint = voters(&[1, 2, 3])
        .enter_joint(&[Change::Set(id(3), Seat::Learner)])
        .expect("a valid change");
    assert!(joint.is_voter(id(3)));
    assert_eq!(joint.leave_joint().to_string(), "[p1 p2] learners [p3]");
    assert!(!joint.leave_joint().is_voter(id(3)));
}

#[test]
fn changes_that_make_no_sense_are_refused_with_the_reason() {
    let group = voters(&[1, 2]);
    let cases: [(&[Change], BadChange); 5] = [
        (&[], BadChange::Empty),
        (&[Change::Remove(id(1)), Change::Remove(id(2))], BadChange::NoVoters),
        (&[Change::Remove(id(1)), Change::Set(id(2), Seat::Learner)], BadChange::NoVoters),
        (&[Change::Remove(id(1)), Change::Set(id(1), Seat::Voter)], BadChange::Twice(id(1))),
        (&[Change::Set(id(3), Seat::Witness)], BadChange::Witness(id(3))),
    ];
    for (changes, why) in cases {
        assert_eq!(group.enter_joint(changes), Err(why));
        assert!(!why.to_string().is_empty());
    }
}

#[test]
fn adding_again_and_removing_strangers_change_nothing() {
    let group = voters(&[1, 2, 3]);
    let joint = group
        .enter_joint(&[Change::Set(id(2), Seat::Voter), Change::Remove(id(9))])
        .expect("idempotent changes are allowed");
    assert_eq!(joint.leave_joint(), group);
}

#[test]
fn members_are_bounded_and_large_groups_work() {
    let many: Vec<PeerId> = (1..=200).map(id).collect();
    let group = Membership::of_voters(&many).expect("200 voters");
    assert_eq!(group.len(), 200);
    assert!(group.is_voter(id(200)) && !group.is_voter(id(201)));
    let too_many: Vec<PeerId> = (1..=300).map(id).collect();
    assert_eq!(Membership::of_voters(&too_many), Err(BadChange::TooMany(300)));
}

#[test]
fn bytes_from_elsewhere_are_checked() {
    let member = Member::new(id(1), Seat::Voter);
    assert_eq!(Membership::new(&[member, member]), Err(BadChange::Twice(id(1))));
    assert_eq!(Membership::new(&[]), Err(BadChange::NoVoters));
    let leaving = Member { id: id(1), seat: None, outgoing: true };
    assert_eq!(Membership::new(&[leaving]), Err(BadChange::NoVoters));
}

#[test]
fn usual_memberships_need_no_heap() {
    assert!(size_of::<Membership>() <= 48);
    assert!(matches!(voters(&[1, 2, 3, 4, 5]).0, Repr::Inline { .. }));
}
