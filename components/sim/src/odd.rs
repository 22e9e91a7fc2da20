//! Odd behaviour: rare, but legal, and switched on in the code under test.
//!
//! A store that always answers at once, sends full appends and finds room for every snapshot shows
//! little of what its contracts allow. Each [`Site`] is a place where it may do otherwise. A run
//! switches some sites on, by its seed, each with a chance of its own; where a site fires, what the
//! store does is still right, so every checker has to hold. How often each site was reached is
//! counted, as far as can be seen by what was done meanwhile (appends that were sent, compactions
//! that were begun): one that is never reached tests nothing.
//!
//! The idea is `BUGGIFY` of FoundationDB's simulation. There it stands in shipped code; here the
//! shipped code knows nothing of it. A site is one of two things: settings that are others for the
//! length of a turn, as every limit may be what it is at the worst moment; or the shell, which
//! carries out effects as a shell may.

use raft_world::Rng;

use crate::trim::{Class, Trim};

/// How many sites there are.
pub(crate) const SITES: usize = 18;

/// A place that may behave oddly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Site {
    /// A slice of the apply lane has one entry.
    Slices,
    /// An append has one entry.
    Appends,
    /// No more than one entry is under way to a member.
    Window,
    /// A chunk of a snapshot is as small as can be.
    Chunks,
    /// A log is compacted behind all that is applied, though members need it: they get a snapshot.
    Compaction,
    /// No entries stay in memory for members that lag.
    Cache,
    /// Proposals are refused as too many bytes wait.
    Busy,
    /// A snapshot is refused as there is no room for another.
    NoRoom,
    /// A snapshot that was begun is not sent.
    NotSent,
    /// Committed entries are read back, though they were in memory.
    Withheld,
    /// Entries of an append are not there any more when they are read back.
    Unread,
    /// A peer campaigns without a reason.
    Campaigns,
    /// A store gives up all that it leads.
    StandsDown,
    /// Timers are looked at before they are due.
    Wakes,
    /// What is sent to a store goes apart, the last group first.
    Apart,
    /// Two writes of the log become one.
    Merged,
    /// Stores are not asked for support.
    Silence,
    /// Callers are answered a turn later.
    LateReplies,
}

impl Site {
    /// All of them, with their names.
    pub const ALL: [(Site, &'static str); SITES] = [
        (Site::Slices, "odd-slices"),
        (Site::Appends, "odd-appends"),
        (Site::Window, "odd-window"),
        (Site::Chunks, "odd-chunks"),
        (Site::Compaction, "odd-compaction"),
        (Site::Cache, "odd-cache"),
        (Site::Busy, "odd-busy"),
        (Site::NoRoom, "odd-no-room"),
        (Site::NotSent, "odd-not-sent"),
        (Site::Withheld, "odd-withheld"),
        (Site::Unread, "odd-unread"),
        (Site::Campaigns, "odd-campaigns"),
        (Site::StandsDown, "odd-stands-down"),
        (Site::Wakes, "odd-wakes"),
        (Site::Apart, "odd-apart"),
        (Site::Merged, "odd-merged"),
        (Site::Silence, "odd-silence"),
        (Site::LateReplies, "odd-late-replies"),
    ];

    /// Its name, on a command line and in a summary.
    #[must_use]
    pub fn name(self) -> &'static str {
        Site::ALL[self as usize].1
    }
}

/// Which sites a run has switched on: the chance of each, per mille, whenever it may fire.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sites([u64; SITES]);

/// The sites of one store, in one of its lives.
pub(crate) struct Odd {
    sites: Sites,
    dice: [Rng; SITES],
    reached: [u64; SITES],
}

impl Sites {
    /// Draws as much for each site, whether it is on or not.
    pub(crate) fn draw(rng: &mut Rng, trim: &Trim) -> Sites {
        Sites(Site::ALL.map(|(site, _)| {
            let (is_on, often) = (rng.chance(250), rng.below(3));
            let chance = [20, 100, 400][usize::try_from(often).expect("less than three")];
            if is_on { trim.rate(Class::Odd(site), chance) } else { 0 }
        }))
    }

    /// Nothing is odd any more.
    pub(crate) fn calm(&mut self) {
        *self = Sites::default();
    }

    pub(crate) fn chance(&self, site: Site) -> u64 {
        self.0[site as usize]
    }
}

impl Odd {
    /// Each site has dice of its own.
    pub(crate) fn new(sites: Sites, seed: u64) -> Odd {
        let mut seeds = Rng::new(seed);
        let dice = [(); SITES].map(|()| Rng::new(seeds.bits()));
        Odd { sites, dice, reached: [0; SITES] }
    }

    /// Whether it is odd here and now.
    pub(crate) fn fires(&mut self, site: Site) -> bool {
        let chance = self.sites.chance(site);
        chance > 0 && self.dice[site as usize].chance(chance)
    }

    /// So many things were done where it was odd.
    pub(crate) fn reach(&mut self, site: Site, times: usize) {
        self.reached[site as usize] += times as u64;
    }

    /// Whether it is odd here and now, where that alone makes a difference.
    pub(crate) fn reaches(&mut self, site: Site) -> bool {
        let fires = self.fires(site);
        self.reach(site, usize::from(fires));
        fires
    }

    /// Nothing is odd any more.
    pub(crate) fn calm(&mut self) {
        self.sites.calm();
    }

    /// How often what was reached.
    pub(crate) fn reached(&self) -> [u64; SITES] {
        self.reached
    }
}
