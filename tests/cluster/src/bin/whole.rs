//! The binary `crib`, under a name of this crate: so cargo builds it before the tests that start
//! it, in their profile, and tells them where it is.

use std::process::ExitCode;

fn main() -> ExitCode {
    server::cli::main()
}
