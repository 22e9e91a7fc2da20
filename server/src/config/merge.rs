//! Settings from several places become one, key by key, and each keeps where it came from.
//!
//! Flags are over the environment, that is over the file, that is over the defaults. A source never
//! hides another as a whole. Unknown keys are errors, and all problems are told at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::sections::Config;
use super::similar;
use crate::errors::{self, Failure};

/// Variables of the environment that begin so are settings.
pub(crate) const PREFIX: &str = "CRIB_";

/// Those of commands that ask a cluster, which a node may find in its environment.
const OF_CLIENTS: &[&str] =
    &["CACERT", "CERT", "COLOR", "CONFIG", "ENDPOINTS", "KEY", "OUTPUT", "TIMEOUT", "COMMIT"];

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A file.
    File(PathBuf),
    /// A variable of the environment, by its name.
    Env(String),
    /// A flag, as it is typed.
    Flag(String),
}

/// Something that is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which key.
    pub key: String,
    /// What it is set to; none for a key that does not exist.
    pub value: Option<String>,
    /// Where that came from.
    pub origin: Origin,
    /// What it must be.
    pub must: String,
}

/// Where settings are looked for.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A file in TOML.
    pub file: Option<PathBuf>,
    /// The environment.
    pub env: Vec<(String, String)>,
    /// Key, the flag as it is typed, value.
    pub flags: Vec<(String, String, String)>,
}

/// Settings that hold, and where each that is not a default came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The settings.
    pub config: Config,
    /// By key.
    pub origins: BTreeMap<String, Origin>,
}

impl Effective {
    /// Reads and merges all sources.
    ///
    /// # Errors
    /// If the file cannot be read, or anything in any of them makes no sense.
    pub fn load(sources: &Sources) -> Result<Effective, Failure> {
        let mut merge = Merge::new();
        if let Some(path) = &sources.file {
            merge.file(path)?;
        }
        merge.env(&sources.env);
        for (key, flag, value) in &sources.flags {
            merge.text(key, value, Origin::Flag(flag.clone()));
        }
        merge.finish()
    }

    /// Where the value of a key came from.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// All keys with their values.
    #[must_use]
    pub fn values(&self) -> BTreeMap<String, Value> {
        leaves(&self.config)
    }
}

/// The keys of a configuration and their values. What a table of names holds is one value.
pub(crate) fn leaves(config: &Config) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let whole = serde_json::to_value(config).unwrap_or_default();
    for (name, value) in whole.as_object().into_iter().flatten() {
        match value {
            Value::Object(section) if name != "labels" => {
                let keys = section.iter().map(|(key, value)| (format!("{name}.{key}"), value));
                found.extend(keys.map(|(key, value)| (key, value.clone())));
            }
            value => {
                found.insert(name.clone(), value.clone());
            }
        }
    }
    found
}

/// Whether this variable is one of those that Kubernetes sets in each container, behind the names
/// of services: here of one that is called `crib`, or begins so. No setting has such a name.
fn is_of_service(rest: &str, value: &str) -> bool {
    let rest = format!("_{rest}");
    let is_url = ["tcp://", "udp://", "sctp://"].iter().any(|begin| value.starts_with(begin));
    let is_of_port = ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| {
        rest.split_once("_PORT_").is_some_and(|(_, behind)| behind.contains(protocol))
    });
    rest.ends_with("_SERVICE_HOST")
        || rest.contains("_SERVICE_PORT")
        || rest.ends_with("_PORT") && is_url
        || is_of_port
}

struct Merge {
    known: BTreeMap<String, Value>,
    sections: BTreeSet<String>,
    set: BTreeMap<String, (Value, Origin)>,
    problems: Vec<Problem>,
}

impl Merge {
    fn new() -> Merge {
        let known = leaves(&Config::default());
        let sections =
            known.keys().filter_map(|key| Some(key.split_once('.')?.0.to_owned())).collect();
        Merge { known, sections, set: BTreeMap::new(), problems: Vec::new() }
    }

