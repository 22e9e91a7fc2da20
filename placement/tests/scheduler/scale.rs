//! A large cluster goes through what clusters go through, and comes to rest each time.
//!
//! Stores lie in five zones, each of ten racks; one in six has a small disk, which is three
//! quarters full with its even share. Regions report all the while, each every twenty minutes, and
//! their sizes differ. `./x sim placement` runs it with 1,000 stores and 1,000,000 regions; without
//! `CRIB_STORES` and `CRIB_REGIONS` it is a tenth and a twentieth of that.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use placement::scheduler::{StoreState, score};
use types::StoreId;

use crate::scheduler::judge::Tally;
use crate::scheduler::world::{MIB, World, store};

const MINUTE: Duration = Duration::from_secs(60);
const ZONES: u64 = 5;
const RACKS: u64 = 10;
/// For so long nothing may move once a cluster has come to rest: all regions are looked at three
/// times meanwhile, and report once.
const REST: Duration = Duration::from_mins(30);
/// What coming to rest may take at most: far above what it does.
const PATIENCE: Duration = Duration::from_hours(12);

struct Scene {
    world: World,
    /// Bytes of an even share of a store at the start.
    share: u64,
    /// Leaders and replicas of each store when it began.
    before: BTreeMap<StoreId, (u64, u64)>,
}

