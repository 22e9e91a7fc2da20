//! Commands beside the nodes of a cluster: `crib kv`, `crib status`, nodes that do not start.

use std::process::Command;

/// What a command said, and how it ended.
#[derive(Clone, Debug)]
pub struct Said {
    /// With which code; none if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs a command to its end. A node that starts against all expectation stops by itself: its
/// input ends.
///
/// # Panics
/// If it cannot be started.
pub async fn say(mut command: Command) -> Said {
    let run = tokio::task::spawn_blocking(move || command.output());
    let output = run.await.expect("no panic").expect("the program is built");
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