    fn file(&mut self, path: &Path) -> Result<(), Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(&errors::CONFIG_UNREADABLE, format!("cannot read {}", path.display()))
                .why(error.to_string())
        })?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            Failure::new(&errors::CONFIG_UNREADABLE, format!("{} is not TOML", path.display()))
                .why(error.to_string())
        })?;
        let origin = Origin::File(path.to_owned());
        for (name, value) in table {
            let value = serde_json::to_value(value).unwrap_or_default();
            match value {
                Value::Object(section) if self.sections.contains(&name) => {
                    for (key, value) in section {
                        self.value(&format!("{name}.{key}"), value, origin.clone());
                    }
                }
                value => self.value(&name, value, origin.clone()),
            }
        }
        Ok(())
    }

    fn env(&mut self, env: &[(String, String)]) {
        for (name, value) in env {
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            if OF_CLIENTS.contains(&rest) || is_of_service(rest, value) {
                continue;
            }
            let key = rest.replace("__", ".").replace('_', "-").to_ascii_lowercase();
            self.text(&key, value, Origin::Env(name.clone()));
        }
    }

    /// A value that was given as text, in the form that its key has.
    fn text(&mut self, key: &str, text: &str, origin: Origin) {
        let parts = || text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let value = match self.known.get(key) {
            Some(Value::Array(_)) => parts().collect(),
            Some(Value::Object(_)) => {
                let pairs = parts().map(|part| part.split_once('=').unwrap_or((part, "")));
                pairs.map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
            }
            Some(Value::Bool(_) | Value::Number(_)) => {
                serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
            }
            _ => Value::from(text),
        };
        self.value(key, value, origin);
    }

    fn value(&mut self, key: &str, value: Value, origin: Origin) {
        let Some(default) = self.known.get(key) else {
            let must = match similar::nearest(key, self.known.keys().map(String::as_str)) {
                Some(near) => format!("there is no such key; did you mean {near}?"),
                None => "there is no such key; see `crib config default`".to_owned(),
            };
            self.problems.push(Problem { key: key.to_owned(), value: None, origin, must });
            return;
        };
        // A size without its unit then fails as a size, in words, and not as a string.
        let value = match (default, value) {
            (Value::String(_), Value::Number(number)) => Value::from(number.to_string()),
            (_, value) => value,
        };
        match typed(key, &value) {
            Ok(()) => {
                self.set.insert(key.to_owned(), (value, origin));
            }
            Err(must) => {
                let value = Some(shown(&value));
                self.problems.push(Problem { key: key.to_owned(), value, origin, must });
            }
        }
    }

    fn finish(mut self) -> Result<Effective, Failure> {
        let mut whole = serde_json::to_value(Config::default()).unwrap_or_default();
        for (key, (value, _)) in &self.set {
            put(&mut whole, key, value.clone());
        }
        // Every value was accepted by itself, so all of them are.
        let config: Config = serde_json::from_value(whole).map_err(|error| {
            Failure::new(&errors::CONFIG_INVALID, "the configuration is not valid")
                .why(error.to_string())
        })?;
        let origins: BTreeMap<String, Origin> =
            self.set.into_iter().map(|(key, (_, origin))| (key, origin)).collect();
        let effective = Effective { config, origins };
        let values = effective.values();
        for (key, must) in effective.config.validate() {
            let value = values.get(&key).map(shown);
            let origin = effective.origin(&key);
            self.problems.push(Problem { key, value, origin, must });
        }
        if self.problems.is_empty() { Ok(effective) } else { Err(failure(&self.problems)) }
    }
}

fn failure(problems: &[Problem]) -> Failure {
    let what = match problems.len() {
        1 => "the configuration has a problem".to_owned(),
        count => format!("the configuration has {count} problems"),
    };
    let failure = Failure::new(&errors::CONFIG_INVALID, what);
    problems.iter().fold(failure, |failure, problem| failure.why(problem.to_string()))
}

/// Whether a key takes a value.
fn typed(key: &str, value: &Value) -> Result<(), String> {
    let mut one = Value::Object(Map::new());
    put(&mut one, key, value.clone());
    match serde_json::from_value::<Config>(one) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn put(whole: &mut Value, key: &str, value: Value) {
    let Value::Object(map) = whole else { return };
    match key.split_once('.') {
        None => {
            map.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let section = map.entry(section).or_insert_with(|| Value::Object(Map::new()));
            put(section, rest, value);
        }
    }
}

/// A value as TOML has it.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        Value::Object(map) => {
            let items: Vec<String> =
                map.iter().map(|(key, value)| format!("{key} = {}", shown(value))).collect();
            format!("{{ {} }}", items.join(", "))
        }
        // Strings of JSON are strings of TOML.
        other => other.to_string(),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => write!(f, "file {}", path.display()),
            Origin::Env(name) => write!(f, "environment {name}"),
            Origin::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        write!(f, " ({}): {}", self.origin, self.must)
    }
}
