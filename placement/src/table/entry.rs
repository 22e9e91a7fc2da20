//! What is known of one region, and what a report changed about it.

use std::fmt;
use std::time::Duration;

use types::{Epoch, GroupId, PeerId, PeerRole, Region, RegionPeer, StoreId, Term, Time};

use super::Figure;

/// What the leader of a region says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionReport {
    /// The region, as its leader has applied it.
    pub region: Region,
    /// The peer that leads it.
    pub leader: RegionPeer,
    /// The term that it leads in.
    pub term: Term,
    /// Peers that it has not heard of, and for how long.
    pub down: Vec<(PeerId, Duration)>,
    /// Peers that are behind so far that they do not count.
    pub pending: Vec<PeerId>,
    /// About how many bytes one replica takes.
    pub bytes: Figure,
    /// About how many keys there are.
    pub keys: Figure,
    /// Bytes written per second.
    pub written_per_second: Figure,
    /// Bytes read per second.
    pub read_per_second: Figure,
}

/// A region in the table: the newest report, and when it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionEntry {
    /// The newest report.
    pub report: RegionReport,
    /// When it came, in nanoseconds: see [`RegionEntry::at`].
    at: Figure,
}

/// What became of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reported {
    /// It is out of date, or makes no sense; the table is as it was.
    Stale(Stale),
    /// It is in the table.
    Taken {
        /// What differs from before; empty if only figures do.
        changes: Vec<Change>,
        /// Older regions that had some of its keys, and are gone.
        removed: Vec<GroupId>,
    },
}

/// What a report changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// The region was not known.
    New,
    /// Another peer leads it.
    Leader,
    /// It has other keys.
    Range,
    /// It has other members, or they have other roles.
    Members,
}

/// Why a report was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// A newer form of the region is known.
    Epoch {
        /// The newest that is known.
        known: Epoch,
        /// What the report carries.
        reported: Epoch,
    },
    /// A newer leader of this form of the region is known.
    Term {
        /// Its term.
        known: Term,
        /// The one of the report.
        reported: Term,
    },
    /// A region that is not older has some of its keys.
    Overlap {
        /// Which.
        with: GroupId,
        /// The version of that.
        version: u64,
    },
    /// This version of the region is known with other keys.
    OtherRange {
        /// The version.
        version: u64,
    },
    /// The leader is not among the members.
    Stranger {
        /// The leader.
        leader: PeerId,
    },
    /// The region has no keys.
    NoKeys,
}

impl RegionEntry {
    /// A region of which this was reported at this time.
    #[must_use]
    pub fn new(report: RegionReport, at: Time) -> RegionEntry {
        RegionEntry { report, at: at.0.into() }
    }

    /// When the newest report came.
    #[must_use]
    pub fn at(&self) -> Time {
        Time(self.at.get())
    }

    /// Whether a report says the same but for its figures.
    pub(super) fn is_as(&self, report: &RegionReport) -> bool {
        let known = &self.report;
        known.term == report.term
            && known.leader == report.leader
            && known.region == report.region
            && known.down == report.down
            && known.pending == report.pending
    }

    /// Takes over the figures of such a report.
    pub(super) fn retell(&self, at: Time, report: &RegionReport) {
        let known = &self.report;
        let figures = [
            (&known.bytes, &report.bytes),
            (&known.keys, &report.keys),
            (&known.written_per_second, &report.written_per_second),
            (&known.read_per_second, &report.read_per_second),
        ];
        figures.into_iter().for_each(|(known, told)| known.set(told.get()));
        self.at.set(at.0);
    }

    /// The region's id.
    #[must_use]
    pub fn id(&self) -> GroupId {
        self.report.region.id
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.report.region
    }

    /// Its members.
    #[must_use]
    pub fn peers(&self) -> &[RegionPeer] {
        &self.report.region.peers
    }

    /// The store that leads it.
    #[must_use]
    pub fn leader_store(&self) -> StoreId {
        self.report.leader.store
    }

    /// Members that vote, in either half of a membership that is changing.
    pub fn voters(&self) -> impl Iterator<Item = RegionPeer> + '_ {
        self.peers().iter().copied().filter(|peer| peer.role != PeerRole::Learner)
    }

    /// A member that does not vote, if there is one.
    #[must_use]
    pub fn learner(&self) -> Option<RegionPeer> {
        self.peers().iter().copied().find(|peer| peer.role == PeerRole::Learner)
    }

    /// Whether its membership is between two.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        let is_between = |role| matches!(role, PeerRole::Incoming | PeerRole::Demoting);
        self.peers().iter().any(|peer| is_between(peer.role))
    }

    /// For how long its leader has not heard of a peer, if it says so.
    #[must_use]
    pub fn silence(&self, peer: PeerId) -> Option<Duration> {
        self.report.down.iter().find(|(id, _)| *id == peer).map(|(_, span)| *span)
    }

    /// Whether a peer is behind so far that it does not count.
    #[must_use]
    pub fn is_pending(&self, peer: PeerId) -> bool {
        self.report.pending.contains(&peer)
    }

    /// Whether a peer is heard of and keeps up.
    #[must_use]
    pub fn is_current(&self, peer: PeerId) -> bool {
        !self.is_pending(peer) && self.silence(peer).is_none()
    }

    pub(super) fn is_troubled(&self) -> bool {
        let report = &self.report;
        let is_plain = |peer: &RegionPeer| peer.role == PeerRole::Voter;
        !(report.down.is_empty() && report.pending.is_empty() && self.peers().iter().all(is_plain))
    }

    /// What a newer report of the same region changes.
    pub(super) fn changes(&self, newer: &RegionEntry) -> Vec<Change> {
        let (old, new) = (&self.report, &newer.report);
        [
            (Change::Leader, old.leader.id != new.leader.id),
            (Change::Range, old.region.range != new.region.range),
            (Change::Members, old.region.peers != new.region.peers),
        ]
        .into_iter()
        .filter_map(|(change, is_so)| is_so.then_some(change))
        .collect()
    }
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stale::Epoch { known, reported } => {
                write!(f, "epoch {reported} is older than the known {known}")
            }
            Stale::Term { known, reported } => {
                write!(f, "term {} is lower than the known {}", reported.0, known.0)
            }
            Stale::Overlap { with, version } => {
                write!(f, "{with} of version {version}, which is not older, has some of its keys")
            }
            Stale::OtherRange { version } => {
                write!(f, "version {version} is known with other keys")
            }
            Stale::Stranger { leader } => write!(f, "{leader} leads and is not a member"),
            Stale::NoKeys => f.write_str("it has no keys"),
        }
    }
}
