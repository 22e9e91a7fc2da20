//! What stands between the processes of a scenario and the machine: disks, a network, a layer below
//! the C library.
//!
//! Not here: proxies, which every cluster has if it asks for them.

mod layer;
mod wire;

use std::io::Write as _;

use cluster::crib::Options;
use cluster::disks::{self, Disk};

pub(crate) use self::layer::{ALL_FILES, Control, LOGS, Layer, TABLES, Word};
pub(crate) use self::wire::{Weather, Wire};
use crate::scenario::{Does, Scenario};

/// All of it; most scenarios need little.
#[derive(Default)]
pub(crate) struct Gear {
    pub(crate) disks: Vec<Disk>,
    pub(crate) wire: Option<Wire>,
    pub(crate) layer: Option<Layer>,
}

impl Gear {
    /// What a scenario needs; none if it cannot be had on this machine, which is then said where
    /// nobody swallows it.
    pub(crate) fn of(scenario: &Scenario, seed: u64) -> Option<Gear> {
        let mut gear = Gear::default();
        match scenario.does {
            Does::Fill => gear.disks = disks::or_skip(scenario.name, &[256 << 20])?,
            Does::Power => gear.disks = disks::or_skip(scenario.name, &[512 << 20; 3])?,
            Does::Packets => gear.wire = Some(or_skip(scenario, Wire::new(seed))?),
            Does::Files | Does::Hang | Does::Clocks | Does::HiddenPauses => {
                gear.layer = Some(or_skip(scenario, Layer::new(scenario.nodes))?);
            }
            Does::Everything => {
                gear.wire = Some(or_skip(scenario, Wire::new(seed))?);
                gear.layer = Some(or_skip(scenario, Layer::new(scenario.nodes))?);
            }
            Does::Script | Does::Cuts | Does::Snapshots | Does::Rot => {}
        }
        Some(gear)
    }

    /// Puts a cluster upon it.
    pub(crate) fn equip(&self, options: &mut Options) {
        options.dirs = self.disks.iter().map(|disk| disk.path().join("data")).collect();
        if let Some(layer) = &self.layer {
            options.dirs = layer.numbers().map(|at| layer.data(at)).collect();
            options.env = layer.numbers().map(|at| layer.env(at)).collect();
        }
        if let Some(wire) = &self.wire {
            options.places = wire.places();
        }
    }
}

fn or_skip<T>(scenario: &Scenario, made: Result<T, String>) -> Option<T> {
    made.map_err(|why| {
        let _ = writeln!(std::io::stderr(), "SKIPPED: {}: {why}", scenario.name);
    })
    .ok()
}
