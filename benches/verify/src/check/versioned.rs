//! The main check: a key's writes are in the order of their versions, so only one order has to be
//! looked at.
//!
//! 1. Which writes happened: those that were acknowledged, those whose value was seen, and those
//!    that they in turn were swapped for. What is open and was not seen is left out: that it did
//!    not happen explains everything as well.
//! 2. Each version is one value, and each swap stands behind what it expected.
//! 3. Each operation has a place: a write its version, a read behind what it found. No operation
//!    may stand before one that had ended when it began: one sweep through time.
//!
//! The places and the order in time together have no circle if no two operations contradict each
//! other, since places are numbers. So the check is exact, for histories made as they should be:
//!
//! - Every value is written once. A swap writes the version after the one that it expects.
//! - A key is swapped, or it is put to. Puts follow each other, with rising versions; after one of
//!   unknown outcome there is none, since it might be done later than those behind it.
//!
//! Another history is [`Wrong::Malformed`]: a mistake of the load, which says nothing about the
//! cluster.

use std::fmt;

use super::{Act, KeyHistory, Op};
use crate::history::Value;

/// What is wrong with a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The load did not keep to its rules; the cluster may be right or not.
    Malformed(&'static str, Option<Value>),
    /// A value was found that nobody wrote.
    NobodyWrote(Value),
    /// A value was found whose write was told not to be done.
    Refused(Value),
    /// Two writes of one version were done: two swaps found the same.
    TwoOfOneVersion(Value, Value),
    /// A swap was done though something else was there than it expected.
    SwappedAnother {
        /// What was set.
        new: Value,
        /// What was there.
        there: Option<Value>,
    },
    /// What a swap was told to have found is not what it expected.
    ToldAnother(Value),
    /// A swap was refused though it found what it expected.
    Needless(Option<Value>),
    /// An operation comes before one that had ended when it began.
    Backwards {
        /// The version at which it stands; of a write, what it sets.
        version: u64,
        /// Who, and when it began.
        by: (u32, u64),
        /// The version at which the earlier one stands.
        after: u64,
        /// Who, and when that had ended.
        ended: (u32, u64),
    },
}

/// A key whose history is right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// The writes that happened, in their order.
    pub writes: Vec<Value>,
}

/// A write, and whether it is known to have happened.
struct Write<'a> {
    value: Value,
    op: &'a Op,
    has_happened: bool,
}

/// Checks the history of a key.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(history: &KeyHistory) -> Result<Order, Wrong> {
    let mut writes = writes(history)?;
    rules(history, &writes)?;
    answers(history)?;
    for op in &history.ops {
        if !op.is_open()
            && let Some(value) = op.writes()
        {
            happened(history, &mut writes, value)?;
        }
        if let Act::Read(Some(found)) | Act::Unequal { found: Some(found), .. } = op.act {
            happened(history, &mut writes, found)?;
        }
    }
    // In the order of versions: that is what values are sorted by first.
    let done: Vec<&Write<'_>> = writes.iter().filter(|write| write.has_happened).collect();
    chain(&done)?;
    sweep(history, &done)?;
    Ok(Order { writes: done.iter().map(|write| write.value).collect() })
}

/// All writes by their values.
fn writes(history: &KeyHistory) -> Result<Vec<Write<'_>>, Wrong> {
    let of = |op| Some(Write { value: Op::writes(op)?, op, has_happened: false });
    let mut writes: Vec<Write<'_>> = history.ops.iter().filter_map(of).collect();
    writes.sort_unstable_by_key(|write| write.value);
    for pair in writes.windows(2) {
        if pair[0].value == pair[1].value {
            return Err(Wrong::Malformed("a value is written twice", Some(pair[0].value)));
        }
    }
    Ok(writes)
}

