//! Notes that were left behind, in any text file.
//!
//! What is still to be done has an issue, and the note names its number; what is wrong is put right
//! or described in a sentence. The needles below are put together from pieces, so that this file
//! does not complain about itself.

use crate::source::has_word;
use crate::{Complaint, Tree};

const TO_DO: &str = concat!("TO", "DO");
const LEFTOVERS: &[&str] = &[concat!("FIX", "ME"), concat!("HA", "CK"), concat!("XX", "X")];

/// Texts that are not ours to word.
const NOT_OURS: &[&str] = &["LICENSE", "Cargo.lock"];

/// Checks every line of every text file.
pub fn check(tree: &Tree) -> Vec<Complaint> {
    let mut found = Vec::new();
    for file in tree.files().filter(|file| !NOT_OURS.contains(&file.path.as_str())) {
        for (at, line) in file.text.lines().enumerate() {
            for name in LEFTOVERS.iter().filter(|name| has_word(line, name)) {
                let what = format!("`{name}` was left behind");
                let instead = "put it right, or say in a sentence what is wrong and why";
                found.push(Complaint::new(&file.path, at + 1, what, instead));
            }
            if has_word(line, TO_DO) && !is_numbered(line) {
                let what = format!("`{TO_DO}` without an issue");
                let instead = format!("write `{TO_DO}(#n)` with the issue's number");
                found.push(Complaint::new(&file.path, at + 1, what, instead));
            }
        }
    }
    found
}

/// Whether every note in `line` is followed by an issue number, or by `#n` in a sentence about it.
fn is_numbered(line: &str) -> bool {
    line.split(TO_DO).skip(1).all(|rest| {
        let number = rest.strip_prefix("(#").and_then(|rest| rest.split_once(')'));
        number.is_some_and(|(number, _)| {
            number == "n" || !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{LEFTOVERS, TO_DO};
    use crate::complaints;

    #[test]
    fn leftovers_are_refused() {
        for name in LEFTOVERS {
            let text = format!("fine\n# {name}: later\nnot_{name}_here\n");
            assert_eq!(
                complaints(super::check, &[("x", &text), ("LICENSE", &text)]),
                [format!(
                    "x:2: `{name}` was left behind — put it right, or say in a sentence what is \
                     wrong and why"
                )]
            );
        }
    }

    #[test]
    fn unnumbered_notes_are_refused() {
        let text = format!("// {TO_DO}(#12): a\n// {TO_DO}: b\n// {TO_DO}(#): c\n{TO_DO}(me) d\n");
        let at = |line: usize| {
            format!(
                "a.rs:{line}: `{TO_DO}` without an issue — write `{TO_DO}(#n)` with the issue's \
                 number"
            )
        };
        assert_eq!(complaints(super::check, &[("a.rs", &text)]), [at(2), at(3), at(4)]);
    }
}
