//! What can go wrong with an engine, by what the caller must do.

use std::fmt;

/// Why an engine did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The disk refused or failed. After a synced write: stop the process.
    Disk(String),
    /// There is no room. Nothing was written.
    Full(String),
    /// What is on disk is not what was written. It is refused, never skipped.
    Corrupt(String),
    /// The caller asked for something that makes no sense.
    Invalid(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Disk(why) => write!(f, "the disk failed: {why}"),
            Error::Full(why) => write!(f, "the disk is full: {why}"),
            Error::Corrupt(why) => write!(f, "the data is damaged: {why}"),
            Error::Invalid(why) => write!(f, "the engine was asked wrongly: {why}"),
        }
    }
}

impl std::error::Error for Error {}
