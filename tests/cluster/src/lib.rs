//! Real processes on loopback: what a cluster under test is made of.
//!
//! There are two kinds. [`crib`] is whole nodes, `crib server`, with client and placement. The rest
//! is about the engine alone, under a state machine of its own:
//!
//! `crib-node` is one store in one process: an engine in a directory, the network, and groups with
//! a voter on every store. A test talks to it in lines.
//!
//! ```text
//!   test ── "17 put 3 apple" ──► stdin   node   stdout ── "17 ok 42" ──► test
//! ```
//!
//! | request | answer |
//! |---|---|
//! | `put GROUP VALUE` | `ok INDEX`; `refused leader STORE`, `refused WHY`: never done; `unknown` |
//! | `list GROUP` | `list INDEX:VALUE …` after a linearizable read, or as above |
//! | `local GROUP` | `list INDEX:VALUE …` as it is here, perhaps old |
//! | `status GROUP` | `status leads=… term=… commit=… applied=…` |
//! | `health` | `health failed=WHY stalled=…`: of the engine |
//! | `problem STORE` | `problem WHY`: why a store was not reached |
//! | `stop`, or the end of the input | the process ends, in order |
//!
//! Each line begins with a number that the test chooses; the answer begins with the same. Answers
//! come in any order. `0 ready` is said once, when all groups are there.
//!
//! Not here: how such nodes are started, killed and deprived of power, in `tests/processes`.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod crib;
pub mod disks;
pub mod ledger;
