//! What is wrong with a directory that is not opened.

use std::fmt;
use std::path::PathBuf;

use crate::error::Error;

/// Where a log is not what was written. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// The first byte that is known to be wrong; zero if only the file as a whole is.
    pub offset: u64,
    /// How that is known.
    pub kind: DamageKind,
}

/// How damage is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamageKind {
    /// The log is needed and not there.
    Missing,
    /// It is shorter than what was durable.
    Short {
        /// Bytes that were durable.
        needed: u64,
    },
    /// What the witness saw durable has changed.
    Witnessed {
        /// Bytes that it saw.
        bytes: u64,
    },
    /// A record is bad within what the manifest says was synced.
    Synced {
        /// Bytes that were synced.
        bytes: u64,
    },
    /// A record is bad, and one behind it is good.
    GoodBehind {
        /// Where the good one is.
        next: u64,
    },
    /// The witness has no slot that can be read.
    Witness,
    /// The engine opened and knows less than the witness saw durable.
    Forgotten {
        /// The sequence number that it has.
        has: u64,
        /// The sequence number that was durable.
        needed: u64,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, offset) = (self.file.display(), self.offset);
        match self.kind {
            DamageKind::Missing => write!(f, "{file} is missing"),
            DamageKind::Short { needed } => {
                write!(f, "{file} ends at {offset}, and {needed} bytes were durable")
            }
            DamageKind::Witnessed { bytes } => write!(
                f,
                "{file} is not what was durable in its first {bytes} bytes, see offset {offset}"
            ),
            DamageKind::Synced { bytes } => {
                write!(f, "{file} is bad at {offset}, and {bytes} bytes were durable")
            }
            DamageKind::GoodBehind { next } => {
                write!(f, "{file} is bad at {offset} and good again at {next}")
            }
            DamageKind::Witness => write!(f, "{file} cannot be read"),
            DamageKind::Forgotten { has, needed } => {
                write!(f, "{file} has writes up to {has}, and {needed} were durable")
            }
        }
    }
}

/// Why an engine on disk was not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The configuration makes no sense: all that is wrong with it.
    Config(Vec<String>),
    /// The logs are damaged. Opening would forget what was acknowledged, so this directory takes no
    /// part any more; the store is replaced.
    Damaged(Damage),
    /// The engine could not be opened for another reason.
    Engine(Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Config(problems) => write!(f, "configuration: {}", problems.join("; ")),
            OpenError::Damaged(damage) => write!(f, "damaged, and left as it is: {damage}"),
            OpenError::Engine(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}
