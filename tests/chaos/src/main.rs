//! Runs scenarios for a while: `./x chaos --minutes 30`.
//!
//! ```sh
//! ./x chaos                       # each scenario once
//! ./x chaos --minutes 30          # one after the other, with rising seeds
//! ./x chaos --only pause --seed 7 # one again
//! ```
//!
//! Prints a row for each run. What was wrong, and what showed nothing, is kept as a report and a
//! history in the directory of `--keep`. Ends with 1 if anything was wrong, with 3 if something
//! showed nothing.
//!
//! The same program is the node: `chaos server …` is `crib server …`.

use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use chaos::{ALL, Scenario, scenario};
use clap::Parser;
use verify::report::Verdict;
use verify::run::Outcome;

/// Named scenarios of faults on real processes.
#[derive(Debug, Parser)]
struct Args {
    /// Go on for so long; without it each scenario comes once.
    #[arg(long)]
    minutes: Option<u64>,
    /// The first seed; each round takes the next.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only these scenarios, with commas between.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// How long each is, if it does not need longer.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Where to keep what was not good.
    #[arg(long, default_value = "target/chaos")]
    keep: PathBuf,
}

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|first| first == "server") {
        return server::cli::main();
    }
    let args = Args::parse();
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    let runtime = threads.worker_threads(2).enable_all().build().expect("threads");
    runtime.block_on(Box::pin(all(&args)))
}

async fn all(args: &Args) -> ExitCode {
    for name in &args.only {
        if scenario::find(name).is_none() {
            let names: Vec<&str> = ALL.iter().map(|scenario| scenario.name).collect();
            eprintln!("there is no scenario `{name}`: {}", names.join(", "));
            return ExitCode::from(2);
        }
    }
    let chosen: Vec<&Scenario> = match args.only.is_empty() {
        true => ALL.iter().collect(),
        false => args.only.iter().filter_map(|name| scenario::find(name)).collect(),
    };
    let program = std::env::current_exe().expect("this program is a file");
    let program = program.display().to_string();
    let end = Instant::now() + Duration::from_secs(args.minutes.unwrap_or(0) * 60);
    let (mut bad, mut invalid, mut ran) = (0, 0, 0);
    let mut seed = args.seed;
    'rounds: loop {
        for scenario in &chosen {
            println!("{} seed {seed}: {}", scenario.name, scenario.about);
            let Some(outcome) = scenario.run(&program, seed, args.seconds).await else { continue };
            ran += 1;
            println!("{}", outcome.report.text(&[]));
            println!("| {} |", row(scenario, seed, &outcome).join(" | "));
            match outcome.report.verdict {
                Verdict::Good => {}
                Verdict::Bad => bad += 1,
                Verdict::Invalid => invalid += 1,
            }
            if outcome.report.verdict != Verdict::Good {
                keep(&args.keep, scenario, seed, &outcome);
            }
            if args.minutes.is_some() && Instant::now() >= end {
                break 'rounds;
            }
        }
        if args.minutes.is_none() {
            break;
        }
        seed += 1;
    }
    println!("chaos: {ran} ran, {bad} bad, {invalid} showed nothing");
    match (bad, invalid) {
        (0, 0) if ran > 0 => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(3),
        _ => ExitCode::FAILURE,
    }
}

fn row(scenario: &Scenario, seed: u64, outcome: &Outcome) -> Vec<String> {
    let report = &outcome.report;
    let lost = report.durability.as_ref().map_or("?".to_owned(), |end| end.lost.to_string());
    let proven = report.faults.iter().filter(|mark| mark.proof.is_some()).count();
    vec![
        scenario.name.to_owned(),
        seed.to_string(),
        format!("{proven} of {}", report.faults.len()),
        report.counts.acknowledged.to_string(),
        lost,
        report.counts.unknown.to_string(),
        format!("{} ms", report.successes.longest.ms),
        format!("{:?}", report.verdict).to_lowercase(),
    ]
}

fn keep(dir: &Path, scenario: &Scenario, seed: u64, outcome: &Outcome) {
    let name = format!("{}-{seed}", scenario.name);
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(dir)?;
        std::fs::write(dir.join(format!("{name}.html")), outcome.report.html())?;
        let file = std::fs::File::create(dir.join(format!("{name}.jsonl")))?;
        verify::history::write(&outcome.records, &mut BufWriter::new(file))
    };
    match write() {
        Ok(()) => println!("kept: {}", dir.join(name).display()),
        Err(error) => println!("not kept: {error}"),
    }
}
