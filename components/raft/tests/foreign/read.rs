//! Reads the lines that `line` prints.

use std::collections::BTreeMap;

use raft::{Body, Change, LogMark, Member, Message, Pledge, Receipt, Run, Seat, Stamp};
use types::{EntryId, Index, PeerId, Term};

use crate::line::{Cargo, Op, SIZES};

/// What was read, or what is wrong with it.
pub(crate) type Read<T> = Result<T, String>;

/// Reads one line. `None` for a comment or an empty line.
pub(crate) fn line(text: &str) -> Read<Option<Op>> {
    let mut words = text.split('#').next().unwrap_or("").split_whitespace();
    let Some(verb) = words.next() else { return Ok(None) };
    let mut pairs = BTreeMap::new();
    for word in words {
        let (key, value) = word.split_once('=').ok_or_else(|| format!("no `=` in `{word}`"))?;
        pairs.insert(key, value);
    }
    op(verb, &Words(pairs)).map(Some).map_err(|what| format!("{what} in `{text}`"))
}

fn op(verb: &str, words: &Words<'_>) -> Read<Op> {
    Ok(match verb {
        "propose" => Op::Propose { count: words.number("count")?, bytes: words.number("bytes")? },
        "change" => Op::Change(list(words.text("to")?, '+').map(change).collect::<Read<_>>()?),
        "read" => Op::Read(words.number("token")?),
        "transfer" => Op::Transfer(words.peer("to")?),
        "campaign" => Op::Campaign,
        "step-down" => Op::StepDown,
        "forget-leader" => Op::ForgetLeader,
        "timer" => Op::Timer,
        "persisted" => {
            let EntryId { term, index } = words.entry("mark")?;
            let vote = list(words.text("vote")?, '+').map(peer).next().transpose()?;
            let log = LogMark { term, index };
            Op::Persisted(Receipt { term: Term(words.number("term")?), vote, log })
        }
        "durable" => Op::Durable,
        "lost" => Op::Lost(words.peer("peer")?),
        "ended" => Op::Ended(words.peer("peer")?),
        "compacted" => Op::Compacted(words.index("index")?),
        "support" => Op::Support { peer: words.peer("peer")?, held: words.flag("held")? },
        "drain" => {
            let name = words.text("sizes").unwrap_or("honest");
            let sizes = SIZES.iter().find(|(_, other)| *other == name);
            Op::Drain(sizes.ok_or_else(|| format!("no sizes `{name}`"))?.0)
        }
        "wait" => Op::Wait(words.number("nanos")?),
        _ => {
            let message = Message { term: Term(words.number("term")?), body: body(verb, words)? };
            Op::Message { from: words.peer("from")?, message, cargo: cargo(words)? }
        }
    })
}

fn body(verb: &str, words: &Words<'_>) -> Read<Body> {
    let stamp = || words.number("stamp").map(Stamp);
    Ok(match verb {
        "pre-vote" => Body::PreVote { last: words.entry("last")? },
        "pre-vote-reply" => {
            let ask = Term(words.number("ask")?);
            Body::PreVoteReply { ask, granted: words.flag("granted")? }
        }
        "vote" => Body::Vote { last: words.entry("last")?, transfer: words.flag("transfer")? },
        "vote-reply" => Body::VoteReply { granted: words.flag("granted")? },
        "append" => Body::Append {
            prev: words.entry("prev")?,
            last: words.index("last")?,
            commit: words.index("commit")?,
            stamp: stamp()?,
        },
        "ack" => Body::Ack {
            matched: words.index("matched")?,
            verified: words.index("verified")?,
            stamp: stamp()?,
            pledge: Pledge(0),
        },
        "nack" => {
            Body::Nack { at: words.index("at")?, hint: words.entry("hint")?, stamp: stamp()? }
        }
        "beat" => Body::Beat { commit: words.index("commit")?, stamp: stamp()? },
        "commit" => Body::Commit { commit: words.index("commit")? },
        "install" => Body::Install { snapshot: words.entry("snapshot")?, stamp: stamp()? },
        "timeout-now" => Body::TimeoutNow { stamp: stamp()? },
        "behind" => Body::Behind,
        _ => return Err(format!("no verb `{verb}`")),
    })
}

