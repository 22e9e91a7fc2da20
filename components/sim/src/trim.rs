//! What of a run is left out: so that a run that fails can be made smaller, and the smaller one be
//! said on a command line.
//!
//! A class that is left out takes its draws from streams of its own (`dice`), or is drawn and then
//! not done; so the rest of the run has the same draws. That the smaller run still fails is not
//! promised by that: it is found by trying.

use std::collections::{BTreeMap, BTreeSet};

use crate::odd::{SITES, Site};

/// A class of what may happen in a run: a kind of trouble, or of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Processes that are killed, and stores that lose power.
    Crashes,
    /// Links that are cut.
    Cuts,
    /// Disks that stand still.
    Stalls,
    /// Processes that stand still.
    Pauses,
    /// Syncs that fail.
    SyncFaults,
    /// Disks that fill up.
    FullDisks,
    /// Messages that make no sense.
    Nonsense,
    /// Connections that break between stores that are well.
    Breaks,
    /// Old messages that come again, long after.
    Replays,
    /// Messages that are lost.
    Loss,
    /// Messages that arrive twice.
    Twice,
    /// Messages that overtake.
    Overtakes,
    /// Networks that are slow.
    SlowLinks,
    /// Disks that are slow.
    SlowDisks,
    /// Apply lanes that are slow.
    SlowLanes,
    /// Reads that look long after they were granted.
    SlowLooks,
    /// Clocks that drift.
    Drift,
    /// Limits that are small.
    SmallLimits,
    /// Commands that are large.
    LargeCommands,
    /// Reads.
    Reads,
    /// Membership changes that callers ask for.
    Changes,
    /// Transfers that callers ask for.
    Transfers,
    /// Groups that end.
    Ends,
    /// Commands that bring groups into being.
    Spawns,
    /// Regions that are cut as they have grown.
    Splits,
    /// Keys deleted by clients.
    Deletes,
    /// Values compared and set by clients.
    Cas,
    /// Ranges read by clients.
    Scans,
    /// Ranges deleted by clients.
    RangeDeletes,
    /// Timestamps asked for by clients.
    Stamps,
    /// A store that stays away until its replicas are given up.
    Absence,
    /// A store that is drained.
    Drains,
    /// Stores that join later.
    Joins,
    /// Settings that change from life to life.
    Times,
    /// A site of odd behaviour.
    Odd(Site),
}

/// What stands on a command line for no class at all.
pub const NO_CLASS: &str = "none";

/// Something of which a run has a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    /// Stores.
    Stores,
    /// Groups at the beginning.
    Groups,
    /// Clients.
    Clients,
    /// Keys of clients.
    Keys,
}

/// Which classes and sizes a world knows, and how large it cannot but be.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Its classes.
    pub classes: &'static [Class],
    /// Its sizes, with the least of each.
    pub sizes: &'static [(Size, u64)],
}

/// What of a run is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trim {
    /// Milliseconds of virtual time after which everything heals, if the seed does not say less.
    pub until_ms: Option<u64>,
    /// Classes that do not happen.
    pub without: BTreeSet<Class>,
    /// Most of something.
    pub most: BTreeMap<Size, u64>,
}

impl Class {
    /// Its name on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Class::Crashes => "crashes",
            Class::Cuts => "cuts",
            Class::Stalls => "stalls",
            Class::Pauses => "pauses",
            Class::SyncFaults => "sync-faults",
            Class::FullDisks => "full-disks",
            Class::Nonsense => "nonsense",
            Class::Breaks => "breaks",
            Class::Replays => "replays",
            Class::Loss => "loss",
            Class::Twice => "twice",
            Class::Overtakes => "overtakes",
            Class::SlowLinks => "slow-links",
            Class::SlowDisks => "slow-disks",
            Class::SlowLanes => "slow-lanes",
            Class::SlowLooks => "slow-looks",
            Class::Drift => "drift",
            Class::SmallLimits => "small-limits",
            Class::LargeCommands => "large-commands",
            Class::Reads => "reads",
            Class::Changes => "changes",
            Class::Transfers => "transfers",
            Class::Ends => "ends",
            Class::Spawns => "spawns",
            Class::Splits => "splits",
            Class::Deletes => "deletes",
            Class::Cas => "cas",
            Class::Scans => "scans",
            Class::RangeDeletes => "range-deletes",
            Class::Stamps => "stamps",
            Class::Absence => "absence",
            Class::Drains => "drains",
            Class::Joins => "joins",
            Class::Times => "times",
            Class::Odd(site) => site.name(),
        }
    }
}

