//! Runs the simulation: `sim --help` says how.
//!
//! ```text
//! sim cluster --seeds 0..2000           many runs; every violation is printed with its seed
//! sim cluster --seed 17                 one run, every step printed
//! sim cluster --seed 17 --minimise      a smaller run that fails in the same way
//! sim cluster --minutes 30              fresh seeds until the time is up
//! sim whole --seed 17                   the same for whole clusters: stores, placement, clients
//! ```
//!
//! One run in a hundred is done twice, and both must be the same step for step. Exits with 1 on a
//! violation, 2 on wrong usage.

mod args;
mod many;
mod panics;
mod smaller;
mod world;

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use sim::{Counts, Failure, Run, Trim};

use args::{Cli, Wanted};
use world::{Cluster, Simulated, Whole};

fn main() -> ExitCode {
    let outcome = match Cli::parse().world {
        args::World::Cluster(wanted) => done::<Cluster>(&wanted),
        args::World::Whole(wanted) => done::<Whole>(&wanted),
    };
    outcome.unwrap_or_else(|why| {
        eprintln!("sim: {why}");
        ExitCode::from(2)
    })
}

fn done<W: Simulated>(wanted: &Wanted) -> Result<ExitCode, String> {
    let trim = wanted.trim.of(W::SHAPE)?;
    let bug = wanted.bug.as_deref().map(named::<W>).transpose()?;
    let run = |seed| Run { bug, trim: trim.clone(), ..Run::of(seed) };
    if let Some(seed) = wanted.seed {
        if wanted.minimise {
            return smaller::seek::<W>(&run(seed), wanted.attempts);
        }
        return Ok(if wanted.terse { terse::<W>(&run(seed)) } else { one::<W>(&run(seed)) });
    }
    if let Some(seeds) = wanted.seeds {
        return Ok(many::run::<W>(seeds, None, wanted.every_site, &run));
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let first = since.map_or(0, |since| since.as_secs()) << 20;
    let minutes = Duration::from_secs(60 * wanted.minutes.unwrap_or(0));
    Ok(many::run::<W>((first, u64::MAX), Some(Instant::now() + minutes), wanted.every_site, &run))
}

fn named<W: Simulated>(name: &str) -> Result<W::Bug, String> {
    let named = W::BUGS.iter().find(|bug| format!("{bug:?}") == name);
    named.copied().ok_or_else(|| {
        let names: Vec<String> = W::BUGS.iter().map(|bug| format!("{bug:?}")).collect();
        format!("no bug `{name}`; there are: {}", names.join(" "))
    })
}

/// The arguments that do a run again.
fn again<W: Simulated>(run: &Run<'_, W::Bug>, trim: &Trim) -> String {
    let bug = run.bug.map(|bug| format!(" --bug {bug:?}")).unwrap_or_default();
    format!("{} --seed {}{bug}{}", W::NAME, run.seed, trim.arguments(W::SHAPE))
}

fn one<W: Simulated>(run: &Run<'_, W::Bug>) -> ExitCode {
    panics::watch::<W>(run, false);
    match W::run(&Run { tell: Some(&|line| println!("{line}")), ..run.clone() }) {
        Ok(counts) => held(&counts),
        Err(failure) => {
            println!("VIOLATION {failure}");
            ExitCode::FAILURE
        }
    }
}

fn held<K: sim::Counted>(counts: &Counts<K>) -> ExitCode {
    println!("no violation: {counts}");
    ExitCode::SUCCESS
}

/// One line for the search of a smaller run.
fn terse<W: Simulated>(run: &Run<'_, W::Bug>) -> ExitCode {
    panics::watch::<W>(run, true);
    let run = Run { on_step: Some(&panics::step), ..run.clone() };
    match W::run(&run) {
        Ok(_) => {
            println!("held {}", panics::steps());
            ExitCode::SUCCESS
        }
        Err(Failure { at, steps, violation, .. }) => {
            println!("failed {steps} {} {}", at.0, violation.check);
            ExitCode::FAILURE
        }
    }
}
