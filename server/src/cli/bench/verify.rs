//! `crib bench verify`: a load that remembers, faults from a seed, and a verdict.
//!
//! Without `--against` it starts a cluster of its own in a temporary directory, whose processes it
//! may kill; that is removed unless the verdict is bad. Of a cluster that is there already only
//! leaders are moved, regions split, stores emptied and taken back.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;
use verify::faults::{Mark, Nodes};
use verify::report::{Report, Verdict};
use verify::run::{Outcome, Settings};
use verify::script::Fault;

use super::local::Local;
use crate::cli::args::Global;
use crate::cli::connect::Target;
use crate::cli::output::Output;
use crate::cli::status;
use crate::config::Span;
use crate::errors::{self, Failure};
use crate::run::Signals;

/// How long a cluster of our own may take to be well.
const START_MAX: Duration = Duration::from_secs(60);
/// How long a cluster of somebody else may take to be well.
const AGAINST_MAX: Duration = Duration::from_secs(30);
/// Bytes of a value: enough that it is not free, small enough that processors are the limit.
const VALUE_BYTES: usize = 100;
/// What is done to a cluster of our own, and to another.
const OWN: [Fault; 5] = [Fault::Kill, Fault::Pause, Fault::Restart, Fault::Transfer, Fault::Split];
const OTHERS: [Fault; 2] = [Fault::Transfer, Fault::Split];

/// Arguments of `crib bench verify`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Faults: kill, kill-all, pause, restart, transfer, split, drain; or none.\n\
    drain needs --nodes 4 or more. Every fault is proven to have happened, or the run is not\n\
    valid.\n\
    Exit codes: 0 good; 6 the cluster did not keep its word; 1 the run shows nothing."
)]
pub struct VerifyArgs {
    /// How long the load goes on.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = Span::parse)]
    duration: Span,
    /// Clients that write, at a time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    writers: u32,
    /// Clients that read.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=256))]
    readers: u32,
    /// Keys in use at a time, beside a log of keys that are written once.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(2..))]
    keys: u32,
    /// Of all that is drawn: what is written, and what breaks when. [default: by the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// What breaks, with commas between; or none. [default: kill,pause,restart,transfer,split; with
    /// --against: transfer,split]
    #[arg(long, value_name = "FAULT,…", value_parser = faults)]
    faults: Option<Faults>,
    /// Nodes of the cluster that is started for this.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: u16,
    /// Instead: nodes of a cluster that is there already. Its processes are left alone, and keys
    /// under verify/ stay in it.
    #[arg(long, value_delimiter = ',', value_name = "HOST:PORT", conflicts_with = "nodes")]
    against: Vec<String>,
    /// Regions to begin with.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    regions: u8,
    /// Write the report there, as one page of HTML.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write there what every client asked and was told, as lines of JSON.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
}

/// What breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Faults(Vec<Fault>);

fn faults(text: &str) -> Result<Faults, String> {
    if text == "none" {
        return Ok(Faults(Vec::new()));
    }
    let mut all: Vec<Fault> = Vec::new();
    for name in text.split(',') {
        let fault = name.trim().parse()?;
        if !all.contains(&fault) {
            all.push(fault);
        }
    }
    Ok(Faults(all))
}

impl VerifyArgs {
    /// What breaks.
    ///
    /// # Errors
    /// If it would be done to processes of somebody else.
    fn wanted(&self) -> Result<Vec<Fault>, Failure> {
        let is_own = self.against.is_empty();
        let Some(Faults(wanted)) = &self.faults else {
            return Ok(if is_own { OWN.to_vec() } else { OTHERS.to_vec() });
        };
        if let Some(fault) = wanted.iter().find(|fault| fault.needs_processes() && !is_own) {
            let what = format!("{fault} is done to processes, and those are not ours");
            return Err(Failure::new(&errors::USAGE, what)
                .next("leave it out, or leave out --against: then a cluster is started for this"));
        }
        Ok(wanted.clone())
    }

    async fn settings(&self, target: &Target, seed: u64) -> Result<Settings, Failure> {
        Ok(Settings {
            endpoints: target.endpoints.clone(),
            options: target.options(target.mode().await?),
            seed,
            duration: self.duration.get(),
            writers: self.writers,
            readers: self.readers,
            keys: self.keys,
            value_bytes: VALUE_BYTES,
            regions: usize::from(self.regions),
            faults: self.wanted()?,
        })
    }
}

/// Does it.
///
/// # Errors
/// If it cannot be done, a file cannot be written, or the verdict is not good.
pub(super) async fn run(
    args: &VerifyArgs,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    args.wanted()?;
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = args.seed.unwrap_or_else(|| since.map_or(1, |since| since.as_secs()));
    if !args.against.is_empty() {
        let mut target = Target::new(global, crate::cli::variable)?;
        target.endpoints = args.against.clone();
        // What is not well before is not the fault of the load.
        status::healthy(&target, 1, Instant::now() + AGAINST_MAX, output).await?;
        let settings = args.settings(&target, seed).await?;
        let outcome = load(&settings, None, output).await?;
        return judge(args, &outcome, None, output);
    }
    let mut signals = Signals::new()?;
    let local = Arc::new(Local::start(args.nodes)?);
    output.note(&format!("started {} nodes in {}; seed {seed}", args.nodes, local.dir().display()));
    let result = tokio::select! {
        result = Box::pin(own(args, &local, seed, output)) => result,
        () = signals.next() => {
            Err(Failure::new(&errors::INTERRUPTED, "interrupted before there was a verdict")
                .next("run it again, with a shorter --duration; nothing is kept"))
        }
    };
    local.end();
    let gone = [&errors::INTERRUPTED, &errors::NOTHING_SHOWN];
    let is_kept = result.as_ref().err().is_some_and(|failure| !gone.contains(&failure.entry));
    if is_kept {
        output.note(&format!("logs and data are kept in {}", local.dir().display()));
    } else {
        local.remove();
    }
    result
}

