//! Every error that a person can meet: `crib explain error` prints these.
//!
//! A number that was given is never given to another error. Numbers of one thousand belong
//! together; see `errors`.

mod nodes;

pub use nodes::{
    DAMAGED, DIR_FOREIGN, DIR_LOCKED, DIR_UNUSABLE, DISK_FULL, NO_ROOM, READ_FAILED, READER_ENDED,
    REPLY_UNKNOWN, STORE_REMOVED, STORE_STOPPED, VERSION,
};

use super::Exit;

/// One error.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub number: u16,
    /// What it is, in a few words.
    pub title: &'static str,
    /// How it comes about.
    pub cause: &'static str,
    /// What to do, in a line.
    pub next: &'static str,
    /// What the process ends with.
    pub exit: Exit,
}

impl Entry {
    /// As it is printed: `CRIB-E1001`.
    #[must_use]
    pub fn code(&self) -> String {
        format!("CRIB-E{:04}", self.number)
    }
}

/// The entry with this code, written as `CRIB-E1001`, `E1001` or `1001`.
#[must_use]
pub fn find(code: &str) -> Option<&'static Entry> {
    let upper = code.trim().to_ascii_uppercase();
    let number = upper.strip_prefix("CRIB-").unwrap_or(&upper);
    let number: u16 = number.strip_prefix('E').unwrap_or(number).parse().ok()?;
    CATALOGUE.iter().copied().find(|entry| entry.number == number)
}

/// All of them, by number.
pub static CATALOGUE: &[&Entry] = &[
    &CANNOT_CONNECT,
    &TIMED_OUT,
    &NO_PLACEMENT,
    &PORT_TAKEN,
    &TLS_FILES,
    &DENIED,
    &BAD_REQUEST,
    &REFUSED,
    &NO_CONTEXT,
    &TOO_MANY,
    &PAGE_TOO_LARGE,
    &TOO_LARGE,
    &KEY_NOT_FOUND,
    &CONDITION_FAILED,
    &OUTCOME_UNKNOWN,
    &NOT_SUPPORTED,
    &WORD_BROKEN,
    &NOTHING_SHOWN,
    &STORE_NOT_FOUND,
    &REGION_NOT_FOUND,
    &UNHEALTHY,
    &CANNOT_END,
    &JOIN_REFUSED,
    &READ_FAILED,
    &REPLY_UNKNOWN,
    &READER_ENDED,
    &DIR_LOCKED,
    &DIR_FOREIGN,
    &DIR_UNUSABLE,
    &DISK_FULL,
    &DAMAGED,
    &VERSION,
    &STORE_STOPPED,
    &NO_ROOM,
    &STORE_REMOVED,
    &CONFIG_INVALID,
    &CONFIG_UNREADABLE,
    &USAGE,
    &CHILD_DIED,
    &INTERRUPTED,
    &OUTPUT_FAILED,
    &BENCH_INVALID,
];

/// Nobody answers.
pub static CANNOT_CONNECT: Entry = Entry {
    number: 1001,
    title: "cannot connect to the cluster",
    cause: "None of the endpoints answered: no process listens there, a firewall is between, or\n\
            one side speaks TLS and the other does not. Nothing happened to any data.",
    next: "start a node (`crib demo`), or name one that runs with --endpoints host:port",
    exit: Exit::Unreachable,
};

/// Answers came too late.
pub static TIMED_OUT: Entry = Entry {
    number: 1002,
    title: "not done in time",
    cause: "The cluster was reached, but what was asked could not be done within --timeout: a\n\
            region has no leader, or stores are busy. No attempt took effect.",
    next: "see what is wrong with `crib status`, then repeat it, or give it longer with --timeout",
    exit: Exit::Unreachable,
};

/// Nodes answer, placement does not.
pub static NO_PLACEMENT: Entry = Entry {
    number: 1003,
    title: "placement has no leader",
    cause: "Nodes answered, but none of them leads placement, or that one cannot be reached. A\n\
            majority of the founders must be up and see each other; after a loss it takes a few\n\
            seconds until another leads.",
    next: "start the founders that are down; `crib status` tells when placement is led again",
    exit: Exit::Unreachable,
};

/// A port is in use.
pub static PORT_TAKEN: Entry = Entry {
    number: 1004,
    title: "the port is in use",
    cause: "Another process listens on an address that this one needs, perhaps an earlier\n\
            cluster that still runs.",
    next: "stop that process, or choose other ports (--listen and --http; demo: --port-base and \
           --http-base)",
    exit: Exit::Failed,
};

