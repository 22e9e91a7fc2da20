//! What is said when something goes wrong: a code, what happened, why, and what to do.
//!
//! ```text
//! error[CRIB-E1001]: cannot connect to the cluster
//!   127.0.0.1:6711: connection refused
//!   try: start a node, or name another with --endpoints
//! ```
//!
//! A [`Failure`] points at its entry of the [catalogue], so a code that is used is one that can be
//! explained. The entry says which exit code the process ends with.
//!
//! Codes: `E1…` connections, `E2…` requests, `E3…` placement, `E4…` stores and disks, `E5…`
//! settings and use.

pub mod catalogue;

use std::fmt;
use std::process::ExitCode;

use serde_json::json;

pub use catalogue::{
    BAD_REQUEST, BENCH_INVALID, CANNOT_CONNECT, CANNOT_END, CATALOGUE, CHILD_DIED,
    CONDITION_FAILED, CONFIG_INVALID, CONFIG_UNREADABLE, DAMAGED, DENIED, DIR_FOREIGN, DIR_LOCKED,
    DIR_UNUSABLE, DISK_FULL, Entry, INTERRUPTED, JOIN_REFUSED, KEY_NOT_FOUND, NO_CONTEXT,
    NO_PLACEMENT, NO_ROOM, NOT_SUPPORTED, NOTHING_SHOWN, OUTCOME_UNKNOWN, OUTPUT_FAILED,
    PAGE_TOO_LARGE, PORT_TAKEN, READ_FAILED, READER_ENDED, REFUSED, REGION_NOT_FOUND,
    REPLY_UNKNOWN, STORE_NOT_FOUND, STORE_REMOVED, STORE_STOPPED, TIMED_OUT, TLS_FILES, TOO_LARGE,
    TOO_MANY, UNHEALTHY, USAGE, VERSION, WORD_BROKEN,
};

/// What a process ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Refused, or not foreseen.
    Failed = 1,
    /// It was called in a wrong way.
    Usage = 2,
    /// There is no such key, region or store.
    NotFound = 3,
    /// Nobody answered, or not in time; nothing happened.
    Unreachable = 4,
    /// A write may have happened.
    Unknown = 5,
    /// What was to hold did not.
    Condition = 6,
    /// The cluster is not well.
    Unhealthy = 7,
    /// Not allowed, or certificates do not fit.
    Denied = 8,
    /// Server: no room on the disk.
    DiskFull = 10,
    /// Server: the directory is in use, or another cluster's.
    DataDir = 11,
    /// Server: the settings make no sense.
    Config = 12,
    /// Server: what is on the disk is damaged.
    Corruption = 13,
    /// Server: written by a version that this one cannot follow.
    Version = 14,
    /// Interrupted by a signal.
    Interrupted = 130,
}

/// Something went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of thing.
    pub entry: &'static Entry,
    /// What happened, in a line.
    pub what: String,
    /// Why, with values; a line each.
    pub why: Vec<String>,
    /// What to do. Most often that of the entry.
    pub next: String,
}

impl Failure {
    /// A failure of a kind, with the advice that is always given for it.
    #[must_use]
    pub fn new(entry: &'static Entry, what: impl Into<String>) -> Failure {
        Failure { entry, what: what.into(), why: Vec::new(), next: entry.next.to_owned() }
    }

    /// Adds a line of reasons. A text of several lines is as many.
    #[must_use]
    pub fn why(mut self, line: impl Into<String>) -> Failure {
        self.why.extend(line.into().lines().map(str::to_owned));
        self
    }

    /// Gives better advice.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Failure {
        self.next = next.into();
        self
    }

    /// What the process ends with.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.entry.exit
    }

    /// As an object of JSON, in one line.
    #[must_use]
    pub fn json(&self) -> String {
        json!({ "error": {
            "code": self.entry.code(),
            "what": self.what,
            "why": self.why,
            "try": self.next,
            "exit_code": self.exit() as u8,
        }})
        .to_string()
    }
}

impl fmt::Display for Failure {
    /// Several lines, the last with its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error[{}]: {}", self.entry.code(), self.what)?;
        for line in &self.why {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "  try: {}", self.next)
    }
}

