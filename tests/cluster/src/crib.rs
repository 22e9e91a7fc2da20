//! Clusters of whole nodes, as they are shipped: processes of `crib server` on loopback, a client,
//! and what is done to both.
//!
//! ```text
//!   test ──► Cluster ──► Node: a process ◄──── signals
//!     │         │          ▲  ▲
//!     │         └ Admin    │  └─ Proxy: one way between two nodes, that can be cut
//!     └────► Ledger ── Client
//! ```
//!
//! The program is `crib-whole` of this package, which is `crib` under another name: a test hands
//! over where cargo has put it, `env!("CARGO_BIN_EXE_crib-whole")`.
//!
//! Invariants: no process outlives its cluster; none outlives the test's process, but one that was
//! told to stand still when that was killed. Logs are kept if the test fails, and their ends are
//! printed.
//!
//! Not here: judging histories with several writers of one key, but by counting.

mod bystanders;
mod certificates;
mod cluster;
mod counters;
mod ledger;
mod node;
mod options;
mod proxy;
mod view;

pub use self::bystanders::{Said, say};
pub use self::certificates::{Files, Signer};
pub use self::cluster::{Cluster, PATIENCE, until};
pub use self::ledger::{Counts, Ledger, Load};
pub use self::node::Node;
pub use self::options::{Options, new_host};
pub use self::proxy::Proxies;
pub use self::view::{regions, store_of};