/// Certificates cannot be used.
pub static TLS_FILES: Entry = Entry {
    number: 1005,
    title: "certificates cannot be used",
    cause: "A file of --cacert, --cert and --key, or of a node's settings tls.ca, tls.cert and\n\
            tls.key, is missing, is not PEM, or they do not belong together. A node that runs\n\
            goes on with those it had.",
    next: "check the three files; --cert and --key come together, and need --cacert",
    exit: Exit::Denied,
};

/// The other end says no.
pub static DENIED: Entry = Entry {
    number: 1006,
    title: "not permitted",
    cause: "The other end does not trust this certificate, this end does not trust the other's,\n\
            only one of the two speaks TLS, or what was asked is not allowed.",
    next: "give the certificates that this cluster was made with: --cacert, --cert, --key",
    exit: Exit::Denied,
};

/// A request that no store could answer.
pub static BAD_REQUEST: Entry = Entry {
    number: 2001,
    title: "the request makes no sense",
    cause: "A key, a range or a field of the request is not of the form that this cluster's\n\
            api-version has: an empty key, one without the prefix of a keyspace, a time to live\n\
            where there are none. Nothing happened.",
    next: "connect with the cluster's api-version (`crib status`), and check keys and ranges",
    exit: Exit::Failed,
};

/// A request without the region that it is for.
pub static NO_CONTEXT: Entry = Entry {
    number: 2003,
    title: "the request names no region",
    cause: "Requests say for which region, epoch and peer they are meant. This one did not: its\n\
            sender is not a client of this protocol, or has a fault.",
    next: "use a client that routes by region; crib itself is one",
    exit: Exit::Failed,
};

/// Too many keys at once.
pub static TOO_MANY: Entry = Entry {
    number: 2004,
    title: "too many keys or ranges in one request",
    cause: "What one request may hold is bounded, so that one client cannot take a store's\n\
            memory. Nothing happened.",
    next: "divide the request into several",
    exit: Exit::Failed,
};

/// A page of a scan that is too large.
pub static PAGE_TOO_LARGE: Entry = Entry {
    number: 2005,
    title: "an answer is too large",
    cause: "What was asked for has more bytes than a store gives in one answer: of a scan about\n\
            twice what a region has, of a batch of keys or ranges 32 MiB. Nothing is answered, so\n\
            that nobody takes a part for all of it.",
    next: "ask for fewer keys at a time, and go on behind the last one",
    exit: Exit::Failed,
};

/// A key has no value.
pub static KEY_NOT_FOUND: Entry = Entry {
    number: 2010,
    title: "key not found",
    cause: "The key has no value: it was never written, was deleted, or its time to live ended.",
    next: "list keys with `crib kv scan`; a key with other bytes needs --escaped or --hex",
    exit: Exit::NotFound,
};

/// A comparison failed.
pub static CONDITION_FAILED: Entry = Entry {
    number: 2011,
    title: "the condition does not hold",
    cause: "Compare-and-swap found another value than the one that was expected. Nothing was\n\
            written.",
    next: "read the value again, and decide anew",
    exit: Exit::Condition,
};

/// A write may have happened.
pub static OUTCOME_UNKNOWN: Entry = Entry {
    number: 2012,
    title: "the outcome is unknown",
    cause: "The write was sent, and the answer never came: a store stopped or lost its leader at\n\
            that moment. It may have been done, may still be done, or not at all.",
    next: "read the key to see what holds now, before you repeat the write",
    exit: Exit::Unknown,
};

/// Refused, with the server's reason.
pub static REFUSED: Entry = Entry {
    number: 2002,
    title: "the cluster refused",
    cause: "What was asked makes no sense for this cluster. Nothing happened, and asking again\n\
            gives the same.",
    next: "change the request as the reason says",
    exit: Exit::Failed,
};

/// Too much in one request.
pub static TOO_LARGE: Entry = Entry {
    number: 2006,
    title: "too large",
    cause: "A key, a value or a request is larger than the cluster takes (limits.key-size-max,\n\
            limits.value-size-max, limits.message-size-max). Nothing happened.",
    next: "divide it, or raise the limit on every node",
    exit: Exit::Failed,
};

/// Not in this mode or version.
pub static NOT_SUPPORTED: Entry = Entry {
    number: 2020,
    title: "not supported here",
    cause: "The cluster's api-version, or this version of crib, does not have what was asked for:\n\
            transactions, or times to live where there are none (they need v1ttl or v2).",
    next: "see `crib status` for the api-version, and `crib version`",
    exit: Exit::Failed,
};

/// A run of `crib bench verify` has found something wrong.
pub static WORD_BROKEN: Entry = Entry {
    number: 2030,
    title: "the cluster did not keep its word",
    cause: "What clients were told cannot have happened, or what was acknowledged is not there,\n\
            or the cluster does not come back though nothing is broken any more.",
    next: "keep the history, the logs and the seed that were printed, and report them",
    exit: Exit::Condition,
};

