//! The runner, as a program.

use std::process::{Command, Output};

/// Runs it with arguments that blanks part.
pub(crate) fn sim(arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    command.args(arguments.split_whitespace()).output().expect("the runner starts")
}
