//! Runs the simulation of one group.
//!
//! ```text
//! raft-sim --seeds 0..20000     many runs; stops at the first violation and prints its seed
//! raft-sim --seed 17            one run, every step printed
//! raft-sim --minutes 30         fresh seeds until the time is up
//! ```
//!
//! Exits with 1 on a violation, 2 on wrong usage. The same seed gives the same run.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use raft_world::sim::{self, Failure, Report};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["--seed", seed] => match seed.parse() {
            Ok(seed) => finish(sim::run(seed, Some(&|line| println!("{line}"))), "1 run"),
            Err(_) => usage(&format!("`{seed}` is not a seed")),
        },
        ["--seeds", range] => match parse_range(range) {
            Some((first, end)) => many(first, end, None),
            None => usage(&format!("`{range}` is not a range such as 0..20000")),
        },
        ["--minutes", minutes] => match minutes.parse::<u64>() {
            Ok(minutes) => {
                let first = fresh_seed();
                let until = clock() + Duration::from_secs(60 * minutes);
                many(first, u64::MAX, Some(until))
            }
            Err(_) => usage(&format!("`{minutes}` is not a number of minutes")),
        },
        _ => usage("one of --seed N, --seeds A..B, --minutes N is needed"),
    }
}

#[expect(clippy::disallowed_methods, reason = "how long to run is real time, not simulated")]
fn clock() -> Instant {
    Instant::now()
}

/// A seed that was not run before.
#[expect(clippy::disallowed_methods, reason = "fresh seeds come from the date")]
fn fresh_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs()) << 20
}

fn usage(what: &str) -> ExitCode {
    eprintln!("raft-sim: {what}");
    ExitCode::from(2)
}

fn parse_range(range: &str) -> Option<(u64, u64)> {
    let (first, end) = range.split_once("..")?;
    let (first, end) = (first.parse().ok()?, end.parse().ok()?);
    (first < end).then_some((first, end))
}

/// Runs seeds on all cores, in order, until one fails or there are none left.
fn many(first: u64, end: u64, until: Option<Instant>) -> ExitCode {
    let next = AtomicU64::new(first);
    let stop = AtomicBool::new(false);
    let result: Mutex<(Report, u64, Option<Failure>)> = Mutex::default();
    let work = || {
        while !stop.load(Ordering::Relaxed) && until.is_none_or(|until| clock() < until) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            let outcome = run_guarded(seed);
            let mut result = result.lock().unwrap_or_else(PoisonError::into_inner);
            match outcome {
                Ok(report) => {
                    result.0.add(&report);
                    result.1 += 1;
                }
                Err(failure) => {
                    stop.store(true, Ordering::Relaxed);
                    result.2.get_or_insert(failure);
                }
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    let (report, runs, failure) = result.into_inner().unwrap_or_else(PoisonError::into_inner);
    let outcome = failure.map_or(Ok(report), Err);
    finish(outcome, &format!("{runs} runs from seed {first}"))
}

/// A panic in the core is a violation too. In release it aborts, so the seed is said first.
fn run_guarded(seed: u64) -> Result<Report, Failure> {
    std::thread_local! {
        static SEED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            eprintln!("seed {} panics; again with: ./x sim --seed {0}", SEED.get());
            before(info);
        }));
    });
    SEED.set(seed);
    sim::run(seed, None)
}

fn finish(outcome: Result<Report, Failure>, runs: &str) -> ExitCode {
    match outcome {
        Ok(report) => {
            println!("{runs}, no violation: {report}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("VIOLATION {failure}");
            eprintln!("again, step by step: ./x sim --seed {}", failure.seed);
            ExitCode::FAILURE
        }
    }
}
