//! How things are told: messages, states, logs, instants.
//!
//! Ranges of slots include both ends. `p1@2` is peer 1 speaking in term 2, `5@2` the entry of term
//! 2 in slot 5, `✗` a packet that is lost.

use std::ops::Range;

use raft::{Body, Mode, Peer, PeerStatus, RoleStatus, Stamp};
use raft_world::{Cargo, Entries, Entry, Node, Packet, Payload};
use types::{EntryId, Index, PeerId, Term, Time};

use crate::script_runner::foreign;

/// What a story compares before and after an input.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Scene {
    pub role: RoleStatus,
    pub term: Term,
    pub vote: Option<PeerId>,
    pub leader: Option<PeerId>,
    pub last: Index,
}

impl Scene {
    pub(crate) fn of(peer: &Peer) -> Scene {
        let status = peer.status();
        Scene {
            role: status.role,
            term: status.term,
            vote: status.vote,
            leader: status.leader,
            last: status.log.last().index,
        }
    }

    /// What changed, if that is worth a line.
    pub(crate) fn turns_into(&self, after: &Scene, id: PeerId) -> Option<String> {
        let as_before =
            (self.role, self.term, self.leader) == (after.role, after.term, after.leader);
        if as_before {
            return None;
        }
        let term = after.term;
        Some(match (after.role, after.leader) {
            (RoleStatus::Leader, _) => format!("{id} becomes leader of term {term}"),
            (RoleStatus::Candidate, _) => format!("{id} becomes candidate of term {term}"),
            (RoleStatus::PreCandidate, _) => format!("{id} becomes pre-candidate in term {term}"),
            (RoleStatus::Follower, Some(leader)) => format!("{id} follows {leader} in term {term}"),
            (RoleStatus::Follower, None) => format!("{id} follows nobody in term {term}"),
        })
    }
}

/// The name of a message.
pub(crate) fn kind(body: &Body) -> &'static str {
    match body {
        Body::PreVote { .. } => "PreVote",
        Body::PreVoteReply { .. } => "PreVoteReply",
        Body::Vote { .. } => "Vote",
        Body::VoteReply { .. } => "VoteReply",
        Body::Append { .. } => "Append",
        Body::Ack { .. } => "Ack",
        Body::Nack { .. } => "Nack",
        Body::Beat { .. } => "Beat",
        Body::Commit { .. } => "Commit",
        Body::Install { .. } => "Install",
        Body::TimeoutNow { .. } => "TimeoutNow",
        Body::Behind => "Behind",
    }
}

/// `Append 4@2..6 commit=4`.
pub(crate) fn message(packet: &Packet, stamps: bool) -> String {
    let body = &packet.message.body;
    let grant = |granted: &bool| if *granted { "yes" } else { "no" };
    let (rest, sent) = match body {
        Body::PreVote { last } => (format!("last={last}"), None),
        Body::PreVoteReply { ask, granted } => (format!("{} ask={ask}", grant(granted)), None),
        Body::Vote { last, transfer: false } => (format!("last={last}"), None),
        Body::Vote { last, transfer: true } => (format!("last={last} transfer"), None),
        Body::VoteReply { granted } => (grant(granted).to_string(), None),
        Body::Append { prev, last, commit, stamp } if *last == prev.index => {
            (format!("{prev} empty commit={commit}"), Some(*stamp))
        }
        Body::Append { prev, last, commit, stamp } => {
            (format!("{prev}..{last} commit={commit}{}", memberships(packet)), Some(*stamp))
        }
        Body::Ack { matched, verified, stamp, .. } if matched == verified => {
            (format!("{matched}"), Some(*stamp))
        }
        Body::Ack { matched, verified, stamp, .. } => {
            (format!("{matched} verified={verified}"), Some(*stamp))
        }
        Body::Nack { at, hint, stamp } => (format!("{at} hint={hint}"), Some(*stamp)),
        Body::Beat { commit, stamp } => (format!("commit={commit}"), Some(*stamp)),
        Body::Commit { commit } => (format!("{commit}"), None),
        Body::Install { snapshot, stamp } => {
            (format!("{snapshot}{}", memberships(packet)), Some(*stamp))
        }
        Body::TimeoutNow { stamp } => (String::new(), Some(*stamp)),
        Body::Behind => (String::new(), None),
    };
    let stamp = match sent {
        Some(sent) if stamps => format!(" stamp={}", instant(sent)),
        _ => String::new(),
    };
    let space = if rest.is_empty() { "" } else { " " };
    format!("{}{space}{rest}{stamp}", kind(body))
}

/// The memberships a packet carries.
fn memberships(packet: &Packet) -> String {
    let mut text = String::new();
    match &packet.cargo {
        Cargo::None => {}
        Cargo::Entries(entries) => {
            for Entry { id, payload } in entries {
                if let Payload::Membership(membership) = payload {
                    text += &format!(" {}={membership}", id.index);
                }
            }
        }
        Cargo::Snapshot(app) => text = format!(" members={}", app.membership.1),
    }
    text
}

