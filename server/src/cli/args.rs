//! What can be typed. The comments below are the text of `--help`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::bench::Bench;
use crate::config::{ApiVersion, LogFormat, Span};

/// Cribwork: a sharded key-value store, each region of keys a Raft group of its own.
#[derive(Debug, Parser)]
#[command(name = "crib", version = crate::version::VERSION, propagate_version = false)]
#[command(subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 cannot connect or \
    timed out,\n5 outcome unknown, 6 condition failed, 7 unhealthy, 8 permission or TLS.\n\
    First steps: crib demo, then in another terminal: crib kv put hello world")]
pub struct Cli {
    /// How to reach a cluster, and how to answer.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Nodes of the cluster, host:port, with commas between. [env: CRIB_ENDPOINTS] [default:
    /// 127.0.0.1:6711,127.0.0.1:6712,127.0.0.1:6713,127.0.0.1:6710]
    #[arg(long, global = true, value_delimiter = ',', value_name = "HOST:PORT")]
    pub endpoints: Vec<String>,
    /// PEM file of who signs the cluster's certificates. [env: CRIB_CACERT]
    #[arg(long, global = true, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// PEM file of the own certificate. [env: CRIB_CERT]
    #[arg(long, global = true, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// PEM file of its private key. [env: CRIB_KEY]
    #[arg(long = "key", global = true, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// How long each operation may take, and a whole wait. [env: CRIB_TIMEOUT] [default: 5s; what
    /// waits says its own]
    #[arg(long, global = true, value_name = "DURATION", value_parser = Span::parse)]
    pub timeout: Option<Span>,
    /// The form of the answer. [env: CRIB_OUTPUT] [default: table]
    #[arg(short, long, global = true, value_enum, value_name = "FORM")]
    pub output: Option<Form>,
    /// Print nothing but data and errors.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print what is being done, on standard error; twice for more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// When to use colours. [env: CRIB_COLOR, NO_COLOR] [default: auto]
    #[arg(long, global = true, value_enum, value_name = "WHEN")]
    pub color: Option<When>,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Text for people.
    Table,
    /// Stable and documented; one object a line where there may be many.
    Json,
    /// Values as they are, byte by byte. Only `kv get` and `kv scan`.
    Raw,
}

/// When to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// All commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// A cluster on this machine, for trying things out.
    Demo(DemoArgs),
    /// Run a node.
    Server(Box<ServerArgs>),
    /// Read and write keys.
    #[command(subcommand)]
    Kv(Kv),
    /// How the cluster is, on one screen.
    Status(StatusArgs),
    /// Stores: list, empty, remove.
    #[command(subcommand, alias = "stores")]
    Store(Store),
    /// Regions: list, find, split, watch.
    #[command(subcommand, alias = "regions")]
    Region(Region),
    /// What placement is doing.
    #[command(subcommand, alias = "operators")]
    Operator(Operator),
    /// Placement itself: how many stores it lives on, how many replicas it makes.
    #[command(subcommand)]
    Placement(Placement),
    /// Why a region or a store is as it is; what an error means.
    #[command(subcommand)]
    Explain(Explain),
    /// Put load on a cluster: measure what it does, or whether it keeps its word.
    #[command(subcommand)]
    Bench(Bench),
    /// Settings of a node: print, check.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the version.
    Version,
    /// Print a script that completes commands in a shell.
    Completion {
        /// For which shell.
        shell: clap_complete::Shell,
    },
}

/// Arguments of `crib demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// How many nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub nodes: u16,
    /// Where their data is kept; starting again there goes on with the same cluster.
    #[arg(long, value_name = "DIR", default_value = "./crib-demo")]
    pub data_dir: PathBuf,
    /// Node i listens for gRPC on this port and i.
    #[arg(long, default_value_t = 6710)]
    pub port_base: u16,
    /// Node i listens for HTTP on this port and i.
    #[arg(long, default_value_t = 6780)]
    pub http_base: u16,
    /// How keys are formed.
    #[arg(long, value_enum, default_value = "v2")]
    pub api_version: ApiVersion,
    /// A setting of every node; may be given many times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Arguments of `crib server`. Keys without a flag of their own are set with --set.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Settings come from flags, over the environment (CRIB_DATA_DIR; with a \
    section,\nCRIB_RAFT__ELECTION_TIMEOUT), over the file, over the defaults: `crib config \
    default`.\n\
    --cacert, --cert and --key set tls.ca, tls.cert and tls.key.\n\
    Exit codes: 10 disk full, 11 data directory in use or foreign, 12 settings not valid,\n\
    13 data damaged, 14 version not fit, 130 ended at once by a second signal.")]
