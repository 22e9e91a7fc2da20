//! `placement-bench [NAME…] [--quick] [--regions N] [--json FILE]`: placement with many regions.
//!
//! Prints a line about the machine, then each bench's rows as soon as they are known.

use std::process::ExitCode;
use std::time::Duration;

use benches::meters::{load_average, machine};
use benches::planner::{BENCHES, Bench, Settings};
use benches::table;

const USAGE: &str = "usage: placement-bench [core|routes]... [--quick] [--regions N] [--json FILE]";

struct Options {
    settings: Settings,
    json: Option<String>,
    benches: Vec<&'static Bench>,
}

fn main() -> ExitCode {
    let Some(options) = options(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    run(&options)
}

fn options(mut args: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options { settings: Settings::default(), json: None, benches: Vec::new() };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => {
                options.settings.turns = 3;
                options.settings.span = Duration::from_secs(1);
            }
            "--regions" => {
                let regions = args.next()?.parse().ok()?;
                // Each store leads one at least.
                options.settings.regions = options.settings.stores.max(regions);
            }
            "--json" => options.json = Some(args.next()?),
            name => options.benches.push(BENCHES.iter().find(|(other, _)| *other == name)?),
        }
    }
    if options.benches.is_empty() {
        options.benches = BENCHES.iter().collect();
    }
    Some(options)
}

fn run(options: &Options) -> ExitCode {
    let machine = machine(&std::env::temp_dir());
    println!("{machine}");
    println!("{}", table::head());
    let mut rows = Vec::new();
    for (name, bench) in &options.benches {
        let new = bench(&options.settings);
        new.iter().for_each(|row| println!("{}", row.text()));
        println!("{:58} {:.1}", format!("load average after {name}"), load_average());
        rows.extend(new);
    }
    if let Some(path) = &options.json
        && let Err(error) = std::fs::write(path, table::json(&machine, &rows, None))
    {
        eprintln!("cannot write {path}: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
