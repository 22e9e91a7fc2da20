//! The settings of `crib server` and what each is by default.
//!
//! What a key means, for people, is in `describe`; a test holds both together. Defaults stand here
//! alone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::value::{Size, Span};

/// All settings of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Where gRPC listens, `host:port`.
    pub listen: String,
    /// Where others reach it; empty for `listen`. Use [`Config::address`].
    pub advertise: String,
    /// What this node is.
    pub roles: Vec<Role>,
    /// The addresses of the stores that the cluster is born with; empty for this one alone, unless
    /// `join` says more.
    pub founders: Vec<String>,
    /// Nodes of a cluster that this one joins.
    pub join: Vec<String>,
    /// With the founders it makes the cluster's id.
    pub cluster_token: String,
    /// How keys are formed. Fixed when the cluster is born.
    pub api_version: ApiVersion,
    /// Replicas of a region. Taken when the cluster is born.
    pub replicas: u32,
    /// Where this node is, for placement.
    pub labels: BTreeMap<String, String>,
    /// The second port.
    pub http: Http,
    /// Regions.
    pub region: Region,
    /// Groups: their timing and their limits.
    pub raft: Raft,
    /// The planner.
    pub placement: Placement,
    /// The engine on disk.
    pub storage: Storage,
    /// What clients may ask for.
    pub limits: Limits,
    /// Certificates.
    pub tls: Tls,
    /// Log lines.
    pub log: Log,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It answers what is asked of placement.
    Placement,
    /// It has regions.
    Store,
}

/// How the keys of a cluster are formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ApiVersion {
    /// As they are, without times to live.
    V1,
    /// As they are, with times to live.
    #[value(name = "v1ttl")]
    V1ttl,
    /// With a prefix for keyspaces.
    V2,
}

/// Settings of the second port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Http {
    /// Where it listens, `host:port`; empty for not at all.
    pub listen: String,
    /// Where others reach it; empty for `listen`. Use [`Config::http_address`].
    pub advertise: String,
    /// What it asks of those who connect, where the node has certificates.
    pub tls: HttpTls,
    /// Connections at a time.
    pub connections_max: usize,
    /// Largest head of a request.
    pub header_size_max: Size,
    /// Largest body of a request.
    pub body_size_max: Size,
    /// How long a request may take, its head included.
    pub request_timeout: Span,
}

/// What the second port asks of those who connect, where the node has certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HttpTls {
    /// A certificate of the signer.
    Mutual,
    /// Nothing; they see this node's.
    Server,
    /// Plain text.
    Off,
}

/// Settings of regions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Region {
    /// A region that is larger is split.
    pub split_size: Size,
    /// About how large the parts then are.
    pub target_size: Size,
    /// A region that has more keys is split.
    pub split_keys: u64,
    /// How often sizes are looked at.
    pub check_interval: Span,
}

/// Settings of groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Raft {
    /// How long a silent leader is protected.
    pub election_timeout: Span,
    /// Random part of the wait before a peer campaigns.
    pub election_spread: Span,
    /// How often a leader that is not asleep is heard.
    pub heartbeat_interval: Span,
    /// Whether reads are served from a lease.
    pub lease: bool,
    /// How wrong clocks may run, in parts per million.
    pub clock_drift_ppm: u32,
    /// How often stores vouch for each other.
    pub liveness_interval: Span,
    /// How long that lasts.
    pub support_span: Span,
    /// Threads that step groups.
    pub workers: usize,
    /// Threads that apply.
    pub appliers: usize,
    /// Largest command.
    pub command_size_max: Size,
    /// Commands that are not answered yet, all together.
    pub proposed_size_max: Size,
    /// Messages that arrived and are not processed, all together.
    pub inbox_size_max: Size,
    /// Log that is kept for peers that lag.
    pub lag_size_max: Size,
    /// After so long an outcome is unknown.
    pub undetermined_after: Span,
    /// After so long without its disk a store gives up what it leads.
    pub disk_stall_after: Span,
    /// After so long without its disk a store stops.
    pub disk_hang_after: Span,
    /// Snapshots sent at a time.
    pub snapshots_sent_max: usize,
    /// Snapshots received at a time.
    pub snapshots_received_max: usize,
    /// Network for snapshots, per second.
    pub snapshot_rate_max: Size,
    /// Groups of one store.
    pub groups_max: usize,
}

/// Settings of the planner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Placement {
    /// How often a store says how it is.
    pub heartbeat_interval: Span,
    /// A store that is silent for so long is disconnected.
    pub disconnected_after: Span,
    /// A store that is silent for so long is down: its replicas are made anew.
    pub down_after: Span,
    /// A store whose disk is fuller than this, in percent, is given no replicas.
    pub full_percent: u64,
    /// Labels that tell where a store is, the widest first.
    pub location_labels: Vec<String>,
}

/// Settings of the engine on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Storage {
    /// Memory for blocks of tables.
    pub block_cache_size: Size,
    /// Memory for what is in no table yet.
    pub memory_size_max: Size,
    /// Of that, for the log.
    pub raft_memory_size: Size,
    /// Of that, for each family of data.
    pub data_memory_size: Size,
    /// Length of the write-ahead log.
    pub log_size_max: Size,
    /// Threads that write and merge tables.
    pub background_jobs: u32,
    /// What they may write per second; 0 for no limit.
    pub background_rate_max: Size,
    /// Tables that may be open.
    pub open_files_max: u32,
    /// With less room on the disk, what writes is refused.
    pub keep_free: Size,
}

