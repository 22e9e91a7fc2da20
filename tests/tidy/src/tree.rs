//! The files of the work tree, in memory.
//!
//! [`Tree::load`] reads them once; tests build a tree from texts with [`Tree::from_texts`]. What
//! git does not keep is not read: `target`, and hidden entries other than `.ci`, `.github` and
//! the dot files at the top.
//!
//! A file is a test file when it lies in a crate's `tests` directory, or when a
//! `#[cfg(test)] mod` names it. The name alone is not enough: `tests.rs` without the attribute is
//! shipped.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fs, io};

use crate::source::{self, Scan};

/// One text file.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Path from the top of the workspace, with `/` between its parts.
    pub path: String,
    /// The whole text.
    pub text: String,
    /// The lines of a Rust file; empty for any other.
    pub scan: Scan,
    /// Whether the whole file is compiled for tests only. Its lines are then marked too.
    pub is_test: bool,
}

impl SourceFile {
    /// Whether it is Rust source.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Its code, with line numbers from 1.
    pub fn code(&self) -> impl Iterator<Item = (usize, &source::Line)> {
        self.scan.lines.iter().enumerate().map(|(at, line)| (at + 1, line))
    }

    /// The number of its first line that starts with `start`, or 1.
    pub fn line_of(&self, start: &str) -> usize {
        let at = self.text.lines().position(|line| line.trim_start().starts_with(start));
        at.map_or(1, |at| at + 1)
    }
}

/// All files of the workspace.
#[derive(Clone, Debug)]
pub struct Tree {
    files: BTreeMap<String, SourceFile>,
    /// Every file, also those that are not text, and every directory.
    paths: BTreeSet<String>,
}

impl Tree {
    /// Reads the work tree at `root`.
    pub fn load(root: &Path) -> io::Result<Tree> {
        let mut found = Vec::new();
        walk(root, "", &mut found)?;
        Ok(Tree::build(found))
    }

    /// A tree of the given paths and texts.
    pub fn from_texts(files: &[(&str, &str)]) -> Tree {
        let owned = |(path, text): &(&str, &str)| (path.to_string(), Some(text.to_string()));
        Tree::build(files.iter().map(owned).collect())
    }

    /// All text files, by path.
    pub fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.values()
    }

    /// All Rust files, by path.
    pub fn rust(&self) -> impl Iterator<Item = &SourceFile> {
        self.files().filter(|file| file.is_rust())
    }

    /// The text file at `path`.
    pub fn file(&self, path: &str) -> Option<&SourceFile> {
        self.files.get(path)
    }

    /// Every path, of files and of directories.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    /// Whether a file or a directory is at `path`.
    pub fn exists(&self, path: &str) -> bool {
        path.is_empty() || self.paths.contains(path)
    }

    /// The names of the directories at the top.
    pub fn top_directories(&self) -> BTreeSet<&str> {
        self.paths.iter().filter_map(|path| path.split_once('/')).map(|(top, _)| top).collect()
    }

    fn build(found: Vec<(String, Option<String>)>) -> Tree {
        let mut tree = Tree { files: BTreeMap::new(), paths: BTreeSet::new() };
        for (path, text) in found {
            for (at, _) in path.match_indices('/') {
                tree.paths.insert(path[..at].to_string());
            }
            tree.paths.insert(path.clone());
            let Some(text) = text else { continue };
            let is_rust = path.ends_with(".rs");
            let scan = if is_rust { source::scan(&text) } else { Scan::default() };
            let file = SourceFile { path: path.clone(), text, scan, is_test: false };
            tree.files.insert(path, file);
        }
        tree.mark_test_files();
        tree
    }

    fn mark_test_files(&mut self) {
        let modules: BTreeSet<String> = self.rust().flat_map(test_module_paths).collect();
        let crates: Vec<String> = self
            .files
            .keys()
            .filter_map(|path| path.strip_suffix("/Cargo.toml"))
            .map(|home| format!("{home}/tests/"))
            .collect();
        for file in self.files.values_mut() {
            let named = modules
                .iter()
                .any(|m| file.path.strip_prefix(m.as_str()).is_some_and(is_module_rest));
            file.is_test = named || crates.iter().any(|tests| file.path.starts_with(tests));
            if file.is_test {
                file.scan.lines.iter_mut().for_each(|line| line.is_test = true);
            }
        }
    }
}

/// Where the out-of-line test modules of `file` lie, without `.rs` or `/`.
fn test_module_paths(file: &SourceFile) -> Vec<String> {
    let stem = file.path.strip_suffix(".rs").unwrap_or(&file.path);
    let (dir, name) = stem.rsplit_once('/').unwrap_or(("", stem));
    let base = if matches!(name, "lib" | "main" | "mod") { dir } else { stem };
    file.scan.test_modules.iter().map(|module| format!("{base}/{module}")).collect()
}

fn is_module_rest(rest: &str) -> bool {
    rest == ".rs" || rest.starts_with('/')
}

fn walk(dir: &Path, prefix: &str, found: &mut Vec<(String, Option<String>)>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let is_hidden = name.starts_with('.') && name != ".ci" && name != ".github";
            if !is_hidden && path != "target" {
                walk(&entry.path(), &path, found)?;
            }
        } else if kind.is_file() {
            // Not UTF-8: known to exist, but not text.
            let text = String::from_utf8(fs::read(entry.path())?).ok();
            found.push((path, text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_files_are_found_by_declaration_and_place() {
        let tree = Tree::from_texts(&[
            ("components/raft/Cargo.toml", ""),
            ("components/raft/src/lib.rs", "#[cfg(test)]\nmod script;\nmod node;\n"),
            ("components/raft/src/script.rs", "fn f() {}\n"),
            ("components/raft/src/script/run.rs", ""),
            ("components/raft/src/scripted.rs", ""),
            ("components/raft/src/node.rs", "#[cfg(test)]\nmod tests;\n"),
            ("components/raft/src/node/tests.rs", ""),
            ("components/raft/src/tests.rs", ""),
            ("components/raft/tests/paper.rs", ""),
            ("tests/tidy/src/lib.rs", ""),
        ]);
        let tests: Vec<&str> =
            tree.files().filter(|file| file.is_test).map(|file| file.path.as_str()).collect();
        assert_eq!(
            tests,
            [
                "components/raft/src/node/tests.rs",
                "components/raft/src/script.rs",
                "components/raft/src/script/run.rs",
                "components/raft/tests/paper.rs",
            ]
        );
        let script = tree.file("components/raft/src/script.rs").unwrap();
        assert!(script.code().all(|(_, line)| line.is_test));
    }

    #[test]
    fn directories_exist() {
        let tree = Tree::from_texts(&[("docs/decisions/README.md", "")]);
        assert!(tree.exists("docs/decisions") && tree.exists("docs/decisions/README.md"));
        assert!(!tree.exists("docs/decision"));
        assert_eq!(tree.top_directories(), BTreeSet::from(["docs"]));
    }
}