/// With a cluster of our own.
async fn own(
    args: &VerifyArgs,
    local: &Arc<Local>,
    seed: u64,
    output: &Output,
) -> Result<(), Failure> {
    let target = Target::plain(local.endpoints());
    let count = usize::from(args.nodes);
    status::healthy(&target, count, Instant::now() + START_MAX, output).await?;
    let settings = args.settings(&target, seed).await?;
    let nodes: Arc<dyn Nodes> = Arc::clone(local) as Arc<dyn Nodes>;
    let outcome = load(&settings, Some(nodes), output).await?;
    judge(args, &outcome, Some(local.dir()), output)
}

async fn load(
    settings: &Settings,
    nodes: Option<Arc<dyn Nodes>>,
    output: &Output,
) -> Result<Outcome, Failure> {
    let said = |mark: &Mark| output.note(&line(mark));
    Ok(Box::pin(verify::run::run(settings, nodes, &said)).await?)
}

fn line(mark: &Mark) -> String {
    let proof = mark.proof.as_deref().unwrap_or("NOT PROVEN");
    let at = format!("{}.{:03}", mark.from_ms / 1_000, mark.from_ms % 1_000);
    let note = if mark.note.is_empty() { String::new() } else { format!("; {}", mark.note) };
    format!("{at:>8}  {:<8}  {}: {proof}{note}", mark.fault.name(), mark.target)
}

/// Writes what is to be written, prints the report, and makes the verdict an exit code.
fn judge(
    args: &VerifyArgs,
    outcome: &Outcome,
    kept: Option<&Path>,
    output: &Output,
) -> Result<(), Failure> {
    let report = &outcome.report;
    let mut saved = Vec::new();
    if let Some(path) = &args.report {
        std::fs::write(path, report.html()).map_err(|error| unwritten(path, &error))?;
        saved.push(format!("report {}", path.display()));
    }
    // What is wrong is to be looked at.
    let history = match (&args.history, report.verdict, kept) {
        (Some(path), ..) => Some(path.clone()),
        (None, Verdict::Bad, Some(dir)) => Some(dir.join("history.jsonl")),
        (None, ..) => None,
    };
    if let Some(path) = &history {
        let write = |path: &Path| {
            let mut file = BufWriter::new(File::create(path)?);
            verify::history::write(&outcome.records, &mut file)
        };
        write(path).map_err(|error| unwritten(path, &error))?;
        saved.push(format!("history {}", path.display()));
    }
    output.data(report, || report.text(&saved))?;
    verdict(report)
}

fn verdict(report: &Report) -> Result<(), Failure> {
    let (entry, what) = match report.verdict {
        Verdict::Good => return Ok(()),
        Verdict::Bad => (&errors::WORD_BROKEN, "the cluster did not keep its word"),
        Verdict::Invalid => (&errors::NOTHING_SHOWN, "the run shows nothing about the cluster"),
    };
    let failure = report.reasons.iter().fold(Failure::new(entry, what), Failure::why);
    Err(failure.why(format!("seed {}", report.seed)))
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(&errors::OUTPUT_FAILED, format!("cannot write {}", path.display()))
        .why(error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::Bench;
    use super::*;
    use crate::cli::args::{Cli, Command};

    fn args(words: &str) -> VerifyArgs {
        let line = format!("crib bench verify {words}");
        match Cli::try_parse_from(line.split_whitespace()).unwrap().command {
            Command::Bench(Bench::Verify(args)) => *args,
            _ => panic!("another command"),
        }
    }

    #[test]
    fn processes_of_others_are_left_alone() {
        assert_eq!(args("").wanted().unwrap(), OWN);
        assert_eq!(args("--against a:1").wanted().unwrap(), OTHERS);
        assert_eq!(args("--faults none").wanted().unwrap(), []);
        assert_eq!(
            args("--faults split,kill,split").wanted().unwrap(),
            [Fault::Split, Fault::Kill]
        );
        let failure = args("--against a:1 --faults split,kill").wanted().unwrap_err();
        assert_eq!(failure.entry, &errors::USAGE);
        assert!(failure.what.contains("kill"), "{failure}");
    }

    #[test]
    fn fault_is_a_line_with_its_proof() {
        let mark = Mark {
            fault: Fault::Kill,
            from_ms: 2_010,
            to_ms: 3_000,
            target: "a:1".to_owned(),
            proof: Some("process 1 was gone, 2 took its place".to_owned()),
            note: String::new(),
        };
        assert_eq!(line(&mark), "   2.010  kill      a:1: process 1 was gone, 2 took its place");
        let unproven = Mark { proof: None, note: "it did not run".to_owned(), ..mark };
        assert_eq!(line(&unproven), "   2.010  kill      a:1: NOT PROVEN; it did not run");
    }
}