/// What clients may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Connections at a time.
    pub connections_max: usize,
    /// Calls at a time on one connection.
    pub streams_max: u32,
    /// Threads that serve connections; 0 for half as many as the machine has cores.
    pub network_threads: usize,
    /// Largest message of a client.
    pub message_size_max: Size,
    /// Largest message between stores.
    pub peer_message_size_max: Size,
    /// Largest key.
    pub key_size_max: Size,
    /// Largest value.
    pub value_size_max: Size,
    /// Requests under way, all together.
    pub requests_max: usize,
    /// How long a request may take.
    pub request_timeout: Span,
    /// How long the beginning of a connection may take.
    pub handshake_timeout: Span,
    /// A silent connection is asked after so long.
    pub keepalive_interval: Span,
    /// How long the answer may take.
    pub keepalive_timeout: Span,
}

/// Files in PEM; all three or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tls {
    /// Who signs.
    pub ca: PathBuf,
    /// This node's certificate.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// How often it is looked whether they were renewed.
    pub check_interval: Span,
}

/// Settings of log lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Log {
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`; also `info,raft=debug`.
    pub level: String,
    /// Their form.
    pub format: LogFormat,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            data_dir: PathBuf::from("/var/lib/crib"),
            listen: "127.0.0.1:6710".to_owned(),
            advertise: String::new(),
            roles: vec![Role::Placement, Role::Store],
            founders: Vec::new(),
            join: Vec::new(),
            cluster_token: String::new(),
            api_version: ApiVersion::V2,
            replicas: 3,
            labels: BTreeMap::new(),
            http: Http::default(),
            region: Region::default(),
            raft: Raft::default(),
            placement: Placement::default(),
            storage: Storage::default(),
            limits: Limits::default(),
            tls: Tls::default(),
            log: Log::default(),
        }
    }
}

impl Default for Http {
    fn default() -> Http {
        Http {
            listen: "127.0.0.1:6780".to_owned(),
            advertise: String::new(),
            tls: HttpTls::Mutual,
            connections_max: 256,
            header_size_max: Size::kib(16),
            body_size_max: Size::kib(64),
            request_timeout: Span::secs(10),
        }
    }
}

impl Default for Region {
    fn default() -> Region {
        Region {
            split_size: Size::mib(96),
            target_size: Size::mib(64),
            split_keys: 960_000,
            check_interval: Span::secs(1),
        }
    }
}

impl Default for Raft {
    fn default() -> Raft {
        let of = multiraft::Config::default();
        Raft {
            election_timeout: Span::from(of.raft.election_timeout),
            election_spread: Span::from(of.raft.campaign_spread),
            heartbeat_interval: Span::from(of.raft.heartbeat_interval),
            lease: true,
            clock_drift_ppm: 500,
            liveness_interval: Span::from(of.liveness_interval),
            support_span: Span::from(of.support_span),
            workers: of.workers,
            appliers: of.appliers,
            // The largest value, its key, and room for what is beside them.
            command_size_max: Size::mib(10),
            proposed_size_max: Size::from(of.proposed_bytes_max),
            inbox_size_max: Size::from(of.inbox_bytes_max),
            lag_size_max: Size::bytes(of.lag_bytes_max),
            undetermined_after: Span::from(of.undetermined_after),
            disk_stall_after: Span::from(of.disk_stall_after),
            disk_hang_after: Span::from(of.disk_hang_after),
            snapshots_sent_max: of.snapshots_sent_max,
            snapshots_received_max: of.snapshots_received_max,
            snapshot_rate_max: Size::bytes(of.snapshot_bytes_per_second),
            groups_max: of.groups_max,
        }
    }
}

impl Default for Placement {
    fn default() -> Placement {
        Placement {
            heartbeat_interval: Span::secs(3),
            disconnected_after: Span::secs(20),
            down_after: Span::secs(30 * 60),
            full_percent: 90,
            location_labels: Vec::new(),
        }
    }
}

impl Default for Storage {
    fn default() -> Storage {
        Storage {
            block_cache_size: Size::mib(256),
            memory_size_max: Size::mib(384),
            raft_memory_size: Size::mib(128),
            data_memory_size: Size::mib(64),
            log_size_max: Size::mib(1_024),
            background_jobs: 2,
            background_rate_max: Size::bytes(0),
            open_files_max: 4_096,
            keep_free: Size::mib(512),
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 4_096,
            streams_max: 256,
            network_threads: 0,
            message_size_max: Size::mib(160),
            peer_message_size_max: Size::mib(32),
            key_size_max: Size::kib(8),
            value_size_max: Size::mib(8),
            requests_max: 16_384,
            request_timeout: Span::secs(10),
            handshake_timeout: Span::secs(5),
            keepalive_interval: Span::secs(2),
            keepalive_timeout: Span::secs(5),
        }
    }
}

impl Default for Tls {
    fn default() -> Tls {
        Tls {
            ca: PathBuf::new(),
            cert: PathBuf::new(),
            key: PathBuf::new(),
            check_interval: Span::secs(10),
        }
    }
}

impl Default for Log {
    fn default() -> Log {
        Log { level: "info".to_owned(), format: LogFormat::Auto }
    }
}
