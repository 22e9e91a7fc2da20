//! Whether a node lives, and whether it is ready.

use std::fmt::Write as _;

use axum::http::StatusCode;

/// One thing that must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// A short name, in kebab case: `joined`, `disk`.
    pub name: &'static str,
    /// Why it does not hold.
    pub result: Result<(), String>,
}

impl Check {
    /// It holds, or `why` not.
    #[must_use]
    pub fn new(name: &'static str, holds: bool, why: impl Into<String>) -> Check {
        Check { name, result: if holds { Ok(()) } else { Err(why.into()) } }
    }
}

/// The answer to a question with `verbose` or `exclude=a,b` in it.
pub(super) fn answer(kind: &str, checks: &[Check], query: &str) -> (StatusCode, String) {
    let parts = || query.split('&');
    let is_verbose = parts().any(|part| part == "verbose" || part.starts_with("verbose="));
    let excluded = parts().filter_map(|part| part.strip_prefix("exclude="));
    let excluded: Vec<&str> = excluded.flat_map(|names| names.split(',')).collect();
    let mut is_good = true;
    let mut lines = String::new();
    for check in checks {
        // Writing to a string cannot fail.
        let _ = match &check.result {
            _ if excluded.contains(&check.name) => {
                writeln!(lines, "[+]{} excluded: ok", check.name)
            }
            Ok(()) => writeln!(lines, "[+]{} ok", check.name),
            Err(why) => {
                is_good = false;
                writeln!(lines, "[-]{} failed: {why}", check.name)
            }
        };
    }
    let status = if is_good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match (is_good, is_verbose) {
        (true, false) => (status, "ok\n".to_owned()),
        (true, true) => (status, format!("{lines}{kind} check passed\n")),
        (false, _) => (status, format!("{lines}{kind} check failed\n")),
    }
}