/// A run of `crib bench verify` is worth nothing.
pub static NOTHING_SHOWN: Entry = Entry {
    number: 2031,
    title: "the run shows nothing",
    cause: "Nothing wrong was seen, but the cluster was not put to the test: a fault that was\n\
            asked for did not happen, no operation succeeded, or too much was not decided.",
    next: "let it run longer (--duration), or ask for fewer faults (--faults)",
    exit: Exit::Failed,
};

/// No such store.
pub static STORE_NOT_FOUND: Entry = Entry {
    number: 3001,
    title: "store not found",
    cause: "No store of the cluster has this id.",
    next: "list them with `crib store list`",
    exit: Exit::NotFound,
};

/// No such region.
pub static REGION_NOT_FOUND: Entry = Entry {
    number: 3002,
    title: "region not found",
    cause: "Placement knows no region with this id. Ids are never used again: a region that was\n\
            split keeps its own.",
    next: "list them with `crib region list`, or find one by a key with `crib region find`",
    exit: Exit::NotFound,
};

/// Not all is well.
pub static UNHEALTHY: Entry = Entry {
    number: 3003,
    title: "the cluster is not healthy",
    cause: "A store is not up, a region has no leader or too few replicas, or placement does not\n\
            know enough yet.",
    next: "see `crib status` for the problems, and `crib explain store ID` or `region ID` for why",
    exit: Exit::Unhealthy,
};

/// A drain that would last for ever.
pub static CANNOT_END: Entry = Entry {
    number: 3004,
    title: "this could never finish",
    cause: "A store can be emptied only if enough others are left for every replica. What was\n\
            asked would wait for ever, so it was not begun.",
    next: "add a store first, or take back another drain with `crib store undrain ID`",
    exit: Exit::Failed,
};

/// A cluster that does not take this store.
pub static JOIN_REFUSED: Entry = Entry {
    number: 3005,
    title: "the cluster did not take this store",
    cause: "None of the nodes to join answered in time, or placement refused: the directory may\n\
            belong to another cluster, or the address to another store.",
    next: "check --join and --advertise, and that the cluster is healthy (`crib status`)",
    exit: Exit::Failed,
};

/// Settings make no sense.
pub static CONFIG_INVALID: Entry = Entry {
    number: 5001,
    title: "the configuration is not valid",
    cause: "A key does not exist, a value is not of the form its key has, or keys contradict each\n\
            other. All problems are listed, with where each value came from.",
    next: "correct these keys; `crib config default` prints every key with its meaning",
    exit: Exit::Config,
};

/// The file is no configuration.
pub static CONFIG_UNREADABLE: Entry = Entry {
    number: 5002,
    title: "the configuration file cannot be read",
    cause: "The file does not exist, may not be read, or is not TOML.",
    next: "check the path and the line; `crib config default` prints a file to begin with",
    exit: Exit::Config,
};

/// Called in a wrong way.
pub static USAGE: Entry = Entry {
    number: 5003,
    title: "the command makes no sense",
    cause: "Arguments contradict each other, or are not of the form that the command takes.",
    next: "see the command with --help",
    exit: Exit::Usage,
};

/// A node of a demo ended.
pub static CHILD_DIED: Entry = Entry {
    number: 5004,
    title: "a node of the demo cluster ended",
    cause: "A process that `crib demo` had started ended by itself. The last lines of its log are\n\
            shown.",
    next: "read its log as a whole; start the demo again on the same --data-dir to go on",
    exit: Exit::Failed,
};

/// Stopped by a signal.
pub static INTERRUPTED: Entry = Entry {
    number: 5005,
    title: "interrupted",
    cause: "A second signal came while the process was stopping, and it ended at once. What was\n\
            acknowledged is safe on disk.",
    next: "start it again; it goes on where it was",
    exit: Exit::Interrupted,
};

/// Standard output or input is broken.
pub static OUTPUT_FAILED: Entry = Entry {
    number: 5006,
    title: "input or output failed",
    cause: "Standard input could not be read, standard output not be written, or a file that a\n\
            command was given could not be used.",
    next: "check where input comes from and output goes to",
    exit: Exit::Failed,
};

/// A bench whose figures may not be used.
pub static BENCH_INVALID: Entry = Entry {
    number: 5010,
    title: "the result of a bench is invalid",
    cause: "Operations failed, the cluster was not healthy at some moment, a rate could not be\n\
            kept, or the records could not be set. What was measured is printed with the\n\
            reasons; it says nothing about the cluster when all is well.",
    next: "see `crib status`, then repeat it; --allow-errors takes failed operations for part of \
           the result, a lower --rate is one that can be kept",
    exit: Exit::Unhealthy,
};

#[cfg(test)]
mod tests;
