//! A fourth node joins three with many regions, and is given its share while callers go on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use client::Client;
use load::Target;
use tokio::runtime::Handle;

use super::{CALM, KEYS};
use crate::cluster::crib::Crib;
use crate::cluster::watch::{Watch, ms};
use crate::cluster::{Result, Settings, turn};
use crate::report::Better;
use crate::table::Row;

/// Parts of the keys whose callers are watched, and callers of each: a light load.
const WATCHED: (usize, usize) = (8, 1);
/// How often placement is asked how far it is. It remembers a thousand moves, and does fewer
/// meanwhile.
const POLL: Duration = Duration::from_secs(1);
/// So long there was nothing to move: there will be nothing more.
const QUIET: Duration = Duration::from_secs(10);
/// How long it may take, and how much longer with each region.
const PATIENCE: Duration = Duration::from_secs(120);
const PATIENCE_EACH: Duration = Duration::from_secs(2);
/// All nodes are on one disk, of which others may use most: to be full is not what is measured.
const SET: [&str; 1] = ["placement.full-percent=99"];
/// What placement calls its moves of replicas for balance.
const ORIGIN: &str = "balance-region";
/// What it says of one that has come to its end.
const DONE: &str = "done";
/// By how much the most and the fewest of stores may differ: placement's own tolerance, in
/// hundredths of the mean, and the least that it moves for.
const TOLERANCE_PERCENT: u64 = 5;
const TOLERANCE_LEAST: u64 = 2;

/// Adds a node, and waits until placement has nothing more to do for it.
///
/// # Errors
/// If that does not come about, stores then differ by more than placement tolerates, or a call
/// fails.
pub(super) fn run(
    settings: &Settings,
    runtime: &Handle,
    (part, count): (&str, usize),
    show: &mut dyn FnMut(Row),
) -> Result<()> {
    let dir = tempfile::tempdir_in(&settings.dir).map_err(|error| error.to_string())?;
    let mut crib = Crib::start(settings, dir.path(), &SET)?;
    let client = crib.client(runtime, true)?;
    turn::fill(runtime, &Target::Crib(client.clone()), KEYS)?;
    crib.cut(runtime, &client, count, KEYS)?;
    let founders = crib.nodes.len();
    let watch = Watch::start(runtime, &client, WATCHED, KEYS);
    let before = Instant::now();
    std::thread::sleep(2 * CALM);
    let longest_gap = |from| {
        let gaps = (0..WATCHED.0).map(|nth| ms(watch.gap(nth, from)));
        gaps.fold(0.0, f64::max)
    };
    let calm = longest_gap(before);

    let begun = Instant::now();
    crib.join()?;
    let (took, moves) = until_quiet(runtime, (&crib, &client), founders, count)?;
    let gap = longest_gap(begun);
    watch.stop(runtime)?;
    crib.check_well()?;
    let shares = Shares::of(runtime, &client)?;
    let lower = |name: &str, unit, ours: Vec<f64>, peer: Vec<f64>| Row {
        name: format!("{part}/{name}"),
        unit,
        better: Better::Lower,
        ours,
        peer,
    };
    show(lower("time", "s", vec![took.as_secs_f64()], Vec::new()));
    show(lower("moves", "replicas", vec![moves as f64], Vec::new()));
    for (name, counts) in [("replicas", &shares.replicas), ("leaders", &shares.leaders)] {
        let counts = counts.values().map(|&count| count as f64).collect();
        show(lower(&format!("{name}-of-a-store"), "regions", counts, Vec::new()));
    }
    show(lower("longest-gap", "ms", vec![gap], vec![calm]));
    Ok(())
}

