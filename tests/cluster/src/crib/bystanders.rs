//! Commands beside the nodes of a cluster: `crib kv`, `crib status`, nodes that do not start.

use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a command may take before its input ends.
const PATIENCE: Duration = Duration::from_secs(60);

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

/// Runs a command to its end, with its input open: a node whose input ends takes that for the end
/// of its parent, and may stop by that before it has said what is wrong. One that starts against
/// all expectation is ended by it after a minute.
///
/// # Panics
/// If it cannot be started.
pub async fn say(mut command: Command) -> Said {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program is built");
    let input = child.stdin.take();
    let mut run = tokio::task::spawn_blocking(move || child.wait_with_output());
    let ended = tokio::time::timeout(PATIENCE, &mut run).await;
    drop(input);
    let ended = match ended {
        Ok(ended) => ended,
        Err(_) => run.await,
    };
    let output = ended.expect("no panic").expect("it can be waited for");
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn input_is_open_while_a_command_runs() {
        let mut command = Command::new("timeout");
        command.args(["0.3", "cat"]);
        assert_eq!(say(command).await.code, Some(124), "its input has ended");
    }
}
