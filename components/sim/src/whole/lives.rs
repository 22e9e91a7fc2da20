//! Stores start, stop and die; and what a store has is looked at.

use super::host::Opening;
use super::tally::Kind;
use super::world::{Happening, World};
use crate::check::Violation;
use crate::dice::Stream;
use crate::odd::Odd;
use crate::plan::MS;

impl World<'_> {
    pub(crate) fn start(&mut self, at: usize) {
        let is_away = self.hosts[at].away_until > self.agenda.now();
        if self.hosts[at].node.up.is_some() || is_away {
            return;
        }
        if self.hosts[at].store.is_none() {
            return self.ask_to_join(at);
        }
        // A monotonic clock begins anew with the machine.
        self.hosts[at].node.ahead = self.dice.of(Stream::Starts(at)).below(1_000_000) * MS;
        let with = Opening {
            times: &self.times,
            api: self.plan.api,
            checks: &self.checks,
            bug: self.bug,
            cluster: self.cluster,
        };
        let odd = Odd::new(self.plan.odd, self.dice.of(Stream::Odd(at)).bits());
        if let Err(why) = self.hosts[at].start(self.agenda.now(), &with, odd) {
            self.hosts[at].glue = None;
            if why.contains("the disk failed") {
                self.lose_power(at);
                return self.after(MS, Happening::Start { at });
            }
            let store = self.hosts[at].node.id;
            let what = format!("{store}: {why}");
            let violation = Violation { check: "stores open again", what };
            return self.checks.lock().report(Err(violation));
        }
        let life = self.hosts[at].node.life;
        self.say(|world| format!("{} starts", world.hosts[at].node.id));
        self.after(0, Happening::Chore { at, life });
        self.found(at);
        self.with(at, None, |_, _, _| Ok(()));
        self.observe(at);
    }

    /// The process of a store is gone.
    pub(crate) fn stop(&mut self, at: usize) {
        if let Some(running) = self.hosts[at].node.up.take() {
            self.tally.add(Kind::Snapshot, running.courier_counts().received);
            self.tally.reach(&running.odd.reached());
        }
        self.hosts[at].glue = None;
        self.asked.retain(|_, (host, _)| *host != at);
    }

    pub(crate) fn died(&mut self, at: usize, why: &str) {
        let store = self.hosts[at].node.id;
        self.say(|_| format!("{store} dies: {why}"));
        if !why.contains("the disk failed") {
            let what = format!("{store} stopped: {why}");
            self.checks.lock().report(Err(Violation { check: "stores go on", what }));
        }
        self.tally.add(Kind::Death, 1);
        self.stop(at);
        self.lose_power(at);
        let wait = self.dice.of(Stream::Starts(at)).between((MS, 500 * MS));
        self.after(wait, Happening::Start { at });
    }

    /// The regions of a store are as they may be.
    pub(crate) fn observe(&mut self, at: usize) {
        let host = &self.hosts[at];
        let (Some(glue), Some(store)) = (&host.glue, host.store) else { return };
        let regions = glue.regions.all().iter().map(|state| state.region.clone()).collect();
        let mut checks = self.checks.lock();
        if let Some(cluster) = glue.view.get().cluster.as_ref().filter(|_| checks.cover.len() == 0)
        {
            let found = checks.cover.born(&cluster.regions);
            checks.report(found);
        }
        let found = checks.cover.seen(store, regions);
        checks.report(found);
    }
}
