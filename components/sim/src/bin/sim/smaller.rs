//! The search for a smaller run, each attempt in a process of its own: what panics there ends that
//! process, and not the search.

use std::process::{Command, ExitCode, Stdio};

use sim::{Found, Run, Trim, minimise};
use types::Time;

use crate::again;
use crate::world::Simulated;

/// Seeks a smaller run that fails as this one does, and prints how to replay it.
pub(crate) fn seek<W: Simulated>(
    run: &Run<'_, W::Bug>,
    attempts_max: u32,
) -> Result<ExitCode, String> {
    let mut failed = None;
    let mut attempt = |trim: &Trim| match attempt(&again::<W>(run, trim)) {
        Ok(found) => found,
        Err(why) => {
            failed.get_or_insert(why);
            None
        }
    };
    let Some(first) = attempt(&run.trim) else {
        return failed.map_or_else(
            || {
                println!("no violation: there is nothing to make smaller");
                Ok(ExitCode::SUCCESS)
            },
            Err,
        );
    };
    println!("fails in step {}: {}", first.steps, first.check);
    let extent = W::extent(run.seed);
    let whole = (run.trim.clone(), first.clone());
    let smaller = minimise((W::SHAPE, &extent), whole, attempts_max, &mut attempt);
    if let Some(why) = failed {
        return Err(why);
    }
    let classes = |trim: &Trim| W::SHAPE.classes.iter().filter(|&&class| trim.has(class)).count();
    println!(
        "in {} attempts: {} steps of {}, {} classes of {}, {:.1} s of {:.1} s",
        smaller.attempts,
        smaller.found.steps,
        first.steps,
        classes(&smaller.trim),
        classes(&run.trim),
        seconds(smaller.found.at),
        seconds(first.at),
    );
    for &(size, drawn) in &extent.sizes {
        println!("{}: {} of {drawn}", size.name(), smaller.trim.most.get(&size).unwrap_or(&drawn));
    }
    println!("replay: ./x sim {}", again::<W>(run, &smaller.trim));
    Ok(ExitCode::FAILURE)
}

#[expect(clippy::cast_precision_loss, reason = "a run is short")]
fn seconds(at: Time) -> f64 {
    at.0 as f64 / 1e9
}

/// Does one run; `None` if it holds.
fn attempt(arguments: &str) -> Result<Option<Found>, String> {
    let program = std::env::current_exe().map_err(|why| format!("own program: {why}"))?;
    let mut command = Command::new(program);
    command.args(arguments.split(' ')).arg("--terse").stderr(Stdio::null());
    let out = command.output().map_err(|why| format!("an attempt does not start: {why}"))?;
    let said = String::from_utf8_lossy(&out.stdout);
    let line = said.lines().next().unwrap_or_default();
    parsed(line).ok_or_else(|| format!("`sim {arguments}` said `{line}`, {}", out.status))
}

fn parsed(line: &str) -> Option<Option<Found>> {
    if line.starts_with("held ") {
        return Some(None);
    }
    let mut words = line.strip_prefix("failed ")?.splitn(3, ' ');
    let steps = words.next()?.parse().ok()?;
    let at = Time(words.next()?.parse().ok()?);
    Some(Some(Found { check: words.next()?.to_owned(), at, steps }))
}
