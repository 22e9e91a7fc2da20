//! The command line: what is typed becomes one call, what comes back is printed.
//!
//! - `args`: what can be typed, and the text of `--help`.
//! - `output`: where answers go, and in which form; `bytes`: keys and values as text.
//! - `connect`: how a cluster is found. The others are the commands.
//!
//! Nothing is asked of a cluster before all that was typed has been understood.

pub mod args;
pub mod bench;
pub mod bytes;
pub mod connect;
mod kv;
mod operator;
pub mod output;
mod placement;
pub(crate) mod progress;
mod region;
mod settings;
pub mod status;
mod store;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use tokio::runtime::Builder;

use self::args::{Cli, Command, Form, Global, Kv};
use self::connect::Target;
use self::output::Output;
use crate::errors::{self, Failure};
use crate::{demo, run, version};

/// Runs the binary.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Also `--help` and `--version`, which are data and end with 0.
        Err(error) => error.exit(),
    };
    let output = match Output::new(&cli.global, variable) {
        Ok(output) => output,
        Err(failure) => return output::fail(&failure, false),
    };
    match dispatch(cli, &output) {
        Ok(()) => output::succeed(),
        Err(failure) => output.fail(&failure),
    }
}

/// A variable of the environment. One that is empty is none.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn dispatch(cli: Cli, output: &Output) -> Result<(), Failure> {
    let Cli { global, command } = cli;
    let takes_raw = matches!(command, Command::Kv(Kv::Get { .. } | Kv::Scan(_)));
    if output.form == Form::Raw && !takes_raw {
        return Err(Failure::new(&errors::USAGE, "this command has no raw form")
            .next("use -o table or -o json; raw is for kv get and kv scan"));
    }
    match command {
        Command::Version => output.data(&version::json(), || version::line() + "\n"),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "crib", &mut script);
            output.bytes(&script)
        }
        Command::Config(command) => settings::run(command, &global, output),
        Command::Server(args) => {
            let effective = settings::effective(&args, &global, settings::environment()?)?;
            run::run(&effective, args.exit_with_parent)
        }
        Command::Explain(command) => {
            asynchronous(operator::explain(command, || target(&global, output), output))
        }
        Command::Demo(args) => asynchronous(demo::run(&args, output)),
        Command::Bench(command) => {
            let threads = command.threads();
            parallel(threads, bench::run(command, &global, output))
        }
        command => {
            let target = target(&global, output)?;
            asynchronous(ask(command, &target, output))
        }
    }
}

/// The cluster that a command is for; tells it, and what its client does, if that is wanted.
fn target(global: &Global, output: &Output) -> Result<Target, Failure> {
    let target = Target::new(global, variable)?;
    if output.verbose > 0 {
        output.note(&format!("asking {}", target.endpoints.join(", ")));
        let level = if output.verbose > 1 { "debug" } else { "info" }.to_owned();
        crate::logs::init(&crate::config::Log { level, ..Default::default() });
    }
    Ok(target)
}

async fn ask(command: Command, target: &Target, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Kv(command) => kv::run(command, target, output).await,
        Command::Status(args) => status::run(args, target, output).await,
        Command::Store(command) => store::run(command, target, output).await,
        Command::Region(command) => region::run(command, target, output).await,
        Command::Operator(command) => operator::run(command, target, output).await,
        Command::Placement(command) => placement::run(command, target, output).await,
        Command::Bench(_)
        | Command::Demo(_)
        | Command::Server(_)
        | Command::Config(_)
        | Command::Explain(_)
        | Command::Version
        | Command::Completion { .. } => Ok(()),
    }
}

/// Commands need one thread.
fn asynchronous(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    block_on(&mut Builder::new_current_thread(), work)
}

/// Callers have threads of their own.
fn parallel(
    threads: usize,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    block_on(&mut ::load::runtime(threads), work)
}

fn block_on(
    builder: &mut Builder,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let runtime = builder.enable_all().build().map_err(|error| {
        Failure::new(&errors::OUTPUT_FAILED, "cannot start").why(error.to_string())
    })?;
    let result = runtime.block_on(Box::pin(work));
    // A read of standard input, which cannot be taken back, must not keep the process.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests;
