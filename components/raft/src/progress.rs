//! What a leader knows of one other member, and how it sends to it.
//!
//! ```text
//!            ack: the log agrees                        next entry is compacted
//!   Probe ───────────────────────► Replicate     Probe ─────────────────────────► Snapshot
//!     ▲                               │            ▲                                 │
//!     └───────────────────────────────┘            └─────────────────────────────────┘
//!      nack · lost · echo of a later stamp           sending ended, or an ack that reaches the log
//! ```
//!
//! *Probe*: where the logs agree is not known; one append at a time, until it is answered or the
//! answer to something sent later shows that it was lost. *Replicate*: appends are sent ahead of
//! their answers, as far as the window allows. *Snapshot*: nothing but beats is sent.
//!
//! Flow control needs no record of what is in flight: the window is a stretch of the log, from the
//! first entry that is not durable at the peer to `next`, bounded in bytes and entries.
//!
//! Invariants: `matched < next`; `matched` never falls within a term; `acked` never exceeds the
//! newest stamp issued; a peer in Probe or Snapshot leaves it as soon as it answers with a position
//! this log still reaches.

use types::{EntryId, Index, PeerId};

use crate::log::Log;
use crate::message::{Pledge, Stamp};

/// How a leader sends to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Looking for the place where the logs agree.
    Probe,
    /// Sending ahead.
    Replicate,
    /// Waiting for a snapshot to arrive.
    Snapshot,
}

/// What a leader knows of one member. The leader's own slot is not used.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The slot to send next.
    pub next: Index,
    /// Agreed and durable there.
    pub matched: Index,
    /// Newest stamp that it echoed with something durable; 0 until it does for the first time.
    pub acked: Stamp,
    /// Newest stamp it echoed at all.
    pub heard: Stamp,
    /// What came with that.
    pub pledge: Pledge,
    /// Stamp of the last append, snapshot or hand-over sent to it.
    pub sent: Stamp,
    /// Newest commit index sent to it.
    pub commit_sent: Index,
    /// How to send.
    pub mode: Mode,
    /// In Probe: an append is under way.
    pub paused: bool,
    /// Our failure detector vouches for its store.
    pub supported: bool,
    /// It was told to campaign, and has not been heard since.
    pub told_to_campaign: bool,
}

impl Progress {
    pub(crate) fn new(next: Index) -> Progress {
        Progress {
            next,
            matched: Index(0),
            acked: Stamp(0),
            heard: Stamp(0),
            pledge: Pledge(0),
            sent: Stamp(0),
            commit_sent: Index(0),
            mode: Mode::Probe,
            paused: false,
            supported: false,
            told_to_campaign: false,
        }
    }

    /// The peer agrees up to `verified`, durably up to `matched`, and has seen `stamp`.
    pub(crate) fn on_ack(&mut self, matched: Index, verified: Index, stamp: Stamp, log: &Log) {
        self.acked = self.acked.max(stamp);
        self.heard = self.heard.max(stamp);
        self.matched = self.matched.max(matched);
        let answers_later = stamp > self.sent;
        if answers_later {
            self.told_to_campaign = false;
        }
        let reached = verified.next();
        match self.mode {
            Mode::Probe => {
                // An echo from before the probe tells nothing that the probe will not.
                if reached > self.next || reached == self.next && stamp >= self.sent {
                    self.replicate_from(reached);
                } else if answers_later {
                    self.paused = false;
                }
            }
            // Any position that this log continues will do, not only the one of the snapshot that
            // was sent (etcd raft#110).
            Mode::Snapshot => {
                if verified >= log.base().index {
                    self.replicate_from(reached);
                }
            }
            Mode::Replicate => {
                if reached >= self.next {
                    self.next = reached;
                } else if answers_later {
                    // It saw a later message and not the last append: that one was lost.
                    self.probe_from(reached);
                }
            }
        }
        self.next = self.next.max(self.matched.next());
    }

    /// The peer does not have the entry at `at`; it can agree at `hint` at best.
    ///
    /// No lease rests on that: it comes from a peer that may have nothing on its disk yet, and has
    /// forgotten whom it heard when it is started again.
    pub(crate) fn on_nack(&mut self, at: Index, hint: EntryId, stamp: Stamp, log: &Log) {
        let is_answer = match self.mode {
            // Where an append had to be read back, it came later than another was asked for.
            Mode::Probe => stamp == self.sent || at.next() == self.next,
            Mode::Replicate => at > self.matched && stamp >= self.heard,
            Mode::Snapshot => false,
        };
        self.heard = self.heard.max(stamp);
        if !is_answer {
            return;
        }
        let next = log.floor(hint).index.next().min(at).max(self.matched.next());
        let is_stuck = self.mode == Mode::Probe && next >= self.next;
        self.probe_from(next);
        if is_stuck {
            // It denies what it acknowledged before. Do not turn that into a hot loop.
            self.wait_for_answer_after(stamp);
        }
    }

    /// What was sent may be lost: find out, at the next answer.
    pub(crate) fn on_lost(&mut self, newest: Stamp) {
        if self.mode == Mode::Replicate {
            self.probe_from(self.matched.next());
        }
        self.wait_for_answer_after(newest);
    }

    /// Sending a snapshot has ended. Whether it arrived shows in what the peer answers next.
    pub(crate) fn on_snapshot_ended(&mut self, newest: Stamp) {
        if self.mode == Mode::Snapshot {
            self.mode = Mode::Probe;
            self.wait_for_answer_after(newest);
        }
    }

    fn wait_for_answer_after(&mut self, newest: Stamp) {
        self.sent = newest;
        self.paused = true;
    }

    fn replicate_from(&mut self, next: Index) {
        self.mode = Mode::Replicate;
        self.paused = false;
        self.next = next;
    }

    fn probe_from(&mut self, next: Index) {
        self.mode = Mode::Probe;
        self.paused = false;
        self.next = next;
    }
}

/// One member as its leader sees it, for people and metrics.
#[derive(Clone, Copy, Debug)]
pub struct PeerStatus {
    /// The member.
    pub id: PeerId,
    /// What the leader knows of it.
    pub progress: Progress,
}
