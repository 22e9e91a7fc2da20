//! Everything heals, and the group must come to rest and go on.

use raft::{Mode, RoleStatus};
use types::Time;

use super::{World, standing};
use crate::check::Violation;

/// How long coming to rest may take, in virtual time: some forty election timeouts.
const PATIENCE_NS: u64 = 12_000_000_000;

impl World<'_> {
    /// # Errors
    /// If some property does not hold on the way, or the group does not come to rest.
    pub(super) fn liveness(&mut self) -> Result<(), Violation> {
        self.healed = true;
        self.say(|_| "everything heals".to_owned());
        self.heal_links();
        for at in 0..self.nodes.len() {
            self.stalled_until[at] = self.now;
            self.paused_until[at] = self.now;
            self.start(at)?;
        }
        self.rest("comes to rest")?;
        let leader = self.resting_leader().expect("just seen");
        let before = self.checks.committed();
        self.act(leader, "propose", |node, now, turn| {
            node.propose(now, &["the last command"], turn).map(drop)
        })?;
        self.rest("commits one more command")?;
        if self.checks.committed() <= before {
            let what = "the last command was not committed".to_owned();
            return Err(Violation { property: "liveness", what });
        }
        Ok(())
    }

    fn rest(&mut self, what: &str) -> Result<(), Violation> {
        let until = Time(self.now.0 + PATIENCE_NS);
        while self.resting_leader().is_none() {
            if self.now > until {
                let states: Vec<String> = (0..self.nodes.len()).map(|at| self.state(at)).collect();
                let what = format!("the group never {what}:\n{}", states.join("\n"));
                return Err(Violation { property: "liveness", what });
            }
            self.happen()?;
        }
        Ok(())
    }

    /// The leader of a group at rest: no change under way, and every member has the same log, all
    /// of it committed and applied, and is sent to without probing.
    fn resting_leader(&self) -> Option<usize> {
        (0..self.nodes.len()).find(|&at| self.is_resting_leader(at))
    }

    fn is_resting_leader(&self, at: usize) -> bool {
        let Some(peer) = &self.nodes[at].peer else { return false };
        let status = peer.status();
        let (last, membership) = (status.log.last(), status.membership.1);
        let follows = |id| {
            self.nodes.iter().any(|node| {
                let Some(other) = node.peer.as_ref().map(raft::Peer::status) else { return false };
                node.id == id
                    && other.term == status.term
                    && other.leader == Some(status.id)
                    && other.log.last() == last
                    && node.app.applied == last
                    && other.membership.1 == membership
            })
        };
        status.role == RoleStatus::Leader
            && !membership.is_joint()
            && status.transferee.is_none()
            && membership.iter().all(|member| follows(member.id))
            && status.peers().all(|peer| peer.progress.mode == Mode::Replicate)
    }

    fn state(&self, at: usize) -> String {
        let node = &self.nodes[at];
        let Some(peer) = &node.peer else { return format!("  {} is down", node.id) };
        let status = peer.status();
        let peers: Vec<String> = (status.peers())
            .map(|peer| {
                let progress = peer.progress;
                format!(" {} {:?} next {}", peer.id, progress.mode, progress.next)
            })
            .collect();
        format!("  {} {}{}", node.id, standing(&status), peers.concat())
    }
}
