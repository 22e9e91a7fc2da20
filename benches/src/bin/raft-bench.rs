//! `raft-bench [--quick] [--json FILE] [--only PATTERN]`: the Raft cores side by side.
//!
//! Prints a line about the machine, each row on stderr as it is known, then one table on stdout.
//!
//! What is counted rather than timed comes from `raft-bench-alloc`, which must stand beside this
//! program (`cargo build --release -p benches` puts it there).

use std::process::{Command, ExitCode};
use std::time::Duration;

use benches::measure::Plan;
use benches::report::{Columns, Row};
use benches::suite::Suite;

const USAGE: &str = "usage: raft-bench [--quick] [--json FILE] [--only PATTERN]";

#[derive(Default)]
struct Options {
    is_quick: bool,
    json: Option<String>,
    only: Option<String>,
}

fn main() -> ExitCode {
    let Some(options) = options(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    run(&options)
}

fn options(mut args: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options::default();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => options.is_quick = true,
            "--json" => options.json = Some(args.next()?),
            "--only" => options.only = Some(args.next()?),
            _ => return None,
        }
    }
    Some(options)
}

fn run(options: &Options) -> ExitCode {
    let machine = machine();
    println!("{machine}");
    let contenders = benches::contenders();
    let (runs, run_min_ms) = if options.is_quick { (7, 20) } else { (31, 50) };
    let suite = Suite {
        contenders: &contenders,
        plan: Plan { runs, run_min: Duration::from_millis(run_min_ms) },
        is_quick: options.is_quick,
        only: options.only.clone(),
        on_row: |row| eprintln!("  {} done", row.name),
    };
    let mut rows = suite.run();
    match counted_rows(options) {
        Ok(counted) => rows.extend(counted),
        Err(error) => eprintln!("no counts: raft-bench-alloc: {error}"),
    }
    let columns = Columns::new(&contenders);
    print!("{}", columns.table(&rows));
    if let Some(path) = &options.json
        && let Err(error) = std::fs::write(path, columns.json(&machine, &rows))
    {
        eprintln!("cannot write {path}: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn counted_rows(options: &Options) -> std::io::Result<Vec<Row>> {
    let program = std::env::current_exe()?.with_file_name("raft-bench-alloc");
    let output = Command::new(program).args(&options.only).output()?;
    if !output.status.success() {
        return Err(std::io::Error::other(String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(Row::from_line).collect())
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let rustc = Command::new("rustc").arg("--version").output();
    let rustc = rustc.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!(
        "machine: {cores} cores, {}, {}; CPU time of one thread, medians of interleaved runs",
        model.map_or("unknown CPU", |(_, name)| name),
        rustc.unwrap_or_else(|_| "unknown rustc".to_owned()),
    )
}
