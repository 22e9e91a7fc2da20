//! The settings of `crib server`: defaults, a file, the environment, flags.
//!
//! Each source is laid over the one before it key by key, and every key remembers where its value
//! came from. Nothing that is misspelt is ignored. Problems are told all at once, each with its
//! key, its value, where that was set and what it must be.
//!
//! A flag `--data-dir` is the key `data-dir` is `CRIB_DATA_DIR`; a key in a section has two
//! underscores: `raft.election-timeout` is `CRIB_RAFT__ELECTION_TIMEOUT`.
//!
//! - `sections`: the keys and their defaults; `describe`: what they mean, for people.
//! - `value`: sizes and durations.
//! - `merge`: how sources become one; `check`: what must hold between keys.
//! - `parts`: what the engines below are given.

mod check;
mod describe;
mod merge;
mod parts;
mod sections;
pub(crate) mod similar;
mod value;

pub use describe::{KEYS, Key};
pub use merge::{Effective, Origin, Problem, Sources};
pub(crate) use merge::{PREFIX, shown};
pub use sections::{
    ApiVersion, Config, Http, HttpTls, Limits, Log, LogFormat, Placement, Raft, Region, Role,
    Storage, Tls,
};
pub use value::{Size, Span};

impl ApiVersion {
    /// As keys and messages have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ApiVersion::V1 => "v1",
            ApiVersion::V1ttl => "v1ttl",
            ApiVersion::V2 => "v2",
        }
    }
}

/// A file with every key, its meaning and its default, all commented out.
#[must_use]
pub fn template() -> String {
    let defaults = merge::leaves(&Config::default());
    let mut text =
        "# Settings of `crib server`. Every key is shown with its default; what is not\n\
                    # set here, in the environment or by a flag is as shown.\n"
            .to_owned();
    text += &by_section(|key, name| {
        let about: String = key.about.lines().map(|line| format!("# {line}\n")).collect();
        let value = defaults.get(key.name).map(shown).unwrap_or_default();
        format!("\n{about}# {name} = {value}\n")
    });
    text
}

/// What is written for each key, by its name within its section, under the headings of sections.
pub(crate) fn by_section(write: impl Fn(&Key, &str) -> String) -> String {
    let mut text = String::new();
    let mut section = "";
    for key in KEYS {
        let (of, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if of != section {
            section = of;
            text += &format!("\n[{section}]\n");
        }
        text += &write(key, name);
    }
    text
}

#[cfg(test)]
mod tests;