/// Whether the load kept to its rules.
fn rules(history: &KeyHistory, writes: &[Write<'_>]) -> Result<(), Wrong> {
    let malformed = |what, value| Err(Wrong::Malformed(what, Some(value)));
    let mut last_put: Option<&Op> = None;
    for write in writes {
        if write.value.version == 0 {
            return malformed("a version is zero", write.value);
        }
        match write.op.act {
            Act::Swap { expected, new, .. } => {
                if new.version != expected.map_or(0, |expected| expected.version).saturating_add(1)
                {
                    return malformed("a swap does not raise its version by one", new);
                }
            }
            _ => {
                // An open one ends never, so nothing may follow it.
                if last_put.is_some_and(|last| last.ret >= write.op.call) {
                    return malformed("puts do not follow each other", write.value);
                }
                last_put = Some(write.op);
            }
        }
    }
    let is_swap = |op: &&Op| matches!(op.act, Act::Swap { .. } | Act::Unequal { .. });
    match (last_put, history.ops.iter().find(is_swap)) {
        (Some(put), Some(_)) => Err(Wrong::Malformed("a key is put to and swapped", put.writes())),
        _ => Ok(()),
    }
}

/// Answers that contradict themselves.
fn answers(history: &KeyHistory) -> Result<(), Wrong> {
    for op in &history.ops {
        match op.act {
            Act::Swap { expected, new, found: Some(found) } if found != expected => {
                return Err(Wrong::ToldAnother(new));
            }
            Act::Unequal { expected, found } if found == expected => {
                return Err(Wrong::Needless(expected));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Notes that a value was there, and so those that had to be there before it.
fn happened(history: &KeyHistory, writes: &mut [Write<'_>], mut value: Value) -> Result<(), Wrong> {
    loop {
        let Ok(at) = writes.binary_search_by_key(&value, |write| write.value) else {
            let is_refused = history.is_refused(value);
            return Err(if is_refused { Wrong::Refused } else { Wrong::NobodyWrote }(value));
        };
        let write = &mut writes[at];
        if write.has_happened {
            return Ok(());
        }
        write.has_happened = true;
        match write.op.act {
            Act::Swap { expected: Some(expected), .. } => value = expected,
            _ => return Ok(()),
        }
    }
}

/// Each version is one value, and each swap stands behind what it expected.
fn chain(done: &[&Write<'_>]) -> Result<(), Wrong> {
    let mut there = None;
    for write in done {
        if let Some(last) = there
            && Value::version_of(last) == write.value.version
        {
            return Err(Wrong::TwoOfOneVersion(last, write.value));
        }
        if let Act::Swap { expected, new, .. } = write.op.act
            && expected != there
        {
            return Err(Wrong::SwappedAnother { new, there });
        }
        there = Some(write.value);
    }
    Ok(())
}

/// The place of an operation; none for a write that did not happen.
fn place(op: &Op, done: &[&Write<'_>]) -> Option<u128> {
    // A write at its version, doubled; what finds it behind it.
    let of = |version: u64| u128::from(version) * 2;
    match op.act {
        Act::Read(found) | Act::Unequal { found, .. } => {
            Some(of(found.map_or(0, Value::version_of)) + 1)
        }
        Act::Put(value) | Act::Swap { new: value, .. } => {
            let at = done.binary_search_by_key(&value, |write| write.value);
            at.is_ok().then(|| of(value.version))
        }
    }
}

fn sweep(history: &KeyHistory, done: &[&Write<'_>]) -> Result<(), Wrong> {
    let placed = history.ops.iter().filter_map(|op| Some((place(op, done)?, op)));
    let mut calls: Vec<(u128, &Op)> = placed.collect();
    calls.sort_by_key(|(_, op)| op.call);
    let mut ends: Vec<(u128, &Op)> =
        calls.iter().filter(|(_, op)| !op.is_open()).copied().collect();
    ends.sort_by_key(|(_, op)| op.ret);
    let mut ended = ends.into_iter().peekable();
    // The furthest place of all that have ended.
    let mut furthest: Option<(u128, &Op)> = None;
    for (at, op) in calls {
        while let Some(end) = ended.next_if(|(_, end)| end.ret < op.call) {
            if furthest.is_none_or(|(place, _)| end.0 > place) {
                furthest = Some(end);
            }
        }
        if let Some((place, before)) = furthest
            && place > at
        {
            return Err(Wrong::Backwards {
                version: version_at(at),
                by: (op.client, op.call),
                after: version_at(place),
                ended: (before.client, before.ret),
            });
        }
    }
    Ok(())
}

fn version_at(place: u128) -> u64 {
    u64::try_from(place / 2).unwrap_or(u64::MAX)
}

impl Value {
    fn version_of(self) -> u64 {
        self.version
    }
}

impl Wrong {
    /// Whether the load is to blame.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        matches!(self, Wrong::Malformed(..))
    }
}

/// Seconds, of a time in nanoseconds.
fn seconds(nanos: u64) -> String {
    format!("{}.{:06} s", nanos / 1_000_000_000, nanos / 1_000 % 1_000_000)
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<Value>| value.map_or("nothing".to_owned(), |v| v.to_string());
        match self {
            Wrong::Malformed(what, value) => {
                write!(f, "the load broke its own rules: {what} ({})", shown(value))
            }
            Wrong::NobodyWrote(value) => write!(f, "{value} was found, and nobody wrote it"),
            Wrong::Refused(value) => {
                write!(f, "{value} was found, though its write was told not to be done")
            }
            Wrong::TwoOfOneVersion(one, other) => {
                write!(f, "{one} and {other} were both done, as the same version")
            }
            Wrong::SwappedAnother { new, there } => {
                write!(f, "{new} was swapped in, and {} was there instead", shown(there))
            }
            Wrong::ToldAnother(new) => {
                write!(f, "{new} was swapped in for something else than it expected")
            }
            Wrong::Needless(expected) => {
                write!(f, "a swap was refused though {} was there", shown(expected))
            }
            Wrong::Backwards { version, by, after, ended } => write!(
                f,
                "client {} was at version {version} from {} on, when client {} had been at \
                 version {after} by {}",
                by.0,
                seconds(by.1),
                ended.0,
                seconds(ended.1)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::check::model;
    use crate::history::Key;

    /// A quadratic check of one key would take hours. How long it takes is printed.
    #[test]
    fn a_million_operations_on_one_key_are_checked() {
        let history = model::linearizable(7, 1_000_000, model::Kind::Swapped);
        assert!(history.ops.len() > 700_000, "{}", history.ops.len());
        let begun = Instant::now();
        check(&history).unwrap();
        println!("{} operations in {:?}", history.ops.len(), begun.elapsed());
    }

    #[test]
    fn a_history_of_nothing_is_right() {
        let history = KeyHistory { key: Key::Shared(0), ops: Vec::new(), refused: Vec::new() };
        assert_eq!(check(&history), Ok(Order::default()));
    }
}