/// Classes of a world, and all sites of odd behaviour.
pub(crate) const fn with_sites<const N: usize, const M: usize>(own: [Class; N]) -> [Class; M] {
    assert!(M == N + SITES);
    let mut all = [Class::Odd(Site::ALL[0].0); M];
    let mut nth = 0;
    while nth < M {
        all[nth] = if nth < N { own[nth] } else { Class::Odd(Site::ALL[nth - N].0) };
        nth += 1;
    }
    all
}

impl Size {
    /// All of them.
    pub const ALL: [Size; 4] = [Size::Stores, Size::Groups, Size::Clients, Size::Keys];

    /// Its name on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Size::Stores => "stores",
            Size::Groups => "groups",
            Size::Clients => "clients",
            Size::Keys => "keys",
        }
    }
}

impl Shape {
    /// The class of this name, if the world has it.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<Class> {
        self.classes.iter().copied().find(|class| class.name() == name)
    }

    /// How few a world can have.
    #[must_use]
    pub fn least(&self, size: Size) -> Option<u64> {
        self.sizes.iter().find(|(of, _)| *of == size).map(|&(_, least)| least)
    }
}

impl Trim {
    /// Whether a class may happen.
    #[must_use]
    pub fn has(&self, class: Class) -> bool {
        !self.without.contains(&class)
    }

    /// As arguments of the runner, each behind a space: by what is left out, or by what is not, as
    /// that is less to say.
    #[must_use]
    pub fn arguments(&self, shape: Shape) -> String {
        let mut words = String::new();
        if let Some(until) = self.until_ms {
            words += &format!(" --until-ms {until}");
        }
        for (size, most) in &self.most {
            words += &format!(" --{} {most}", size.name());
        }
        let (stay, go): (Vec<Class>, Vec<Class>) =
            shape.classes.iter().partition(|&&class| self.has(class));
        let names = |classes: &[Class]| {
            classes.iter().map(|class| class.name()).collect::<Vec<_>>().join(",")
        };
        match (&*stay, &*go) {
            (_, []) => {}
            ([], _) => words += &format!(" --only {NO_CLASS}"),
            (stay, go) if stay.len() < go.len() => words += &format!(" --only {}", names(stay)),
            (_, go) => words += &format!(" --without {}", names(go)),
        }
        words
    }

    /// A rate, or none if its class is left out.
    pub(crate) fn rate(&self, class: Class, rate: u64) -> u64 {
        if self.has(class) { rate } else { 0 }
    }

    /// Leaves the rates of classes that are left out at none.
    pub(crate) fn cut_rates<const N: usize>(&self, rates: [(Class, &mut u64); N]) {
        for (class, rate) in rates {
            *rate = self.rate(class, *rate);
        }
    }

    /// Bounds the times and sizes whose classes are left out: each comes with what it is then at
    /// most.
    pub(crate) fn bound<const N: usize>(&self, spans: [(Class, &mut (u64, u64), u64); N]) {
        for (class, span, most) in spans {
            if !self.has(class) {
                span.1 = span.1.min(most);
            }
        }
    }

    /// A number that was drawn, or fewer.
    pub(crate) fn size(&self, size: Size, drawn: u64) -> u64 {
        self.most.get(&size).map_or(drawn, |&most| most.min(drawn))
    }
}
