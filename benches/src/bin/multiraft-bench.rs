//! `multiraft-bench [NAME…] [--quick] [--only PATTERN] [--json FILE] [--dir DIR]`: a whole store,
//! beside RocksDB.
//!
//! Prints a line about the machine, then each bench's rows as soon as they are known.

use std::path::PathBuf;
use std::process::ExitCode;

use benches::meters::{load_average, machine};
use benches::store::{BENCHES, Bench, Settings};
use benches::table;

const USAGE: &str = "usage: multiraft-bench [groups|log|purge|idle|restart]... [--quick] \
                     [--only PATTERN] [--json FILE] [--dir DIR]";

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
    let settings = Settings { is_quick: false, dir: std::env::temp_dir(), only: None };
    let mut options = Options { settings, json: None, benches: Vec::new() };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => options.settings.is_quick = true,
            "--json" => options.json = Some(args.next()?),
            "--only" => options.settings.only = Some(args.next()?),
            "--dir" => options.settings.dir = PathBuf::from(args.next()?),
            name => options.benches.push(BENCHES.iter().find(|bench| bench.name == name)?),
        }
    }
    if options.benches.is_empty() {
        options.benches = BENCHES.iter().collect();
    }
    Some(options)
}

fn run(options: &Options) -> ExitCode {
    let machine = machine(&options.settings.dir);
    println!("{machine}");
    println!("{}", table::head());
    let mut rows = Vec::new();
    for bench in &options.benches {
        let new = (bench.run)(&options.settings);
        new.iter().for_each(|row| println!("{}", row.text()));
        println!("{:58} {:.1}", format!("load average after {}", bench.name), load_average());
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
