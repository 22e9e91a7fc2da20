//! What this binary is.

use serde_json::{Value, json};

/// Version of the release.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit it was built from, where the build said so in `CRIB_COMMIT`.
pub const COMMIT: Option<&str> = option_env!("CRIB_COMMIT");
/// Version of the layout of data directories.
pub const FORMAT: u32 = 1;
/// Version of what nodes say to each other.
pub const WIRE: u32 = 1;

/// In a line.
#[must_use]
pub fn line() -> String {
    let commit = COMMIT.map(|commit| format!(" ({commit})")).unwrap_or_default();
    format!("crib {VERSION}{commit}  wire {WIRE}  format {FORMAT}")
}

/// For machines.
#[must_use]
pub fn json() -> Value {
    json!({ "version": VERSION, "commit": COMMIT, "wire": WIRE, "format": FORMAT })
}
