//! What goes wrong: hosts, links, disks, clocks; and what hosts do out of turn.

use raft::Input;
use types::Time;

use super::{Count, Happening, World};
use crate::check::Violation;

const MS: u64 = 1_000_000;

impl World<'_> {
    pub(super) fn fault(&mut self) -> Result<(), Violation> {
        if self.healed {
            return Ok(());
        }
        let wait = self.rng.between(self.plan.fault_every_ns);
        self.after(wait, Happening::Fault);
        let at = self.any_host();
        match self.rng.below(10) {
            0 | 1 if self.plan.crashes => self.crash(at),
            2 => return self.start(at),
            3 if self.plan.cuts => self.cut(at),
            4 | 5 if self.plan.cuts => self.heal_links(),
            6 if self.plan.stalls => {
                self.count(Count::Stall);
                let span = self.rng.between((50 * MS, 1_500 * MS));
                self.stalled_until[at] = Time(self.now.0 + span);
            }
            7 if self.plan.pauses => {
                let span = self.rng.between((50 * MS, 900 * MS));
                self.paused_until[at] = Time(self.now.0 + span);
            }
            8 if self.plan.clock_jumps => {
                let by = self.rng.between((0, 2_000 * MS)).cast_signed();
                let by = if self.rng.chance(300) { -by / 4 } else { by };
                self.clocks[at].jump(self.now, by);
                self.say(|world| format!("{} clock jumps by {by} ns", world.nodes[at].id));
            }
            _ if self.plan.meddles => return self.meddle(at),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn any_host(&mut self) -> usize {
        usize::try_from(self.rng.below(self.nodes.len() as u64)).expect("few hosts")
    }

    fn crash(&mut self, at: usize) {
        if self.nodes[at].peer.is_none() {
            return;
        }
        self.count(Count::Crash);
        let queued = self.nodes[at].disk.queued() as u64;
        let keep = usize::try_from(self.rng.between((0, queued))).expect("few writes");
        self.say(|world| format!("{} crashes, {keep} of {queued} writes", world.nodes[at].id));
        self.nodes[at].crash(keep);
        if self.rng.chance(700) {
            // Comes back in the same instant, with all timers of the others still running.
            self.start(at).expect("starting checks nothing");
        }
    }

    pub(super) fn start(&mut self, at: usize) -> Result<(), Violation> {
        if self.nodes[at].peer.is_some() {
            return Ok(());
        }
        let now = self.clocks[at].local(self.now);
        if let Err(why) = self.nodes[at].start(now) {
            let what = format!("{} cannot start: {why}", self.nodes[at].id);
            return Err(Violation { property: "restart", what });
        }
        self.say(|world| format!("{} starts", world.nodes[at].id));
        Ok(())
    }

    fn cut(&mut self, at: usize) {
        self.count(Count::Cut);
        let other = self.any_host();
        let how = self.rng.below(4);
        for host in 0..self.nodes.len() {
            match how {
                0 if host == other => self.cut[at][host] = true,
                1 if host == other => {
                    (self.cut[at][host], self.cut[host][at]) = (true, true);
                }
                2 => (self.cut[at][host], self.cut[host][at]) = (true, true),
                3 => self.cut[host][at] = true,
                _ => {}
            }
        }
        self.say(|world| format!("links are cut: {:?}", world.cut));
    }

    pub(super) fn heal_links(&mut self) {
        for row in &mut self.cut {
            row.fill(false);
        }
    }

    /// Hosts may do these at any time.
    fn meddle(&mut self, at: usize) -> Result<(), Violation> {
        let other = self.any_host();
        let other = self.nodes[other].id;
        let (what, input) = match self.rng.below(4) {
            0 => ("campaign", Input::Campaign),
            1 => ("step down", Input::StepDown),
            2 => ("forget leader", Input::ForgetLeader),
            _ => ("lost", Input::Lost(other)),
        };
        self.act(at, what, |node, now, turn| node.step(now, input, turn))
    }

    /// Each host's failure detector looks at the others. It may be wrong at any time.
    pub(super) fn detect(&mut self) -> Result<(), Violation> {
        let wait = self.rng.between((100 * MS, 400 * MS));
        self.after(wait, Happening::Detector);
        if !self.plan.quiesces {
            return Ok(());
        }
        for at in 0..self.nodes.len() {
            for other in (0..self.nodes.len()).filter(|&other| other != at) {
                let is_well = self.nodes[other].peer.is_some()
                    && !self.cut[at][other]
                    && !self.cut[other][at]
                    && self.now >= self.paused_until[other];
                let life = is_well.then_some(self.nodes[other].incarnation);
                let before = std::mem::replace(&mut self.support[at][other], life);
                // A restart ends the support for the life before, and begins another.
                if before.is_some() && before != life {
                    self.say_support(at, other, false)?;
                }
                if life.is_some() && before != life {
                    self.say_support(at, other, true)?;
                }
            }
        }
        Ok(())
    }

    /// Tells a host's peer whose stores are vouched for.
    pub(super) fn tell_support(&mut self, at: usize) -> Result<(), Violation> {
        if !self.plan.quiesces {
            return Ok(());
        }
        for other in (0..self.nodes.len()).filter(|&other| other != at) {
            self.say_support(at, other, self.support[at][other].is_some())?;
        }
        Ok(())
    }

    fn say_support(&mut self, at: usize, other: usize, held: bool) -> Result<(), Violation> {
        let input = Input::Support { peer: self.nodes[other].id, held };
        self.act(at, "support", |node, now, turn| node.step(now, input, turn))
    }
}
