//! The crate table: every crate of the workspace, where it lies, whom it may name.
//!
//! A crate exists only for a wall the compiler should keep, or for two users above it; otherwise it
//! is a module. Rows for crates that are not built yet are here so that their place is settled.
//!
//! Invariant: a crate names only rows above its own, so dependencies point one way (tested below).
//!
//! A new row, or a new name in a row, is a decision: add a record to `docs/decisions`.

/// How much of a crate is pure: sans-IO, deterministic, no clock, no thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purity {
    /// All of `src`, and no third-party dependency but the listed ones.
    Pure {
        /// Third-party crates it may depend on.
        outside: &'static [&'static str],
    },
    /// These paths under the crate; its dependencies are free.
    PureUnder(&'static [&'static str]),
    /// None of it.
    Shell,
}

/// One crate.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Package name.
    pub name: &'static str,
    /// Its directory, from the top of the workspace.
    pub path: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// What in it is pure.
    pub purity: Purity,
    /// The workspace crates it may name in `[dependencies]` and `[build-dependencies]`.
    pub names: Names,
}

/// Whom a crate may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// A shipped crate: only these.
    Only(&'static [&'static str]),
    /// A crate of the test world: only these. Shipped crates may name it for their tests alone.
    TestWorld(&'static [&'static str]),
    /// A crate of the test world that may name any crate.
    TestWorldAny,
}

impl Row {
    /// Whether it is never shipped.
    pub fn is_test_world(&self) -> bool {
        !matches!(self.names, Names::Only(_))
    }

    /// Whether `[dependencies]` may name the workspace crate `name`.
    pub fn may_name(&self, name: &str) -> bool {
        match self.names {
            Names::Only(names) | Names::TestWorld(names) => names.contains(&name),
            Names::TestWorldAny => row(name).is_some(),
        }
    }
}

/// The row of the crate called `name`.
pub fn row(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name == name)
}

/// Third-party crates that one shipped crate alone may name, so that the others build without them.
/// The benches may too: there, what is wrapped is the peer.
pub const EXCLUSIVE: &[(&str, &str)] = &[("rust-rocksdb", "storage"), ("rocksdb", "storage")];

const PURE: Purity = Purity::Pure { outside: &[] };

const fn shipped(
    name: &'static str,
    path: &'static str,
    about: &'static str,
    purity: Purity,
    names: &'static [&'static str],
) -> Row {
    Row { name, path, about, purity, names: Names::Only(names) }
}

const fn test_world(name: &'static str, path: &'static str, about: &'static str) -> Row {
    Row { name, path, about, purity: Purity::Shell, names: Names::TestWorldAny }
}

