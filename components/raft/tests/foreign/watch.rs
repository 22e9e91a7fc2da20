//! What must hold after every step and drain, whatever came in.
//!
//! A refused input leaves no trace. Terms and commit indexes never fall, a vote is not taken back,
//! a committed slot is not touched, the log stays in order. Messages and allocations are bounded
//! by the size of the group and of what came in.

use raft::{Body, Message, Peer, PeerStatus, Placed, Progress, Refused, RoleStatus, Write};
use types::{EntryId, Index, PeerId, Term};

use crate::line::Cargo;
use crate::stage::{Stage, config};

/// Most messages that one step sends.
const STEP_SENDS_MAX: usize = 4;
/// No peer takes a message of this term or a later one.
const TERM_MAX: Term = Term(1 << 62);
/// Bytes that may be allocated at any time, and for each member or run that came in.
const BYTES_FIXED: u64 = 512;
const BYTES_EACH: u64 = 128;

/// What a peer was like before.
pub(crate) struct Seen {
    term: Term,
    vote: Option<PeerId>,
    commit: Index,
    reported: Index,
    last: EntryId,
    members: usize,
    leader: Option<PeerId>,
    role: RoleStatus,
}

impl Seen {
    pub(crate) fn of(peer: &Peer) -> Seen {
        let status = peer.status();
        Seen {
            term: status.term,
            vote: status.vote,
            commit: status.commit,
            reported: status.reported,
            last: status.log.last(),
            members: status.membership.1.len(),
            leader: status.leader,
            role: status.role,
        }
    }
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// After a step that ended with `result` and allocated `bytes`.
pub(crate) fn step(
    stage: &Stage,
    (before, text): (&Seen, &str),
    result: &Result<Placed, Refused>,
    bytes: u64,
) -> Result<(), String> {
    let (out, after) = (&stage.out, Seen::of(&stage.peer));
    ensure(out.sends.len() <= STEP_SENDS_MAX, || format!("a step sent {:?}", out.sends))?;
    let of_term = |sent: &(PeerId, Message)| sent.1.term == after.term;
    ensure(out.sends.iter().all(of_term), || format!("in term {}: {:?}", after.term, out.sends))?;
    ensure(out.write.is_none() && out.commit.is_empty(), || "a step wrote".to_string())?;
    let bytes_max = BYTES_FIXED + BYTES_EACH * stage.fed;
    ensure(bytes <= bytes_max, || format!("a step allocated {bytes} > {bytes_max} bytes"))?;
    match result {
        Err(refused) => {
            let is = Stage::describe(&stage.peer);
            ensure(text == is, || format!("refused ({refused}), but\nwas {text}\nis  {is}"))?;
            let is_silent = out.sends.is_empty() && out.reads.is_empty();
            ensure(is_silent, || format!("refused ({refused}), but sent {:?}", out.sends))?;
        }
        Ok(placed) => check_placed(before, &after, placed, &stage.peer)?,
    }
    persisting(before, &after)?;
    state(&stage.peer)
}

/// What the host is told of the log is what happened to it.
fn check_placed(before: &Seen, after: &Seen, placed: &Placed, peer: &Peer) -> Result<(), String> {
    let is_right = match placed {
        Placed::Nothing => after.last == before.last,
        Placed::Payloads(range) => {
            range.start < range.end
                && range.start > before.commit
                && range.start <= before.last.index.next()
                && range.end == after.last.index.next()
        }
        Placed::Own(id, _) => {
            *id == after.last && id.index == before.last.index.next() && id.term == after.term
        }
        Placed::Snapshot(id) => {
            *id == after.last && peer.status().log.base() == *id && id.index > before.commit
        }
    };
    ensure(is_right, || format!("{placed:?} from {} to {}", before.last, after.last))
}

/// After a message that ended with `result`: what may not have come of it.
pub(crate) fn message(
    peer: &Peer,
    before: &Seen,
    (from, message, cargo): (PeerId, &Message, &Cargo),
    result: &Result<Placed, Refused>,
) -> Result<(), String> {
    let Ok(placed) = result else { return Ok(()) };
    let status = peer.status();
    ensure(message.term < TERM_MAX, || format!("taken in term {}", message.term))?;
    ensure(from != status.id, || "taken from itself".to_string())?;
    let leads = before.leader == Some(from) && before.term == message.term;
    if matches!(message.body, Body::TimeoutNow { .. }) && !leads {
        let is_same = (status.term, status.role) == (before.term, before.role);
        ensure(is_same, || format!("{from} made it campaign"))?;
    }
    if let (Body::Append { last, .. }, Cargo::Entries { runs, .. }, Placed::Payloads(range)) =
        (message.body, cargo, placed)
    {
        ensure(status.log.last().index == last, || format!("an append to {last}"))?;
        // Where a run begins or ends, and at both ends.
        let begins = runs.iter().flat_map(|run| [run.first.prev(), run.first]);
        for at in begins.chain([range.start, last]).filter(|at| range.contains(at)) {
            let sent = runs.iter().rev().find(|run| run.first <= at).map(|run| run.term);
            ensure(status.log.term(at) == sent, || format!("{at} is not of {sent:?}"))?;
        }
    }
    Ok(())
}

/// What never goes back.
fn persisting(before: &Seen, after: &Seen) -> Result<(), String> {
    let (was, is) = (before.term, after.term);
    ensure(is >= was, || format!("the term fell from {was} to {is}"))?;
    let keeps_vote = is > was || before.vote.is_none() || after.vote == before.vote;
    ensure(keeps_vote, || format!("vote {:?} became {:?} in {is}", before.vote, after.vote))?;
    let is_known = after.members > 0 || before.members == 0;
    ensure(is_known, || "the membership was lost".to_string())?;
    let (was, is) = (before.commit, after.commit);
    ensure(is >= was, || format!("the commit index fell from {was} to {is}"))?;
    let (was, is) = (before.reported, after.reported);
    ensure(is >= was, || format!("what was reported fell from {was} to {is}"))
}

/// What holds of a peer at any time.
pub(crate) fn state(peer: &Peer) -> Result<(), String> {
    let status = peer.status();
    let (log, last) = (status.log, status.log.last());
    let chain = [log.base().index, status.reported, status.commit, last.index];
    ensure(chain.is_sorted(), || format!("base, reported, commit, last are {chain:?}"))?;
    ensure(log.stable() <= last.index, || format!("stable {} of {last}", log.stable()))?;
    ensure(last.term <= status.term, || format!("entry {last} in term {}", status.term))?;
    ensure(log.contains(last), || format!("{last} is the last and is not there"))?;
    let at = status.membership.0;
    ensure(at <= last.index, || format!("the membership of {at}, but the log ends at {last}"))?;
    for PeerStatus { id, progress: Progress { matched, next, .. } } in status.peers() {
        let is_right = matched < next && next <= last.index.next();
        ensure(is_right, || {
            format!("{id} matched {matched}, next {next}, the log ends at {last}")
        })?;
    }
    // From run to run towards the base: terms rise strictly.
    let mut end = last;
    while end.term > log.base().term {
        let before = log.floor(EntryId::new(Term(end.term.0 - 1), end.index));
        let is_before = before.index < end.index && before.term < end.term;
        ensure(is_before && log.contains(before), || format!("{before} before {end}"))?;
        end = before;
    }
    ensure(end.term == log.base().term, || format!("{end} behind the base {}", log.base()))
}

/// After a drain that allocated `bytes`.
pub(crate) fn drain(stage: &Stage, before: &Seen, bytes: u64) -> Result<(), String> {
    let (out, after) = (&stage.out, Seen::of(&stage.peer));
    let status = stage.peer.status();
    ensure(!stage.peer.is_dirty(), || "dirty after a drain".to_string())?;
    let appends = out.sends.iter().filter(|sent| matches!(sent.1.body, Body::Append { .. }));
    let (appends, members) = (appends.count(), before.members);
    let window = usize::try_from(config().window_entries).expect("a small window");
    ensure(appends <= members * (window + 1), || format!("{appends} appends to {members}"))?;
    let others = out.sends.len() - appends;
    ensure(others <= 2 * members + 2, || format!("{others} messages for {members} members"))?;
    ensure(out.snapshots.len() <= members, || "more snapshots than members".to_string())?;
    let to_self = out.sends.iter().find(|sent| sent.0 == status.id);
    ensure(to_self.is_none(), || format!("sent to itself: {to_self:?}"))?;
    let bytes_max = BYTES_FIXED + BYTES_EACH * members as u64;
    ensure(bytes <= bytes_max, || format!("a drain allocated {bytes} > {bytes_max} bytes"))?;
    if !out.commit.is_empty() {
        let is_next = out.commit.start == before.reported.next();
        ensure(is_next && out.commit.end == status.reported.next(), || {
            format!("{:?} handed out after {}", out.commit, before.reported)
        })?;
    }
    if let Some(Write { receipt, entries, .. }) = &out.write {
        let is_current = receipt.term == status.term && receipt.vote == status.vote;
        let is_inside = entries.end == status.log.last().index.next()
            && (entries.is_empty() || entries.start > status.log.base().index);
        ensure(is_current && is_inside, || format!("{:?} at {status:?}", out.write))?;
    }
    ensure(after.last == before.last, || "a drain changed the log".to_string())?;
    persisting(before, &after)?;
    state(&stage.peer)
}
