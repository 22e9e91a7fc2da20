//! `kv-bench [NAME…] [--quick] [--only PATTERN] [--json FILE] [--dir DIR] [--regions N]
//! [--crib FILE] [--etcd FILE] [--floor FILE] [--under COMMAND] [--plot FILE] [--threads N]`: a
//! whole cluster, beside etcd.
//!
//! Prints a line about the machine, then rows as soon as they are known. Ends with 1, and without
//! the row, where a cluster was not well or a call failed; the file then says that it is invalid.

use std::path::PathBuf;
use std::process::ExitCode;

use benches::cluster::{BENCHES, Bench, Settings};
use benches::meters::{load_average, machine};
use benches::table;
use mimalloc::MiMalloc;

/// That of `crib`, whose callers these are. Both sides have it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const USAGE: &str = "usage: kv-bench [rates|split|transfer|kill|scale]... [--quick] \
                     [--only PATTERN] [--json FILE] [--dir DIR] [--regions N] [--crib FILE] \
                     [--etcd FILE] [--floor FILE] [--under COMMAND] [--plot FILE] [--threads N]";

struct Options {
    settings: Settings,
    json: Option<String>,
    /// Threads that callers share, those of both sides.
    threads: usize,
    benches: Vec<&'static Bench>,
}

fn main() -> ExitCode {
    let Some(options) = options(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("kv-bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut args: impl Iterator<Item = String>) -> Option<Options> {
    let settings = Settings {
        is_quick: false,
        dir: std::env::temp_dir(),
        only: None,
        // Both are built into one directory.
        crib: std::env::current_exe().ok()?.with_file_name("crib"),
        etcd: None,
        floor: None,
        under: Vec::new(),
        regions: 1,
        plot: None,
    };
    let threads = load::default_threads();
    let mut options = Options { settings, json: None, threads, benches: Vec::new() };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => options.settings.is_quick = true,
            "--threads" => options.threads = args.next()?.parse().ok().filter(|&n| n > 0)?,
            "--json" => options.json = Some(args.next()?),
            "--only" => options.settings.only = Some(args.next()?),
            "--dir" => options.settings.dir = PathBuf::from(args.next()?),
            "--crib" => options.settings.crib = PathBuf::from(args.next()?),
            "--etcd" => options.settings.etcd = Some(PathBuf::from(args.next()?)),
            "--floor" => options.settings.floor = Some(PathBuf::from(args.next()?)),
            "--regions" => options.settings.regions = args.next()?.parse().ok()?,
            "--plot" => options.settings.plot = Some(PathBuf::from(args.next()?)),
            "--under" => {
                options.settings.under =
                    args.next()?.split_whitespace().map(str::to_owned).collect();
            }
            name => options.benches.push(BENCHES.iter().find(|bench| bench.name == name)?),
        }
    }
    if options.benches.is_empty() {
        options.benches = BENCHES.iter().collect();
    }
    Some(options)
}

fn run(options: &Options) -> Result<(), String> {
    let settings = &options.settings;
    let runtime = load::runtime(options.threads).build().map_err(|error| error.to_string())?;
    let callers = runtime.handle().clone();
    // Whoever waits for callers is not one of them; they run to the end of the process.
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    std::fs::create_dir_all(&settings.dir)
        .map_err(|error| format!("no directory {}: {error}", settings.dir.display()))?;
    let machine = machine(&settings.dir);
    let machine = format!("{machine}, threads of callers {}", options.threads);
    println!("{machine}");
    if settings.etcd.is_none() && options.benches.iter().any(|bench| bench.name == "rates") {
        println!("no etcd was named: the comparison is absent");
    }
    println!("{}", table::head());
    let mut rows = Vec::new();
    let mut wrong = Ok(());
    for bench in &options.benches {
        let mut show = |row: table::Row| {
            println!("{}", row.text());
            rows.push(row);
        };
        wrong = (bench.run)(settings, &callers, &mut show)
            .map_err(|why| format!("{}: invalid, no figure: {why}", bench.name));
        println!("{:58} {:.1}", format!("load average after {}", bench.name), load_average());
        if wrong.is_err() {
            break;
        }
    }
    if let (Ok(()), true, Some(only)) = (&wrong, rows.is_empty(), &settings.only) {
        wrong = Err(format!("nothing is named like {only}"));
    }
    if let Some(path) = &options.json {
        std::fs::write(path, table::json(&machine, &rows, wrong.as_ref().err()))
            .map_err(|error| format!("cannot write {path}: {error}"))?;
    }
    wrong
}
