//! Tests of the catalogue: it is whole, and what is used anywhere is in it.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

#[test]
fn every_entry_is_whole_unique_in_order_and_in_the_catalogue() {
    let numbers: Vec<u16> = CATALOGUE.iter().map(|entry| entry.number).collect();
    assert!(numbers.is_sorted_by(|one, other| one < other), "{numbers:?}");
    let titles: BTreeSet<&str> = CATALOGUE.iter().map(|entry| entry.title).collect();
    assert_eq!(titles.len(), CATALOGUE.len(), "a title is there twice");
    for entry in CATALOGUE {
        assert!((1_000..6_000).contains(&entry.number), "{}", entry.number);
        for text in [entry.title, entry.cause, entry.next] {
            assert!(!text.trim().is_empty(), "{} has an empty text", entry.code());
        }
        assert!(!entry.next.contains('\n') && entry.exit != Exit::Done, "{}", entry.code());
    }
    let files = [include_str!("../catalogue.rs"), include_str!("nodes.rs")];
    let written = files.map(|file| file.matches(": Entry = Entry {").count()).iter().sum::<usize>();
    assert_eq!(written, CATALOGUE.len(), "an entry is not in the catalogue");
}

#[test]
fn codes_are_found_however_they_are_written() {
    for code in ["CRIB-E1001", "crib-e1001", "E1001", "1001", " e1001 "] {
        assert_eq!(find(code), Some(&CANNOT_CONNECT), "{code}");
    }
    for code in ["", "E", "E9999", "CRIB-1001x"] {
        assert_eq!(find(code), None, "{code}");
    }
}

/// Codes in texts, of this crate and in the documents, can be explained.
#[test]
fn every_code_that_is_written_anywhere_exists() {
    fn walk(dir: &Path, found: &mut Vec<(String, String)>) {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            if path.is_dir() {
                walk(&path, found);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                let codes = text.split("CRIB-E").skip(1).map(|rest| rest.chars().take(4));
                let codes = codes.map(Iterator::collect::<String>);
                let codes = codes.filter(|code| code.chars().all(|c| c.is_ascii_digit()));
                let codes = codes.filter(|code| code.len() == 4);
                found.extend(codes.map(|code| (code, path.display().to_string())));
            }
        }
    }
    let server = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&server.join("src"), &mut found);
    walk(&server.join("tests"), &mut found);
    walk(&server.join("../docs"), &mut found);
    assert!(!found.is_empty());
    for (code, path) in found {
        assert!(
            find(&code).is_some() || ["0001", "9999"].contains(&code.as_str()),
            "CRIB-E{code} in {path}"
        );
    }
}
