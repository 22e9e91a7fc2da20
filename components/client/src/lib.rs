//! The client of a cluster: which region has a key, who leads it, and what to do when that changes.
//!
//! ```no_run
//! use client::{Client, Options, ScanOptions};
//! use types::KeyRange;
//!
//! # async fn example() -> Result<(), client::Error> {
//! let client = Client::connect(&["127.0.0.1:6711", "127.0.0.1:6712"], Options::default()).await?;
//! client.put("bridge/1", "oak").await?;
//! assert_eq!(client.get("bridge/1").await?.as_deref(), Some(&b"oak"[..]));
//!
//! let swap = client.compare_and_swap("bridge/1", Some("oak".into()), "larch").await?;
//! assert!(swap.is_swapped);
//!
//! let mut scan = client.scan(&KeyRange::new("bridge/", "bridge0"), ScanOptions::default());
//! while let Some((key, value)) = scan.next().await? {
//!     println!("{key:?} is of {value:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # How a key finds its store
//!
//! ```text
//!  key ─► keys ─► region_cache ─(unknown)─► placement: GetRegion
//!                     │ region, leader
//!                     ▼
//!                  stores ─(unknown)─► placement: GetStore, connect
//!                     │ stream, or a call
//!                     ▼
//!                   store ─► answer, or a region error ─► verdict ─► better knowledge
//! ```
//!
//! Everything that is known may be out of date, and is used all the same: a store checks each
//! request against its own region and epoch, and refuses what is not for it. So being wrong costs a
//! round trip and never an answer. Nothing is refreshed but what turned out to be wrong.
//!
//! # What a failure means
//!
//! An operation makes as many attempts as fit into its [budget](Options::budget), with waits that
//! double. How it ends says what happened to the data, see [`Error::fate`]:
//!
//! - Reads are repeated at will.
//! - Puts, deletes, and removal of ranges are repeated even when an attempt may have taken effect:
//!   once more has the same outcome, unless another client wrote in between, see
//!   [`Options::resend_writes`]. If time runs out after such an attempt, the end is
//!   [`Error::Undetermined`].
//! - A compare-and-swap that may have taken effect ends so at once. Whether it did is then for the
//!   caller to find out, by reading.
//!
//! Operations on many keys and on ranges are as many commands as there are regions, or more, each
//! atomic by itself. A scan delivers each key at most once and in order, across splits and merges;
//! each of its pages is of an instant of its own.
//!
//! # Not here
//!
//! Transactions and timestamps. Reading from followers. Knowing better than placement where
//! replicas should be.
//!
//! Reading order: `options`, `error`, `client`, `router` with `verdict` and `region_cache`, `scan`,
//! `many`, `stores` with `stream`, `placement` with `leader`.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod admin;
mod backoff;
mod client;
mod command;
mod convert;
mod dial;
mod error;
mod keys;
mod lanes;
mod leader;
mod many;
mod options;
mod placement;
mod ranges;
mod region_cache;
mod router;
mod scan;
mod stores;
mod stream;
mod verdict;

pub use admin::Admin;
pub use client::{Client, Lifetime, Swap};
pub use error::{Error, Fate, Result};
pub use leader::{Finder, Leader};
pub use options::{KeyMode, Options, Tls};
pub use ranges::{Members, StoreInfo};
pub use region_cache::Route;
pub use scan::{Scan, ScanOptions};
