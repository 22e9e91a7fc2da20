//! The second phase: everything heals, and the stores must come to rest.

use raft::RoleStatus;
use storage::Faults;
use types::{GroupId, Time};

use crate::check::Violation;
use crate::machine::{commands, pairs};
use crate::plan::MS;
use crate::report::Count;
use crate::world::World;

/// How long coming to rest may take, in virtual time.
const PATIENCE: u64 = 60_000 * MS;
/// How long silence is listened to.
const SILENCE: u64 = 3_000 * MS;

impl World<'_> {
    pub(crate) fn liveness(&mut self) -> Result<(), Violation> {
        self.healed = true;
        self.plan.heal();
        self.old.clear();
        self.cut.iter_mut().for_each(|row| row.fill(false));
        for at in 0..self.nodes.len() {
            self.nodes[at].disk.set_faults(Faults::default());
            self.nodes[at].stalled_until = Time::ZERO;
            self.nodes[at].paused_until = Time::ZERO;
            if let Some(up) = &mut self.nodes[at].up {
                up.odd.calm();
            }
            self.start(at);
        }
        self.hear_of_children();
        let groups: Vec<GroupId> = self.callers.groups.keys().copied().collect();
        let end = Time(self.agenda.now().0 + PATIENCE);
        self.wait(end, "groups have leaders and answer", |world| {
            groups.iter().find_map(|&group| world.unled(group))
        })?;
        for &group in &groups {
            let at = self.leader(group).expect("every group has a leader now");
            self.propose(at, group);
        }
        let retired = self.callers.retired.clone();
        // First, since what is left of them may be in the way of what they brought into being; and
        // again, since a parent that lagged may just have brought them into being.
        self.wait(end, "ended groups are gone", |world| world.remains(&retired))?;
        self.wait(end, "replicas are the same and the removed are gone", |world| {
            groups.iter().find_map(|&group| world.unequal(group))
        })?;
        self.wait(end, "ended groups are gone", |world| world.remains(&retired))?;
        self.wait(end, "every request ends", |world| {
            let waiting = world.checks.lock().answers.waiting();
            (!waiting.is_empty()).then(|| format!("these wait: {waiting:?}"))
        })?;
        self.wait(end, "idle groups fall silent", |world| {
            let said = std::mem::take(&mut world.envelopes);
            (said > 0).then(|| format!("{said} messages in the last moments: {}", world.awake()))
        })?;
        let asleep = groups.iter().filter(|&&group| self.is_asleep(group)).count();
        self.report.add(Count::Asleep, asleep as u64);
        for &group in &groups {
            for at in self.members(group) {
                let engine = &self.nodes[at].up.as_ref().expect("all run").engine;
                let state = commands(&**engine, group);
                self.checks.lock().states.replica(group, &state)?;
            }
        }
        self.lose_one_store(&groups)
    }

    /// Runs until nothing is wrong any more.
    pub(crate) fn wait(
        &mut self,
        end: Time,
        what: &'static str,
        wrong: impl Fn(&mut World<'_>) -> Option<String>,
    ) -> Result<(), Violation> {
        loop {
            let until = Time(self.agenda.now().0 + SILENCE);
            self.run_until(until)?;
            match wrong(self) {
                None => return Ok(()),
                Some(why) if self.agenda.now() >= end => {
                    return Err(Violation { check: what, what: why });
                }
                Some(_) => {}
            }
        }
    }

    pub(crate) fn unled(&self, group: GroupId) -> Option<String> {
        let Some(at) = self.leader(group) else {
            return Some(format!("{group} has no leader: {}", self.describe(group)));
        };
        let core = self.nodes[at].up.as_ref()?.shard.core(group)?;
        let status = core.status();
        (status.log.last().term != status.term || status.membership.1.is_joint())
            .then(|| format!("{group} is not settled: {}", self.describe(group)))
    }

    /// Stores on which a peer of the group is a member, as its leader sees it.
    fn members(&self, group: GroupId) -> Vec<usize> {
        let Some(leader) = self.leader(group) else { return Vec::new() };
        let up = self.nodes[leader].up.as_ref().expect("a leader runs");
        let core = up.shard.core(group).expect("a leader is there");
        let membership = core.status().membership.1;
        let is_member = |at: &usize| {
            let core = self.nodes[*at].up.as_ref().and_then(|up| up.shard.core(group));
            core.is_some_and(|core| membership.get(core.status().id).is_some())
        };
        (0..self.nodes.len()).filter(is_member).collect()
    }

    fn unequal(&self, group: GroupId) -> Option<String> {
        let members = self.members(group);
        let leader = self.leader(group)?;
        let core = self.nodes[leader].up.as_ref()?.shard.core(group)?;
        if members.len() != core.status().membership.1.len() {
            return Some(format!("{group} lacks replicas: {}", self.describe(group)));
        }
        let state = |at: &usize| {
            let engine = &self.nodes[*at].up.as_ref().expect("all run").engine;
            pairs(&**engine, group)
        };
        let first = state(members.first()?);
        if members.iter().any(|at| state(at) != first) {
            return Some(format!("{group} differs: {}", self.describe(group)));
        }
        let strays = (0..self.nodes.len()).filter(|at| !members.contains(at)).filter(|&at| {
            let up = self.nodes[at].up.as_ref().expect("all run");
            // An empty peer may have met nobody but one that leads no more: it has a name, and no
            // more.
            let core = up.shard.core(group);
            let has_state = core.is_some_and(|core| core.status().log.last().index.0 > 0);
            has_state || core.is_none() && !pairs(&*up.engine, group).is_empty()
        });
        let strays: Vec<String> = strays.map(|at| self.nodes[at].id.to_string()).collect();
        (!strays.is_empty())
            .then(|| format!("{group} has strays on {strays:?}: {}", self.describe(group)))
    }

    fn is_asleep(&self, group: GroupId) -> bool {
        self.leader(group).is_some_and(|at| {
            let core = self.nodes[at].up.as_ref().and_then(|up| up.shard.core(group));
            core.is_some_and(|core| core.status().is_asleep)
        })
    }

    fn awake(&self) -> String {
        let groups = self.callers.groups.keys().filter(|&&group| !self.is_asleep(group));
        groups.map(|&group| self.describe(group)).collect::<Vec<_>>().join("; ")
    }

    fn describe(&self, group: GroupId) -> String {
        let mut text = String::new();
        for node in &self.nodes {
            let Some(core) = node.up.as_ref().and_then(|up| up.shard.core(group)) else { continue };
            let status = core.status();
            let role = match status.role {
                RoleStatus::Leader => "leads",
                RoleStatus::Candidate | RoleStatus::PreCandidate => "campaigns",
                RoleStatus::Follower => "follows",
            };
            text += &format!(
                "\n  {} {} {role} {:?} term {} log {}..{} commit {} {}",
                node.id,
                status.id,
                status.leader,
                status.term,
                status.log.base(),
                status.log.last(),
                status.commit,
                status.membership.1,
            );
            for peer in status.peers() {
                let progress = peer.progress;
                text += &format!(
                    " {}:{:?} matched {} supported {}",
                    peer.id, progress.mode, progress.matched, progress.supported
                );
            }
        }
        text
    }
}