fn size(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

impl Scene {
    /// All on a third of the stores, and all leaders on a third of those.
    fn new(stores: u64, regions: u64) -> Scene {
        let used: Vec<u64> = (1..=stores).filter(|id| id % 3 == 1).collect();
        let triples = used.len() as u64 / 3;
        let place = |at: u64| {
            let first = usize::try_from(at % triples * 3).expect("few");
            used[first..first + 3].to_vec()
        };
        let mut world = World::new(stores, regions, place);
        let moves = usize::try_from(stores * 4).expect("few");
        world.config.location_labels = vec!["zone".to_owned(), "rack".to_owned()];
        world.config.leader_moves_max = moves / 4;
        world.config.region_moves_max = moves;
        world.config.repairs_max = moves;
        world.config.region_moves_per_store = 8;
        world.config.fills_per_store = 16;
        // All regions are looked at in about eight minutes.
        world.config.patrol_regions = usize::try_from(regions / 244).expect("few").max(64);
        world.pace = Duration::from_secs(2);
        world.beat = 20 * MINUTE;
        let share = regions * 3 * 64 * MIB / stores;
        let mut scene = Scene { world, share, before: BTreeMap::new() };
        (1..=stores).for_each(|id| scene.equip(id));
        scene.begin();
        scene
    }

    fn equip(&mut self, id: u64) {
        let info = self.world.stores.get_mut(&store(id)).expect("it is there");
        let (zone, rack) = ((id - 1) % ZONES, (id - 1) / ZONES % RACKS);
        let label = |key: &str, value: u64| (key.to_owned(), value.to_string());
        info.labels = vec![label("zone", zone), label("rack", rack)];
        info.capacity = if id.is_multiple_of(6) { self.share * 4 / 3 } else { self.share * 4 };
        info.available = info.capacity;
    }

    fn tallies(&self) -> BTreeMap<StoreId, (u64, u64)> {
        let tally = |id: &StoreId| self.world.table.tally_of(*id);
        let of = |id: &StoreId| (*id, (tally(id).leaders, tally(id).regions));
        self.world.stores.keys().map(of).collect()
    }

    fn begin(&mut self) {
        self.before = self.tallies();
        self.world.judge.since();
    }

    /// Goes on until nothing moves any more. Asserts that little moved that did not have to, that
    /// the stores are even then, and that it stays so.
    fn settle(&mut self, what: &str) {
        let (begun, from) = (Instant::now(), self.world.now);
        let mut seen = Tally::default();
        loop {
            self.world.run(10 * MINUTE);
            let moved = self.world.judge.so_far();
            let is_idle = self.world.controller.running().next().is_none();
            if is_idle && moved == seen {
                break;
            }
            seen = moved;
            assert!(self.world.now.since(from) < PATIENCE, "{what}: no rest: {seen:?}");
        }
        let (span, took) = (self.world.now.since(from).as_secs() / 60, begun.elapsed());
        let moved = self.world.judge.since();
        let after = self.tallies();
        let rises = |of: fn(&(u64, u64)) -> u64| -> u64 {
            let before = |id| self.before.get(id).map_or(0, of);
            after.iter().map(|(id, now)| of(now).saturating_sub(before(id))).sum()
        };
        let (leaders, replicas) = (rises(|(leaders, _)| *leaders), rises(|(_, all)| *all));
        let uneven = self.unevenness();
        println!(
            "{what}: at rest after {span} virtual minutes ({took:?}); needed {replicas} replicas \
             and {leaders} leaders, moved {moved:?}; {uneven:?}"
        );
        assert!(moved.replicas * 100 <= replicas * 105, "{what}: {replicas} needed, {moved:?}");
        assert!(moved.leaders * 100 <= leaders * 140, "{what}: {leaders} needed, {moved:?}");
        assert!(moved.back == 0, "{what}: {moved:?}");
        assert!(uneven.score <= uneven.score_bound, "{what}: {uneven:?}");
        assert!(uneven.leaders <= uneven.leaders_bound, "{what}: {uneven:?}");
        self.world.assert_quiet(REST);
        assert_eq!(self.world.judge.since(), Tally::default(), "{what}: not at rest");
        assert_eq!(self.world.table.with_fewer_voters(3), 0, "{what}");
        self.begin();
    }

    /// How far stores that are up differ, and may: by the tolerance of 5 % of the mean, and what
    /// one move more would change at both ends.
    fn unevenness(&self) -> Unevenness {
        let (world, config) = (&self.world, &self.world.config);
        let up = || world.stores.values().filter(|info| info.state == StoreState::Up);
        let scores = up().map(|info| {
            let tally = world.table.tally_of(info.id);
            let load = tally.bytes + tally.regions * config.region_weight;
            score(load, info.capacity, info.available)
        });
        let leaders = up().map(|info| world.table.tally_of(info.id).leaders);
        let stores = up().count() as u64;
        let regions = world.table.len() as u64;
        let weight = world.table.bytes() + regions * config.region_weight;
        let tolerance = (weight * 3 / stores / 20).max(weight / regions * 2);
        Unevenness {
            score: difference(scores.collect()) / MIB,
            score_bound: (tolerance + 4 * weight / regions) / MIB,
            leaders: difference(leaders.collect()),
            leaders_bound: regions / stores / 20 + 2,
        }
    }
}

/// Differences between the stores with most and with least.
#[derive(Debug)]
struct Unevenness {
    /// In MiB of score.
    score: u64,
    score_bound: u64,
    leaders: u64,
    leaders_bound: u64,
}

fn difference(of: Vec<u64>) -> u64 {
    let (least, most) = (of.iter().min().copied(), of.iter().max().copied());
    most.unwrap_or(0) - least.unwrap_or(0)
}

#[test]
fn big_world_comes_to_rest_after_whatever_happens() {
    let (stores, regions) = (size("CRIB_STORES", 100), size("CRIB_REGIONS", 50_000));
    let few = stores / 50;
    let begun = Instant::now();
    let mut scene = Scene::new(stores, regions);
    println!("{stores} stores, {regions} regions: reported in {:?}", begun.elapsed());
    scene.settle("all on a third");

    let added = stores + 1..=stores + (stores / 20).max(ZONES);
    for id in added {
        scene.world.add_store(id);
        scene.equip(id);
    }
    scene.settle("stores added");

    // In one zone, so that no region loses two replicas.
    let of_zone = |zone: u64| (1..=stores).filter(move |id| (id - 1) % ZONES == zone);
    let lost: Vec<u64> = of_zone(0).take(usize::try_from(few).expect("few")).collect();
    lost.iter().for_each(|&id| scene.world.kill(id));
    scene.world.run(scene.world.config.down_after);
    scene.settle("stores lost");
    for id in lost {
        assert_eq!(scene.world.table.tally_of(store(id)).regions, 0, "store {id} is lost");
    }

    let drained: Vec<u64> = of_zone(1).take(usize::try_from(few).expect("few")).collect();
    for &id in &drained {
        scene.world.stores.get_mut(&store(id)).expect("known").state = StoreState::Draining;
    }
    scene.settle("stores drained");
    for id in drained {
        assert_eq!(scene.world.table.tally_of(store(id)).regions, 0, "store {id} drains");
    }
    assert!(scene.world.table.is_consistent());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!("all of it in {:?}; {peak}", begun.elapsed());
}