/// Waits until placement has nothing more to do for a store that now joins: how long that took, and
/// how many replicas were moved.
fn until_quiet(
    runtime: &Handle,
    (crib, client): (&Crib, &Client),
    founders: usize,
    regions: usize,
) -> Result<(Duration, usize)> {
    let begun = Instant::now();
    let patience = PATIENCE + PATIENCE_EACH * u32::try_from(regions).unwrap_or(u32::MAX);
    let mut moves: BTreeSet<u64> = BTreeSet::new();
    let mut quiet_since: Option<Instant> = None;
    loop {
        let (asked, way) = (Instant::now(), way(runtime, client)?);
        moves.extend(way.ended);
        if way.stores <= founders || way.is_busy || moves.is_empty() {
            quiet_since = None;
        } else {
            let quiet = *quiet_since.get_or_insert(asked);
            if quiet.elapsed() > QUIET && Shares::of(runtime, client)?.are_even(founders) {
                return Ok((quiet.duration_since(begun), moves.len()));
            }
        }
        if begun.elapsed() > patience {
            let shares = Shares::of(runtime, client)?;
            let said = crib.explained(way.newest);
            return Err(format!("after {} moves not at an end: {shares:?}; {said}", moves.len()));
        }
        std::thread::sleep(POLL);
    }
}

/// How far placement is.
struct Way {
    /// Stores that it knows.
    stores: usize,
    /// The one that it has known for the shortest time: ids are given in order.
    newest: u64,
    /// Whether anything is under way, or placement has a new leader that is still gathering.
    is_busy: bool,
    /// Moves that have come to their end, as far as it remembers them.
    ended: Vec<u64>,
}

fn way(runtime: &Handle, client: &Client) -> Result<Way> {
    let admin = client.admin();
    let status = runtime.block_on(admin.status()).map_err(|error| error.to_string())?;
    let all = runtime.block_on(admin.list_operators(true)).map_err(|error| error.to_string())?;
    let moves = all.iter().filter(|of| of.origin == ORIGIN && of.state == DONE);
    Ok(Way {
        stores: status.stores.len(),
        newest: status.stores.iter().map(|store| store.id).max().unwrap_or(0),
        is_busy: status.operators > 0 || !status.is_prepared,
        ended: moves.map(|of| of.id).collect(),
    })
}

/// What each store has.
#[derive(Debug)]
struct Shares {
    replicas: BTreeMap<u64, u64>,
    leaders: BTreeMap<u64, u64>,
}

impl Shares {
    fn of(runtime: &Handle, client: &Client) -> Result<Shares> {
        let routes = runtime.block_on(client.every_region()).map_err(|error| error.to_string())?;
        let mut shares = Shares { replicas: BTreeMap::new(), leaders: BTreeMap::new() };
        for route in &routes {
            for peer in &route.region.peers {
                *shares.replicas.entry(peer.store.get()).or_default() += 1;
            }
            if let Some(leader) = route.leader {
                *shares.leaders.entry(leader.store.get()).or_default() += 1;
            }
        }
        Ok(shares)
    }

    /// Whether more stores than the founders have a share, and none too large a one.
    fn are_even(&self, founders: usize) -> bool {
        [&self.replicas, &self.leaders].iter().all(|of| of.len() > founders && is_even(of))
    }
}

/// Whether stores differ by no more than placement tolerates. A move is planned only if the source
/// has more by the tolerance even afterwards: so the difference before may be larger by two.
fn is_even(counts: &BTreeMap<u64, u64>) -> bool {
    let mean = counts.values().sum::<u64>().div_ceil(counts.len().max(1) as u64);
    let tolerance = (mean * TOLERANCE_PERCENT).div_ceil(100).max(TOLERANCE_LEAST) + 2;
    let most = counts.values().max().copied().unwrap_or(0);
    let least = counts.values().min().copied().unwrap_or(0);
    most - least <= tolerance
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_even_within_what_placement_tolerates() {
        let is = |counts: &[u64]| is_even(&(1..).zip(counts.iter().copied()).collect());
        assert!(is(&[750, 750, 750, 750]) && is(&[760, 760, 760, 720]));
        assert!(!is(&[1_000, 1_000, 1_000, 0]) && !is(&[770, 770, 740, 720]));
        // A few, whatever the mean.
        assert!(is(&[5, 5, 5, 1]) && !is(&[5, 5, 5, 0]));
    }
}