fn cargo(words: &Words<'_>) -> Read<Cargo> {
    if let Ok(text) = words.text("covers") {
        return members(text).map(Cargo::Snapshot);
    }
    let (runs, memberships) = (words.text("runs"), words.text("memberships"));
    if runs.is_err() && memberships.is_err() {
        return Ok(Cargo::None);
    }
    let run = |text| entry(text).map(|EntryId { index, term }| Run { first: index, term });
    let runs = list(runs.unwrap_or("-"), ',').map(run).collect::<Read<_>>()?;
    let memberships = list(memberships.unwrap_or("-"), ',').map(placed).collect::<Read<_>>()?;
    Ok(Cargo::Entries { runs, memberships })
}

/// Members with `+` between.
pub(crate) fn members(text: &str) -> Read<Vec<Member>> {
    list(text, '+').map(member).collect()
}

/// The `key=value` words of a line.
struct Words<'a>(BTreeMap<&'a str, &'a str>);

impl Words<'_> {
    fn text(&self, key: &str) -> Read<&str> {
        self.0.get(key).copied().ok_or_else(|| format!("no `{key}=`"))
    }

    fn number(&self, key: &str) -> Read<u64> {
        number(self.text(key)?)
    }

    fn index(&self, key: &str) -> Read<Index> {
        self.number(key).map(Index)
    }

    fn peer(&self, key: &str) -> Read<PeerId> {
        peer(self.text(key)?)
    }

    fn entry(&self, key: &str) -> Read<EntryId> {
        entry(self.text(key)?)
    }

    fn flag(&self, key: &str) -> Read<bool> {
        self.text(key)?.parse().map_err(|error| format!("`{key}`: {error}"))
    }
}

fn list(text: &str, between: char) -> impl Iterator<Item = &str> {
    text.split(between).filter(|item| *item != "-")
}

fn number(text: &str) -> Read<u64> {
    match text {
        "max" => Ok(u64::MAX),
        "big" => Ok(1 << 62),
        _ => text.parse().map_err(|error| format!("`{text}`: {error}")),
    }
}

fn peer(text: &str) -> Read<PeerId> {
    let digits = text.strip_prefix('p').ok_or_else(|| format!("`{text}` is no peer"))?;
    PeerId::new(number(digits)?).ok_or_else(|| "p0 is nobody".to_string())
}

fn entry(text: &str) -> Read<EntryId> {
    let (index, term) = text.split_once('@').ok_or_else(|| format!("no `@` in `{text}`"))?;
    Ok(EntryId::new(Term(number(term)?), Index(number(index)?)))
}

fn member(text: &str) -> Read<Member> {
    let end = text.find(|c: char| c != 'p' && !c.is_ascii_digit()).unwrap_or(text.len());
    let (id, part) = text.split_at(end);
    let seat = match part.trim_end_matches('o') {
        "" => None,
        "v" => Some(Seat::Voter),
        "l" => Some(Seat::Learner),
        "w" => Some(Seat::Witness),
        _ => return Err(format!("`{text}` is no member")),
    };
    Ok(Member { id: peer(id)?, seat, outgoing: part.ends_with('o') })
}

fn change(text: &str) -> Read<Change> {
    let Member { id, seat, .. } = member(text)?;
    Ok(seat.map_or(Change::Remove(id), |seat| Change::Set(id, seat)))
}

fn placed(text: &str) -> Read<(Index, Vec<Member>)> {
    let (at, list) = text.split_once(':').ok_or_else(|| format!("no `:` in `{text}`"))?;
    Ok((Index(number(at)?), members(list)?))
}
