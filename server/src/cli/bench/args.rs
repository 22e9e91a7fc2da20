//! Flags of all benches. The comments below are the text of `--help`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::config::{Size, Span};

/// Arguments of all of them.
#[derive(Clone, Debug, Args)]
pub struct LoadArgs {
    /// What is measured.
    #[arg(long, value_enum, value_name = "KIND", default_value = "crib")]
    pub target: Kind,
    /// Callers, each with one operation at a time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub clients: u32,
    /// Threads that they share. [default: half of the cores]
    #[arg(long, value_name = "COUNT")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub threads: Option<u16>,
    /// Operations a second, by a schedule (open loop). Without it each caller begins after its own
    /// answer (closed loop).
    #[arg(long, value_name = "OPS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=load::PER_SECOND_MAX))]
    pub rate: Option<u64>,
    /// How long it is measured.
    #[arg(long, default_value = "10s", value_parser = Span::parse)]
    pub duration: Span,
    /// How long nothing is counted before.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = Span::parse)]
    pub warmup: Span,
    /// Keys. Those that are missing are set before, unless there are only writes.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=load::RECORDS_MAX))]
    pub records: u64,
    /// Size of a value.
    #[arg(long, value_name = "SIZE", default_value = "256B", value_parser = Size::parse)]
    pub value_size: Size,
    /// Which keys are preferred. [default: uniform; of ycsb as it defines it]
    #[arg(long, value_enum, value_name = "NAME")]
    pub distribution: Option<Distribution>,
    /// What all keys begin with. Nothing else should.
    #[arg(long, value_name = "TEXT", default_value = "bench/")]
    pub prefix: String,
    /// All choices follow from it.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Call crib request by request, and not through its stream of many.
    #[arg(long)]
    pub unary: bool,
    /// A result is valid though operations failed; they are counted all the same.
    #[arg(long)]
    pub allow_errors: bool,
    /// Write a page with pictures there, which needs no network.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write the result there as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The directory whose disk is timed for the result's environment.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub fsync_dir: PathBuf,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A cluster of crib.
    Crib,
    /// One of etcd; --endpoints are its nodes. [default: 127.0.0.1:2379]
    Etcd,
}

/// Which keys are preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
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

/// A workload of the YCSB benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Letter {
    /// 50 % read, 50 % update.
    A,
    /// 95 % read, 5 % update.
    B,
    /// Read.
    C,
    /// 95 % read of the latest, 5 % insert.
    D,
    /// 95 % scan, 5 % insert.
    E,
    /// 50 % read, 50 % read and change.
    F,
}

impl From<Distribution> for load::Distribution {
    fn from(of: Distribution) -> load::Distribution {
        match of {
            Distribution::Uniform => load::Distribution::Uniform,
            Distribution::Zipfian => load::Distribution::Zipfian,
            Distribution::Latest => load::Distribution::Latest,
            Distribution::Sequential => load::Distribution::Sequential,
        }
    }
}

impl From<Letter> for load::Ycsb {
    fn from(of: Letter) -> load::Ycsb {
        match of {
            Letter::A => load::Ycsb::A,
            Letter::B => load::Ycsb::B,
            Letter::C => load::Ycsb::C,
            Letter::D => load::Ycsb::D,
            Letter::E => load::Ycsb::E,
            Letter::F => load::Ycsb::F,
        }
    }
}
