//! Which program the nodes are.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde::Deserialize;

/// The path of `crib`; builds it the first time, unless `TESTED_CRIB` names one.
///
/// # Panics
/// If it does not compile.
pub fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match std::env::var_os("TESTED_CRIB") {
        Some(path) => PathBuf::from(path),
        None => build(),
    })
}

/// A message of cargo; of most of them nothing is wanted.
#[derive(Deserialize)]
struct Message {
    reason: String,
    executable: Option<PathBuf>,
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // What cargo tells of this crate is nothing to the other one: it would be built anew for it.
    for (name, _) in std::env::vars_os() {
        let told = name.to_string_lossy();
        if told.starts_with("CARGO_PKG_") || told.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    // Where this crate lies is in the workspace, so its settings are those of cargo there.
    let output = command
        .args(["build", "-p", "server", "--bin", "crib"])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "crib does not compile: the reason is above");
    let text = String::from_utf8(output.stdout).expect("messages of cargo are text");
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let built = messages.filter(|message| message.reason == "compiler-artifact");
    built.filter_map(|message| message.executable).next_back().expect("cargo names what it built")
}
