//! Many runs, on two threads.

use std::cell::Cell;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use sim::{Counts, Failure, Run};

use crate::world::Simulated;
use crate::{again, panics};

/// Two threads take seeds in turn; all of them run, and every violation is printed.
pub(crate) fn run<W: Simulated>(
    (first, end): (u64, u64),
    until: Option<Instant>,
    every_site: bool,
    run: &(impl Fn(u64) -> Run<'static, W::Bug> + Sync),
) -> ExitCode {
    panics::hook(false);
    let next = AtomicU64::new(first);
    let work = || {
        let (mut total, mut runs, mut failed) = (Counts::<W::Counted>::default(), 0_u64, 0_u64);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end || until.is_some_and(|until| Instant::now() >= until) {
                return (total, runs, failed);
            }
            let run = run(seed);
            panics::runs::<W>(&run);
            runs += 1;
            match checked::<W>(&run) {
                Ok(counts) => total.merge(&counts),
                Err(failure) => {
                    failed += 1;
                    let again = again::<W>(&run, &run.trim);
                    println!("VIOLATION {failure}");
                    println!("again, step by step: ./x sim {again}; smaller: with --minimise");
                }
            }
        }
    };
    let (mut total, mut runs, mut failed) = (Counts::default(), 0, 0);
    std::thread::scope(|scope| {
        for thread in [scope.spawn(work), scope.spawn(work)] {
            let (counts, done, violations) = thread.join().expect("a run does not panic");
            total.merge(&counts);
            runs += done;
            failed += violations;
        }
    });
    println!("{runs} runs, {failed} with a violation: {total}");
    let missed: Vec<&str> = total.unreached().map(sim::Site::name).collect();
    if every_site && !missed.is_empty() {
        println!("sites that were never reached: {}", missed.join(" "));
        return ExitCode::FAILURE;
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One run in a hundred is done twice, and is the same in all that is counted and told of it.
fn checked<W: Simulated>(run: &Run<'_, W::Bug>) -> Result<Counts<W::Counted>, Failure> {
    if !run.seed.is_multiple_of(100) {
        return W::run(run);
    }
    let (counts, story) = with_story::<W>(run)?;
    let (again, same) = with_story::<W>(run)?;
    let (first, second) = (counts.to_string(), again.to_string());
    assert_eq!((first, story), (second, same), "seed {} gave two different runs", run.seed);
    Ok(counts)
}

/// A run, and a hash over the story of it.
fn with_story<W: Simulated>(run: &Run<'_, W::Bug>) -> Result<(Counts<W::Counted>, u64), Failure> {
    let story = Cell::new(DefaultHasher::new());
    let tell = |line: String| {
        let mut hasher = story.take();
        line.hash(&mut hasher);
        story.set(hasher);
    };
    let counts = W::run(&Run { tell: Some(&tell), ..run.clone() })?;
    Ok((counts, story.into_inner().finish()))
}
