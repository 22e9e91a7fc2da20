//! How a Rust file opens, how long it is, what it is called and what it may not contain.
//!
//! A limit that has never been broken is cheap to keep; so none of these has an exception list.

use crate::source::has_word;
use crate::tree::SourceFile;
use crate::{Complaint, Tree};

/// Lines of a file, everything counted.
const LINES_MAX: usize = 800;
/// Lines of a file that are code: not blank, not comment, not test.
const CODE_LINES_MAX: usize = 500;
/// Characters of a line. A line with a URL may be longer.
const COLUMNS_MAX: usize = 100;

/// Names that say nothing about what is inside.
const VAGUE: &[&str] = &["common", "helper", "helpers", "misc", "util", "utils"];

/// Code that is nowhere allowed, and what to do instead.
const BANNED: &[(&str, &str)] = &[
    ("#[ignore", "assert what happens today and say why it is wrong, or delete the test"),
    ("todo!", "finish it, or return an error that says it is not supported"),
    ("unimplemented!", "finish it, or return an error that says it is not supported"),
    ("dbg!", "remove it"),
    ("#[allow(", "use `#[expect(lint, reason = \"…\")]`, which complains once it is not needed"),
    ("#![allow(", "use `#![expect(lint, reason = \"…\")]`, which complains once it is not needed"),
];

/// The same, for test code alone.
const BANNED_IN_TESTS: &[(&str, &str)] = &[(
    "thread::sleep",
    "step virtual time, or wait on a channel with `recv_timeout` and a generous deadline",
)];

/// Checks every Rust file.
pub fn check(tree: &Tree) -> Vec<Complaint> {
    let mut found = Vec::new();
    for file in tree.rust() {
        check_name(file, &mut found);
        check_opening(file, &mut found);
        check_size(file, &mut found);
        check_columns(file, &mut found);
        check_code(file, &mut found);
    }
    found
}

fn check_name(file: &SourceFile, found: &mut Vec<Complaint>) {
    let stem = file.path.strip_suffix(".rs").unwrap_or(&file.path);
    if let Some(part) = stem.split('/').find(|part| VAGUE.contains(part)) {
        let what = format!("`{part}` says nothing about what is inside");
        found.push(Complaint::new(&file.path, 1, what, "name it after the one concern it holds"));
    }
}

fn check_opening(file: &SourceFile, found: &mut Vec<Complaint>) {
    if !file.text.starts_with("//!") {
        found.push(Complaint::new(
            &file.path,
            1,
            "file does not open with `//!`",
            "say in 1–15 lines what it is, its invariant and what is not here",
        ));
    }
}

fn check_size(file: &SourceFile, found: &mut Vec<Complaint>) {
    let lines = file.text.lines().count();
    if lines > LINES_MAX {
        let what = format!("{lines} lines, at most {LINES_MAX}");
        found.push(Complaint::new(&file.path, 1, what, "split by concern"));
    }
    let code =
        file.code().filter(|(_, line)| !line.is_test && !line.code.trim().is_empty()).count();
    if code > CODE_LINES_MAX {
        let what = format!("{code} lines of code, at most {CODE_LINES_MAX}");
        found.push(Complaint::new(&file.path, 1, what, "split by concern"));
    }
}

fn check_columns(file: &SourceFile, found: &mut Vec<Complaint>) {
    for (at, line) in file.text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > COLUMNS_MAX && !line.contains("://") {
            let what = format!("{columns} columns, at most {COLUMNS_MAX}");
            found.push(Complaint::new(&file.path, at + 1, what, "break the line"));
        }
    }
}

