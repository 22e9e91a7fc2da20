//! What is there in the end, beside what was acknowledged: nothing is lost, nothing came from
//! nowhere, nothing is there twice. And what became of writes whose outcome nobody knew.
//!
//! The end is a scan of everything, made when no fault works any more and no client writes.

use serde::Serialize;

use super::{KeyHistory, versioned};
use crate::history::{Key, Value};

/// Lines that explain what is wrong; further ones are only counted.
const LINES_MAX: usize = 20;

/// What was found in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Durability {
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// Of these, those that are not there, and nothing that came after them.
    pub lost: u64,
    /// Keys that the scan gave more than once, and values that are under two keys.
    pub duplicated: u64,
    /// Values that nobody wrote, or whose write was told not to be done.
    pub phantom: u64,
    /// Writes whose outcome was not known, and that were done.
    pub unknown_applied: u64,
    /// Those that were not done.
    pub unknown_not: u64,
    /// Some of what is wrong, in words.
    pub lines: Vec<String>,
}

impl Durability {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.phantom == 0
    }

    /// A key was found that is none of a history.
    pub fn add_foreign(&mut self, name: &str) {
        self.phantom += 1;
        self.explain(format!("{name}: nobody wrote that key"));
    }

    fn explain(&mut self, line: String) {
        if self.lines.len() < LINES_MAX {
            self.lines.push(line);
        }
    }
}

/// Compares histories, by key, with what is there in the end.
#[must_use]
pub fn check(histories: &[KeyHistory], end: &[(Key, Value)]) -> Durability {
    let mut result = Durability::default();
    let mut end: Vec<(Key, Value)> = end.to_vec();
    end.sort_unstable();
    duplicates(&end, &mut result);
    let mut left = end.as_slice();
    let mut sorted: Vec<&KeyHistory> = histories.iter().collect();
    sorted.sort_unstable_by_key(|history| history.key);
    for history in sorted {
        let below = left.partition_point(|(key, _)| *key < history.key);
        strangers(&left[..below], &mut result);
        left = &left[below..];
        let same = left.partition_point(|(key, _)| *key == history.key);
        let last = left[..same].last().map(|(_, value)| *value);
        left = &left[same..];
        one(history, last, &mut result);
    }
    strangers(left, &mut result);
    result
}

fn duplicates(end: &[(Key, Value)], result: &mut Durability) {
    for pair in end.windows(2) {
        if pair[0].0 == pair[1].0 {
            result.duplicated += 1;
            result.explain(format!("{}: the scan gave it twice", pair[0].0));
        }
    }
    let mut by_value: Vec<(Value, Key)> = end.iter().map(|&(key, value)| (value, key)).collect();
    by_value.sort_unstable();
    for pair in by_value.windows(2) {
        if pair[0].0 == pair[1].0 && pair[0].1 != pair[1].1 {
            result.duplicated += 1;
            result.explain(format!("{} is under {} and {}", pair[0].0, pair[0].1, pair[1].1));
        }
    }
}

fn strangers(found: &[(Key, Value)], result: &mut Durability) {
    for (key, value) in found {
        result.phantom += 1;
        result.explain(format!("{key} has {value}, and nobody wrote that key"));
    }
}

fn one(history: &KeyHistory, last: Option<Value>, result: &mut Durability) {
    let key = history.key;
    let newest = last.map_or(0, |value| value.version);
    if let Some(last) = last
        && !history.ops.iter().any(|op| op.writes() == Some(last))
    {
        result.phantom += 1;
        let why = if history.is_refused(last) { "was refused" } else { "nobody wrote" };
        result.explain(format!("{key} has {last}, which {why}"));
    }
    // If the order cannot be told, only what is there in the end is known to be done.
    let order = versioned::check(history).map(|order| order.writes).unwrap_or_default();
    for op in &history.ops {
        let Some(value) = op.writes() else { continue };
        if op.is_open() {
            let is_done = last == Some(value) || order.contains(&value);
            *if is_done { &mut result.unknown_applied } else { &mut result.unknown_not } += 1;
            continue;
        }
        result.acknowledged += 1;
        if value.version > newest || last.is_some_and(|last| is_other(last, value)) {
            result.lost += 1;
            let has = last.map_or("nothing".to_owned(), |last| last.to_string());
            result.explain(format!("{key} has {has}, and {value} was acknowledged"));
        }
    }
}

