//! The binary `crib`: all of it is in the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A read of one key allocates some fifty times, most of it gRPC's: see `docs/perf.md`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    server::cli::main()
}
