//! The scenarios, and running one.

use std::sync::Arc;
use std::time::Duration;

use cluster::crib::{Cluster, Options};
use verify::faults::{Harm, Stage};
use verify::run::{self, Outcome, Settings};
use verify::script::{self, Fault};

use crate::gear::Gear;
use crate::nodes::Processes;
use crate::scene::Scene;
use crate::{clocks, cuts, disks, everything, files, packets, rot, snapshots};

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
    /// How.
    pub does: Does,
}

/// How harm is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// By the script of a seed, to processes and regions.
    Script,
    /// To ways between nodes.
    Cuts,
    /// To a disk, which is full.
    Fill,
    /// To all disks.
    Power,
    /// To packets.
    Packets,
    /// To snapshots on their way.
    Snapshots,
    /// To files of a store.
    Files,
    /// To its disk, which hangs.
    Hang,
    /// To files of a store that does not run.
    Rot,
    /// To clocks.
    Clocks,
    /// To clocks of processes that stand still, which do not show it.
    HiddenPauses,
    /// To packets, files, clocks, processes and regions.
    Everything,
}

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "kill",
        about: "one process is killed and started again",
        nodes: 3,
        faults: &[Fault::Kill],
        seconds: 20,
        does: Does::Script,
    },
    Scenario {
        name: "kill-all",
        about: "all processes are killed at one time",
        nodes: 3,
        faults: &[Fault::KillAll],
        seconds: 20,
        does: Does::Script,
    },
    Scenario {
        name: "pause",
        about: "a process stands still for longer than its leases, with reads that wait for it",
        nodes: 3,
        faults: &[Fault::Pause],
        seconds: 25,
        does: Does::Script,
    },
    Scenario {
        name: "restart",
        about: "a process is stopped in peace and started again",
        nodes: 3,
        faults: &[Fault::Restart],
        seconds: 20,
        does: Does::Script,
    },
    Scenario {
        name: "regions",
        about: "regions split and leaders move",
        nodes: 3,
        faults: &[Fault::Split, Fault::Transfer],
        seconds: 20,
        does: Does::Script,
    },
    Scenario {
        name: "drain",
        about: "a store is emptied and taken back, while leaders move and processes die",
        nodes: 4,
        faults: &[Fault::Drain, Fault::Transfer, Fault::Kill],
        seconds: 40,
        does: Does::Script,
    },
    Scenario {
        name: "cut",
        about: "ways between nodes are cut, in one direction or both",
        nodes: 3,
        faults: &[Fault::Cut],
        seconds: 25,
        does: Does::Cuts,
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
        does: Does::Script,
    },
    Scenario {
        name: "full",
        about: "a disk has no room for a while; needs root",
        nodes: 3,
        faults: &[Fault::Fill],
        seconds: 30,
        does: Does::Fill,
    },
    Scenario {
        name: "power",
        about: "power is lost on all nodes; needs root",
        nodes: 3,
        faults: &[Fault::Power],
        seconds: 30,
        does: Does::Power,
    },
    Scenario {
        name: "packets",
        about: "packets are lost, doubled, late and out of order; needs root",
        nodes: 3,
        faults: &[Fault::Packets],
        seconds: 30,
        does: Does::Packets,
    },
    Scenario {
        name: "snapshots",
        about: "snapshots to a store that joins are cut off on their way",
        nodes: 3,
        faults: &[Fault::Snapshot],
        seconds: 30,
        does: Does::Snapshots,
    },
    Scenario {
        name: "files",
        about: "writes, syncs and reads of a store fail; its disk is slow",
        nodes: 3,
        faults: &[Fault::FailSync, Fault::FailWrite, Fault::FailRead, Fault::Slow],
        seconds: 60,
        does: Does::Files,
    },
    Scenario {
        name: "hang",
        about: "a sync of a store does not come to its end",
        nodes: 3,
        faults: &[Fault::Hang],
        seconds: 30,
        does: Does::Hang,
    },
    Scenario {
        name: "rot",
        about: "a bit of a store that does not run is flipped, in a log or a table",
        nodes: 3,
        faults: &[Fault::RotLog, Fault::RotTable],
        seconds: 60,
        does: Does::Rot,
    },
    Scenario {
        name: "clocks",
        about: "clocks jump, and run at different rates",
        nodes: 3,
        faults: &[Fault::Jump, Fault::Drift],
        seconds: 40,
        does: Does::Clocks,
    },
    Scenario {
        name: "everything",
        about: "stores join and drain while packets, disks, clocks and processes fail; needs root",
        nodes: 4,
        faults: &[
            Fault::Join,
            Fault::Drain,
            Fault::Split,
            Fault::Transfer,
            Fault::Kill,
            Fault::Pause,
            Fault::Packets,
            Fault::Slow,
            Fault::Jump,
        ],
        seconds: 90,
        does: Does::Everything,
    },
];

