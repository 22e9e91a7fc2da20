//! Generates inputs: most of them nearly plausible, some wild.
//!
//! Numbers are small, so that they meet the small numbers of the opening, or sit at the edges of
//! what a number can be. Appends are mostly well-formed by themselves, so that they get past the
//! first check and meet the log.

use proptest::prelude::*;
use raft::{Body, Change, LogMark, Member, Message, Pledge, Receipt, Run, Seat, Stamp};
use types::{EntryId, Index, PeerId, Term};

use crate::line::{Cargo, Op, SIZES};

/// Small numbers, or the edges: of `u64`, of what a peer takes for possible.
fn number(small: u64) -> impl Strategy<Value = u64> {
    const BIG: u64 = 1 << 62;
    const EDGES: &[u64] = &[BIG - 2, BIG - 1, BIG, BIG + 1, u64::MAX - 1, u64::MAX];
    prop_oneof![30 => 0..small, 1 => prop::sample::select(EDGES)]
}

fn index() -> impl Strategy<Value = Index> {
    number(14).prop_map(Index)
}

fn term() -> impl Strategy<Value = Term> {
    prop_oneof![4 => 3..6_u64, 1 => number(9)].prop_map(Term)
}

fn entry() -> impl Strategy<Value = EntryId> {
    let own = prop::sample::select(&[(2, 1), (3, 2), (4, 2), (5, 3), (6, 3), (7, 4), (8, 4)][..]);
    prop_oneof![
        own.prop_map(|(index, term)| EntryId::new(Term(term), Index(index))),
        (term(), index()).prop_map(|(term, index)| EntryId::new(term, index)),
    ]
}

/// Stamps of about now, if the leader's clock is ours.
fn stamp() -> impl Strategy<Value = Stamp> {
    prop_oneof![1 => number(60), 3 => 295..320_u64].prop_map(Stamp)
}

/// Members, ourselves and strangers.
fn peer() -> impl Strategy<Value = PeerId> {
    let known = prop::sample::select(&[1, 2, 2, 2, 3, 3, 3, 4, 5][..]);
    prop_oneof![20 => known, 1 => Just(u64::MAX)].prop_map(|id| PeerId::new(id).expect("not zero"))
}

fn member() -> impl Strategy<Value = Member> {
    let seats = [None, Some(Seat::Voter), Some(Seat::Voter), Some(Seat::Learner)];
    let seat = prop::sample::select(seats.to_vec());
    (1..7_u64, seat, prop::bool::weighted(0.2)).prop_map(|(id, seat, outgoing)| Member {
        id: PeerId::new(id).expect("not zero"),
        seat,
        outgoing,
    })
}

fn members() -> impl Strategy<Value = Vec<Member>> {
    prop_oneof![
        4 => prop::collection::vec(member(), 1..6),
        1 => Just(Vec::new()),
        1 => Just((1..=40).map(|id| {
            Member::new(PeerId::new(id).expect("not zero"), Seat::Voter)
        }).collect()),
    ]
}

fn placed() -> impl Strategy<Value = Vec<(Index, Vec<Member>)>> {
    let some = prop::collection::vec((index(), members()), 1..4);
    prop_oneof![4 => Just(Vec::new()), 1 => some]
}

fn runs() -> impl Strategy<Value = Vec<Run>> {
    let run = (index(), term()).prop_map(|(first, term)| Run { first, term });
    prop::collection::vec(run, 0..4)
}

fn cargo() -> impl Strategy<Value = Cargo> {
    prop_oneof![
        6 => Just(Cargo::None),
        1 => (runs(), placed())
            .prop_map(|(runs, memberships)| Cargo::Entries { runs, memberships }),
        1 => members().prop_map(Cargo::Snapshot),
    ]
}

/// An append whose runs cover its slots in rising terms, with memberships mostly in order.
fn append() -> impl Strategy<Value = (Message, Cargo)> {
    let length = prop_oneof![40 => 1..4_u64, 1 => Just(1 << 61)];
    let lengths = prop::collection::vec((length, 0..3_u64), 0..4);
    let from = (entry(), term(), number(14), stamp());
    let inside = prop::collection::vec((0..6_u64, members()), 0..3);
    let inside = prop_oneof![3 => Just(Vec::new()), 1 => inside];
    let flaws = (prop::bool::weighted(0.8), prop::bool::weighted(0.05));
    (from, lengths, inside, flaws).prop_map(|(from, lengths, inside, (is_placed, is_short))| {
        let (prev, term, commit, stamp) = from;
        let (mut last, mut of) = (prev.index, prev.term);
        let mut runs: Vec<Run> = Vec::new();
        for (length, rise) in lengths {
            of = Term(of.0.saturating_add(rise)).min(term.max(prev.term));
            if runs.last().is_none_or(|run| run.term < of) {
                runs.push(Run { first: last.next(), term: of });
            }
            last = Index(last.0.saturating_add(length));
        }
        let mut memberships: Vec<(Index, Vec<Member>)> = (inside.into_iter())
            .map(|(at, members)| (Index(prev.index.0.saturating_add(at + 1)), members))
            .collect();
        if is_placed {
            memberships.retain(|(at, _)| *at <= last);
            memberships.sort_by_key(|(at, _)| *at);
            memberships.dedup_by_key(|(at, _)| *at);
        }
        let last = Index(last.0.saturating_sub(u64::from(is_short)));
        let body = Body::Append { prev, last, commit: Index(commit), stamp };
        (Message { term, body }, Cargo::Entries { runs, memberships })
    })
}

