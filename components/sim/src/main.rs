//! Runs the simulation.
//!
//! ```text
//! sim run --seeds 0..2000     many runs; stops at the first violation and prints its seed
//! sim run --seed 17           one run, every step printed
//! sim run --minutes 30        fresh seeds until the time is up
//! sim whole --seed 17         the same two for whole clusters: stores, placement and clients
//! sim whole --seeds 0..200
//! ```
//!
//! One run in a hundred is done twice, and both must be the same step for step. Exits with 1 on a
//! violation, 2 on wrong usage.

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sim::whole::Tally;
use sim::{Failure, Report};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["run", "--seed", seed] => match seed.parse() {
            Ok(seed) => match sim::run(seed, None, Some(&|line| println!("{line}"))) {
                Ok(report) => {
                    println!("no violation: {report}");
                    ExitCode::SUCCESS
                }
                Err(failure) => fail(&failure),
            },
            Err(_) => usage(&format!("`{seed}` is not a seed")),
        },
        ["run", "--seeds", range] => match parse_range(range) {
            Some((first, end)) => many(first, end, None),
            None => usage(&format!("`{range}` is not a range such as 0..2000")),
        },
        ["run", "--minutes", minutes] => match minutes.parse::<u64>() {
            Ok(minutes) => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH);
                let first = since.map_or(0, |since| since.as_secs()) << 20;
                many(first, u64::MAX, Some(Instant::now() + Duration::from_secs(60 * minutes)))
            }
            Err(_) => usage(&format!("`{minutes}` is not a number of minutes")),
        },
        ["whole", "--seed", seed] => match seed.parse() {
            Ok(seed) => told(sim::whole::run(seed, None, Some(&|line| println!("{line}")))),
            Err(_) => usage(&format!("`{seed}` is not a seed")),
        },
        ["whole", "--seeds", range] => match parse_range(range) {
            Some((first, end)) => many_whole(first, end),
            None => usage(&format!("`{range}` is not a range such as 0..2000")),
        },
        _ => {
            usage("run --seed N, run --seeds A..B, run --minutes N, or whole with a seed or seeds")
        }
    }
}

fn usage(what: &str) -> ExitCode {
    eprintln!("sim: {what}");
    ExitCode::from(2)
}

fn parse_range(range: &str) -> Option<(u64, u64)> {
    let (first, end) = range.split_once("..")?;
    let (first, end) = (first.parse().ok()?, end.parse().ok()?);
    (first < end).then_some((first, end))
}

fn fail(failure: &Failure) -> ExitCode {
    println!("VIOLATION {failure}");
    println!("again, step by step: ./x sim cluster --seed {}", failure.seed);
    ExitCode::FAILURE
}

fn told(outcome: Result<Tally, Failure>) -> ExitCode {
    match outcome {
        Ok(tally) => {
            println!("no violation: {tally}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("VIOLATION {failure}");
            println!("again, step by step: sim whole --seed {}", failure.seed);
            ExitCode::FAILURE
        }
    }
}

/// Two threads share the seeds; all of them run, and every violation is printed.
fn many_whole(first: u64, end: u64) -> ExitCode {
    let work = |odd: u64| {
        let (mut total, mut failed) = (Tally::default(), 0);
        for seed in (first..end).filter(|seed| seed % 2 == odd) {
            match sim::whole::run(seed, None, None) {
                Ok(tally) => total.merge(&tally),
                Err(failure) => {
                    println!("VIOLATION {failure}");
                    failed += 1;
                }
            }
        }
        (total, failed)
    };
    let mut total = Tally::default();
    let mut failed = 0;
    std::thread::scope(|scope| {
        for thread in [scope.spawn(|| work(0)), scope.spawn(|| work(1))] {
            let (tally, count) = thread.join().expect("a run does not panic");
            total.merge(&tally);
            failed += count;
        }
    });
    println!("{} runs, {failed} with a violation: {total}", end - first);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Two threads take seeds in turn.
fn many(first: u64, end: u64, until: Option<Instant>) -> ExitCode {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    let (next, stop) = (AtomicU64::new(first), AtomicBool::new(false));
    let work = || -> (Report, u64, Option<Failure>) {
        let (mut total, mut runs) = (Report::default(), 0);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let late = until.is_some_and(|until| Instant::now() >= until);
            if seed >= end || late || stop.load(Ordering::Relaxed) {
                return (total, runs, None);
            }
            match run_checked(seed) {
                Ok(report) => total.merge(&report),
                Err(failure) => {
                    stop.store(true, Ordering::Relaxed);
                    return (total, runs, Some(failure));
                }
            }
            runs += 1;
        }
    };
    let (mut total, mut runs, mut failure) = (Report::default(), 0, None);
    std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        for thread in threads {
            let (report, count, failed) = thread.join().expect("a run does not panic");
            total.merge(&report);
            runs += count;
            failure = failed.or(failure.take());
        }
    });
    println!("{runs} runs: {total}");
    failure.map_or(ExitCode::SUCCESS, |failure| fail(&failure))
}

fn run_checked(seed: u64) -> Result<Report, Failure> {
    let report = sim::run(seed, None, None)?;
    if seed.is_multiple_of(100) {
        let again = sim::run(seed, None, None)?;
        assert_eq!(report, again, "seed {seed} gave two different runs");
    }
    Ok(report)
}
