//! What is done to the cluster and when, from a seed.
//!
//! One fault at a time: of three stores two always run, unless all are meant. Every kind that was
//! asked for comes once before any comes again, in an order that is drawn.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::random::Random;

/// Before the first fault, and after the last: the load is seen without one.
const CALM_MS: u64 = 2_000;
/// From the end of a fault to the next, at least and at most.
const REST_MS: (u64, u64) = (1_000, 3_000);

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// A process is killed, and started again after a while.
    Kill,
    /// All processes are killed, and started again at once.
    KillAll,
    /// A process stands still for longer than a lease, and goes on.
    Pause,
    /// A process is told to stop, and started again.
    Restart,
    /// The leadership of some regions is moved.
    Transfer,
    /// A region is split.
    Split,
    /// A store is being emptied for a while, and taken back.
    Drain,
    /// Ways between nodes are cut for a while. Not in scripts: it needs proxies.
    Cut,
    /// A disk has no room for a while. Not in scripts: it needs a disk of its own.
    Fill,
    /// Power is lost on all nodes. Not in scripts: it needs disks of its own.
    Power,
    /// Packets of a node are lost, doubled, late and out of order. Not in scripts, as all that
    /// follow: each needs something between the process and its machine.
    Packets,
    /// A snapshot is cut off on its way.
    Snapshot,
    /// A sync of the log fails once.
    FailSync,
    /// A write to the log fails once.
    FailWrite,
    /// Reads of tables fail for a while.
    FailRead,
    /// Syncs take long for a while.
    Slow,
    /// A sync does not come to its end.
    Hang,
    /// A bit of a log of a store that does not run is flipped.
    RotLog,
    /// A bit of a table of such a store.
    RotTable,
    /// The clocks of a node jump.
    Jump,
    /// The clocks of all nodes run at different rates.
    Drift,
    /// A store joins.
    Join,
}

/// All kinds that a script may have.
pub const ALL: [Fault; 7] = [
    Fault::Kill,
    Fault::KillAll,
    Fault::Pause,
    Fault::Restart,
    Fault::Transfer,
    Fault::Split,
    Fault::Drain,
];

/// A fault to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// When, in milliseconds from the beginning; later if an earlier one takes longer.
    pub at_ms: u64,
    /// What.
    pub fault: Fault,
    /// Which node or region, by a number that is taken modulo theirs.
    pub pick: usize,
    /// How long it lasts, where it does.
    pub hold_ms: u64,
}

impl Fault {
    /// As it is typed and printed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Fault::Kill => "kill",
            Fault::KillAll => "kill-all",
            Fault::Pause => "pause",
            Fault::Restart => "restart",
            Fault::Transfer => "transfer",
            Fault::Split => "split",
            Fault::Drain => "drain",
            Fault::Cut => "cut",
            Fault::Fill => "fill",
            Fault::Power => "power",
            Fault::Packets => "packets",
            Fault::Snapshot => "snapshot",
            Fault::FailSync => "fail-sync",
            Fault::FailWrite => "fail-write",
            Fault::FailRead => "fail-read",
            Fault::Slow => "slow",
            Fault::Hang => "hang",
            Fault::RotLog => "rot-log",
            Fault::RotTable => "rot-table",
            Fault::Jump => "jump",
            Fault::Drift => "drift",
            Fault::Join => "join",
        }
    }

    /// Whether it is done to a process, which must be one of ours.
    #[must_use]
    pub fn needs_processes(self) -> bool {
        !matches!(self, Fault::Transfer | Fault::Split | Fault::Drain)
    }

    /// How long it lasts at least and at most.
    fn holds_ms(self) -> (u64, u64) {
        match self {
            Fault::Kill => (300, 3_000),
            // Longer than leases and elections.
            Fault::Pause => (2_500, 6_000),
            Fault::Restart => (0, 1_000),
            Fault::Drain => (1_000, 3_000),
            _ => (0, 0),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Fault, String> {
        ALL.into_iter().find(|fault| fault.name() == text).ok_or_else(|| {
            let names = ALL.map(Fault::name).join(", ");
            format!("`{text}` is no fault: {names}")
        })
    }
}

/// The script of a seed: what of `kinds` is done within this time.
#[must_use]
pub fn of(seed: u64, kinds: &[Fault], duration_ms: u64) -> Vec<Planned> {
    let mut random = Random::new(seed);
    let mut script = Vec::new();
    let mut deck: Vec<Fault> = Vec::new();
    let mut at_ms = CALM_MS;
    while !kinds.is_empty() {
        if deck.is_empty() {
            deck.extend(kinds);
        }
        let fault = deck.swap_remove(random.below(deck.len()));
        let hold_ms = between(&mut random, fault.holds_ms());
        let pick = random.below(1 << 16);
        if at_ms + hold_ms + CALM_MS > duration_ms {
            break;
        }
        script.push(Planned { at_ms, fault, pick, hold_ms });
        at_ms += hold_ms + between(&mut random, REST_MS);
    }
    script
}

fn between(random: &mut Random, (least, most): (u64, u64)) -> u64 {
    let width = usize::try_from(most - least + 1).unwrap_or(1);
    least + random.below(width) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_repeats_its_script() {
        assert_eq!(of(7, &ALL, 60_000), of(7, &ALL, 60_000));
        assert_ne!(of(7, &ALL, 60_000), of(8, &ALL, 60_000));
        assert!(of(7, &[], 60_000).is_empty());
        assert!(of(7, &ALL, 1_000).is_empty());
    }

    #[test]
    fn every_kind_comes_before_any_comes_again_and_there_is_calm_at_both_ends() {
        for seed in 0..100 {
            let script = of(seed, &ALL, 120_000);
            let mut first: Vec<Fault> = script.iter().take(ALL.len()).map(|it| it.fault).collect();
            first.sort_unstable();
            assert_eq!(first, ALL, "seed {seed}");
            assert!(script[0].at_ms >= CALM_MS);
            for pair in script.windows(2) {
                assert!(pair[0].at_ms + pair[0].hold_ms + REST_MS.0 <= pair[1].at_ms);
            }
            let last = script.last().unwrap();
            assert!(last.at_ms + last.hold_ms + CALM_MS <= 120_000);
        }
    }

    #[test]
    fn names_are_read() {
        for fault in ALL {
            assert_eq!(fault.name().parse(), Ok(fault));
        }
        assert!("rust".parse::<Fault>().unwrap_err().contains("kill-all"));
    }
}
