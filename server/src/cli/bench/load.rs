//! From what was typed to a result.
//!
//! 1. What makes no sense is told before anything is called.
//! 2. The cluster is reached, records are set that are missing, the machine is looked at.
//! 3. Callers call; seconds are told as they pass.
//! 4. The result is printed and written, also if it is invalid. Then the command fails.

use std::path::Path;
use std::time::Duration;

use load::summary::{Latencies, Summary};
use load::{Environment, Errors, Keys, Pace, Plan, Second, Values, Workload, grouped};

use super::args::LoadArgs;
use super::called::Called;
use crate::cli::connect::Target;
use crate::cli::output::{Output, Table, json};
use crate::errors::{self, Failure};

/// Parts of the records after which is told how many are set.
const TOLD: u64 = 4;

/// Does it.
///
/// # Errors
/// If it cannot begin, or the result is invalid.
pub(super) async fn run(
    workload: Workload,
    args: &LoadArgs,
    target: &Target,
    output: &Output,
) -> Result<(), Failure> {
    let plan = plan(workload, args)?;
    [&args.report, &args.json].into_iter().flatten().try_for_each(|path| check_place(path))?;
    let called = Called::connect(args, target).await?;
    if let Some(problem) = &called.problem {
        output.note(&format!("not healthy: {problem}; the result will be invalid"));
    }
    if plan.workload.needs_records() {
        fill(&called, &plan, output).await?;
    }
    let dir = args.fsync_dir.clone();
    let environment = tokio::task::spawn_blocking(move || Environment::measure(&dir)).await;
    let environment = environment.map_err(|error| {
        Failure::new(&errors::BENCH_INVALID, "cannot look at this machine").why(error.to_string())
    })?;

    let clients = grouped(plan.clients as u64);
    let (span, warmup) = (plan.span.as_secs_f64(), plan.warmup.as_secs_f64());
    let name = plan.workload.name;
    output.note(&format!("{name}, {clients} clients: {warmup} s of warm-up, then {span} s"));
    output.note(Second::HEAD);
    let mut show = |second: &Second| output.note(&second.text());
    let measured = load::run(&called.target, &plan, &called.watch, &mut show).await;

    let errors = if args.allow_errors { Errors::Allow } else { Errors::Refuse };
    let reasons = load::reasons(&measured, errors);
    let servers = called.watch.servers.len();
    let summary = Summary::new(&plan, called.cluster, servers, environment, &measured, reasons);
    if let Some(path) = &args.json {
        write(path, &(json(&summary) + "\n"))?;
    }
    if let Some(path) = &args.report {
        write(path, &load::page(&summary))?;
    }
    output.data(&summary, || text(&summary, output))?;
    if summary.valid { Ok(()) } else { Err(invalid(&summary)) }
}

fn plan(workload: Workload, args: &LoadArgs) -> Result<Plan, Failure> {
    let span = args.duration.get();
    if span < Duration::from_millis(100) {
        return Err(Failure::new(&errors::USAGE, "--duration must be at least 100ms"));
    }
    let distribution = args.distribution.map_or(workload.distribution, Into::into);
    Ok(Plan {
        workload: Workload { distribution, ..workload },
        keys: Keys { prefix: args.prefix.clone(), records: args.records },
        clients: usize::try_from(args.clients).unwrap_or(usize::MAX),
        pace: args.rate.map_or(Pace::Closed, Pace::Open),
        warmup: args.warmup.get(),
        span,
        value_bytes: args.value_size.as_usize(),
        seed: args.seed,
    })
}

