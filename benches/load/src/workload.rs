//! What callers do: a mix of operations over keys by a distribution. A seed repeats it.
//!
//! | name | operations | keys |
//! |---|---|---|
//! | `put`, `get`, `scan`, `cas` | that one alone | uniform |
//! | `mixed` | reads and updates, by a share | uniform |
//! | `ycsb-a` | 50 % read, 50 % update | zipfian |
//! | `ycsb-b` | 95 % read, 5 % update | zipfian |
//! | `ycsb-c` | read | zipfian |
//! | `ycsb-d` | 95 % read, 5 % insert | latest |
//! | `ycsb-e` | 95 % scan of 1 to 100 keys, 5 % insert | zipfian |
//! | `ycsb-f` | 50 % read, 50 % read, then write what was read anew | zipfian |
//!
//! The last, and `cas`, write by compare-and-swap: nothing is lost if two do so at once, and the
//! one that comes second is counted as a conflict.
//!
//! Keys are chosen among the records; `latest` also among those that this run inserts, by zipfian
//! ranks from the newest down. Zipfian ranks are scattered over the records by a step that visits
//! each once, so that the frequent ones lie far apart.

use serde::Serialize;

use crate::dice::{Dice, STEP};
use crate::keys::Numbers;
use crate::zipf::Zipf;

/// Keys of the longest scan of a mix that scans ranges of any length.
pub(crate) const SCAN_MAX: u64 = 100;

/// A kind of operation. Latencies are told by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The value of a key.
    Read,
    /// A new value for a key.
    Update,
    /// A value for a new key.
    Insert,
    /// Keys and values from a key on.
    Scan,
    /// The value of a key, then a new one in its place if it is still the same: two calls.
    Modify,
}

impl Kind {
    /// All of them, in the order in which they are told.
    pub const ALL: [Kind; 5] = [Kind::Read, Kind::Update, Kind::Insert, Kind::Scan, Kind::Modify];

    /// As people read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Read => "read",
            Kind::Update => "update",
            Kind::Insert => "insert",
            Kind::Scan => "scan",
            Kind::Modify => "modify",
        }
    }
}

/// Which keys are preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// None.
    Uniform,
    /// A few, which lie anywhere.
    Zipfian,
    /// Those that were inserted last.
    Latest,
    /// Each in its turn.
    Sequential,
}

impl Distribution {
    /// As people read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Distribution::Uniform => "uniform",
            Distribution::Zipfian => "zipfian 0.99 scrambled",
            Distribution::Latest => "latest",
            Distribution::Sequential => "sequential",
        }
    }
}

/// A workload of the YCSB benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ycsb {
    /// Sessions that are recorded.
    A,
    /// Tags of photographs.
    B,
    /// Profiles that are only read.
    C,
    /// What people write lately.
    D,
    /// Threads of conversations.
    E,
    /// Records that users change.
    F,
}

/// How long scans are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// All the same.
    Keys(u64),
    /// From one key to so many, each length as often.
    UpTo(u64),
}

/// What callers do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// What it is called.
    pub name: &'static str,
    /// Which operations, and how many of a hundred; these add up to a hundred.
    pub mix: Vec<(Kind, u64)>,
    /// Which keys.
    pub distribution: Distribution,
    /// How much scans read.
    pub length: Length,
}

/// One operation, by numbers of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// See [`Kind::Read`].
    Read(u64),
    /// See [`Kind::Update`].
    Update(u64),
    /// See [`Kind::Insert`].
    Insert(u64),
    /// See [`Kind::Scan`]: from a number on, so many.
    Scan(u64, u64),
    /// See [`Kind::Modify`].
    Modify(u64),
}

impl Call {
    /// Of which kind it is.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Call::Read(_) => Kind::Read,
            Call::Update(_) => Kind::Update,
            Call::Insert(_) => Kind::Insert,
            Call::Scan(..) => Kind::Scan,
            Call::Modify(_) => Kind::Modify,
        }
    }
}

impl Workload {
    fn new(name: &'static str, mix: &[(Kind, u64)], distribution: Distribution) -> Workload {
        // What does not happen is not told either.
        let mix = mix.iter().copied().filter(|(_, percent)| *percent > 0).collect();
        Workload { name, mix, distribution, length: Length::UpTo(SCAN_MAX) }
    }

    /// New values for keys.
    #[must_use]
    pub fn put() -> Workload {
        Workload::new("put", &[(Kind::Update, 100)], Distribution::Uniform)
    }

    /// Values of keys.
    #[must_use]
    pub fn get() -> Workload {
        Workload::new("get", &[(Kind::Read, 100)], Distribution::Uniform)
    }

    /// So many keys from a key on.
    #[must_use]
    pub fn scan(keys: u64) -> Workload {
        let scan = Workload::new("scan", &[(Kind::Scan, 100)], Distribution::Uniform);
        Workload { length: Length::Keys(keys), ..scan }
    }

