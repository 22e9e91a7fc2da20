//! What the lists of tests name is there.
//!
//! Looked at: code in the rows of tables of every `TESTED.md`. A name with `::` in it, or with at
//! least two underscores, is a test or a golden script: a function of that name exists, or a file.
//! What has a `/` in it is a file or a directory, at any depth, its ending left out or not. Not
//! looked at: what has a space, an ellipsis or a sign in it, and prose.

use std::collections::BTreeSet;

use crate::{Complaint, Tree};

/// Checks every list.
pub fn check(tree: &Tree) -> Vec<Complaint> {
    let lists: Vec<_> = tree.files().filter(|file| file.path.ends_with("TESTED.md")).collect();
    if lists.is_empty() {
        return Vec::new();
    }
    let functions = functions(tree);
    let mut found = Vec::new();
    for file in lists {
        let rows = file.text.lines().enumerate().filter(|(_, line)| line.starts_with('|'));
        for (at, line) in rows {
            for name in line.split('`').skip(1).step_by(2) {
                if !is_there(tree, &functions, name) {
                    let what = format!("names `{name}`, which is not there");
                    let instead = "name a test that exists, or say that there is none";
                    found.push(Complaint::new(&file.path, at + 1, what, instead));
                }
            }
        }
    }
    found
}

fn is_there(tree: &Tree, functions: &BTreeSet<&str>, name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_:/.-".contains(c);
    if !name.chars().all(is_plain) || name.ends_with('/') || name.starts_with('.') {
        return true;
    }
    if name.contains('/') {
        return is_path(tree, name);
    }
    let last = name.rsplit("::").next().unwrap_or(name);
    let is_name = name.contains("::") || name.matches('_').count() >= 2;
    let is_test = last.starts_with(|c: char| c.is_ascii_lowercase()) && !last.contains('.');
    // A module of tests is named by its file.
    let module = name.rsplit("::").nth(1).filter(|_| last == "tests");
    !is_name
        || !is_test
        || functions.contains(last)
        || is_path(tree, last)
        || module.is_some_and(|module| is_path(tree, module))
}

/// Whether a path ends like this, with or without its ending.
fn is_path(tree: &Tree, end: &str) -> bool {
    tree.paths().any(|path| {
        let whole = path.strip_suffix(end);
        let bare = path.rsplit_once('.').and_then(|(bare, _)| bare.strip_suffix(end));
        whole.or(bare).is_some_and(|before| before.is_empty() || before.ends_with('/'))
    })
}

/// The names of all functions.
fn functions(tree: &Tree) -> BTreeSet<&str> {
    let lines = tree.rust().flat_map(|file| file.text.lines());
    let named = lines.filter_map(|line| {
        let (_, rest) = line.split_once("fn ")?;
        rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()
    });
    named.filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use crate::complaints;

    #[test]
    fn names_that_are_not_there_are_refused() {
        let list = "| 1 | `identity::gone_for_good` | `there::is_one_test` | `a_b_c` |\n\
                    | 2 | `append/lost_script` | `append/kept_script` | `src/none.rs` |\n\
                    no row: `not_looked_at`\n";
        let files = [
            ("components/raft/TESTED.md", list),
            ("components/raft/scripts/append/kept_script", ""),
            ("components/raft/tests/there.rs", "fn is_one_test() {}\n"),
        ];
        let gone = |line: usize, name: &str| {
            format!(
                "components/raft/TESTED.md:{line}: names `{name}`, which is not there — name a \
                 test that exists, or say that there is none"
            )
        };
        assert_eq!(
            complaints(super::check, &files),
            [
                gone(1, "a_b_c"),
                gone(1, "identity::gone_for_good"),
                gone(2, "append/lost_script"),
                gone(2, "src/none.rs"),
            ]
        );
    }

    #[test]
    fn names_that_are_there_and_other_words_pass() {
        let list = "| `seats::tests` | `Seat::Voter` | `sim whole` | `./x sim` | `liveness` |\n\
                    | `check/births.rs` | `tests/there` | `scripts/split_on_a_store` |\n";
        let files = [
            ("placement/TESTED.md", list),
            ("placement/src/seats.rs", ""),
            ("placement/src/check/births.rs", ""),
            ("placement/tests/there.rs", ""),
            ("placement/scripts/split_on_a_store", ""),
        ];
        assert_eq!(complaints(super::check, &files), [""; 0]);
    }
}
