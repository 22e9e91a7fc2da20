//! What may go wrong, told by what it did to the data.

use std::fmt;
use std::time::Duration;

/// Why an operation did not give what it was asked for. That a key has no value is none of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// None of the endpoints could be reached, or none of them belongs to placement. Nothing
    /// happened. Which endpoints, and why each.
    NotConnected(Vec<(String, String)>),
    /// The budget was used up, and no attempt took effect. Nothing happened; it may be tried again.
    Timeout {
        /// How long it was tried.
        budget: Duration,
        /// What went wrong the last time.
        last: String,
    },
    /// Placement was reached, and has no leader that can be reached. Nothing happened; a majority
    /// of its members elects one soon.
    NoLeader(String),
    /// It is not known whether the write took effect, or will.
    Undetermined(String),
    /// A server refused, in its words. Nothing happened, and asking again gives the same.
    Refused(String),
    /// The caller may not, or the other end's certificate is not trusted. Nothing happened.
    Denied(String),
    /// A command is larger than the cluster takes. Nothing happened: divide it.
    TooLarge(String),
    /// An endpoint belongs to another cluster than the first one did.
    OtherCluster {
        /// The cluster that this client is connected to.
        expected: u64,
        /// The one that answered.
        found: u64,
    },
    /// The caller asked for what cannot be: a setting out of bounds, a keyspace that does not
    /// exist, a page of none. Nothing was sent.
    Invalid(String),
}

/// What an error says about the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing happened, and it may be tried again.
    Retry,
    /// Nothing happened, and trying again gives the same.
    Refused,
    /// It may have happened.
    Unknown,
}

/// What operations return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// What it says about the data. Of an operation on many keys, that holds for those whose
    /// requests had not succeeded before: such operations are not atomic.
    #[must_use]
    pub fn fate(&self) -> Fate {
        match self {
            Error::NotConnected(_) => Fate::Retry,
            Error::Timeout { .. } => Fate::Retry,
            Error::NoLeader(_) => Fate::Retry,
            Error::Undetermined(_) => Fate::Unknown,
            Error::Refused(_) => Fate::Refused,
            Error::Denied(_) => Fate::Refused,
            Error::TooLarge(_) => Fate::Refused,
            Error::OtherCluster { .. } => Fate::Refused,
            Error::Invalid(_) => Fate::Refused,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotConnected(endpoints) => {
                f.write_str("cannot connect to the cluster")?;
                for (at, (endpoint, why)) in endpoints.iter().enumerate() {
                    let glue = if at == 0 { ":" } else { ";" };
                    write!(f, "{glue} {endpoint}: {why}")?;
                }
                Ok(())
            }
            Error::Timeout { budget, last } => {
                write!(f, "not done within {budget:?}; the last attempt: {last}")
            }
            Error::NoLeader(why) => f.write_str(why),
            Error::Undetermined(why) => write!(f, "it is not known whether it was done: {why}"),
            Error::Refused(why) => write!(f, "refused: {why}"),
            Error::Denied(why) => write!(f, "not permitted: {why}"),
            Error::TooLarge(why) => write!(f, "too large: {why}"),
            Error::OtherCluster { expected, found } => {
                write!(f, "the endpoint belongs to cluster {found}, not to {expected}")
            }
            Error::Invalid(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {}
