//! What goes wrong, as often as the plan says.

use multiraft::shard::Event;
use multiraft::{Body, Envelope, Parcel};
use storage::{Crash, Faults, SyncFault};
use types::{GroupId, Time};

use crate::check::What;
use crate::dice::Stream;
use crate::odd::Site;
use crate::plan::MS;
use crate::report::Count;
use crate::world::{Happening, World};

/// How often the dice are thrown.
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
            self.cut.iter_mut().for_each(|row| row.fill(false));
        }
        if let Some(at) = self.strikes(Stream::Stalls, self.plan.stalls) {
            self.report.add(Count::Stall, 1);
            let wait = self.dice.of(Stream::Stalls).between((50 * MS, 4_000 * MS));
            self.nodes[at].stalled_until = Time(self.agenda.now().0 + wait);
        }
        if let Some(at) = self.strikes(Stream::Pauses, self.plan.pauses) {
            self.report.add(Count::Pause, 1);
            let wait = self.dice.of(Stream::Pauses).between((50 * MS, 3_000 * MS));
            self.nodes[at].paused_until = Time(self.agenda.now().0 + wait);
        }
        self.spoil_disks();
        self.move_oddly();
        if let Some(at) = self.falls_on(Stream::Nonsense, self.plan.nonsense) {
            self.send_nonsense(at);
        }
        if let Some(at) = self.falls_on(Stream::Breaks, self.plan.breaks) {
            self.break_connection(at);
        }
        if self.dice.of(Stream::Replays).chance(self.plan.replays) && !self.old.is_empty() {
            let any = self.dice.nth(Stream::Replays, self.old.len());
            let nth = self.old.iter().position(|old| self.is_to_the_dead(old)).unwrap_or(any);
            let (from, to, parcel) = self.old.swap_remove(nth);
            self.report.add(Count::Replay, 1);
            self.after(0, Happening::Deliver { from, to, parcel });
        }
    }

    /// A store is made to do what it may always do.
    fn move_oddly(&mut self) {
        if let Some(at) = self.falls_on(Stream::OddMoves, self.plan.odd.chance(Site::Campaigns))
            && let Some(up) = &mut self.nodes[at].up
        {
            let groups: Vec<GroupId> = up.shard.groups().collect();
            let Some(group) = self.dice.of(Stream::OddMoves).pick(&groups) else { return };
            up.odd.reach(Site::Campaigns, 1);
            self.ask(at, group, What::Other, |token| Event::Campaign { group, token });
        }
        if let Some(at) = self.falls_on(Stream::OddMoves, self.plan.odd.chance(Site::StandsDown)) {
            self.with(at, None, |node, clock, _| {
                node.odd.reach(Site::StandsDown, 1);
                node.shard.stand_down(clock);
                Ok(())
            });
        }
    }

    /// Syncs begin to fail, disks fill up, and both become well again.
    fn spoil_disks(&mut self) {
        if let Some(at) = self.strikes(Stream::SyncFaults, self.plan.sync_faults) {
            let is_lost = self.dice.of(Stream::SyncFaults).chance(500);
            let kind = if is_lost { SyncFault::Lost } else { SyncFault::Unknown };
            self.nodes[at].disk.set_faults(Faults { sync: Some(kind), ..Faults::default() });
        }
        if let Some(at) = self.falls_on(Stream::Healing, 30) {
            self.nodes[at].disk.set_faults(Faults::default());
        }
        if let Some(at) = self.strikes(Stream::FullDisks, self.plan.full) {
            self.report.add(Count::Full, 1);
            let room = self.dice.of(Stream::FullDisks).below(4_000);
            let faults = Faults { room_bytes: Some(room), ..Faults::default() };
            self.nodes[at].disk.set_faults(faults);
        }
    }

    /// The store that is struck, if something of this mean distance happens in this throw.
    fn strikes(&mut self, stream: Stream, mean: u64) -> Option<usize> {
        if mean == 0 || self.dice.of(stream).below(mean) >= EVERY {
            return None;
        }
        Some(self.dice.nth(stream, self.nodes.len()))
    }

    /// The store that is struck, if something of this chance happens in this throw.
    fn falls_on(&mut self, stream: Stream, per_mille: u64) -> Option<usize> {
        let does = self.dice.of(stream).chance(per_mille);
        does.then(|| self.dice.nth(stream, self.nodes.len()))
    }

    /// A connection from one store to another breaks, though both are well.
    fn break_connection(&mut self, at: usize) {
        let other = self.dice.nth(Stream::Breaks, self.nodes.len());
        if other != at {
            let to = self.nodes[other].id;
            self.after(0, Happening::Lost { at, to });
        }
    }

    /// A message that says of itself that it is from its receiver.
    fn send_nonsense(&mut self, to: usize) {
        let Some(up) = &self.nodes[to].up else { return };
        let groups: Vec<GroupId> = up.shard.groups().collect();
        let Some(group) = self.dice.of(Stream::Nonsense).pick(&groups) else { return };
        let Some(core) = up.shard.core(group) else { return };
        let (peer, term) = (core.status().id, core.status().term);
        let body = raft::Body::VoteReply { granted: true };
        let body = Body::Raft(raft::Message { term, body }, Vec::new());
        let parcel = Parcel::Groups(vec![Envelope { group, from: peer, to: peer, body }]);
        let from = self.nodes[(to + 1) % self.nodes.len()].id;
        self.after(0, Happening::Deliver { from, to, parcel });
    }

    /// Whether a parcel has a message for a peer that was destroyed.
    fn is_to_the_dead(&self, (_, to, parcel): &(types::StoreId, usize, Parcel)) -> bool {
        let Parcel::Groups(envelopes) = parcel else { return false };
        let checks = self.checks.lock();
        let store = self.nodes[*to].id;
        envelopes.iter().any(|to| checks.graves.is_buried(store, to.group, to.to))
    }

    fn crash(&mut self, at: usize) {
        let is_kill = self.dice.of(Stream::Crashes).chance(500);
        if self.nodes[at].up.is_none() {
            return;
        }
        self.stop(at);
        if is_kill {
            // The process alone: what it gave to the system stays.
            self.report.add(Count::Kill, 1);
            let all = self.nodes[at].disk.unsynced();
            self.nodes[at].disk.crash(Crash::Keep(all));
            // Its system says so to everyone; a machine without power says nothing.
            let to = self.nodes[at].id;
            for other in (0..self.nodes.len()).filter(|&other| other != at) {
                if !self.cut[at][other] {
                    self.after(self.plan.delay.0, Happening::Lost { at: other, to });
                }
            }
        } else {
            self.report.add(Count::PowerLoss, 1);
            self.lose_power(at);
        }
        self.say(|world| format!("{} crashes", world.nodes[at].id));
        let wait = self.dice.of(Stream::Starts(at)).between((MS, 2_500 * MS));
        self.after(wait, Happening::Start { at });
    }

    /// A part of what was not synced is lost, perhaps in the middle of a write.
    pub(crate) fn lose_power(&mut self, at: usize) {
        let unsynced = self.nodes[at].disk.unsynced();
        let keep = self.dice.nth(Stream::PowerLoss(at), unsynced + 1);
        let torn = self.dice.of(Stream::PowerLoss(at)).chance(500);
        let crash = if torn { Crash::KeepAndTear(keep) } else { Crash::Keep(keep) };
        let disk = &self.nodes[at].disk;
        let lost = disk.crash(crash);
        disk.set_faults(Faults::default());
        self.report.add(Count::LostWrite, lost as u64);
        self.nodes[at].stalled_until = Time::ZERO;
        self.nodes[at].paused_until = Time::ZERO;
    }

    fn cut_links(&mut self, at: usize) {
        self.report.add(Count::Cut, 1);
        let kind = self.dice.of(Stream::Cuts).below(3);
        for other in 0..self.nodes.len() {
            match kind {
                // Alone.
                0 => {
                    self.cut[at][other] = true;
                    self.cut[other][at] = true;
                }
                // Not heard, but hears.
                1 => self.cut[at][other] = true,
                _ => self.cut[at][other] = self.dice.of(Stream::Cuts).chance(500),
            }
        }
    }
}
