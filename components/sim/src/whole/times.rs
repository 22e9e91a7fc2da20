//! Settings that leases rest on, otherwise from one life of a store to the next.
//!
//! Somebody changes them and starts the nodes again, one by one, though all of them should have
//! been stopped: meanwhile stores with other settings do not talk to each other, as `transport`
//! sees to. What was sent by a store that agreed with the receiver still arrives.

use std::sync::Arc;

use multiraft::Config;
use raft::Lease;

use super::tally::Kind;
use super::world::{Happening, World};
use crate::dice::Stream;
use crate::plan::MS;

/// Settings that stores may have, and those that they start with from now on.
pub(crate) struct Times {
    choices: [Arc<Config>; 3],
    pub wanted: usize,
}

impl Times {
    /// The usual ones first; elections after a third of the time; no leases.
    pub(crate) fn new(usual: Config) -> Times {
        let with = |change: &dyn Fn(&mut raft::Config)| {
            let mut config = usual.clone();
            change(Arc::make_mut(&mut config.raft));
            Arc::new(config)
        };
        let short = with(&|raft| {
            let third = raft.election_timeout / 3;
            (raft.election_timeout, raft.campaign_after) = (third, third);
            (raft.restart_wait, raft.campaign_spread) = (third, third);
        });
        let unleased = with(&|raft| raft.lease = Lease::Off);
        Times { choices: [Arc::new(usual), short, unleased], wanted: 0 }
    }

    /// What a store starts with.
    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.choices[self.wanted]
    }
}

impl World<'_> {
    /// Nodes are told other settings, and started again one after the other.
    pub(crate) fn change_times(&mut self) {
        self.tally.add(Kind::OtherTimes, 1);
        let dice = self.dice.of(Stream::Times);
        let step = usize::try_from(1 + dice.below(2)).expect("few");
        self.times.wanted = (self.times.wanted + step) % self.times.choices.len();
        for at in 0..self.hosts.len() {
            let dice = self.dice.of(Stream::Times);
            // Most nodes at once, and some much later.
            let wait = if dice.chance(700) { (MS, 50 * MS) } else { (500 * MS, 3_000 * MS) };
            let wait = dice.between(wait);
            self.after(wait, Happening::Reset { at });
        }
    }

    /// A node that has other settings than it should have starts again.
    pub(crate) fn reset(&mut self, at: usize) {
        if self.healed || self.hosts[at].times == self.times.wanted {
            return;
        }
        if self.kill(at) {
            let wait = self.dice.of(Stream::Times).between((MS, 100 * MS));
            self.after(wait, Happening::Start { at });
        }
    }
}
