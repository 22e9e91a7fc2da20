//! Groups that end: callers take them off every store, one replica after the other, and nothing
//! brings them back.

use multiraft::shard::Event;
use types::{GroupId, PeerId};

use crate::check::{Violation, What};
use crate::dice::Stream;
use crate::machine::pairs;
use crate::report::Count;
use crate::world::World;

impl World<'_> {
    /// A group is to end, perhaps.
    pub(crate) fn retire_some(&mut self) {
        let groups: Vec<GroupId> = self.callers.groups.keys().copied().collect();
        if groups.len() > 2 && self.dice.of(Stream::Ends).chance(self.plan.retires) {
            let Some(group) = self.dice.of(Stream::Ends).pick(&groups) else { return };
            if !self.may_retire(group) {
                return;
            }
            self.callers.groups.remove(&group);
            self.callers.retired.push(group);
            self.report.add(Count::Retire, 1);
            self.say(|_| format!("{group} is to end"));
        }
        let retired = self.callers.retired.clone();
        let Some(group) = self.dice.of(Stream::Ends).pick(&retired) else { return };
        if !self.dice.of(Stream::Ends).chance(100) {
            return;
        }
        let at = self.dice.nth(Stream::Ends, self.nodes.len());
        self.destroy(at, group);
    }

    fn destroy(&mut self, at: usize, group: GroupId) {
        self.ask(at, group, What::Other, |token| Event::Destroy { group, token });
    }

    /// Ended groups are taken off the stores that still have them. Says which have.
    pub(crate) fn remains(&mut self, retired: &[GroupId]) -> Option<String> {
        let mut found = None;
        for &group in retired {
            for at in 0..self.nodes.len() {
                let Some(up) = &self.nodes[at].up else { continue };
                let is_here = up.shard.groups().any(|here| here == group);
                if is_here || !pairs(&*up.engine, group).is_empty() {
                    found = Some(format!("{group} is still on {}", self.nodes[at].id));
                    self.destroy(at, group);
                }
            }
        }
        found
    }

    /// One store goes for good. Groups that have a majority elsewhere go on.
    pub(crate) fn lose_one_store(&mut self, groups: &[GroupId]) -> Result<(), Violation> {
        let at = self.dice.nth(Stream::Crashes, self.nodes.len());
        let affected: Vec<GroupId> =
            groups.iter().copied().filter(|&group| self.survives(group, at)).collect();
        self.say(|world| format!("{} goes for good", world.nodes[at].id));
        self.stop(at);
        let end = types::Time(self.agenda.now().0 + 30_000 * crate::plan::MS);
        self.wait(end, "groups go on without a store", |world| {
            affected.iter().find_map(|&group| world.unled(group))
        })
    }

    /// Whether most voters of a group live elsewhere.
    fn survives(&self, group: GroupId, lost: usize) -> bool {
        let core = |at: usize| self.nodes[at].up.as_ref().and_then(|up| up.shard.core(group));
        let Some(leader) = self.leader(group).and_then(core) else { return false };
        let membership = leader.status().membership.1;
        let voters: Vec<PeerId> =
            membership.iter().map(|m| m.id).filter(|&id| membership.is_voter(id)).collect();
        let elsewhere = (0..self.nodes.len())
            .filter(|&at| at != lost)
            .filter(|&at| core(at).is_some_and(|core| voters.contains(&core.status().id)));
        elsewhere.count() * 2 > voters.len()
    }
}
