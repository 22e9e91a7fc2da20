//! Whom a leader reaches, and whether a group could go on after a change of membership, as far as
//! it can tell.
//!
//! The core takes any change that makes sense, since it alone cannot know what is wanted: a group
//! that has lost a voter for good may have to wait for one that comes back. Hosts ask first.

use alloc::vec::Vec;

use types::{PeerId, Time};

use crate::leader::{Ctx, Leader};
use crate::membership::Change;
use crate::peer::{Peer, Role};
use crate::progress::Mode;
use crate::quorum;

impl Leader {
    /// Whether `peer` takes entries: it agrees with our log, and is heard. Of ourselves that is so.
    fn reaches(&self, ctx: &Ctx<'_>, now: Time, peer: PeerId) -> bool {
        let Some(slot) = ctx.membership.slot(peer) else { return false };
        let progress = &self.progress[slot];
        peer == ctx.id || progress.mode == Mode::Replicate && self.hears(ctx, now, slot)
    }

    /// Whether the member in this place was heard within an election timeout, or is vouched for.
    fn hears(&self, ctx: &Ctx<'_>, now: Time, slot: usize) -> bool {
        let progress = &self.progress[slot];
        progress.supported || now < Time(progress.heard.0).after(ctx.config.election_timeout)
    }
}

impl Peer {
    /// Members that this leader does not hear: not within an election timeout, and nobody vouches
    /// for them. None if it does not lead.
    #[must_use]
    pub fn unheard(&self, now: Time) -> Vec<PeerId> {
        let Role::Leader(leader) = &self.role else { return Vec::new() };
        let ctx = self.ctx();
        let is_unheard =
            |&slot: &usize| ctx.membership.at(slot).id != ctx.id && !leader.hears(&ctx, now, slot);
        let unheard = (0..ctx.membership.len()).filter(is_unheard);
        unheard.map(|slot| ctx.membership.at(slot).id).collect()
    }

    /// A peer for want of which nothing could be committed any more once `changes` were done:
    /// of the voters there would be then, no majority takes entries now, and it is one of those
    /// that do not. `None` if a majority does, if this peer does not lead, and if the change would
    /// be refused anyway. One who is not a member yet takes none: it comes as a learner first
    /// (thesis §4.2.1), and votes when it has caught up.
    #[must_use]
    pub fn stalled_by(&self, now: Time, changes: &[Change]) -> Option<PeerId> {
        let Role::Leader(leader) = &self.role else { return None };
        let ctx = self.ctx();
        self.takes_change().ok()?;
        let after = ctx.membership.enter_joint(changes).ok()?.leave_joint();
        let takes = |slot: usize| leader.reaches(&ctx, now, after.at(slot).id);
        if quorum::is_met(&after, takes) {
            return None;
        }
        let silent = |&slot: &usize| after.is_voter(after.at(slot).id) && !takes(slot);
        (0..after.len()).find(silent).map(|slot| after.at(slot).id)
    }
}