/// Against which nothing is promised, and which must turn out bad: that something is seen.
pub const BEYOND: Scenario = Scenario {
    name: "hidden-pause",
    about: "a process stands still and its clock with it, which no lease survives: must be bad",
    nodes: 3,
    faults: &[Fault::Jump],
    seconds: 30,
    does: Does::HiddenPauses,
};

/// The scenario with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Scenario> {
    ALL.iter().chain([&BEYOND]).find(|scenario| scenario.name == name)
}

impl Scenario {
    fn options(&self, program: &str, gear: &Gear) -> Options {
        let mut options = Options::new(program, self.name);
        gear.equip(&mut options);
        match self.does {
            Does::Cuts | Does::HiddenPauses => options.is_proxied = true,
            Does::Snapshots => snapshots::equip(&mut options),
            Does::Fill => disks::equip(&mut options),
            Does::Files => rot::equip_with_small_tables(&mut options),
            Does::Hang => options.set.push("raft.disk-hang-after=5s".to_owned()),
            Does::Rot => rot::equip(&mut options),
            Does::Clocks => {
                options.set.push(format!("raft.clock-drift-ppm={}", clocks::DRIFT_PPM));
            }
            Does::Script | Does::Power | Does::Packets | Does::Everything => {}
        }
        options
    }

    /// Runs it with a program that is `crib`, for so many seconds or as many as it needs. None if
    /// it cannot be run on this machine, which was then said.
    ///
    /// # Panics
    /// If there is no cluster to begin with.
    pub async fn run(&self, program: &str, seed: u64, seconds: u64) -> Option<Outcome> {
        let mut gear = Gear::of(self, seed)?;
        if let (Does::Clocks, Some(layer)) = (self.does, &gear.layer) {
            clocks::let_drift(layer, seed);
        }
        let cluster = Cluster::start(self.options(program, &gear)).await;
        if self.does == Does::Script {
            for _ in cluster.options.stores..self.nodes {
                cluster.add_joining().start();
            }
            cluster.wait_healthy().await;
        }
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
        let harm = async |stage| {
            let mut harm = self.harm(&stage, &cluster, &mut gear, (seed, until_ms)).await;
            for node in cluster.nodes().iter().filter(|node| !node.runs()) {
                harm.wrong.push(format!("{} ended by itself", node.address));
            }
            harm
        };
        // A process that ended by itself is in the outcome, which is kept.
        Some(run::run_under(&settings, harm).await.expect("the cluster was well"))
    }

    async fn harm(
        &self,
        stage: &Stage,
        cluster: &Cluster,
        gear: &mut Gear,
        (seed, until_ms): (u64, u64),
    ) -> Harm {
        let mut scene = Scene::new(stage, cluster, seed, until_ms);
        match (self.does, &gear.wire, &gear.layer) {
            (Does::Cuts, ..) => return cuts::cuts(stage, cluster, seed, until_ms).await,
            (Does::Fill, ..) => return disks::fill(stage, &gear.disks, until_ms).await,
            (Does::Power, ..) => {
                return disks::power(stage, cluster, &mut gear.disks, until_ms).await;
            }
            (Does::Everything, Some(wire), Some(layer)) => {
                let gear = (wire, layer);
                return everything::everything(stage, cluster, gear, (seed, until_ms)).await;
            }
            (Does::Snapshots, ..) => snapshots::snapshots(&mut scene).await,
            (Does::Rot, ..) => rot::rot(&mut scene).await,
            (Does::Packets, Some(wire), _) => packets::packets(&mut scene, wire).await,
            (Does::Files | Does::Hang, _, Some(layer)) => {
                files::files(&mut scene, layer, self.faults).await;
            }
            (Does::Clocks, _, Some(layer)) => clocks::clocks(&mut scene, layer).await,
            (Does::HiddenPauses, _, Some(layer)) => {
                clocks::hidden_pauses(&mut scene, layer).await;
            }
            (Does::Script, ..) => {
                let script = script::of(seed, self.faults, until_ms);
                let nodes = Arc::new(Processes::of(cluster));
                return stage.play(&script, nodes, &|mark| println!("  {mark:?}")).await;
            }
            (does, ..) => scene.harm.broken.push(format!("{does:?} without its gear")),
        }
        scene.harm
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
