//! What a majority agrees on, in both halves of a joint membership (thesis §3.6.2, §4.3).
//!
//! Two questions cover every use. [`agreed`]: the largest value that a majority has reached
//! (commit index by matched index; freshest stamp a majority has echoed, for reads, lease and
//! check-quorum). [`tally`]: whether an election is decided. In a joint membership both halves
//! must agree, so the answer is the lesser of the two halves.
//!
//! Invariant: equals brute force over all majorities (`tests/quorum.rs`).

use alloc::vec;

use crate::membership::{Member, Membership, Seat};

/// One member's answer in an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ballot {
    /// No answer yet.
    Open,
    /// It gave its vote.
    Granted,
    /// It refused.
    Refused,
}

/// Where an election stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A majority (of each half) granted.
    Won,
    /// Winning has become impossible.
    Lost,
    /// Open.
    Pending,
}

/// A half of a joint membership: who votes in it.
trait Half: Fn(&Member) -> bool {}

impl<F: Fn(&Member) -> bool> Half for F {}

fn incoming(member: &Member) -> bool {
    member.seat == Some(Seat::Voter)
}

fn outgoing(member: &Member) -> bool {
    member.outgoing
}

/// Voters handled without a heap allocation.
const STACK: usize = 16;

/// The largest value that a majority of the voters (of each half) has reached. `value` is asked by
/// slot, in the membership's id order. 0 if there are no voters.
pub fn agreed(membership: &Membership, value: impl Fn(usize) -> u64) -> u64 {
    let agreed = agreed_half(membership, incoming, &value);
    if membership.is_joint() {
        agreed.min(agreed_half(membership, outgoing, &value))
    } else {
        agreed
    }
}

/// Whether a majority of the voters (of each half) has what is asked for, by slot.
pub(crate) fn is_met(membership: &Membership, has: impl Fn(usize) -> bool) -> bool {
    agreed(membership, |slot| u64::from(has(slot))) == 1
}

fn agreed_half(membership: &Membership, half: impl Half, value: &impl Fn(usize) -> u64) -> u64 {
    let mut stack = [0; STACK];
    let mut heap;
    let values: &mut [u64] = if membership.len() <= STACK {
        &mut stack
    } else {
        heap = vec![0; membership.len()];
        &mut heap
    };
    let mut voters = 0;
    for (slot, _) in membership.iter().enumerate().filter(|(_, member)| half(member)) {
        // Insertion keeps them sorted; for a handful nothing is quicker.
        let value = value(slot);
        let mut at = voters;
        while at > 0 && values[at - 1] > value {
            values[at] = values[at - 1];
            at -= 1;
        }
        values[at] = value;
        voters += 1;
    }
    // Ascending, so that the majority is the upper part: with 3 voters, the 2nd; with 4, the 2nd.
    if voters == 0 { 0 } else { values[voters - (voters / 2 + 1)] }
}

/// Where an election stands, given each member's ballot by slot.
pub fn tally(membership: &Membership, ballot: impl Fn(usize) -> Ballot) -> Outcome {
    let outcome = tally_half(membership, incoming, &ballot);
    if !membership.is_joint() {
        return outcome;
    }
    match (outcome, tally_half(membership, outgoing, &ballot)) {
        (Outcome::Won, Outcome::Won) => Outcome::Won,
        (Outcome::Lost, _) | (_, Outcome::Lost) => Outcome::Lost,
        _ => Outcome::Pending,
    }
}

fn tally_half(
    membership: &Membership,
    half: impl Half,
    ballot: &impl Fn(usize) -> Ballot,
) -> Outcome {
    let (mut voters, mut granted, mut refused) = (0, 0, 0);
    for (slot, member) in membership.iter().enumerate() {
        if half(&member) {
            voters += 1;
            match ballot(slot) {
                Ballot::Granted => granted += 1,
                Ballot::Refused => refused += 1,
                Ballot::Open => {}
            }
        }
    }
    let majority = voters / 2 + 1;
    if granted >= majority {
        Outcome::Won
    } else if voters - refused < majority {
        Outcome::Lost
    } else {
        Outcome::Pending
    }
}
