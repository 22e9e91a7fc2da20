//! Clients that are not ours, as they are: crates, packages and modules that speak the TiKV client
//! protocol, against nodes that are processes on loopback.
//!
//! The nodes are `crib`, the program. This crate links nothing of it:
//!
//! | `TESTED_CRIB` | the program |
//! |---|---|
//! | a path | that file; nothing is built |
//! | not set | what `cargo build -p server` makes, with the settings of this workspace |
//!
//! Not a name that begins with `CRIB_`: those are settings, and a node refuses one that it does not
//! know.
//!
//! What is here starts nodes and tells them what to do; the tests in `tests/clients` bring the
//! clients. What needs an interpreter, a compiler or a package that cannot be had is left out, and
//! says so in a line that begins with `SKIPPED`, whether or not the output of tests is shown.
//!
//! Not here: the tests that come with the Rust client, since they compile a TLS library of their
//! own; `tests/foreign/shipped.sh` runs them.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod cluster;
mod program;

pub use cluster::{Api, Cluster, Region};
pub use program::program;

use std::io::Write as _;

/// Says why a test did nothing. Not by a macro: what those print is kept from whoever runs tests.
pub fn skipped(what: &str, why: &str) {
    say(&format!("SKIPPED: {what}: {why}"));
}

/// Says what was counted.
pub fn say(what: &str) {
    let _ = std::io::stderr().write_all(format!("\n{what}\n").as_bytes());
}