/// Sets the records that are missing.
async fn fill(called: &Called, plan: &Plan, output: &Output) -> Result<(), Failure> {
    let Plan { keys, value_bytes, seed, .. } = plan;
    let failed = |failed: load::Failed| {
        Failure::new(&errors::BENCH_INVALID, "records cannot be set; nothing was measured")
            .why(failed.to_string())
    };
    if load::is_filled(&called.target, keys, *value_bytes).await.map_err(failed)? {
        return Ok(());
    }
    let (records, prefix) = (grouped(keys.records), &keys.prefix);
    output.note(&format!(
        "setting {records} records of {} bytes under {prefix}: some are missing or of another size",
        grouped(*value_bytes as u64),
    ));
    let mut told = 0;
    let mut show = |done: u64| {
        let parts = done * TOLD / keys.records;
        if parts > told {
            told = parts;
            output.note(&format!("{} of {records} are set", grouped(done)));
        }
    };
    let values = Values::new(*value_bytes, *seed);
    load::fill(&called.target, keys, &values, &mut show).await.map_err(failed)
}

fn invalid(summary: &Summary) -> Failure {
    let failure = Failure::new(&errors::BENCH_INVALID, "the result is invalid");
    summary.reasons.iter().fold(failure, Failure::why)
}

fn text(summary: &Summary, output: &Output) -> String {
    let mut facts = summary.facts();
    facts.extend(summary.reasons.iter().map(|reason| ("INVALID", reason.clone())));
    let mut text: String =
        facts.iter().map(|(name, value)| format!("{name:<11}  {value}\n")).collect();
    let [count, mean, p50, p90, p99, p999, max] = Latencies::HEAD;
    let mut table = Table::new(&["LATENCY MS", count, mean, p50, p90, p99, p999, max]);
    for of in &summary.latencies {
        let [count, mean, p50, p90, p99, p999, max] = of.cells();
        table.row([of.kind.name().to_owned(), count, mean, p50, p90, p99, p999, max]);
    }
    text += "\n";
    text += &output.table(&table);
    text
}

/// Complains before anything is measured if a file could not be written afterwards.
fn check_place(path: &Path) -> Result<(), Failure> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if path.is_dir() || parent.is_some_and(|parent| !parent.is_dir()) {
        let what = format!("cannot write {}", path.display());
        return Err(Failure::new(&errors::OUTPUT_FAILED, what)
            .why("it is a directory, or lies in one that does not exist")
            .next("name a file in a directory that exists"));
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| {
        let what = format!("cannot write {}", path.display());
        Failure::new(&errors::OUTPUT_FAILED, what).why(error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::{Cli, Command};
    use crate::cli::bench::Bench;

    fn put(line: &str) -> LoadArgs {
        let words = format!("crib bench put {line}");
        let Command::Bench(bench) = Cli::parse_from(words.split_whitespace()).command else {
            panic!("{line}")
        };
        let Bench::Put(args) = bench else { panic!("{line}") };
        *args
    }

    #[test]
    fn flags_become_a_plan() {
        let plan_of = |line: &str| plan(Workload::put(), &put(line));
        let by_default = plan_of("").unwrap();
        assert_eq!((by_default.pace, by_default.clients), (Pace::Closed, 64));
        assert_eq!(by_default.keys, Keys { prefix: "bench/".to_owned(), records: 100_000 });
        assert_eq!((by_default.value_bytes, by_default.span), (256, Duration::from_secs(10)));
        let all = plan_of(
            "--rate 500 --duration 3s --warmup 1s --records 7 --value-size 1KiB --seed 9 \
             --distribution latest --prefix x/ --clients 2",
        )
        .unwrap();
        assert_eq!((all.pace, all.seed, all.keys.records), (Pace::Open(500), 9, 7));
        assert_eq!(all.workload.distribution, load::Distribution::Latest);
        assert_eq!(plan_of("--duration 1ms").unwrap_err().entry, &errors::USAGE);
    }

    #[test]
    fn file_in_no_directory_is_refused_before() {
        assert_eq!(check_place(Path::new("report.html")), Ok(()));
        for bad in ["/nowhere/at/all/report.html", "/"] {
            let failure = check_place(Path::new(bad)).unwrap_err();
            assert_eq!(failure.entry, &errors::OUTPUT_FAILED, "{bad}");
        }
    }
}