pub struct ServerArgs {
    /// File with settings, in TOML. [env: CRIB_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where everything is kept.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Where gRPC listens.
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Where others reach that.
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// Where HTTP listens.
    #[arg(long, value_name = "HOST:PORT")]
    pub http: Option<String>,
    /// What this node is: placement, store.
    #[arg(long, value_name = "ROLE,…")]
    pub roles: Option<String>,
    /// The stores that the cluster is born with, the same list on each.
    #[arg(long, value_name = "HOST:PORT,…")]
    pub founders: Option<String>,
    /// Nodes of a cluster to join.
    #[arg(long, value_name = "HOST:PORT,…")]
    pub join: Option<String>,
    /// Tells this cluster from others with the same founders.
    #[arg(long, value_name = "TEXT")]
    pub cluster_token: Option<String>,
    /// How keys are formed: v2, v1, v1ttl. Taken when the cluster is born.
    #[arg(long, value_name = "VERSION")]
    pub api_version: Option<String>,
    /// Replicas of a region. Taken when the cluster is born.
    #[arg(long, value_name = "COUNT")]
    pub replicas: Option<String>,
    /// Where this node is, as zone=b; may be given many times.
    #[arg(long = "label", value_name = "NAME=VALUE")]
    pub labels: Vec<String>,
    /// What is logged.
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// The form of log lines.
    #[arg(long, value_enum, value_name = "FORM")]
    pub log_format: Option<LogFormat>,
    /// Any setting; may be given many times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Stop when standard input ends: with the process that started this one.
    #[arg(long, hide = true)]
    pub exit_with_parent: bool,
}

/// The form of keys and values, as they are typed and as they are printed.
#[derive(Clone, Copy, Debug, Default, Args)]
#[group(multiple = false)]
pub struct Coding {
    /// Keys and values are typed with `\xNN` for any byte and `\\` for a backslash: as they are
    /// printed. Without this they are taken as they are typed, and printed the same.
    #[arg(long)]
    pub escaped: bool,
    /// Keys and values are typed and printed in hex.
    #[arg(long)]
    pub hex: bool,
    /// Keys and values are typed and printed in base64.
    #[arg(long)]
    pub base64: bool,
}

/// Commands on keys.
#[derive(Debug, Subcommand)]
pub enum Kv {
    /// Print the value of a key.
    Get {
        /// The key.
        key: OsString,
        /// Also print how long the value lives.
        #[arg(long)]
        show_ttl: bool,
        #[command(flatten)]
        coding: Coding,
    },
    /// Set the value of a key.
    Put {
        /// The key.
        key: OsString,
        /// The value; `-` for what is on standard input, byte by byte.
        value: OsString,
        /// The value lives so long, in whole seconds.
        #[arg(long, value_name = "DURATION", value_parser = Span::parse)]
        ttl: Option<Span>,
        #[command(flatten)]
        coding: Coding,
    },
    /// Remove keys.
    #[command(visible_alias = "delete")]
    Del {
        /// The keys.
        #[arg(required_unless_present = "prefix")]
        keys: Vec<OsString>,
        /// Instead: all keys that begin so. Not at once: region by region.
        #[arg(long, conflicts_with = "keys")]
        prefix: Option<OsString>,
        #[command(flatten)]
        coding: Coding,
    },
    /// Print keys and values in order.
    Scan(ScanArgs),
    /// Set the value of a key if it has another: compare and swap.
    Cas {
        /// The key.
        key: OsString,
        /// The new value.
        value: OsString,
        /// The value that it must have.
        #[arg(long, value_name = "VALUE", required_unless_present = "absent")]
        expect: Option<OsString>,
        /// It must have none.
        #[arg(long, conflicts_with = "expect")]
        absent: bool,
        /// The new value lives so long, in whole seconds.
        #[arg(long, value_name = "DURATION", value_parser = Span::parse)]
        ttl: Option<Span>,
        #[command(flatten)]
        coding: Coding,
    },
}

/// Arguments of `crib kv scan`.
#[derive(Debug, Args)]
pub struct ScanArgs {
    /// The first key; nothing for the first of all.
    pub start: Option<OsString>,
    /// The first key that is not meant any more; nothing for none.
    pub end: Option<OsString>,
    /// Instead: all keys that begin so.
    #[arg(long, conflicts_with_all = ["start", "end"])]
    pub prefix: Option<OsString>,
    /// At most so many; 0 for all.
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
    /// From the last key down.
    #[arg(long)]
    pub reverse: bool,
    /// Without values.
    #[arg(long)]
    pub keys_only: bool,
    /// How keys and values are typed and printed.
    #[command(flatten)]
    pub coding: Coding,
}

/// Arguments of `crib status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Wait until all is well, at most for --timeout; then print it.
    #[arg(long)]
    pub exit_when_healthy: bool,
    /// End with 7 if not all is well.
    #[arg(long)]
    pub exit_code: bool,
}