    /// Reads, so many of a hundred, and updates.
    #[must_use]
    pub fn mixed(read_percent: u64) -> Workload {
        let reads = read_percent.min(100);
        let mix = [(Kind::Read, reads), (Kind::Update, 100 - reads)];
        Workload::new("mixed", &mix, Distribution::Uniform)
    }

    /// Compare and swap.
    #[must_use]
    pub fn cas() -> Workload {
        Workload::new("cas", &[(Kind::Modify, 100)], Distribution::Uniform)
    }

    /// One of the YCSB benchmark.
    #[must_use]
    pub fn ycsb(letter: Ycsb) -> Workload {
        use Distribution::{Latest, Zipfian};
        let (name, mix, distribution): (_, &[(Kind, u64)], _) = match letter {
            Ycsb::A => ("ycsb-a", &[(Kind::Read, 50), (Kind::Update, 50)], Zipfian),
            Ycsb::B => ("ycsb-b", &[(Kind::Read, 95), (Kind::Update, 5)], Zipfian),
            Ycsb::C => ("ycsb-c", &[(Kind::Read, 100)], Zipfian),
            Ycsb::D => ("ycsb-d", &[(Kind::Read, 95), (Kind::Insert, 5)], Latest),
            Ycsb::E => ("ycsb-e", &[(Kind::Scan, 95), (Kind::Insert, 5)], Zipfian),
            Ycsb::F => ("ycsb-f", &[(Kind::Read, 50), (Kind::Modify, 50)], Zipfian),
        };
        Workload::new(name, mix, distribution)
    }

    /// Whether its keys must be there before it begins.
    #[must_use]
    pub fn needs_records(&self) -> bool {
        self.mix.iter().any(|(kind, _)| !matches!(kind, Kind::Update | Kind::Insert))
    }

    /// As people read it: what, and how many of a hundred.
    #[must_use]
    pub fn mix_text(&self) -> String {
        let part = |(kind, percent): &(Kind, u64)| format!("{percent} % {}", kind.name());
        self.mix.iter().map(part).collect::<Vec<String>>().join(", ")
    }
}

/// What one caller does, call by call.
#[derive(Debug)]
pub(crate) struct Script {
    workload: Workload,
    zipf: Zipf,
    /// Coprime to the number of records.
    stride: u64,
    pub(crate) dice: Dice,
}

impl Script {
    /// That of a caller in a run over so many records.
    pub(crate) fn new(workload: &Workload, records: u64, seed: u64, caller: u64) -> Script {
        let records = records.max(1);
        Script {
            workload: workload.clone(),
            zipf: Zipf::new(records),
            stride: stride(records),
            dice: Dice::new(seed, caller),
        }
    }

    /// The next.
    pub(crate) fn next(&mut self, numbers: &Numbers) -> Call {
        match self.kind() {
            Kind::Read => Call::Read(self.choose(numbers)),
            Kind::Update => Call::Update(self.choose(numbers)),
            Kind::Insert => Call::Insert(numbers.insert()),
            Kind::Scan => {
                let length = match self.workload.length {
                    Length::Keys(keys) => keys,
                    Length::UpTo(most) => self.dice.below(most.max(1)) + 1,
                };
                Call::Scan(self.choose(numbers), length)
            }
            Kind::Modify => Call::Modify(self.choose(numbers)),
        }
    }

    fn kind(&mut self) -> Kind {
        let mut at = self.dice.below(100);
        for (kind, percent) in &self.workload.mix {
            if at < *percent {
                return *kind;
            }
            at -= percent;
        }
        unreachable!("the parts of a mix add up to a hundred")
    }

    fn choose(&mut self, numbers: &Numbers) -> u64 {
        let records = numbers.records.max(1);
        match self.workload.distribution {
            Distribution::Uniform => self.dice.below(records),
            Distribution::Zipfian => {
                let rank = u128::from(self.zipf.rank(&mut self.dice));
                let at = rank * u128::from(self.stride) % u128::from(records);
                u64::try_from(at).expect("below the number of records")
            }
            Distribution::Latest => {
                let newest = numbers.known().max(1) - 1;
                newest.saturating_sub(self.zipf.rank(&mut self.dice))
            }
            Distribution::Sequential => numbers.turn(),
        }
    }
}

/// A step that visits each of so many records once, and neighbours at places far apart: nearly the
/// golden section, without a divisor in common.
fn stride(records: u64) -> u64 {
    let section = (u128::from(records) * u128::from(STEP)) >> 64;
    let mut stride = u64::try_from(section).expect("below the number of records");
    while greatest_common_divisor(stride.max(1), records) != 1 {
        stride += 1;
    }
    stride.max(1)
}

fn greatest_common_divisor(mut left: u64, mut right: u64) -> u64 {
    while right > 0 {
        (left, right) = (right, left % right);
    }
    left
}

#[cfg(test)]
mod tests;