/// The crates, lowest floor first.
pub const TABLE: &[Row] = &[
    // Floor 0: words and bytes.
    shipped(
        "types",
        "components/types",
        "ids, keys, ranges, epochs, timestamps, order-preserving codec, sizes, durations",
        PURE,
        &[],
    ),
    shipped("proto", "proto", "every byte on a wire or on disk", Purity::Shell, &["types"]),
    // Floor 1: mechanisms.
    shipped("raft", "components/raft", "consensus for one group", PURE, &["types"]),
    shipped(
        "gossip",
        "components/gossip",
        "membership and small key-values spread epidemically",
        PURE,
        &["types"],
    ),
    shipped(
        "storage",
        "components/storage",
        "ordered engine: views, atomic batches, column families",
        Purity::Shell,
        &["types"],
    ),
    shipped("support", "components/support", "process furniture", Purity::Shell, &["types"]),
    // Floor 2: engines.
    shipped(
        "multiraft",
        "components/multiraft",
        "many groups on one store; any state machine",
        Purity::PureUnder(&["src/shard/", "src/shard.rs"]),
        &["types", "proto", "raft", "storage"],
    ),
    shipped(
        "client",
        "components/client",
        "region cache, routing, retry; raw and transactional client",
        Purity::Shell,
        &["types", "proto"],
    ),
    shipped(
        "load",
        "benches/load",
        "load on a cluster, measured: ours or etcd",
        Purity::PureUnder(&["src/dice", "src/schedule", "src/workload", "src/zipf"]),
        &["types", "client"],
    ),
    shipped(
        "verify",
        "benches/verify",
        "whether a cluster keeps its word under faults: load, faults, checkers, report",
        Purity::PureUnder(&[
            "src/check",
            "src/gaps",
            "src/history",
            "src/random",
            "src/report",
            "src/script",
            "src/workload",
        ]),
        &["types", "proto", "client", "load"],
    ),
    // Floor 3: meanings.
    shipped(
        "kv",
        "components/kv",
        "region state machine: raw, MVCC transactions, split, merge",
        // All but `src/regions`, which threads share.
        Purity::PureUnder(&[
            "src/command",
            "src/edge",
            "src/error",
            "src/keys",
            "src/machine",
            "src/read",
            "src/record",
            "src/reply",
            "src/split",
            "src/value",
        ]),
        &["types", "proto", "raft", "storage", "multiraft"],
    ),
    shipped(
        "etcd",
        "components/etcd",
        "etcd semantics: revisions, leases, watches",
        PURE,
        &["types", "proto", "storage", "multiraft", "kv"],
    ),
    shipped(
        "transport",
        "components/transport",
        "node-to-node network: Raft streams, snapshot streams, liveness, gossip",
        Purity::Shell,
        &["types", "proto", "support", "raft", "gossip", "multiraft"],
    ),
    // Floor 4: processes.
    shipped(
        "placement",
        "placement",
        "the placement driver as a library",
        Purity::PureUnder(&["src/state/", "src/scheduler/"]),
        &["types", "proto", "support", "storage", "multiraft", "transport"],
    ),
    shipped(
        "server",
        "server",
        "composition root and thin services; the only crate that names both kv and placement",
        Purity::Shell,
        &[
            "types",
            "proto",
            "raft",
            "gossip",
            "storage",
            "support",
            "multiraft",
            "client",
            "load",
            "verify",
            "kv",
            "etcd",
            "transport",
            "placement",
        ],
    ),
    // The test world: nothing shipped names it.
    Row {
        name: "raft-world",
        path: "components/raft/world",
        about: "one group of peers under test: model disk, links, virtual time, checkers",
        purity: Purity::PureUnder(&["src/"]),
        names: Names::TestWorld(&["types", "raft"]),
    },
    test_world("sim", "components/sim", "the whole cluster in one thread from one seed"),
    test_world("examples", "components/examples", "three state machines on the multi-Raft engine"),
    test_world("tidy", "tests/tidy", "the house rules"),
    test_world("cluster", "tests/cluster", "real processes on loopback"),
    test_world("chaos", "tests/chaos", "named scenarios of faults on real processes"),
    test_world("foreign", "tests/foreign", "clients that are not ours, as they are"),
    Row {
        name: "benches",
        path: "benches",
        about: "micro and load benchmarks, and a model of clusters fed by them",
        purity: Purity::PureUnder(&["src/model"]),
        names: Names::TestWorldAny,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_name_only_rows_above_them() {
        for (at, row) in TABLE.iter().enumerate() {
            let (Names::Only(names) | Names::TestWorld(names)) = row.names else { continue };
            for name in names {
                let above = TABLE[..at].iter().find(|other| other.name == *name);
                let above = above.unwrap_or_else(|| panic!("{} names {name}", row.name));
                assert!(!above.is_test_world(), "{} names {name}, of the test world", row.name);
            }
        }
    }

    #[test]
    fn names_and_paths_are_unique() {
        for (at, row) in TABLE.iter().enumerate() {
            for other in &TABLE[..at] {
                assert!(row.name != other.name && row.path != other.path, "{}", row.name);
            }
        }
    }

    #[test]
    fn server_alone_names_kv_and_placement() {
        let both: Vec<&str> = TABLE
            .iter()
            .filter(|row| !row.is_test_world() && row.may_name("kv") && row.may_name("placement"))
            .map(|row| row.name)
            .collect();
        assert_eq!(both, ["server"]);
    }
}