/// `10100ms`, or `10100ms+2` if it is two nanoseconds later.
pub(crate) fn instant(stamp: Stamp) -> String {
    let (millis, nanos) = (stamp.0 / 1_000_000, stamp.0 % 1_000_000);
    if nanos == 0 { format!("{millis}ms") } else { format!("{millis}ms+{nanos}") }
}

pub(crate) fn time(time: Time) -> String {
    instant(Stamp(time.0))
}

/// `5..7`, or `5` alone.
pub(crate) fn slots(range: &Range<Index>) -> String {
    let (first, last) = (range.start, range.end.prev());
    if first == last { format!("{first}") } else { format!("{first}..{last}") }
}

fn name(peer: Option<PeerId>) -> String {
    peer.map_or("-".to_string(), |peer| peer.to_string())
}

/// Term and vote as they are stored.
pub(crate) fn promise(term: Term, vote: Option<PeerId>) -> String {
    format!("term={term} vote={}", name(vote))
}

/// One line about a node.
pub(crate) fn status(node: &Node) -> String {
    let id = node.id;
    let Some(peer) = &node.peer else {
        let image = &node.disk.image;
        let (base, last, applied) = (image.log.base, image.log.last(), image.app.applied.index);
        let promise = promise(image.term, image.vote);
        let commit = image.commit;
        return format!("{id} down {promise} log={base}..{last} commit={commit} applied={applied}");
    };
    let status = peer.status();
    let role = match status.role {
        RoleStatus::Follower => "follower",
        RoleStatus::PreCandidate => "pre-candidate",
        RoleStatus::Candidate => "candidate",
        RoleStatus::Leader => "leader",
    };
    let (at, membership) = status.membership;
    let mut line = format!(
        "{id} {role} {} leader={} log={}..{} stable={} commit={} applied={}",
        promise(status.term, status.vote),
        name(status.leader),
        status.log.base(),
        status.log.last(),
        status.log.stable(),
        status.commit,
        node.app.applied.index,
    );
    line += &format!(" members={membership}@{at}");
    if let Some(to) = status.transferee {
        line += &format!(" transfer={to}");
    }
    if status.is_asleep {
        line += " asleep";
    }
    line
}

/// One line about how a leader sees a member.
pub(crate) fn progress(leader: PeerId, peer: &PeerStatus, stamps: bool) -> String {
    let PeerStatus { id, progress } = peer;
    let mode = match progress.mode {
        Mode::Probe => "Probe",
        Mode::Replicate => "Replicate",
        Mode::Snapshot => "Snapshot",
    };
    let (matched, next) = (progress.matched, progress.next);
    let mut line = format!("{leader} sees {id} {mode} matched={matched} next={next}");
    let flags = [
        (progress.paused, " paused"),
        (progress.supported, " supported"),
        (progress.told_to_campaign, " told-to-campaign"),
    ];
    for (_, text) in flags.iter().filter(|(is_set, _)| *is_set) {
        line += text;
    }
    if stamps {
        let (acked, sent) = (instant(progress.acked), instant(progress.sent));
        line += &format!(" acked={acked} sent={sent}");
    }
    line
}

/// The entries of a log. Those whose content follows from their place are told as runs.
pub(crate) fn log(id: PeerId, log: &Entries) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut run: Option<(Index, EntryId)> = None;
    for entry in log.all() {
        let is_invented = *entry == foreign::invented(entry.id);
        match &mut run {
            Some((_, last)) if is_invented && last.term == entry.id.term => *last = entry.id,
            _ => {
                parts.extend(run.take().map(invented_run));
                if is_invented {
                    run = Some((entry.id.index, entry.id));
                } else {
                    parts.push(format!("{} {}", entry.id, content(&entry.payload)));
                }
            }
        }
    }
    parts.extend(run.map(invented_run));
    let space = if parts.is_empty() { "" } else { " " };
    format!("{id} log {}:{space}{}", log.base, parts.join(", "))
}

fn invented_run((first, last): (Index, EntryId)) -> String {
    format!("{}@{}", slots(&(first..last.index.next())), last.term)
}

/// A payload, its padding counted rather than shown.
fn content(payload: &Payload) -> String {
    let text = payload.to_string();
    let bare = text.trim_end_matches('~');
    match text.len() - bare.len() {
        0 => text,
        more => format!("{bare}+{more}"),
    }
}

/// One line about what is durable and what is on its way there.
pub(crate) fn disk(node: &Node, queue: &std::collections::VecDeque<String>) -> String {
    let (id, image) = (node.id, &node.disk.image);
    let promise = promise(image.term, image.vote);
    let (base, last) = (image.log.base, image.log.last());
    let (commit, applied) = (image.commit, image.app.applied.index);
    let mut line =
        format!("{id} disk {promise} log={base}..{last} commit={commit} applied={applied}");
    for write in queue {
        line += &format!(" | {write}");
    }
    line
}
