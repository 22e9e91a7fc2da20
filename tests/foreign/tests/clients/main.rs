//! Clients that are not ours, one file for each kind.
//!
//! | file | client |
//! |---|---|
//! | `raw` | the Rust client with keyspaces (`api-version` v2): every raw request, many regions |
//! | `moving` | the same while regions split, leaders move and a node crashes |
//! | `verbatim` | the same client without keyspaces (v1, v1ttl) |
//! | `python` | the Python package |
//! | `go` | the Go module |
//! | `generic` | health and reflection, as tools for any gRPC server ask |
//!
//! Weaknesses of a client are worked around and named where that is done; nothing is asserted about
//! them. None of the tests depends on how fast a machine is.

#![expect(clippy::unwrap_used, reason = "a test that meets what it did not expect fails there")]

mod command;
mod generic;
mod go;
mod moving;
mod python;
mod raw;
mod rust;
mod verbatim;