fn check_code(file: &SourceFile, found: &mut Vec<Complaint>) {
    for (number, line) in file.code() {
        let in_tests = if line.is_test { BANNED_IN_TESTS } else { &[] };
        for (name, instead) in BANNED.iter().chain(in_tests) {
            if has_word(&line.code, name) {
                let what = format!("`{}` is not used here", name.trim_end_matches('('));
                found.push(Complaint::new(&file.path, number, what, *instead));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::complaints;

    const PATH: &str = "server/src/node.rs";

    fn of(text: &str) -> Vec<String> {
        let found = complaints(super::check, &[(PATH, text)]);
        found.iter().map(|line| line.strip_prefix(PATH).unwrap_or(line).to_string()).collect()
    }

    #[test]
    fn lawful_file_passes() {
        let url = format!("// https://example.org/{}\n", "a".repeat(100));
        assert_eq!(
            of(&format!("//! A node.\n{url}#[expect(dead_code, reason = \"x\")]\n")),
            [""; 0]
        );
    }

    #[test]
    fn opening_is_wanted() {
        assert_eq!(
            of("use std::fmt;\n//! Too late.\n"),
            [":1: file does not open with `//!` — say in 1–15 lines what it is, its invariant \
                 and what is not here"]
        );
    }

    #[test]
    fn long_file_is_refused() {
        let comments = "// More.\n".repeat(800);
        assert_eq!(
            of(&format!("//! A node.\n{comments}")),
            [":1: 801 lines, at most 800 — split by concern"]
        );
        let code = "f();\n".repeat(501);
        assert_eq!(
            of(&format!("//! A node.\n{code}")),
            [":1: 501 lines of code, at most 500 — split by concern"]
        );
    }

    #[test]
    fn tests_blanks_and_comments_are_not_code() {
        let code = "f(); // Call.\n\n// Why.\n".repeat(200);
        let tests = "    g();\n".repeat(150);
        let text = format!("//! A node.\n{code}#[cfg(test)]\nmod tests {{\n{tests}}}\n");
        assert_eq!(of(&text), [""; 0]);
    }

    #[test]
    fn vague_name_is_refused() {
        let files =
            [("server/src/utils.rs", "//! A.\n"), ("server/tests/common/mod.rs", "//! A.\n")];
        assert_eq!(
            complaints(super::check, &files),
            [
                "server/src/utils.rs:1: `utils` says nothing about what is inside — name it after \
                 the one concern it holds",
                "server/tests/common/mod.rs:1: `common` says nothing about what is inside — name \
                 it after the one concern it holds",
            ]
        );
    }

    #[test]
    fn wide_line_is_refused() {
        let text = format!("//! A node.\n// {}\n", "é".repeat(98));
        assert_eq!(of(&text), [":2: 101 columns, at most 100 — break the line"]);
    }

    #[test]
    fn banned_code_is_refused() {
        let text = "//! A node.\n#[ignore = \"slow\"]\n#[allow(dead_code)]\nfn f() { todo!() }\n\
                    fn g() { dbg!(1); unimplemented!() }\n#![allow(dead_code)]\n";
        let finish = "finish it, or return an error that says it is not supported";
        assert_eq!(
            of(text),
            [
                ":2: `#[ignore` is not used here — assert what happens today and say why it is \
                 wrong, or delete the test",
                ":3: `#[allow` is not used here — use `#[expect(lint, reason = \"…\")]`, which \
                 complains once it is not needed",
                &format!(":4: `todo!` is not used here — {finish}"),
                ":5: `dbg!` is not used here — remove it",
                &format!(":5: `unimplemented!` is not used here — {finish}"),
                ":6: `#![allow` is not used here — use `#![expect(lint, reason = \"…\")]`, which \
                 complains once it is not needed",
            ]
        );
    }

    #[test]
    fn sleep_is_refused_in_tests_alone() {
        let text = "//! A node.\nfn f() { thread::sleep(d); }\n\
                    #[cfg(test)]\nmod tests {\n    fn g() { std::thread::sleep(d); }\n}\n";
        assert_eq!(
            of(text),
            [":5: `thread::sleep` is not used here — step virtual time, or wait on a channel \
                 with `recv_timeout` and a generous deadline"]
        );
    }
}
