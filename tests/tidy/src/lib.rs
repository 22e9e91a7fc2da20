//! The house rules of the workspace, as a test that answers in a second.
//!
//! `tests/house.rs` loads the work tree and expects no complaint. Each rule is a function from a
//! [`Tree`] in memory to a list of [`Complaint`]s, so each is itself tested with a planted
//! violation and the exact words it must answer with.
//!
//! Reading order:
//!
//! - [`table`]: the crates, their places, and who may name whom. Change it with a decision record.
//! - [`manifest`]: every `Cargo.toml` agrees with the table.
//! - [`layout`]: the directories at the top.
//! - [`purity`]: pure code names no clock, thread, socket, file, randomness or async runtime.
//! - [`files`]: how a source file opens, its size, its name, what it may not contain.
//! - [`markers`]: notes that were left behind, in any text file.
//! - [`links`]: links inside the documents lead somewhere.
//! - [`tested`]: tests that the lists of tests name are there.
//! - [`source`] and [`tree`]: comments and strings told from code; the files.
//!
//! Every complaint says what to do instead, and all are reported at once.
//!
//! Not here: what rustfmt, clippy and rustdoc check already; `./x check` runs all of them.

pub mod files;
pub mod layout;
pub mod links;
pub mod manifest;
pub mod markers;
pub mod purity;
pub mod source;
pub mod table;
pub mod tested;
pub mod tree;

use std::fmt;

pub use tree::Tree;

/// One broken rule at one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// Path from the top of the workspace, with `/` between its parts.
    pub path: String,
    /// Line in that file, from 1. What concerns a whole file is reported at line 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub instead: String,
}

impl Complaint {
    /// A complaint about `path` at `line`.
    pub fn new(
        path: &str,
        line: usize,
        what: impl Into<String>,
        instead: impl Into<String>,
    ) -> Self {
        Complaint { path: path.to_string(), line, what: what.into(), instead: instead.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} — {}", self.path, self.line, self.what, self.instead)
    }
}

/// Every complaint about `tree`, by path and line.
pub fn check(tree: &Tree) -> Vec<Complaint> {
    let rules = [
        manifest::check,
        layout::check,
        purity::check,
        files::check,
        markers::check,
        links::check,
        tested::check,
    ];
    let mut complaints: Vec<Complaint> = rules.iter().flat_map(|rule| rule(tree)).collect();
    complaints.sort();
    complaints
}

/// The complaints of one rule about planted files, as text. For the tests of the rules.
#[cfg(test)]
fn complaints(rule: fn(&Tree) -> Vec<Complaint>, files: &[(&str, &str)]) -> Vec<String> {
    let mut found = rule(&Tree::from_texts(files));
    found.sort();
    found.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_reports_every_rule_at_once_in_order() {
        let tree = Tree::from_texts(&[
            ("components/raft/src/node.rs", "use std::collections::HashMap;\n"),
            ("attic/README.md", "[gone](gone.md)\n"),
        ]);
        let found: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "attic:1: directory `attic` is not part of the layout — put it under one of \
                 benches, components, docs, placement, proto, server, tests",
                "attic/README.md:1: link to `gone.md` leads nowhere — correct the path or remove \
                 the link",
                "components/raft/src/node.rs:1: file does not open with `//!` — say in 1–15 lines \
                 what it is, its invariant and what is not here",
                "components/raft/src/node.rs:1: pure code names `HashMap` — iteration order \
                 differs per run: use BTreeMap or a sorted Vec",
            ]
        );
    }
}