/// Commands on stores.
#[derive(Debug, Subcommand)]
pub enum Store {
    /// All stores.
    List {
        /// Also those that were removed.
        #[arg(long)]
        all: bool,
    },
    /// One store, with all that is known.
    Show {
        /// Its id.
        id: u64,
    },
    /// Empty a store: its regions move to others. It goes on serving until they have.
    Drain {
        /// Its id.
        id: u64,
        /// Say what would happen, and do nothing.
        #[arg(long)]
        dry_run: bool,
        /// Wait until it is empty: as long as that takes, unless --timeout says otherwise.
        #[arg(long, conflicts_with = "dry_run")]
        wait: bool,
    },
    /// Take back a drain.
    Undrain {
        /// Its id.
        id: u64,
    },
    /// Take an empty store out of the cluster, for good.
    Remove {
        /// Its id.
        id: u64,
        /// Also while some keys are in no region that is known: what it has of those is given up,
        /// and is lost if it has the last replicas.
        #[arg(long)]
        force: bool,
    },
}

/// Commands on placement.
#[derive(Debug, Subcommand)]
pub enum Placement {
    /// Give placement so many seats, each on a store of its own: it goes on while fewer than half
    /// of them are lost. A cluster has as many as it had founders, until this is said.
    Seats {
        /// How many: 1, 3 or 5.
        #[arg(value_parser = clap::value_parser!(u32).range(1..=5))]
        count: u32,
        /// Wait until they are taken, a minute at most unless --timeout says otherwise.
        #[arg(long)]
        wait: bool,
    },
    /// Give each region so many replicas, each on a store of its own: it is served while fewer
    /// than half of them are lost. Until this is said, they are as many as `replicas` was when the
    /// cluster was born.
    Replicas {
        /// How many: 1, 3, 5 or 7.
        #[arg(value_parser = clap::value_parser!(u32).range(1..=7))]
        count: u32,
        /// Wait until all regions have them, and none has more: ten minutes at most unless
        /// --timeout says otherwise.
        #[arg(long)]
        wait: bool,
    },
    /// Keep replicas of a region apart in these labels of stores, the widest first: zone,rack.
    /// Until this is said, in those that `placement.location-labels` named when the cluster was
    /// born.
    Labels {
        /// Their keys, with commas between them.
        #[arg(value_delimiter = ',', required_unless_present = "none")]
        keys: Vec<String>,
        /// In none.
        #[arg(long, conflicts_with = "keys")]
        none: bool,
    },
}

/// Commands on regions.
#[derive(Debug, Subcommand)]
pub enum Region {
    /// Regions in the order of their keys.
    List {
        /// At most so many; 0 for all.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// One region, with all that is known.
    Show {
        /// Its id.
        id: u64,
    },
    /// The region that has a key.
    Find {
        /// The key, as `kv` commands take it.
        key: OsString,
        #[command(flatten)]
        coding: Coding,
    },
    /// Split a region: in halves, or at keys.
    Split {
        /// Its id; not needed where a key says which one.
        #[arg(required_unless_present = "at")]
        id: Option<u64>,
        /// Where, as `kv` commands take keys; may be given many times.
        #[arg(long = "at", value_name = "KEY")]
        at: Vec<OsString>,
        #[command(flatten)]
        coding: Coding,
    },
    /// Make the replica on another store the leader.
    TransferLeader {
        /// Its id.
        id: u64,
        /// The store.
        #[arg(long, value_name = "STORE")]
        to: u64,
    },
    /// Print what happens, as it happens, until interrupted.
    Watch,
}

/// Commands on operators.
#[derive(Debug, Subcommand)]
pub enum Operator {
    /// Operators that run.
    List {
        /// Also those that have ended, as far as they are remembered.
        #[arg(long)]
        all: bool,
    },
}

/// What can be explained.
#[derive(Debug, Subcommand)]
pub enum Explain {
    /// Why a region is where it is.
    Region {
        /// Its id.
        id: u64,
    },
    /// Why a store is as it is.
    Store {
        /// Its id.
        id: u64,
    },
    /// What an error means and what to do; without a code, all of them.
    Error {
        /// As it was printed, CRIB-E1001, or without its beginning.
        code: Option<String>,
    },
}

/// Commands on settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print a file with every key, its meaning and its default.
    Default,
    /// Check a file, alone.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Print the settings that `crib server` would have with the same flags here.
    Show {
        /// Print where each value comes from, and only what is not a default.
        #[arg(long)]
        origins: bool,
        /// The same as of `crib server`.
        #[command(flatten)]
        server: Box<ServerArgs>,
    },
}
