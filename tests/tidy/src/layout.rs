//! The directories at the top are fixed: a newcomer learns them once.

use crate::{Complaint, Tree};

/// Directories that hold the product, its tests and its documents.
const DIRECTORIES: &[&str] =
    &["benches", "components", "docs", "placement", "proto", "server", "tests"];

/// Hidden ones, which belong to tools.
const HIDDEN: &[&str] = &[".ci", ".github"];

/// Checks the directories at the top.
pub fn check(tree: &Tree) -> Vec<Complaint> {
    tree.top_directories()
        .into_iter()
        .filter(|name| !DIRECTORIES.contains(name) && !HIDDEN.contains(name))
        .map(|name| {
            Complaint::new(
                name,
                1,
                format!("directory `{name}` is not part of the layout"),
                format!("put it under one of {}", DIRECTORIES.join(", ")),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::complaints;

    #[test]
    fn unknown_directory_is_refused() {
        let files = [("src/lib.rs", ""), ("docs/a.md", ""), (".ci/run", ""), ("x", "")];
        assert_eq!(
            complaints(super::check, &files),
            ["src:1: directory `src` is not part of the layout — put it under one of benches, \
                 components, docs, placement, proto, server, tests"]
        );
    }
}
