//! Keys and values as they are typed and printed, the same for every command.
//!
//! | flag | typed | printed |
//! |---|---|---|
//! | – | as it is | escaped |
//! | `--escaped` | `\xNN`, `\\` | escaped |
//! | `--hex`, `--base64` | so | so |
//!
//! What is printed escaped can be typed with `--escaped`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use types::Escaped;

use super::args::Coding;
use crate::errors::{self, Failure};
use crate::view;

impl Coding {
    /// What was meant by what was typed.
    ///
    /// # Errors
    /// If it is not of the form that was asked for.
    pub fn read(self, typed: &OsStr) -> Result<Vec<u8>, Failure> {
        let typed = typed.as_bytes();
        let read = match (self.escaped, self.hex, self.base64) {
            (true, ..) => unescape(typed),
            (_, true, _) => unhex(typed),
            (.., true) => STANDARD.decode(typed).ok(),
            _ => return Ok(typed.to_vec()),
        };
        read.ok_or_else(|| {
            let what = format!("`{}` is not {}", Escaped(typed), self.name());
            Failure::new(&errors::USAGE, what).next(
                "escaped: \\xNN for any byte and \\\\ for a backslash; hex: 6869; base64: aGk=",
            )
        })
    }

    /// Bytes as they are printed.
    #[must_use]
    pub fn show(self, bytes: &[u8]) -> String {
        match (self.hex, self.base64) {
            (true, _) => view::hex(bytes),
            (_, true) => STANDARD.encode(bytes),
            _ => Escaped(bytes).to_string(),
        }
    }

    /// The form of what is printed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match (self.hex, self.base64) {
            (true, _) => "hex",
            (_, true) => "base64",
            _ => "escaped",
        }
    }
}

/// The reverse of [`Escaped`].
fn unescape(typed: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(typed.len());
    let mut rest = typed;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        match rest {
            [b'\\', after @ ..] => {
                bytes.push(b'\\');
                rest = after;
            }
            [b'x', high, low, after @ ..] => {
                bytes.push(byte(*high, *low)?);
                rest = after;
            }
            _ => return None,
        }
    }
    Some(bytes)
}

fn unhex(typed: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = typed.as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs.iter().map(|&[high, low]| byte(high, low)).collect();
    bytes.filter(|_| rest.is_empty())
}

fn byte(high: u8, low: u8) -> Option<u8> {
    let digit = |letter: u8| char::from(letter).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// The first key behind all that begin with `prefix`; empty if there is none.
#[must_use]
pub fn end_of_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Coding = Coding { escaped: false, hex: false, base64: false };
    const ESCAPED: Coding = Coding { escaped: true, ..PLAIN };
    const HEX: Coding = Coding { hex: true, ..PLAIN };
    const BASE64: Coding = Coding { base64: true, ..PLAIN };

    #[test]
    fn what_is_printed_can_be_typed() {
        let all: Vec<u8> = (0..=255).collect();
        for coding in [ESCAPED, HEX, BASE64] {
            let shown = coding.show(&all);
            assert_eq!(coding.read(OsStr::new(&shown)), Ok(all.clone()), "{}", coding.name());
        }
        assert_eq!(PLAIN.read(OsStr::new("a\\x00")).unwrap(), b"a\\x00");
        assert_eq!(PLAIN.show(b"a\\\0"), "a\\\\\\x00");
    }

    #[test]
    fn what_is_not_of_the_form_is_refused() {
        for typed in ["\\", "\\x", "\\x0", "\\xgg", "\\n"] {
            assert_eq!(ESCAPED.read(OsStr::new(typed)).unwrap_err().entry, &errors::USAGE);
        }
        for typed in ["0", "0g", "a b"] {
            assert!(HEX.read(OsStr::new(typed)).is_err(), "{typed}");
        }
        assert!(BASE64.read(OsStr::new("a")).is_err());
    }

    #[test]
    fn prefix_ends_before_the_next_one() {
        assert_eq!(end_of_prefix(b"user/"), b"user0");
        assert_eq!(end_of_prefix(b"a\xff\xff"), b"b");
        assert_eq!(end_of_prefix(b"\xff"), b"");
        assert_eq!(end_of_prefix(b""), b"");
    }
}
