//! Envelopes: messages of peers, with the entries that an append names.

use proto::crib::raft::v1;
use proto::crib::raft::v1::envelope::Body as Wire;
use raft::{Body as Say, Message, Pledge, Stamp};
use types::{EntryId, Index, Term};

use super::Limits;
use super::bad::{self, BadMessage, Why};
use super::entry::{entry_from_proto, entry_to_proto};
use crate::entry::Entry;
use crate::message::{Body, Envelope};

pub(super) fn to_proto(envelope: Envelope) -> v1::Envelope {
    let Envelope { group, from, to, body } = envelope;
    let (term, body) = match body {
        Body::Raft(message, entries) => (message.term.0, message_to_proto(message, entries)),
        Body::Removed(index) => (0, Wire::Removed(index.0)),
        Body::RemovedAck => (0, Wire::RemovedAck(v1::Empty {})),
        Body::Inquiry => (0, Wire::Inquiry(v1::Empty {})),
        Body::Absent => (0, Wire::Absent(v1::Empty {})),
    };
    v1::Envelope {
        group: group.get(),
        from_peer: from.get(),
        to_peer: to.get(),
        term,
        body: Some(body),
    }
}

fn message_to_proto(message: Message, entries: Vec<Entry>) -> Wire {
    let is_append = matches!(message.body, Say::Append { .. });
    assert!(is_append || entries.is_empty(), "only an append carries entries");
    match message.body {
        Say::PreVote { last } => Wire::PreVote(id_to_proto(last)),
        Say::PreVoteReply { ask, granted } => {
            Wire::PreVoteReply(v1::PreVoteReply { ask: ask.0, granted })
        }
        Say::Vote { last, transfer } => {
            Wire::Vote(v1::Vote { last: Some(id_to_proto(last)), transfer })
        }
        Say::VoteReply { granted } => Wire::VoteReply(granted),
        Say::Append { prev, last, commit, stamp } => {
            let count = entries.len() as u64;
            assert_eq!(last.since(prev.index), count, "an append comes with its entries");
            Wire::Append(v1::Append {
                prev: Some(id_to_proto(prev)),
                commit: commit.0,
                stamp: stamp.0,
                entries: entries.into_iter().map(entry_to_proto).collect(),
            })
        }
        Say::Ack { matched, verified, stamp, pledge } => Wire::Ack(v1::Ack {
            matched: matched.0,
            verified: verified.0,
            stamp: stamp.0,
            pledge: pledge.0,
        }),
        Say::Nack { at, hint, stamp } => {
            Wire::Nack(v1::Nack { at: at.0, hint: Some(id_to_proto(hint)), stamp: stamp.0 })
        }
        Say::Beat { commit, stamp } => Wire::Beat(v1::Beat { commit: commit.0, stamp: stamp.0 }),
        Say::Commit { commit } => Wire::Commit(commit.0),
        Say::Install { .. } => unreachable!("a snapshot travels as an offer"),
        Say::TimeoutNow { stamp } => Wire::TimeoutNow(stamp.0),
        Say::Behind => Wire::Behind(v1::Empty {}),
    }
}

pub(super) fn from_proto(envelope: v1::Envelope, limits: &Limits) -> Result<Envelope, BadMessage> {
    let body = bad::required("Envelope.body", envelope.body)?;
    Ok(Envelope {
        group: bad::group("Envelope.group", envelope.group)?,
        from: bad::peer("Envelope.from_peer", envelope.from_peer)?,
        to: bad::peer("Envelope.to_peer", envelope.to_peer)?,
        body: body_from_proto(Term(envelope.term), body, limits)?,
    })
}

fn body_from_proto(term: Term, body: Wire, limits: &Limits) -> Result<Body, BadMessage> {
    let body = match body {
        Wire::PreVote(last) => Say::PreVote { last: id_from_proto(last) },
        Wire::PreVoteReply(v1::PreVoteReply { ask, granted }) => {
            Say::PreVoteReply { ask: Term(ask), granted }
        }
        Wire::Vote(v1::Vote { last, transfer }) => {
            Say::Vote { last: id_from_proto(bad::required("Vote.last", last)?), transfer }
        }
        Wire::VoteReply(granted) => Say::VoteReply { granted },
        Wire::Append(append) => {
            let (body, entries) = append_from_proto(term, append, limits)?;
            return Ok(Body::Raft(Message { term, body }, entries));
        }
        Wire::Ack(v1::Ack { matched, verified, stamp, pledge }) => Say::Ack {
            matched: Index(matched),
            verified: Index(verified),
            stamp: Stamp(stamp),
            pledge: Pledge(pledge),
        },
        Wire::Nack(v1::Nack { at, hint, stamp }) => Say::Nack {
            at: Index(at),
            hint: id_from_proto(bad::required("Nack.hint", hint)?),
            stamp: Stamp(stamp),
        },
        Wire::Beat(v1::Beat { commit, stamp }) => {
            Say::Beat { commit: Index(commit), stamp: Stamp(stamp) }
        }
        Wire::Commit(commit) => Say::Commit { commit: Index(commit) },
        Wire::TimeoutNow(stamp) => Say::TimeoutNow { stamp: Stamp(stamp) },
        Wire::Behind(v1::Empty {}) => Say::Behind,
        Wire::Removed(index) => return Ok(Body::Removed(Index(index))),
        Wire::RemovedAck(v1::Empty {}) => return Ok(Body::RemovedAck),
        Wire::Inquiry(v1::Empty {}) => return Ok(Body::Inquiry),
        Wire::Absent(v1::Empty {}) => return Ok(Body::Absent),
    };
    Ok(Body::Raft(Message { term, body }, Vec::new()))
}

/// Slots follow from `prev`: there cannot be a gap. Terms must not fall, and none is above that of
/// the leader who sends them.
fn append_from_proto(
    term: Term,
    append: v1::Append,
    limits: &Limits,
) -> Result<(Say, Vec<Entry>), BadMessage> {
    let v1::Append { prev, commit, stamp, entries: given } = append;
    let prev = id_from_proto(bad::required("Append.prev", prev)?);
    bad::not_above("Append.prev.term", prev.term.0, term.0)?;
    bad::bounded("Append.entries", given.len(), limits.entries_max)?;
    let last = (prev.index.0.checked_add(given.len() as u64))
        .ok_or(BadMessage { what: "Append.entries", why: Why::Overflow })?;
    let mut entries = Vec::with_capacity(given.len());
    let mut before = prev;
    for entry in given {
        let entry = entry_from_proto(before.index.next(), entry, limits)?;
        let (is, least) = (entry.id.term.0, before.term.0);
        if is < least {
            let why = Why::Falls { is, before: least };
            return Err(BadMessage { what: "Append.entries.term", why });
        }
        before = entry.id;
        entries.push(entry);
    }
    bad::not_above("Append.entries.term", before.term.0, term.0)?;
    let body = Say::Append { prev, last: Index(last), commit: Index(commit), stamp: Stamp(stamp) };
    Ok((body, entries))
}

pub(super) fn id_to_proto(id: EntryId) -> v1::EntryId {
    v1::EntryId { term: id.term.0, index: id.index.0 }
}

pub(super) fn id_from_proto(id: v1::EntryId) -> EntryId {
    EntryId::new(Term(id.term), Index(id.index))
}
