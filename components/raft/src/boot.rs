//! How a peer comes to life: from nothing, or from what its host read back from disk.

use alloc::vec::Vec;
use core::fmt;

use types::{EntryId, Index, PeerId, Term};

use crate::config::BadConfig;
use crate::election::TERM_MAX;
use crate::membership::Membership;
use crate::message::Run;

/// What is durable of a peer. A peer of a new group starts from a snapshot that all its first
/// members share: some base and term, and the first membership. A peer that joins a running group
/// starts with [`Boot::empty`].
#[derive(Clone, Debug)]
pub struct Boot<'a> {
    /// The peer.
    pub id: PeerId,
    /// Seed of its random timeouts: the same seed and inputs give the same outputs.
    pub seed: u64,
    /// Whether this peer has lived before, so that a leader's lease may rest on its promise.
    pub restarted: bool,
    /// Last stored term.
    pub term: Term,
    /// Last stored vote.
    pub vote: Option<PeerId>,
    /// Last stored commit index; may lag.
    pub commit: Index,
    /// What the state machine has applied; it continues behind this.
    pub applied: Index,
    /// The entry up to which the log is compacted.
    pub base: EntryId,
    /// The membership in force at the base, or any later one that is known to be committed, and
    /// its slot. It is never taken back.
    pub membership: (Index, &'a Membership),
    /// Terms of the entries behind the base, as runs.
    pub runs: &'a [Run],
    /// Slot of the last entry; the base's if there is none.
    pub last: Index,
    /// The memberships in the log later than `membership`, by slot. The last two suffice.
    pub memberships: &'a [(Index, Membership)],
}

/// Why a peer cannot start from what was read. The host sets it aside; nothing is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootError {
    /// Settings out of bounds.
    Config(Vec<BadConfig>),
    /// The log's runs or slots are out of order or of bounds, or do not continue the base.
    LogMalformed,
    /// The log holds entries of a later term than was ever stored: a stored term was lost.
    TermBehindLog {
        /// The stored term.
        stored: Term,
        /// The last entry's.
        last: Term,
    },
    /// More is committed or applied than the log holds: entries were lost.
    EntriesLost {
        /// What must be there.
        needed: Index,
        /// What is there.
        last: Index,
    },
    /// The state machine is older than the compacted log can replay.
    AppliedBehindBase {
        /// What it has applied.
        applied: Index,
        /// Where the log begins.
        base: Index,
    },
    /// A membership lies outside the log, or out of order, or names nobody.
    MembershipMisplaced(Index),
}

impl Boot<'_> {
    /// A peer that knows nothing but its name. It follows whoever leads, and never campaigns until
    /// it learns of a membership that names it.
    #[must_use]
    pub fn empty(id: PeerId, seed: u64) -> Boot<'static> {
        static UNKNOWN: Membership = Membership::unknown();
        Boot {
            id,
            seed,
            restarted: false,
            term: Term(0),
            vote: None,
            commit: Index(0),
            applied: Index(0),
            base: EntryId::new(Term(0), Index(0)),
            membership: (Index(0), &UNKNOWN),
            runs: &[],
            last: Index(0),
            memberships: &[],
        }
    }

    pub(crate) fn check(&self) -> Result<(), BootError> {
        let content = crate::Content::Entries { runs: self.runs, memberships: &[] };
        let last_term = self.runs.last().map_or(self.base.term, |run| run.term);
        if self.term < last_term {
            return Err(BootError::TermBehindLog { stored: self.term, last: last_term });
        }
        let is_in_order = content.entries(self.base, self.last, self.term).is_ok();
        if !is_in_order || self.term >= TERM_MAX {
            return Err(BootError::LogMalformed);
        }
        let needed = self.commit.max(self.applied);
        if needed > self.last {
            return Err(BootError::EntriesLost { needed, last: self.last });
        }
        if self.applied < self.base.index {
            return Err(BootError::AppliedBehindBase {
                applied: self.applied,
                base: self.base.index,
            });
        }
        let mut before = self.membership.0;
        if before > self.last {
            return Err(BootError::MembershipMisplaced(before));
        }
        for (at, membership) in self.memberships {
            let at = *at;
            if at <= before || at > self.last || membership.is_empty() {
                return Err(BootError::MembershipMisplaced(at));
            }
            before = at;
        }
        Ok(())
    }
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BootError::Config(bad) => {
                for (nth, bad) in bad.iter().enumerate() {
                    write!(f, "{}{bad}", if nth > 0 { "; " } else { "" })?;
                }
                Ok(())
            }
            BootError::LogMalformed => write!(f, "the stored log is out of order"),
            BootError::TermBehindLog { stored, last } => {
                write!(f, "stored term {stored}, but the log has entries of term {last}")
            }
            BootError::EntriesLost { needed, last } => {
                write!(f, "entry {needed} was committed or applied, but the log ends at {last}")
            }
            BootError::AppliedBehindBase { applied, base } => {
                write!(f, "applied up to {applied}, but the log begins behind {base}")
            }
            BootError::MembershipMisplaced(at) => {
                write!(f, "the membership of entry {at} does not fit the log")
            }
        }
    }
}

impl core::error::Error for BootError {}
