//! What is wrong with a message, and the checks that are used everywhere.
//!
//! A [`BadMessage`] names a field as the `.proto` files do. Nothing was changed by the message, and
//! repeating it changes nothing: its sender is broken, or speaks another version.

use std::error::Error;
use std::fmt;

use raft::BadChange;
use types::{GroupId, PeerId, StoreId};

/// A message that breaks a rule. It was refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadMessage {
    /// The field, by its name in the `.proto` file.
    pub what: &'static str,
    /// What is wrong with it.
    pub why: Why,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The id is 0, which names nobody.
    Zero,
    /// It must be there.
    Missing,
    /// No value of its enumeration has this number.
    Unknown(i32),
    /// It has more bytes or elements than allowed.
    TooLarge {
        /// How many it has.
        has: usize,
        /// How many it may have.
        max: usize,
    },
    /// A term or slot is above the one that bounds it.
    Above {
        /// What it is.
        is: u64,
        /// What bounds it.
        bound: u64,
    },
    /// A term is below that of the entry before it.
    Falls {
        /// What it is.
        is: u64,
        /// The term before it.
        before: u64,
    },
    /// Its slots go beyond the last possible one.
    Overflow,
    /// It must not be there.
    OutOfPlace,
    /// Its members are no membership.
    Membership(BadChange),
    /// The bytes are no such message.
    Bytes(prost::DecodeError),
}

impl fmt::Display for BadMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BadMessage { what, why } = self;
        match why {
            Why::Zero => write!(f, "{what} is 0, which names nobody"),
            Why::Missing => write!(f, "{what} is missing"),
            Why::Unknown(number) => write!(f, "{what} is {number}, which has no meaning"),
            Why::TooLarge { has, max } => write!(f, "{what} has size {has}, {max} is the most"),
            Why::Above { is, bound } => write!(f, "{what} is {is}, {bound} is the most here"),
            Why::Falls { is, before } => write!(f, "{what} is {is} behind an entry of {before}"),
            Why::Overflow => write!(f, "{what} goes beyond the last possible slot"),
            Why::OutOfPlace => write!(f, "{what} must not be here"),
            Why::Membership(bad) => write!(f, "{what} is no membership: {bad}"),
            Why::Bytes(error) => write!(f, "{what} cannot be decoded: {error}"),
        }
    }
}

impl Error for BadMessage {}

/// Refuses more than `max` bytes or elements.
pub(super) fn bounded(what: &'static str, has: usize, max: usize) -> Result<(), BadMessage> {
    if has <= max { Ok(()) } else { Err(BadMessage { what, why: Why::TooLarge { has, max } }) }
}

/// Refuses a term or slot above `bound`.
pub(super) fn not_above(what: &'static str, is: u64, bound: u64) -> Result<(), BadMessage> {
    if is <= bound { Ok(()) } else { Err(BadMessage { what, why: Why::Above { is, bound } }) }
}

/// What must be there.
pub(super) fn required<T>(what: &'static str, value: Option<T>) -> Result<T, BadMessage> {
    value.ok_or(BadMessage { what, why: Why::Missing })
}

pub(super) fn peer(what: &'static str, id: u64) -> Result<PeerId, BadMessage> {
    PeerId::new(id).ok_or(BadMessage { what, why: Why::Zero })
}

pub(super) fn group(what: &'static str, id: u64) -> Result<GroupId, BadMessage> {
    GroupId::new(id).ok_or(BadMessage { what, why: Why::Zero })
}

pub(super) fn store(what: &'static str, id: u64) -> Result<StoreId, BadMessage> {
    StoreId::new(id).ok_or(BadMessage { what, why: Why::Zero })
}
