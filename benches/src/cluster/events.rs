//! What callers notice when regions split, leaders change in peace, or a store is killed.
//!
//! A *gap* is the longest time between two successes that callers of one region have seen around an
//! event. It is at most one call longer than the time from the event to the first success.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use load::{Target, Workload, quantile_us};
use tokio::runtime::Handle;

use super::crib::{self, Crib, only_leader};
use super::turn::{self, Turn};
use super::watch::{Watch, ms};
use super::{Result, Settings};
use crate::meters::quantile;
use crate::report::Better;
use crate::table::Row;

/// Regions whose callers are watched while stores are killed.
const REGIONS: usize = 12;
/// Keys over all of them.
const KEYS: u64 = 12_000;
/// Callers of each.
const CALLERS: usize = 4;
/// A region without success for so long after an event is lost.
const LOST_AFTER: Duration = Duration::from_secs(35);
/// A leader that is still the same after so long did not hand over.
const HANDED_OVER_AFTER: Duration = Duration::from_secs(15);
/// An answer that was on its way when a store died is no sign that the region lives.
const ON_ITS_WAY: Duration = Duration::from_millis(2);
const POLL: Duration = Duration::from_millis(20);
/// Between an event and the next: caches and leases are as in everyday life again.
const CALM: Duration = Duration::from_secs(3);

/// Latency of puts while regions split, beside a cluster whose regions do not.
///
/// # Errors
/// If a cluster is not well, any call fails, or nothing was split.
pub fn split(settings: &Settings, runtime: &Handle, show: &mut dyn FnMut(Row)) -> Result<()> {
    if !settings.is_selected("split") {
        return Ok(());
    }
    let (turns, seconds) = if settings.is_quick { (1, 6) } else { (3, 10) };
    let dir = tempfile::tempdir_in(&settings.dir).map_err(|error| error.to_string())?;
    let small = ["region.split-size=4MiB", "region.target-size=2MiB", "region.check-interval=1s"];
    let mut clusters = [
        Crib::start(settings, &dir.path().join("small"), &small)?,
        Crib::start(settings, &dir.path().join("calm"), &[])?,
    ];
    let clients = [clusters[0].client(runtime, true)?, clusters[1].client(runtime, true)?];
    let span = Duration::from_secs(seconds);
    let mut latencies_us = [Vec::new(), Vec::new()];
    let mut rates = [Vec::new(), Vec::new()];
    let mut regions = Vec::new();
    for turn in 0..turns {
        let (workload, warm) = (Workload::put(), Duration::ZERO);
        let turn = Turn { workload, clients: 64, warm, span, records: 10_000_000, nth: turn };
        for nth in [0, 1] {
            let target = Target::Crib(clients[nth].clone());
            let measured = turn::run(runtime, &target, &turn, &clusters[nth].nodes)?;
            let count = measured.tally.operations() as f64;
            rates[nth].push(count / measured.elapsed.as_secs_f64());
            latencies_us[nth].push(measured.tally.all_us());
        }
        clusters.iter_mut().try_for_each(Crib::wait_well)?;
        let count = crib::led(runtime, &clients[0])?.map_or(0, |routes| routes.len());
        regions.push(f64::from(u32::try_from(count).expect("few regions")));
    }
    if regions.last().is_none_or(|&count| count < 2.0) {
        return Err("nothing was split".to_owned());
    }
    let [ours, peer] = rates;
    let row = |name: &str, unit, ours, peer| Row {
        name: format!("split/{name}"),
        unit,
        better: Better::Lower,
        ours,
        peer,
    };
    show(row("regions-afterwards", "regions", regions, Vec::new()));
    show(Row { better: Better::Higher, ..row("rate", "ops/s", ours, peer) });
    for (name, at) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)] {
        let us = |of: &Histogram<u64>| match at {
            1.0 => of.max() as f64,
            at => quantile_us(of, at).map_or(f64::NAN, |us| us as f64),
        };
        let of = |nth: usize| latencies_us[nth].iter().map(us).collect();
        show(row(name, "us", of(0), of(1)));
    }
    Ok(())
}