fn body() -> impl Strategy<Value = Body> {
    let flag = any::<bool>;
    prop_oneof![
        entry().prop_map(|last| Body::PreVote { last }),
        (term(), flag()).prop_map(|(ask, granted)| Body::PreVoteReply { ask, granted }),
        (entry(), flag()).prop_map(|(last, transfer)| Body::Vote { last, transfer }),
        flag().prop_map(|granted| Body::VoteReply { granted }),
        (entry(), index(), index(), stamp())
            .prop_map(|(prev, last, commit, stamp)| { Body::Append { prev, last, commit, stamp } }),
        (index(), index(), stamp()).prop_map(|(matched, verified, stamp)| {
            Body::Ack { matched, verified, stamp, pledge: Pledge(0) }
        }),
        (index(), entry(), stamp()).prop_map(|(at, hint, stamp)| Body::Nack { at, hint, stamp }),
        (index(), stamp()).prop_map(|(commit, stamp)| Body::Beat { commit, stamp }),
        index().prop_map(|commit| Body::Commit { commit }),
        (entry(), stamp()).prop_map(|(snapshot, stamp)| Body::Install { snapshot, stamp }),
        stamp().prop_map(|stamp| Body::TimeoutNow { stamp }),
        Just(Body::Behind),
    ]
}

fn install() -> impl Strategy<Value = (Message, Cargo)> {
    (term(), entry(), stamp(), members()).prop_map(|(term, snapshot, stamp, members)| {
        (Message { term, body: Body::Install { snapshot, stamp } }, Cargo::Snapshot(members))
    })
}

fn message() -> impl Strategy<Value = Op> {
    let wild =
        (term(), body(), cargo()).prop_map(|(term, body, cargo)| (Message { term, body }, cargo));
    (peer(), prop_oneof![4 => wild, 2 => append(), 1 => install()])
        .prop_map(|(from, (message, cargo))| Op::Message { from, message, cargo })
}

fn change() -> impl Strategy<Value = Change> {
    let seat = prop::sample::select(&[Seat::Voter, Seat::Voter, Seat::Learner, Seat::Witness][..]);
    prop_oneof![
        2 => (peer(), seat).prop_map(|(id, seat)| Change::Set(id, seat)),
        1 => peer().prop_map(Change::Remove),
    ]
}

/// What the host of the peer says, sane or not.
fn local() -> impl Strategy<Value = Op> {
    let receipt = (term(), prop::option::of(peer()), entry()).prop_map(|(term, vote, mark)| {
        Op::Persisted(Receipt { term, vote, log: LogMark { term: mark.term, index: mark.index } })
    });
    let propose = prop_oneof![
        3 => (1..4_u64, 0..60_u64),
        1 => (number(3), number(1_000)),
    ];
    prop_oneof![
        4 => Just(Op::Timer),
        6 => Just(Op::Durable),
        2 => receipt,
        3 => propose.prop_map(|(count, bytes)| Op::Propose { count, bytes }),
        2 => prop::collection::vec(change(), 0..4).prop_map(Op::Change),
        2 => (0..9_u64).prop_map(Op::Read),
        1 => peer().prop_map(Op::Transfer),
        2 => Just(Op::Campaign),
        1 => Just(Op::StepDown),
        1 => Just(Op::ForgetLeader),
        1 => peer().prop_map(Op::Lost),
        1 => peer().prop_map(Op::Ended),
        2 => index().prop_map(Op::Compacted),
        2 => (peer(), any::<bool>()).prop_map(|(peer, held)| Op::Support { peer, held }),
        4 => (0..120_u64).prop_map(Op::Wait),
    ]
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    let sizes = prop::sample::select(&SIZES[..]).prop_map(|(sizes, _)| Op::Drain(sizes));
    prop_oneof![10 => message(), 5 => local(), 4 => sizes]
}
