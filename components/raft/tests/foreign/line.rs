//! The line format of input sequences: one [`Op`] per line, a verb and `key=value` words.
//!
//! ```text
//! append from=p2 term=4 prev=6@3 last=8 commit=5 stamp=40 runs=7@4 memberships=8:p1v+p2l+p3vo
//! persisted term=4 vote=p1 mark=8@4
//! drain sizes=honest
//! ```
//!
//! Entries are `index@term`, runs `first@term` with commas, members `p1v` voter, `p1l` learner,
//! with `o` behind if it votes in the old half, `-` for an empty list; `p1` alone, in a change, is
//! removed. `max` is the largest number, `big` is 2^62, `drain` alone is honest.
//! Any message may carry anything: `runs=` and `memberships=` attach entries, `covers=` a snapshot.
//!
//! Invariant: what [`Op`] prints, `read::line` reads back.

use std::fmt;

use raft::{Body, Change, Member, Message, Receipt, Run, Seat, Stamp};
use types::{Index, PeerId};

/// One thing done to the peer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    Message {
        from: PeerId,
        message: Message,
        cargo: Cargo,
    },
    Propose {
        count: u64,
        bytes: u64,
    },
    Change(Vec<Change>),
    Read(u64),
    Transfer(PeerId),
    Campaign,
    StepDown,
    ForgetLeader,
    Timer,
    Persisted(Receipt),
    /// The oldest write that was asked for and not reported yet is durable.
    Durable,
    Lost(PeerId),
    Ended(PeerId),
    Compacted(Index),
    Support {
        peer: PeerId,
        held: bool,
    },
    Drain(Sizes),
    /// Nanoseconds pass.
    Wait(u64),
}

/// What comes with a message. Members that make no membership stand for the unknown one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cargo {
    None,
    Entries { runs: Vec<Run>, memberships: Vec<(Index, Vec<Member>)> },
    Snapshot(Vec<Member>),
}

/// What the host answers when asked how large entries are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sizes {
    Honest,
    /// Nothing fits, nothing weighs anything.
    Zero,
    /// Everything fits and weighs more than there is.
    All,
    /// Slots in front of the range, or behind it.
    Before,
    Beyond,
    /// One at a time, weightless.
    One,
}

pub(crate) const SIZES: [(Sizes, &str); 6] = [
    (Sizes::Honest, "honest"),
    (Sizes::Zero, "zero"),
    (Sizes::All, "all"),
    (Sizes::Before, "before"),
    (Sizes::Beyond, "beyond"),
    (Sizes::One, "one"),
];

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Message { from, message, cargo } => {
                print_body(f, *from, message)?;
                print_cargo(f, cargo)
            }
            Op::Propose { count, bytes } => write!(f, "propose count={count} bytes={bytes}"),
            Op::Change(changes) => {
                let wish = |change: &Change| match change {
                    Change::Remove(id) => id.to_string(),
                    Change::Set(id, seat) => format!("{id}{}", letter(Some(*seat))),
                };
                write!(f, "change to={}", join(changes, "+", wish))
            }
            Op::Read(token) => write!(f, "read token={token}"),
            Op::Transfer(to) => write!(f, "transfer to={to}"),
            Op::Campaign => write!(f, "campaign"),
            Op::StepDown => write!(f, "step-down"),
            Op::ForgetLeader => write!(f, "forget-leader"),
            Op::Timer => write!(f, "timer"),
            Op::Persisted(Receipt { term, vote, log }) => {
                let vote = vote.map_or("-".to_string(), |vote| vote.to_string());
                write!(f, "persisted term={term} vote={vote} mark={}@{}", log.index, log.term)
            }
            Op::Durable => write!(f, "durable"),
            Op::Lost(peer) => write!(f, "lost peer={peer}"),
            Op::Ended(peer) => write!(f, "ended peer={peer}"),
            Op::Compacted(index) => write!(f, "compacted index={index}"),
            Op::Support { peer, held } => write!(f, "support peer={peer} held={held}"),
            Op::Drain(sizes) => {
                let name = SIZES.iter().find(|(other, _)| other == sizes).expect("listed").1;
                write!(f, "drain sizes={name}")
            }
            Op::Wait(nanos) => write!(f, "wait nanos={nanos}"),
        }
    }
}

fn print_body(f: &mut fmt::Formatter<'_>, from: PeerId, message: &Message) -> fmt::Result {
    let Message { term, body } = message;
    let head = format!("from={from} term={term}");
    match body {
        Body::PreVote { last } => write!(f, "pre-vote {head} last={last}"),
        Body::PreVoteReply { ask, granted } => {
            write!(f, "pre-vote-reply {head} ask={ask} granted={granted}")
        }
        Body::Vote { last, transfer } => write!(f, "vote {head} last={last} transfer={transfer}"),
        Body::VoteReply { granted } => write!(f, "vote-reply {head} granted={granted}"),
        Body::Append { prev, last, commit, stamp: Stamp(stamp) } => {
            write!(f, "append {head} prev={prev} last={last} commit={commit} stamp={stamp}")
        }
        Body::Ack { matched, verified, stamp: Stamp(stamp), .. } => {
            write!(f, "ack {head} matched={matched} verified={verified} stamp={stamp}")
        }
        Body::Nack { at, hint, stamp: Stamp(stamp) } => {
            write!(f, "nack {head} at={at} hint={hint} stamp={stamp}")
        }
        Body::Beat { commit, stamp: Stamp(stamp) } => {
            write!(f, "beat {head} commit={commit} stamp={stamp}")
        }
        Body::Commit { commit } => write!(f, "commit {head} commit={commit}"),
        Body::Install { snapshot, stamp: Stamp(stamp) } => {
            write!(f, "install {head} snapshot={snapshot} stamp={stamp}")
        }
        Body::TimeoutNow { stamp: Stamp(stamp) } => write!(f, "timeout-now {head} stamp={stamp}"),
        Body::Behind => write!(f, "behind {head}"),
    }
}

fn print_cargo(f: &mut fmt::Formatter<'_>, cargo: &Cargo) -> fmt::Result {
    match cargo {
        Cargo::None => Ok(()),
        Cargo::Entries { runs, memberships } => {
            write!(f, " runs={}", join(runs, ",", |run| format!("{}@{}", run.first, run.term)))?;
            let placed = |(at, list): &(Index, Vec<Member>)| format!("{at}:{}", members(list));
            write!(f, " memberships={}", join(memberships, ",", placed))
        }
        Cargo::Snapshot(list) => write!(f, " covers={}", members(list)),
    }
}

fn join<T>(list: &[T], between: &str, print: impl Fn(&T) -> String) -> String {
    if list.is_empty() {
        return "-".to_string();
    }
    list.iter().map(print).collect::<Vec<_>>().join(between)
}

fn members(list: &[Member]) -> String {
    join(list, "+", |member| {
        let old = if member.outgoing { "o" } else { "" };
        format!("{}{}{old}", member.id, letter(member.seat))
    })
}

fn letter(seat: Option<Seat>) -> &'static str {
    match seat {
        None => "",
        Some(Seat::Voter) => "v",
        Some(Seat::Learner) => "l",
        Some(Seat::Witness) => "w",
    }
}
