//! Histories of one key as tests write them, operations between semicolons:
//!
//! ```text
//! put 1 @0-10; swap -:1a @0-; unequal 1a:2b found 2a @5-9; read 2a @20-30; no put 3 @4-5
//! ```
//!
//! A value is a version and perhaps a letter for its writer; `-` is none. `@CALL-END` without an
//! end is an operation that nobody knows the end of.

use crate::check::{Act, KeyHistory, NEVER, Op};
use crate::history::{Key, Value};

/// A value, or none.
pub(crate) fn value(text: &str) -> Option<Value> {
    if text == "-" {
        return None;
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let client = text[digits.len()..].bytes().next().map_or(0, |letter| u32::from(letter - b'a'));
    Some(Value { version: digits.parse().unwrap(), client, seq: 0 })
}

fn two(text: &str) -> (Option<Value>, Value) {
    let (from, to) = text.split_once(':').unwrap();
    (value(from), value(to).unwrap())
}

/// The history that a text tells. Each operation is of a client of its own.
pub(crate) fn read(text: &str) -> KeyHistory {
    let mut history = KeyHistory { key: Key::Shared(0), ops: Vec::new(), refused: Vec::new() };
    for (client, line) in (100..).zip(text.split(';').filter(|line| !line.trim().is_empty())) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (call, ret) = words.last().unwrap().trim_start_matches('@').split_once('-').unwrap();
        let call = call.parse().unwrap();
        let ret = if ret.is_empty() { NEVER } else { ret.parse().unwrap() };
        let act = match words[..words.len() - 1] {
            ["read", found] => Act::Read(value(found)),
            ["put", new] => Act::Put(value(new).unwrap()),
            ["swap", swap] => {
                let (expected, new) = two(swap);
                Act::Swap { expected, new, found: (ret != NEVER).then_some(expected) }
            }
            ["swap", swap, "found", found] => {
                let (expected, new) = two(swap);
                Act::Swap { expected, new, found: Some(value(found)) }
            }
            ["unequal", swap, "found", found] => {
                let (expected, new) = two(swap);
                history.refused.push(new);
                Act::Unequal { expected, found: value(found) }
            }
            ["no", "put", new] => {
                history.refused.push(value(new).unwrap());
                continue;
            }
            ["no", "swap", swap] => {
                history.refused.push(two(swap).1);
                continue;
            }
            _ => panic!("{line}: what is that?"),
        };
        history.ops.push(Op { client, call, ret, act });
    }
    history.ops.sort_by_key(|op| op.call);
    history.refused.sort_unstable();
    history
}
