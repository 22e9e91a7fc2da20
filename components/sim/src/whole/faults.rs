//! What goes wrong in a whole cluster, as often as the plan says.

use multiraft::shard::Event;
use storage::{Crash, Faults, SyncFault};
use types::{GroupId, Time};

use super::glue::Asked;
use super::tally::Kind;
use super::world::{Happening, World};
use crate::dice::Stream;
use crate::odd::Site;
use crate::plan::MS;

const EVERY: u64 = 20 * MS;

impl World<'_> {
    pub(crate) fn fault(&mut self) {
        if self.healed {
            return;
        }
        self.after(EVERY, Happening::Fault);
        if let Some(at) = self.strikes(Stream::Crashes, self.plan.crashes) {
            self.crash(at);
        }
        if let Some(at) = self.strikes(Stream::Cuts, self.plan.cuts) {
            self.cut_links(at);
        }
        if self.dice.of(Stream::Healing).chance(15) {
            self.heal_links();
        }
        if let Some(at) = self.strikes(Stream::Stalls, self.plan.stalls) {
            self.tally.add(Kind::Stall, 1);
            let wait = self.dice.of(Stream::Stalls).between((50 * MS, 4_000 * MS));
            self.hosts[at].node.stalled_until = Time(self.agenda.now().0 + wait);
        }
        if let Some(at) = self.strikes(Stream::Pauses, self.plan.pauses) {
            self.tally.add(Kind::Pause, 1);
            let wait = self.dice.of(Stream::Pauses).between((50 * MS, 3_000 * MS));
            self.hosts[at].node.paused_until = Time(self.agenda.now().0 + wait);
        }
        if self.strikes(Stream::Times, self.plan.resets).is_some() {
            self.change_times();
        }
        self.move_oddly();
        if self.dice.of(Stream::Healing).chance(30) {
            let at = self.dice.nth(Stream::Healing, self.hosts.len());
            self.hosts[at].node.disk.set_faults(Faults::default());
        }
        if let Some(at) = self.strikes(Stream::SyncFaults, self.plan.sync_faults) {
            let is_lost = self.dice.of(Stream::SyncFaults).chance(500);
            let kind = if is_lost { SyncFault::Lost } else { SyncFault::Unknown };
            let faults = Faults { sync: Some(kind), ..Faults::default() };
            self.hosts[at].node.disk.set_faults(faults);
        }
    }

    /// A store is made to do what it may always do.
    fn move_oddly(&mut self) {
        let dice = self.dice.of(Stream::OddMoves);
        let campaigns = dice.chance(self.plan.odd.chance(Site::Campaigns));
        let stands_down = dice.chance(self.plan.odd.chance(Site::StandsDown));
        let at = self.dice.nth(Stream::OddMoves, self.hosts.len());
        let Some(up) = &mut self.hosts[at].node.up else { return };
        if campaigns {
            let groups: Vec<GroupId> = up.shard.groups().collect();
            let Some(group) = self.dice.of(Stream::OddMoves).pick(&groups) else { return };
            up.odd.reach(Site::Campaigns, 1);
            self.ask(at, Asked::Nothing, |token| Event::Campaign { group, token });
        }
        if stands_down {
            self.with(at, None, |node, clock, _| {
                node.odd.reach(Site::StandsDown, 1);
                node.shard.stand_down(clock);
                Ok(())
            });
        }
    }

    /// The store that is struck, if something of this mean distance happens in this throw.
    fn strikes(&mut self, stream: Stream, mean: u64) -> Option<usize> {
        if mean == 0 || self.dice.of(stream).below(mean) >= EVERY {
            return None;
        }
        Some(self.dice.nth(stream, self.hosts.len()))
    }

    fn crash(&mut self, at: usize) {
        let is_kill = self.dice.of(Stream::Crashes).chance(500);
        if self.hosts[at].node.up.is_none() {
            return;
        }
        if is_kill {
            self.kill(at);
        } else {
            self.stop(at);
            self.tally.add(Kind::PowerLoss, 1);
            self.lose_power(at);
        }
        self.say(|world| format!("{} crashes", world.hosts[at].node.id));
        let wait = self.dice.of(Stream::Starts(at)).between((MS, 2_500 * MS));
        self.after(wait, Happening::Start { at });
    }

    /// The process of a store ends, and that alone: what it gave to the system stays. Returns
    /// whether there was one.
    pub(crate) fn kill(&mut self, at: usize) -> bool {
        if self.hosts[at].node.up.is_none() {
            return false;
        }
        self.stop(at);
        self.tally.add(Kind::Kill, 1);
        let all = self.hosts[at].node.disk.unsynced();
        self.hosts[at].node.disk.crash(Crash::Keep(all));
        // Its system closes what it had open.
        (0..self.hosts.len()).for_each(|other| self.break_connection(other, at));
        true
    }

    /// A store whose disk failed beside its groups stops.
    pub(crate) fn crash_of_disk(&mut self, at: usize) {
        self.tally.add(Kind::Death, 1);
        self.stop(at);
        self.lose_power(at);
        self.after(100 * MS, Happening::Start { at });
    }

    /// A part of what was not synced is lost, perhaps in the middle of a write.
    pub(crate) fn lose_power(&mut self, at: usize) {
        let node = &mut self.hosts[at].node;
        let dice = self.dice.of(Stream::PowerLoss(at));
        let unsynced = node.disk.unsynced() as u64;
        let keep = usize::try_from(dice.below(unsynced + 1)).expect("few");
        let torn = dice.chance(500);
        let lost = node.disk.crash(if torn { Crash::KeepAndTear(keep) } else { Crash::Keep(keep) });
        node.disk.set_faults(Faults::default());
        (node.stalled_until, node.paused_until) = (Time::ZERO, Time::ZERO);
        self.tally.add(Kind::LostWrite, lost as u64);
    }

    /// Some are heard again before their groups are.
    fn heal_links(&mut self) {
        let is_hushed = self.dice.of(Stream::Hushes).chance(400);
        let heal = |link: &mut Link| {
            *link = if is_hushed && *link == Link::Cut { Link::Hushed } else { Link::Open };
        };
        self.links.iter_mut().flatten().for_each(heal);
    }

    /// A store finds, a little later, that it has no connection to another any more.
    fn break_connection(&mut self, at: usize, other: usize) {
        let Some(store) = self.hosts[other].store.filter(|_| at != other) else { return };
        let wait = self.dice.of(Stream::Connections).between((MS, 300 * MS));
        self.after(wait, Happening::Lost { at, store });
    }

    /// Some stores that are cut off are still heard, by all but one other: their groups are not.
    fn hush(&mut self, at: usize) {
        if !self.dice.of(Stream::Hushes).chance(400) {
            return;
        }
        self.tally.add(Kind::Hush, 1);
        let deaf = self.dice.nth(Stream::Hushes, self.hosts.len());
        for other in (0..self.hosts.len()).filter(|&other| other != deaf) {
            for (from, to) in [(at, other), (other, at)] {
                if self.links[from][to] == Link::Cut {
                    self.links[from][to] = Link::Hushed;
                }
            }
        }
    }

    fn cut_links(&mut self, at: usize) {
        self.tally.add(Kind::Cut, 1);
        let kind = self.dice.of(Stream::Cuts).below(3);
        for other in 0..self.hosts.len() {
            match kind {
                // Alone.
                0 => {
                    self.links[at][other] = Link::Cut;
                    self.links[other][at] = Link::Cut;
                }
                // Not heard, but hears.
                1 => self.links[at][other] = Link::Cut,
                _ if self.dice.of(Stream::Cuts).chance(500) => self.links[at][other] = Link::Cut,
                _ => self.links[at][other] = Link::Open,
            }
        }
        self.links[at][at] = Link::Open;
        self.hush(at);
        if self.dice.of(Stream::Connections).chance(500) {
            for other in 0..self.hosts.len() {
                if self.links[at][other] == Link::Cut || self.links[other][at] == Link::Cut {
                    self.break_connection(other, at);
                    self.break_connection(at, other);
                }
            }
        }
        if kind == 0 && self.dice.of(Stream::Cuts).chance(300) {
            // And it does not notice.
            self.tally.add(Kind::Pause, 1);
            let wait = self.dice.of(Stream::Cuts).between((1_000 * MS, 4_000 * MS));
            self.hosts[at].node.paused_until = Time(self.agenda.now().0 + wait);
        }
    }
}

/// What passes from one host to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Open,
    /// All but messages of groups: they were too many, and what Raft may lose was dropped.
    Hushed,
    Cut,
}
