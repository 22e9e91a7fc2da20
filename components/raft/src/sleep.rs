//! How a leader falls asleep and wakes: a group at rest costs nothing
//! (`docs/decisions/0006-idle-groups-cost-nothing.md`).
//!
//! ```text
//!            a beat round since which nothing has changed is answered
//!   Timed ◄────────► Due ──────────────────────────────────────────► Asleep
//!     ▲    next_beat                                                    │
//!     └──────────────────────────────────────────── proposal ◄──────────┤
//!            Due ◄────────── read · support · a contest · a loss ◄──────┘
//! ```
//!
//! One write to a sleeping group costs each member an append and a beat, which brings the news of
//! its commitment, and their answers.

use types::Time;

use crate::leader::{Ctx, Leader};
use crate::message::Stamp;
use crate::progress::{Mode, Progress};
use crate::quorum;

/// When a leader beats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beats {
    /// In the next drain.
    Due,
    /// At `next_beat`.
    Timed,
    /// Never: there is nothing to say, and every follower sits still by itself.
    Asleep,
}

impl Leader {
    /// Something happened: a sleeping leader is awake again, and one that was about to fall asleep
    /// starts over.
    pub(crate) fn wake(&mut self, now: Time) {
        self.quiet_since = Stamp(0);
        if self.beats == Beats::Asleep {
            self.beats = Beats::Due;
            self.next_beat = now;
            self.patient_from = now;
        }
    }

    /// A sleeping leader has entries to send, which say all that a beat would. Once they are
    /// committed, the news of that goes out with the beat after which it may sleep again.
    pub(crate) fn wake_to_append(&mut self, ctx: &Ctx<'_>, now: Time) {
        if self.beats == Beats::Asleep {
            self.beats = Beats::Timed;
            self.next_beat = now.after(ctx.config.heartbeat_interval);
            self.patient_from = now;
            self.settles = true;
        }
        self.quiet_since = Stamp(0);
    }

    /// A read changes nothing: a leader that is awake may fall asleep after it as it would have
    /// done.
    pub(crate) fn wake_to_read(&mut self, now: Time) {
        if self.beats == Beats::Asleep {
            self.wake(now);
        }
    }

    /// Beats are due: sleep instead, if everyone is known to sit still.
    pub(crate) fn tick(&mut self, ctx: &Ctx<'_>, now: Time) {
        if self.can_sleep(ctx) {
            self.beats = Beats::Asleep;
        } else {
            self.beats = Beats::Due;
            self.next_beat = now.after(ctx.config.heartbeat_interval);
        }
    }

    /// Whether nothing is left to say: everything is committed, and every member whose store is
    /// vouched for has it, and has answered a beat since. Members that are not vouched for are
    /// down; the failure detector wakes us when they return. The others must be enough to go on
    /// with, and there must be one, or there may be no failure detector at all.
    pub(crate) fn can_sleep(&self, ctx: &Ctx<'_>) -> bool {
        if self.quiet_since == Stamp(0) || !self.reads.is_empty() || !self.is_quiet(ctx) {
            return false;
        }
        let own = ctx.membership.slot(ctx.id);
        let last = ctx.log.last().index;
        let others = || {
            let all = self.progress.iter().enumerate();
            all.filter(|(slot, _)| Some(*slot) != own).map(|(_, peer)| peer)
        };
        let settled = |peer: &Progress| {
            peer.mode == Mode::Replicate && peer.matched == last && peer.acked >= self.quiet_since
        };
        let supported = |slot| Some(slot) == own || self.progress[slot].supported;
        quorum::is_met(ctx.membership, supported)
            && others().any(|peer| peer.supported)
            && others().all(|peer| !peer.supported || settled(peer))
    }

    /// Whether nothing is under way but reads, which change nothing.
    pub(crate) fn is_quiet(&self, ctx: &Ctx<'_>) -> bool {
        self.transfer.is_none() && !ctx.membership.is_joint() && ctx.commit == ctx.log.last().index
    }
}