impl std::error::Error for Failure {}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// What went wrong between this process and a cluster, in our words.
impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Failure {
        use client::Error;
        match error {
            Error::NotConnected(endpoints) => {
                let failure = Failure::new(&CANNOT_CONNECT, "cannot connect to the cluster");
                let lines = endpoints.iter().map(|(endpoint, why)| format!("{endpoint}: {why}"));
                lines.fold(failure, Failure::why)
            }
            Error::Timeout { budget, last } => {
                let what = format!("not done within {budget:?}; nothing happened");
                told(&TIMED_OUT, &what, &format!("the last attempt: {last}"))
            }
            Error::NoLeader(why) => Failure::new(&NO_PLACEMENT, "placement has no leader").why(why),
            Error::Undetermined(why) => {
                Failure::new(&OUTCOME_UNKNOWN, "it is not known whether this was done").why(why)
            }
            Error::Refused(why) => told(&REFUSED, "the cluster refused", &why),
            Error::Denied(why) => told(&DENIED, "not permitted", &why),
            Error::TooLarge(why) => told(&TOO_LARGE, "too large", &why),
            Error::OtherCluster { expected, found } => {
                Failure::new(&REFUSED, "the endpoints belong to different clusters")
                    .why(format!("cluster {found} answered, cluster {expected} was expected"))
                    .next("name nodes of one cluster with --endpoints")
            }
            Error::Invalid(why) => Failure::new(&USAGE, "the request makes no sense").why(why),
        }
    }
}

/// What a server said. If its words begin with a code, that is what happened.
fn told(or: &'static Entry, what: &str, why: &str) -> Failure {
    let at = why.find("CRIB-E").map(|at| why.split_at(at));
    let coded = at.and_then(|(before, rest)| Some((before, rest.split_once(": ")?)));
    match coded.and_then(|(before, (code, rest))| Some((before, catalogue::find(code)?, rest))) {
        Some((before, entry, rest)) => Failure::new(entry, what).why(format!("{before}{rest}")),
        None => Failure::new(or, what).why(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_the_server_is_kept() {
        let refused = |why: &str| Failure::from(client::Error::Refused(why.to_owned()));
        let coded = refused("CRIB-E2001: the key is empty");
        assert_eq!((coded.entry, coded.why), (&BAD_REQUEST, vec!["the key is empty".to_owned()]));
        assert_eq!(refused("CRIB-E0001: what").entry, &REFUSED);
        assert_eq!(refused("no").why, ["no"]);
    }

    #[test]
    fn failure_has_code_reasons_and_advice_for_people_and_for_machines() {
        let failure = Failure::new(&CANNOT_CONNECT, "cannot connect to the cluster")
            .why("127.0.0.1:6711: connection refused")
            .next("start a node");
        assert_eq!(
            failure.to_string(),
            "error[CRIB-E1001]: cannot connect to the cluster\n  \
             127.0.0.1:6711: connection refused\n  try: start a node\n"
        );
        let parsed: serde_json::Value = serde_json::from_str(&failure.json()).unwrap();
        assert_eq!(parsed["error"]["code"], "CRIB-E1001");
        assert_eq!(parsed["error"]["exit_code"], 4);
        assert_eq!(failure.exit(), Exit::Unreachable);
    }

    #[test]
    fn unknown_outcome_is_told_from_nothing_happened() {
        let unknown = Failure::from(client::Error::Undetermined("lost".to_owned()));
        assert_eq!(unknown.exit(), Exit::Unknown);
        let budget = std::time::Duration::from_secs(1);
        let last = "busy".to_owned();
        let timeout = Failure::from(client::Error::Timeout { budget, last });
        assert_eq!((timeout.entry, timeout.exit()), (&TIMED_OUT, Exit::Unreachable));
        let last = "CRIB-E4017: the disk is full".to_owned();
        let full = Failure::from(client::Error::Timeout { budget, last });
        assert_eq!(full.entry, &NO_ROOM);
        assert_eq!(full.why, ["the last attempt: the disk is full"]);
    }
}