/// The longest gap when the leader of a region hands over, beside a span without.
///
/// # Errors
/// If the cluster is not well, or a call fails.
pub fn transfer(settings: &Settings, runtime: &Handle, show: &mut dyn FnMut(Row)) -> Result<()> {
    if !settings.is_selected("transfer") {
        return Ok(());
    }
    let transfers = if settings.is_quick { 5 } else { 20 };
    let dir = tempfile::tempdir_in(&settings.dir).map_err(|error| error.to_string())?;
    let mut crib = Crib::start(settings, dir.path(), &[])?;
    let client = crib.client(runtime, true)?;
    let watch = Watch::start(runtime, &client, (1, 16), KEYS);
    let span = Duration::from_millis(1_500);
    let (mut calm, mut gaps) = (Vec::new(), Vec::new());
    std::thread::sleep(CALM);
    for _ in 0..transfers {
        let from = Instant::now();
        std::thread::sleep(span);
        calm.push(ms(watch.gap(0, from)));
        let (region, store) = only_leader(runtime, &client)?;
        let from = Instant::now();
        runtime
            .block_on(client.admin().transfer_leader(region, store % 3 + 1))
            .map_err(|error| error.to_string())?;
        // Placement hears of it with the next report of a store.
        while only_leader(runtime, &client)?.1 == store {
            if from.elapsed() > HANDED_OVER_AFTER {
                return Err("a leader did not hand over".to_owned());
            }
            std::thread::sleep(POLL);
        }
        // Callers may hear of it later than placement.
        std::thread::sleep(span);
        gaps.push(ms(watch.gap(0, from)));
    }
    watch.stop(runtime)?;
    crib.check_well()?;
    gaps.sort_by(f64::total_cmp);
    calm.sort_by(f64::total_cmp);
    show(Row {
        name: format!("transfer/gap/transfers={transfers}"),
        unit: "ms",
        better: Better::Lower,
        ours: gaps,
        peer: calm,
    });
    Ok(())
}

/// Gaps of all regions that a store led when it was killed.
///
/// # Errors
/// If the cluster does not become well again, or a call fails.
pub fn kill(settings: &Settings, runtime: &Handle, show: &mut dyn FnMut(Row)) -> Result<()> {
    if !settings.is_selected("kill") {
        return Ok(());
    }
    let kills = if settings.is_quick { 3 } else { 30 };
    let dir = tempfile::tempdir_in(&settings.dir).map_err(|error| error.to_string())?;
    let mut crib = Crib::start(settings, dir.path(), &[])?;
    let client = crib.client(runtime, true)?;
    crib.cut(runtime, &client, REGIONS, KEYS)?;
    let watch = Watch::start(runtime, &client, (REGIONS, CALLERS), KEYS);
    let mut gaps_ms = Vec::new();
    for nth in 0..kills {
        crib.deal(runtime, &client)?;
        std::thread::sleep(CALM);
        let victim = nth % 3;
        let routes = crib::led(runtime, &client)?.ok_or("no leader is known")?;
        let is_hit = |nth: &usize| {
            routes[*nth].leader.is_some_and(|leader| leader.store == crib::store_id(victim))
        };
        let hit: Vec<usize> = (0..routes.len()).filter(is_hit).collect();
        let at = Instant::now();
        crib.nodes[victim].kill();
        let until_led = |since: Instant| -> Result<()> {
            for region in &hit {
                while !watch.has_success_since(*region, since) {
                    if at.elapsed() > LOST_AFTER {
                        return Err(format!("a region is lost after kill {nth}"));
                    }
                    std::thread::sleep(POLL);
                }
            }
            Ok(())
        };
        until_led(at + ON_ITS_WAY)?;
        let first = Instant::now();
        std::thread::sleep(CALM);
        // What was taken for a first success may have been a last one, heard late.
        until_led(first)?;
        let gaps = hit.iter().map(|region| ms(watch.gap(*region, at)));
        gaps_ms.extend(gaps);
        crib.nodes[victim].again()?;
        crib.wait_well()?;
    }
    watch.stop(runtime)?;
    gaps_ms.sort_by(f64::total_cmp);
    let regions = gaps_ms.len();
    for (name, per_mille) in [("p50", 500), ("p90", 900), ("p99", 990), ("max", 1_000)] {
        let name = format!("kill/gap/kills={kills}/regions={regions}/{name}");
        show(Row::alone(name, "ms", quantile(&gaps_ms, per_mille)));
    }
    Ok(())
}
