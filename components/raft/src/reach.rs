//! Whether a group could go on after a change of membership, as far as its leader can tell.
//!
//! The core takes any change that makes sense, since it alone cannot know what is wanted: a group
//! that has lost a voter for good may have to wait for one that comes back. Hosts ask first.

use types::{PeerId, Time};

use crate::leader::{Ctx, Leader};
use crate::membership::Change;
use crate::peer::{Peer, Role};
use crate::progress::Mode;
use crate::quorum;

impl Leader {
    /// Whether `peer` takes entries: it agrees with our log, and was heard within an election
    /// timeout or is vouched for. Of ourselves that is so.
    fn reaches(&self, ctx: &Ctx<'_>, now: Time, peer: PeerId) -> bool {
        let Some(slot) = ctx.membership.slot(peer) else { return false };
        let progress = &self.progress[slot];
        let heard = || now < Time(progress.acked.0).after(ctx.config.election_timeout);
        peer == ctx.id || progress.mode == Mode::Replicate && (progress.supported || heard())
    }
}

impl Peer {
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
