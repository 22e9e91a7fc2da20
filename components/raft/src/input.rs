//! What a host tells the core, and the core's answer to it.

use core::fmt;
use core::ops::Range;

use types::{EntryId, Index, PeerId, Term, Time};

use crate::election::INDEX_MAX;
use crate::membership::{BadChange, Change, Membership};
use crate::message::{Message, Run};
use crate::outbox::Receipt;

/// Everything that can happen to a peer. Closed: this is the whole list of what wakes it.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// A message arrived. Anything may be fed in: it is checked here.
    Message {
        /// Who sent it, as the transport knows.
        from: PeerId,
        /// What it said.
        message: Message,
        /// What came with it.
        content: Content<'a>,
    },
    /// Append `count` entries of `bytes` together. Leader only; their payloads stay with the host.
    Propose {
        /// How many, at least one.
        count: u64,
        /// Size of all of them, for the quota.
        bytes: u64,
    },
    /// Change the membership. Leader only; ends by itself (thesis §4.3). It cannot be taken back: a
    /// new half without a living majority stops the group. Add newcomers as learners first, and
    /// make them voters when they have caught up.
    Change(&'a [Change]),
    /// Confirm leadership for a linearizable read (thesis §6.4). Leader only. Answered in
    /// [`crate::Outbox::reads`].
    Read(ReadToken),
    /// Hand leadership to this voter (thesis §3.10), instead of to another if that is under way. To
    /// itself: give up a transfer under way. Leader only.
    Transfer(PeerId),
    /// Start an election now, through the pre-vote.
    Campaign,
    /// Stop leading, without waiting for a successor.
    StepDown,
    /// The host knows that the leader is gone: start the election timer anew without it. Voters
    /// only.
    ForgetLeader,
    /// The instant [`crate::Peer::deadline`] has passed. Early and spurious calls are harmless.
    Timer,
    /// This write is durable, and with it every earlier write of this peer.
    Persisted(Receipt),
    /// The transport could not reach the peer: what was sent since may be lost. If it is the
    /// leader, and the failure detector stands in for the election timer, the timer runs again
    /// until the leader is heard.
    Lost(PeerId),
    /// Sending this peer a snapshot has ended, well or badly. Owed for every
    /// [`crate::SnapshotWanted`]; until then the peer is sent nothing else.
    SnapshotEnded(PeerId),
    /// The host dropped its log up to this slot, all of it applied.
    Compacted(Index),
    /// The store-level failure detector of this host began or ceased to vouch for a peer's store.
    /// Said of the leader after [`crate::Event::Leader`], and to a leader of every other member,
    /// also after [`crate::Event::Membership`].
    Support {
        /// Whose store.
        peer: PeerId,
        /// Whether it vouches from now on.
        held: bool,
    },
}

/// What came with a message. Borrowed: the core copies only what it keeps.
#[derive(Clone, Copy, Debug, Default)]
pub enum Content<'a> {
    /// Nothing.
    #[default]
    None,
    /// With [`crate::Body::Append`].
    Entries {
        /// Terms of the slots `prev + 1 ..= last`, as runs.
        runs: &'a [Run],
        /// Those of the entries that are memberships, with their slots.
        memberships: &'a [(Index, Membership)],
    },
    /// With [`crate::Body::Install`]: the membership at the snapshot's last entry.
    Snapshot(&'a Membership),
}

/// Names a read to the host. Chosen by the host, never sent to anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadToken(pub u64);

/// What a step did to the log. The host does the same to its own copy *before the next step*, so
/// that both always have the same slots.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the host's copy of the log must follow"]
pub enum Placed {
    /// Nothing.
    Nothing,
    /// Cut the log at the start of the range, then put there the payloads just proposed, or the
    /// entries of the message just handed in that fall into the range.
    Payloads(Range<Index>),
    /// Append this entry, which the core made.
    Own(EntryId, Own),
    /// Forget the whole log: it continues behind this snapshot, which the next write installs.
    Snapshot(EntryId),
}

/// The content of an entry the core made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Own {
    /// A new leader's first entry: committing it commits everything before it (thesis §3.6.2).
    Empty,
    /// A membership.
    Membership(Membership),
}

