//! What goes wrong in a whole cluster, as often as the plan says.

use storage::{Crash, Faults, SyncFault};
use types::Time;

use super::tally::Kind;
use super::world::{Happening, World};
use crate::plan::MS;

const EVERY: u64 = 20 * MS;

impl World<'_> {
    pub(crate) fn fault(&mut self) {
        if self.healed {
            return;
        }
        self.after(EVERY, Happening::Fault);
        let at = usize::try_from(self.rng.below(self.hosts.len() as u64)).expect("few");
        if self.strikes(self.plan.crashes) {
            self.crash(at);
        }
        if self.strikes(self.plan.cuts) {
            self.cut_links(at);
        }
        if self.rng.chance(15) {
            self.cut.iter_mut().for_each(|row| row.fill(false));
        }
        if self.strikes(self.plan.stalls) {
            self.tally.add(Kind::Stall, 1);
            let wait = self.rng.between((50 * MS, 4_000 * MS));
            self.hosts[at].node.stalled_until = Time(self.agenda.now().0 + wait);
        }
        if self.strikes(self.plan.pauses) {
            self.tally.add(Kind::Pause, 1);
            let wait = self.rng.between((50 * MS, 3_000 * MS));
            self.hosts[at].node.paused_until = Time(self.agenda.now().0 + wait);
        }
        if self.strikes(self.plan.sync_faults) {
            let kind = if self.rng.chance(500) { SyncFault::Lost } else { SyncFault::Unknown };
            let faults = Faults { sync: Some(kind), ..Faults::default() };
            self.hosts[at].node.disk.set_faults(faults);
        } else if self.rng.chance(30) {
            self.hosts[at].node.disk.set_faults(Faults::default());
        }
    }

    /// Whether something of this mean distance happens in this throw.
    fn strikes(&mut self, mean: u64) -> bool {
        mean > 0 && self.rng.below(mean) < EVERY
    }

    fn crash(&mut self, at: usize) {
        if self.hosts[at].node.up.is_none() {
            return;
        }
        self.stop(at);
        if self.rng.chance(500) {
            // The process alone: what it gave to the system stays.
            self.tally.add(Kind::Kill, 1);
            let all = self.hosts[at].node.disk.unsynced();
            self.hosts[at].node.disk.crash(Crash::Keep(all));
        } else {
            self.tally.add(Kind::PowerLoss, 1);
            self.lose_power(at);
        }
        self.say(|world| format!("{} crashes", world.hosts[at].node.id));
        let wait = self.rng.between((MS, 2_500 * MS));
        self.after(wait, Happening::Start { at });
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
        let unsynced = node.disk.unsynced() as u64;
        let keep = usize::try_from(self.rng.below(unsynced + 1)).expect("few");
        let torn = self.rng.chance(500);
        let lost = node.disk.crash(if torn { Crash::KeepAndTear(keep) } else { Crash::Keep(keep) });
        node.disk.set_faults(Faults::default());
        (node.stalled_until, node.paused_until) = (Time::ZERO, Time::ZERO);
        self.tally.add(Kind::LostWrite, lost as u64);
    }

    fn cut_links(&mut self, at: usize) {
        self.tally.add(Kind::Cut, 1);
        let kind = self.rng.below(3);
        for other in 0..self.hosts.len() {
            match kind {
                // Alone.
                0 => {
                    self.cut[at][other] = true;
                    self.cut[other][at] = true;
                }
                // Not heard, but hears.
                1 => self.cut[at][other] = true,
                _ => self.cut[at][other] = self.rng.chance(500),
            }
        }
        self.cut[at][at] = false;
        if kind == 0 && self.rng.chance(300) {
            // And it does not notice.
            self.tally.add(Kind::Pause, 1);
            let wait = self.rng.between((1_000 * MS, 4_000 * MS));
            self.hosts[at].node.paused_until = Time(self.agenda.now().0 + wait);
        }
    }
}
