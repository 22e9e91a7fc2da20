//! Whether what clients were told can have happened.
//!
//! | check | what it uses | what it costs |
//! |---|---|---|
//! | [`versioned`] | the versions that values carry: the main check | nearly linear |
//! | [`wgl`] | nothing but calls and answers: the second opinion | may give up |
//! | [`durability`] | what is there in the end | linear |
//!
//! All work on the [`KeyHistory`]s of keys: linearizability is a property of each key by itself.
//!
//! Invariant: what is told to be right is right; a check that could not decide says so.

pub mod durability;
#[cfg(test)]
mod model;
#[cfg(test)]
mod planted;
#[cfg(test)]
mod script;
pub mod versioned;
pub mod wgl;

use crate::history::{Asked, Key, Record, Told, Value};

/// When an operation ends that nobody knows the end of.
pub const NEVER: u64 = u64::MAX;

/// An operation that did something, or may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op {
    /// Who did it.
    pub client: u32,
    /// When it was asked.
    pub call: u64,
    /// When the answer was there; [`NEVER`] if there was none, and then it need not have happened.
    pub ret: u64,
    /// What it did.
    pub act: Act,
}

/// What an operation does at the moment at which it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Finds this.
    Read(Option<Value>),
    /// Sets this.
    Put(Value),
    /// Finds what is expected, and sets this.
    Swap {
        /// What must be there.
        expected: Option<Value>,
        /// What is set.
        new: Value,
        /// What was told to have been there, if anything was told.
        found: Option<Option<Value>>,
    },
    /// Finds something else than what is expected.
    Unequal {
        /// What would have had to be there.
        expected: Option<Value>,
        /// What is there.
        found: Option<Value>,
    },
}

/// All that was done to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHistory {
    /// The key.
    pub key: Key,
    /// By the time of the call.
    pub ops: Vec<Op>,
    /// Values that were told not to be written, sorted.
    pub refused: Vec<Value>,
}

impl Op {
    /// Whether nobody knows if it happened.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.ret == NEVER
    }

    /// The value that it sets.
    #[must_use]
    pub fn writes(&self) -> Option<Value> {
        match self.act {
            Act::Put(value) | Act::Swap { new: value, .. } => Some(value),
            Act::Read(_) | Act::Unequal { .. } => None,
        }
    }
}

impl KeyHistory {
    /// Histories by key. Reads without an answer say nothing, and are left out.
    #[must_use]
    pub fn of(records: &[Record]) -> Vec<KeyHistory> {
        let mut sorted: Vec<&Record> = records.iter().collect();
        sorted.sort_unstable_by_key(|record| (record.key, record.call, record.client, record.seq));
        let mut all: Vec<KeyHistory> = Vec::new();
        for record in sorted {
            if all.last().is_none_or(|last| last.key != record.key) {
                all.push(KeyHistory { key: record.key, ops: Vec::new(), refused: Vec::new() });
            }
            if let Some(last) = all.last_mut() {
                last.add(record);
            }
        }
        for history in &mut all {
            history.refused.sort_unstable();
        }
        all
    }

    fn add(&mut self, record: &Record) {
        let act = match (record.asked, record.told) {
            (Asked::Read, Told::Found(found)) => Some(Act::Read(found)),
            (Asked::Put(value), Told::Done | Told::Maybe) => Some(Act::Put(value)),
            (Asked::Swap { expected, new }, Told::Swapped(found)) => {
                Some(Act::Swap { expected, new, found: Some(found) })
            }
            (Asked::Swap { expected, new }, Told::Maybe) => {
                Some(Act::Swap { expected, new, found: None })
            }
            (Asked::Swap { expected, .. }, Told::Unequal(found)) => {
                Some(Act::Unequal { expected, found })
            }
            _ => None,
        };
        if matches!(record.told, Told::No | Told::Unequal(_)) {
            self.refused.extend(record.writes());
        }
        if let Some(act) = act {
            let (client, call, ret) = (record.client, record.call, record.ret.unwrap_or(NEVER));
            self.ops.push(Op { client, call, ret, act });
        }
    }

    /// Whether a value was told not to be written.
    #[must_use]
    pub fn is_refused(&self, value: Value) -> bool {
        self.refused.binary_search(&value).is_ok()
    }
}