/// Why an input was refused. The peer's state is as before, and the caller keeps what it offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Ask the leader, if one is known.
    NotLeader(Option<PeerId>),
    /// Leadership is being handed to this peer; ask again shortly.
    Transferring(PeerId),
    /// Too many bytes are proposed and not committed; ask again later.
    Quota,
    /// Too many reads wait; ask again later.
    Busy,
    /// The membership of this slot, or the leader's first entry, is not committed yet.
    ChangeInFlight(Index),
    /// The membership change makes no sense.
    BadChange(BadChange),
    /// This peer is no voter of the group, so it cannot lead it.
    NotVoter(PeerId),
    /// It leads: it has itself for a leader.
    Leading,
    /// A snapshot is being installed; until that is durable the peer has no log to campaign with.
    Installing,
    /// A leader's lease may rest on this peer until then; campaigning would break it.
    Promised(Time),
    /// The message contradicts what Raft guarantees: its sender is broken, or not one of us.
    Foreign(Foreign),
    /// The host broke its side of the contract.
    BadHost(&'static str),
}

/// How a message contradicts Raft. Nothing of it was taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// It claims to be from ourselves.
    FromSelf,
    /// A second leader in one term.
    TwoLeaders(Term),
    /// Its entries differ from what is committed, or from what the same leader sent before.
    Conflict(Index),
    /// Its slots, terms or memberships are out of order.
    Malformed,
    /// It acknowledges what this leader never sent.
    NeverSent,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NotLeader(None) => write!(f, "not the leader, and none is known"),
            Refused::NotLeader(Some(leader)) => write!(f, "not the leader, {leader} is"),
            Refused::Transferring(to) => write!(f, "leadership is being handed to {to}"),
            Refused::Quota => write!(f, "too many bytes are not committed yet"),
            Refused::Busy => write!(f, "too many reads wait"),
            Refused::ChangeInFlight(index) => write!(f, "entry {index} must be committed first"),
            Refused::BadChange(why) => write!(f, "bad membership change: {why}"),
            Refused::NotVoter(peer) => write!(f, "{peer} is not a voter"),
            Refused::Leading => write!(f, "this peer leads"),
            Refused::Installing => write!(f, "a snapshot is being installed"),
            Refused::Promised(until) => write!(f, "a lease may rest on this peer until {until}"),
            Refused::Foreign(why) => write!(f, "foreign message: {why}"),
            Refused::BadHost(what) => write!(f, "host error: {what}"),
        }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Foreign::FromSelf => write!(f, "it claims to come from this peer"),
            Foreign::TwoLeaders(term) => write!(f, "a second leader in term {term}"),
            Foreign::Conflict(index) => write!(f, "its entry {index} contradicts a settled one"),
            Foreign::Malformed => write!(f, "its slots, terms or memberships are out of order"),
            Foreign::NeverSent => write!(f, "it answers what was never sent"),
        }
    }
}

impl core::error::Error for Refused {}

/// Runs and memberships of some entries.
pub(crate) type EntriesContent<'a> = (&'a [Run], &'a [(Index, Membership)]);

impl<'a> Content<'a> {
    /// The entries' runs and memberships of an append from `prev` to `last` sent in `term`, if
    /// they are in order: runs cover exactly those slots, terms rise and do not exceed the
    /// sender's, memberships lie in range.
    pub(crate) fn entries(
        self,
        prev: EntryId,
        last: Index,
        term: Term,
    ) -> Result<EntriesContent<'a>, Refused> {
        const MALFORMED: Refused = Refused::Foreign(Foreign::Malformed);
        let (runs, memberships) = match self {
            Content::Entries { runs, memberships } => (runs, memberships),
            Content::None => (&[][..], &[][..]),
            Content::Snapshot(_) => return Err(MALFORMED),
        };
        let first = prev.index.next();
        let starts_right = match runs.first() {
            Some(run) => run.first == first && run.term >= prev.term && last >= first,
            None => last == prev.index,
        };
        let rises = runs.windows(2).all(|w| w[0].first < w[1].first && w[0].term < w[1].term);
        let ends_right = runs.last().is_none_or(|run| run.first <= last && run.term <= term);
        let in_bounds = last < INDEX_MAX && prev.term <= term;
        let placed = memberships.windows(2).all(|w| w[0].0 < w[1].0)
            && memberships.iter().all(|(at, who)| (first..=last).contains(at) && !who.is_empty());
        if starts_right && rises && ends_right && in_bounds && placed {
            Ok((runs, memberships))
        } else {
            Err(MALFORMED)
        }
    }
}