/// Another write in the place of this one.
fn is_other(last: Value, acknowledged: Value) -> bool {
    last.version == acknowledged.version && last != acknowledged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::script;

    const KEY: Key = Key::Shared(0);

    fn of(text: &str, end: &[(Key, Value)]) -> Durability {
        check(&[script::read(text)], end)
    }

    fn value(text: &str) -> Value {
        script::value(text).unwrap()
    }

    /// What is wrong: lost, duplicated, phantom.
    fn wrong(text: &str, end: &[&str]) -> (u64, u64, u64) {
        let end: Vec<(Key, Value)> = end.iter().map(|text| (KEY, value(text))).collect();
        let found = of(text, &end);
        assert_eq!(found.is_good(), found.lines.is_empty(), "{found:?}");
        (found.lost, found.duplicated, found.phantom)
    }

    #[test]
    fn planted_losses_are_found() {
        assert_eq!(wrong("put 1 @0-1; put 2 @2-3", &["2"]), (0, 0, 0));
        // The last one is lost; all are lost; the write that is there was acknowledged to nobody.
        assert_eq!(wrong("put 1 @0-1; put 2 @2-3", &["1"]), (1, 0, 0));
        assert_eq!(wrong("put 1 @0-1; put 2 @2-3", &[]), (2, 0, 0));
        assert_eq!(wrong("put 1 @0-1; put 2 @2-", &["1"]), (0, 0, 0));
        assert_eq!(wrong("put 1 @0-1; put 2 @2-", &["2"]), (0, 0, 0));
        assert_eq!(wrong("put 1 @0-1; put 2 @2-", &[]), (1, 0, 0));
        // Another swap stands where an acknowledged one did.
        assert_eq!(wrong("swap -:1a @0-1; swap -:1b @0-", &["1b"]), (1, 0, 0));
    }

    #[test]
    fn planted_phantoms_and_doubles_are_found() {
        assert_eq!(wrong("put 1 @0-1", &["1", "1"]), (0, 1, 0));
        assert_eq!(wrong("put 1 @0-1", &["2"]), (0, 0, 1));
        assert_eq!(wrong("put 1 @0-1; no put 2 @2-3", &["2"]), (0, 0, 1));
        assert_eq!(wrong("", &["1"]), (0, 0, 1));
        let elsewhere = [(KEY, value("1")), (Key::Owned(4), value("1"))];
        let found = of("put 1 @0-1", &elsewhere);
        assert_eq!((found.duplicated, found.phantom), (1, 1));
        let foreign = [(KEY, Value::FOREIGN)];
        assert_eq!(of("put 1 @0-1", &foreign).phantom, 1);
    }

    #[test]
    fn fate_of_unknown_outcomes_is_told() {
        let fate = |text: &str, end: &str| {
            let found = of(text, &[(KEY, value(end))]);
            (found.unknown_applied, found.unknown_not)
        };
        assert_eq!(fate("swap -:1 @0-1; swap 1:2a @2-; swap 1:2b @2-", "2b"), (1, 1));
        // Nobody saw it, but what came after it was swapped for it.
        assert_eq!(fate("swap -:1 @0-1; swap 1:2 @2-; swap 2:3 @4-5", "3"), (1, 0));
        assert_eq!(fate("put 1 @0-1; put 2 @2-", "1"), (0, 1));
    }

    #[test]
    fn only_some_lines_are_kept() {
        let mut result = Durability::default();
        (0..100).for_each(|_| result.explain("wrong".to_owned()));
        assert_eq!(result.lines.len(), LINES_MAX);
    }
}
