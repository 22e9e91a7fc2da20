//! What peers of one group say to each other. Plain values: the codec is the transport's.
//!
//! A message never carries entries. An [`Body::Append`] names the slots `prev + 1 ..= last`; the
//! sending host attaches their contents from its log when it serialises, and the receiving host
//! hands the core their terms (as [`Run`]s) and memberships beside the message, see
//! [`crate::Content`]. A host may split one append into several by slots, but for a probe
//! ([`crate::Mode::Probe`]): what answers that is told by its stamp, so there is one.
//!
//! Every message carries its sender's term (thesis §3.3).

use types::{EntryId, Index, Term};

/// A message of one peer to another of the same group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Term of the sender when it spoke.
    pub term: Term,
    /// What it said.
    pub body: Body,
}

/// When a leader sent something, by its own clock; answers echo it verbatim.
///
/// One echoed stamp per peer serves four purposes: the leader knows which of its messages an
/// answer is to (stale rejections), that a majority still listens (check-quorum), until when it
/// cannot have been deposed (lease) and that a read is confirmed (read index). A leader's stamps
/// rise strictly from drain to drain, and never repeat within its term. Nanoseconds; 0 is no stamp.
/// See `docs/decisions/0003-one-echoed-stamp.md`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(pub u64);

/// A name under which the host of a follower goes on protecting its leader, for as long as hosts
/// say so to each other ([`crate::Peer::protect`]). Opaque to the core, which keeps the one that
/// came with a member's newest answer ([`crate::Progress::pledge`]); 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pledge(pub u64);

/// The kinds of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// "Would you vote for me in the next term?" Changes nothing at the voter (thesis §9.6).
    PreVote {
        /// Last entry of the asker's log.
        last: EntryId,
    },
    /// Answer to [`Body::PreVote`].
    PreVoteReply {
        /// The term that was asked for: the asker's plus one.
        ask: Term,
        /// Whether it would.
        granted: bool,
    },
    /// "Vote for me in this term" (thesis §3.4). Sent once the asker's own vote is durable.
    Vote {
        /// Last entry of the asker's log; durable.
        last: EntryId,
        /// The leader asked for this election, so voters need not protect it (thesis §3.10).
        transfer: bool,
    },
    /// Answer to [`Body::Vote`]. A grant is sent only once it is durable.
    VoteReply {
        /// Whether it did.
        granted: bool,
    },
    /// Entries, or none as a probe (thesis §3.5).
    Append {
        /// The entry before the first one.
        prev: EntryId,
        /// Slot of the last one; `prev.index` if there are none.
        last: Index,
        /// The leader's commit index.
        commit: Index,
        /// When it was sent.
        stamp: Stamp,
    },
    /// "My log agrees with yours so far." Answers [`Body::Append`] once durable, [`Body::Beat`] at
    /// once. Cumulative: the newest says everything.
    Ack {
        /// Agreed and durable up to here.
        matched: Index,
        /// Agreed up to here.
        verified: Index,
        /// The newest stamp received.
        stamp: Stamp,
        /// What the sender's host has the leader rely on beyond it. The core leaves it empty.
        pledge: Pledge,
    },
    /// "I do not have your `prev`."
    Nack {
        /// Slot of the `prev` that did not match.
        at: Index,
        /// The last entry of this log that can agree with the leader's, by its slot and term.
        hint: EntryId,
        /// Stamp of the append this answers.
        stamp: Stamp,
    },
    /// "I lead, are you there?" Wants an [`Body::Ack`].
    Beat {
        /// The leader's commit index.
        commit: Index,
        /// When it was sent.
        stamp: Stamp,
    },
    /// News of commitment alone. Wants no answer.
    Commit {
        /// The leader's commit index.
        commit: Index,
    },
    /// Header of a snapshot. Handed to the core once the receiver holds all of the snapshot.
    Install {
        /// The last entry the snapshot covers.
        snapshot: EntryId,
        /// When the leader asked its host for it.
        stamp: Stamp,
    },
    /// "Campaign at once, I step back for you" (thesis §3.10).
    TimeoutNow {
        /// When it was sent. A later stamp seen from the same leader makes it void.
        stamp: Stamp,
    },
    /// "Your term is over": the answer to a leader whose term is behind. It lets a peer that is
    /// stuck with a higher term back in (etcd's *free stuck candidate*).
    Behind,
}

/// Consecutive entries of one term: from `first` to where the next run starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Slot of the first entry.
    pub first: Index,
    /// Term of all of them.
    pub term: Term,
}
