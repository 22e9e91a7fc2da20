//! The scenarios, and running one.

use std::sync::Arc;
use std::time::Duration;

use cluster::crib::{Cluster, Options};
use cluster::disks::{self, Disk};
use verify::faults::{Mark, Nodes};
use verify::run::{self, Outcome, Settings};
use verify::script::Fault;

use crate::cuts;
use crate::disks::{fill, power};
use crate::nodes::Processes;

/// A scenario by its name.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What is done.
    pub about: &'static str,
    /// Nodes of the cluster.
    pub nodes: usize,
    /// The kinds of faults that must be proven.
    pub faults: &'static [Fault],
    /// How long the load goes on at least, for every fault to have its turn.
    pub seconds: u64,
}

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "kill",
        about: "one process is killed and started again",
        nodes: 3,
        faults: &[Fault::Kill],
        seconds: 20,
    },
    Scenario {
        name: "kill-all",
        about: "all processes are killed at one time",
        nodes: 3,
        faults: &[Fault::KillAll],
        seconds: 20,
    },
    Scenario {
        name: "pause",
        about: "a process stands still for longer than its leases, with reads that wait for it",
        nodes: 3,
        faults: &[Fault::Pause],
        seconds: 25,
    },
    Scenario {
        name: "restart",
        about: "a process is stopped in peace and started again",
        nodes: 3,
        faults: &[Fault::Restart],
        seconds: 20,
    },
    Scenario {
        name: "regions",
        about: "regions split and leaders move",
        nodes: 3,
        faults: &[Fault::Split, Fault::Transfer],
        seconds: 20,
    },
    Scenario {
        name: "drain",
        about: "a store is emptied and taken back, while leaders move and processes die",
        nodes: 4,
        faults: &[Fault::Drain, Fault::Transfer, Fault::Kill],
        seconds: 40,
    },
    Scenario {
        name: "cut",
        about: "ways between nodes are cut, in one direction or both",
        nodes: 3,
        faults: &[Fault::Cut],
        seconds: 25,
    },
    Scenario {
        name: "mixed",
        about: "all that is done to processes and regions",
        nodes: 3,
        faults: &[
            Fault::Kill,
            Fault::KillAll,
            Fault::Pause,
            Fault::Restart,
            Fault::Split,
            Fault::Transfer,
        ],
        seconds: 60,
    },
    Scenario {
        name: "full",
        about: "a disk has no room for a while; needs root",
        nodes: 3,
        faults: &[Fault::Fill],
        seconds: 30,
    },
    Scenario {
        name: "power",
        about: "power is lost on all nodes; needs root",
        nodes: 3,
        faults: &[Fault::Power],
        seconds: 30,
    },
];

/// The scenario with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}

impl Scenario {
    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    /// The disks that it needs; none if it cannot have them here.
    fn disks(&self) -> Option<Vec<Disk>> {
        match (self.has(Fault::Fill), self.has(Fault::Power)) {
            (true, _) => disks::or_skip(self.name, &[256 << 20]),
            (_, true) => disks::or_skip(self.name, &[512 << 20; 3]),
            _ => Some(Vec::new()),
        }
    }

    fn options(&self, program: &str, disks: &[Disk]) -> Options {
        let mut options = Options::new(program, self.name);
        options.is_proxied = self.has(Fault::Cut);
        options.dirs = disks.iter().map(|disk| disk.path().join("data")).collect();
        if self.has(Fault::Fill) {
            // It is full for longer than a disk may hang, and the engine has little room of its
            // own.
            let set = ["raft.disk-hang-after=15s", "storage.log-size-max=2MiB"];
            options.set.extend(set.map(str::to_owned));
            let set = ["memory-size-max=4MiB", "raft-memory-size=1MiB", "data-memory-size=1MiB"];
            options.set.extend(set.map(|set| format!("storage.{set}")));
        }
        options
    }

    /// Runs it with a program that is `crib`, for so many seconds or as many as it needs. None if
    /// it cannot be run on this machine, which was then said.
    ///
    /// # Panics
    /// If there is no cluster to begin with.
    pub async fn run(&self, program: &str, seed: u64, seconds: u64) -> Option<Outcome> {
        let mut disks = self.disks()?;
        let cluster = Cluster::start(self.options(program, &disks)).await;
        for _ in cluster.options.stores..self.nodes {
            cluster.add_joining().start();
        }
        cluster.wait_healthy().await;
        let duration = Duration::from_secs(seconds.max(self.seconds));
        let settings = Settings {
            endpoints: cluster.endpoints(),
            options: client::Options::default(),
            seed,
            duration,
            writers: 8,
            readers: 4,
            keys: 100,
            value_bytes: 100,
            regions: 4,
            faults: self.faults.to_vec(),
        };
        let until_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let outcome = if self.has(Fault::Cut) {
            let harm = async |stage| cuts::cuts(&stage, &cluster, seed, until_ms).await;
            run::run_under(&settings, harm).await
        } else if self.has(Fault::Fill) {
            run::run_under(&settings, async |stage| fill(&stage, &disks, until_ms).await).await
        } else if self.has(Fault::Power) {
            let disks = &mut disks;
            let harm = async |stage| power(&stage, &cluster, disks, until_ms).await;
            run::run_under(&settings, harm).await
        } else {
            let nodes: Arc<dyn Nodes> = Arc::new(Processes::of(&cluster));
            let said = |mark: &Mark| println!("  {mark:?}");
            run::run(&settings, Some(nodes), &said).await
        };
        let outcome = outcome.expect("the cluster was well");
        cluster.assert_all_run();
        Some(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_is_in_the_table_and_what_guarantees_name_exists() {
        let table = include_str!("../README.md");
        for scenario in ALL {
            assert!(table.contains(&format!("\n| `{}` | ", scenario.name)), "{}", scenario.name);
        }
        let guarantees = include_str!("../../../docs/guarantees.md");
        let mut named = 0;
        // Names stand between backquotes, within the text of a link that says `scenario`.
        for link in guarantees.split("[scenario").skip(1) {
            let text = link.split(']').next().unwrap_or_default();
            for name in text.split('`').skip(1).step_by(2) {
                assert!(find(name).is_some(), "there is no scenario `{name}`");
                named += 1;
            }
        }
        assert!(named > 4, "{named}");
    }
}
