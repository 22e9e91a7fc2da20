//! What is asked of the group: commands, reads, membership changes, transfers, compaction.

use raft::{Change, Input, ReadToken, RoleStatus, Seat};
use types::PeerId;

use super::{Count, Happening, World};
use crate::check::Violation;

impl World<'_> {
    pub(super) fn client(&mut self) -> Result<(), Violation> {
        if self.healed {
            return Ok(());
        }
        let wait = self.rng.between(self.plan.client_every_ns);
        self.after(wait, Happening::Client);
        let at = if self.rng.chance(850) {
            self.some_leader().unwrap_or_else(|| self.any_host())
        } else {
            self.any_host()
        };
        match self.rng.below(20) {
            0..=10 => self.propose(at),
            11..=14 => self.read(at),
            15 | 16 if self.plan.changes => self.change(at),
            17 if self.plan.transfers => {
                let to = self.any_host();
                let to = self.nodes[to].id;
                self.count(Count::Transfer);
                self.act(at, "transfer", |node, now, turn| {
                    node.step(now, Input::Transfer(to), turn)
                })
            }
            _ if self.plan.compacts => {
                self.count(Count::Compaction);
                self.act(at, "compact", |node, now, turn| {
                    node.flush_app();
                    node.compact(now, turn);
                    Ok(())
                })
            }
            _ => Ok(()),
        }
    }

    /// A host that takes itself for the leader; there may be several.
    pub(super) fn some_leader(&mut self) -> Option<usize> {
        let leaders: Vec<usize> = (0..self.nodes.len())
            .filter(|&at| {
                let peer = self.nodes[at].peer.as_ref();
                peer.is_some_and(|peer| peer.status().role == RoleStatus::Leader)
            })
            .collect();
        self.rng.pick(&leaders)
    }

    pub(super) fn propose(&mut self, at: usize) -> Result<(), Violation> {
        let count = self.rng.between((1, 4));
        let commands: Vec<String> = (0..count)
            .map(|_| {
                let size = if self.rng.chance(50) { 300 } else { self.rng.between((1, 30)) };
                let size = usize::try_from(size).expect("small");
                format!("{:0>size$x}", self.rng.bits() >> 32)
            })
            .collect();
        let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
        self.act(at, "propose", |node, now, turn| node.propose(now, &commands, turn).map(drop))
    }

    fn read(&mut self, at: usize) -> Result<(), Violation> {
        let token = ReadToken(self.rng.bits());
        self.checks.on_read(token);
        self.act(at, "read", |node, now, turn| node.step(now, Input::Read(token), turn))
    }

    fn change(&mut self, at: usize) -> Result<(), Violation> {
        let mut changes: Vec<Change> = Vec::new();
        let hosts: Vec<PeerId> = self.nodes.iter().map(|node| node.id).collect();
        for _ in 0..self.rng.between((1, 3)) {
            let Some(id) = self.rng.pick(&hosts) else { continue };
            if changes.iter().all(|change| change.peer() != id) {
                changes.push(match self.rng.below(4) {
                    0 => Change::Remove(id),
                    1 => Change::Set(id, Seat::Learner),
                    _ => Change::Set(id, Seat::Voter),
                });
            }
        }
        self.count(Count::Change);
        self.act(at, "change", |node, now, turn| node.step(now, Input::Change(&changes), turn))
    }
}
