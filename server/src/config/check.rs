//! What must hold between settings. All that does not is told at once, with what it must be.

use kv::edge::KEY_BYTES_MAX;

use super::sections::{Config, Role};
use super::value::{Size, Span};

/// Raft messages carry a command and a little more.
const MARGIN: u64 = 64 << 10;
/// Names in labels and tokens stay short: they are in heartbeats and tables.
const NAME_BYTES_MAX: usize = 128;
/// Connections of a port: far more than a process may have files open.
const CONNECTIONS_MAX: usize = 1 << 20;
/// What a request's head needs at least: the library below keeps a buffer of this size.
const HEAD_BYTES_MIN: u64 = 8 << 10;

type Problems = Vec<(String, String)>;

impl Config {
    /// Every key that makes no sense, with what it must be.
    #[must_use]
    pub fn validate(&self) -> Vec<(String, String)> {
        let mut problems = Problems::new();
        self.check_node(&mut problems);
        self.check_members(&mut problems);
        self.check_sizes(&mut problems);
        self.check_raft(&mut problems);
        self.check_times(&mut problems);
        let files = [&self.tls.ca, &self.tls.cert, &self.tls.key];
        let given = files.iter().filter(|file| !file.as_os_str().is_empty()).count();
        for (key, file) in [("tls.ca", 0), ("tls.cert", 1), ("tls.key", 2)] {
            if given > 0 && files[file].as_os_str().is_empty() {
                wrong(&mut problems, key, "a file, since another of the three is: all or none");
            }
        }
        if crate::logs::Filter::parse(&self.log.level).is_none() {
            let must = "error, warn, info, debug or trace, or such with parts: info,raft=debug";
            wrong(&mut problems, "log.level", must);
        }
        problems
    }

    fn check_node(&self, problems: &mut Problems) {
        if self.data_dir.as_os_str().is_empty() {
            wrong(problems, "data-dir", "a directory");
        }
        if port(&self.listen).is_none() {
            wrong(problems, "listen", "host:port");
        }
        if !self.http.listen.is_empty() && port(&self.http.listen).is_none() {
            wrong(problems, "http.listen", "host:port, or empty");
        }
        if port(&self.listen) != Some(0) && self.listen == self.http.listen {
            wrong(problems, "http.listen", "another port than that of `listen`");
        }
        let addresses = [
            ("advertise", &self.advertise, &self.listen),
            ("http.advertise", &self.http.advertise, &self.http.listen),
        ];
        for (key, given, listen) in addresses {
            let address = if given.is_empty() { listen } else { given };
            // An address to listen at that is none has been told above.
            let is_told = given.is_empty() && port(listen).is_none();
            if address.is_empty() || is_told {
                continue;
            }
            if !matches!(port(address), Some(1..)) {
                wrong(problems, key, "host:port, with a port that others can dial");
            } else if is_everywhere(address) {
                wrong(problems, key, "an address that others can dial; every interface is none");
            }
        }
        if ![Role::Placement, Role::Store].iter().all(|role| self.roles.contains(role)) {
            let must = "\"placement\" and \"store\": a node of one alone is not supported yet";
            wrong(problems, "roles", must);
        }
        if self.labels.len() > placement::state::LABELS_MAX {
            let must = format!("at most {}", placement::state::LABELS_MAX);
            wrong(problems, "labels", &must);
        }
        for (name, value) in &self.labels {
            let is_good = |text: &str| {
                !text.is_empty()
                    && text.len() <= NAME_BYTES_MAX
                    && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
            };
            if !is_good(name) || !is_good(value) {
                let must = "name=value, of letters, digits and -_./, at most 128 each";
                wrong(problems, "labels", must);
                break;
            }
        }
    }

    fn check_members(&self, problems: &mut Problems) {
        for (key, list) in [("founders", &self.founders), ("join", &self.join)] {
            if list.iter().any(|address| !matches!(port(address), Some(1..))) {
                wrong(problems, key, "addresses of the form host:port");
            }
            let mut sorted = list.clone();
            sorted.sort();
            sorted.dedup();
            if sorted.len() != list.len() {
                wrong(problems, key, "different addresses: one is there twice");
            }
        }
        if !self.founders.is_empty() {
            if !matches!(self.founders.len(), 1 | 3 | 5) {
                wrong(problems, "founders", "1, 3 or 5 addresses: others cannot agree better");
            }
            if !self.founders.iter().any(|founder| founder == self.address()) {
                let must = format!(
                    "a list with this node's own address, {}; leave it out to join",
                    self.address()
                );
                wrong(problems, "founders", &must);
            }
            if !self.join.is_empty() {
                wrong(problems, "join", "empty on a founder: it has a cluster already");
            }
        }
        if self.cluster_token.len() > NAME_BYTES_MAX {
            wrong(problems, "cluster-token", "at most 128 bytes");
        }
        if !matches!(self.replicas, 1 | 3 | 5 | 7) {
            wrong(problems, "replicas", "1, 3, 5 or 7");
        }
    }

    fn check_sizes(&self, problems: &mut Problems) {
        let (region, limits) = (&self.region, &self.limits);
        let command = self.raft.command_size_max.get();
        // A command has the key, the value and a little more.
        let entry = limits.key_size_max.get().saturating_add(limits.value_size_max.get());
        let with_margin = |size: u64| size.saturating_add(MARGIN);
        let message = limits.message_size_max.get();
        let checks = [
            ("region.split-size", "at least 4KiB", region.split_size >= Size::kib(4)),
            (
                "region.target-size",
                "more than zero and at most region.split-size",
                region.target_size.get() > 0 && region.target_size <= region.split_size,
            ),
            ("region.split-keys", "at least 2", region.split_keys >= 2),
            (
                "limits.connections-max",
                "from 1 to 1048576",
                (1..=CONNECTIONS_MAX).contains(&limits.connections_max),
            ),
            ("limits.streams-max", "more than zero", limits.streams_max > 0),
            ("limits.network-threads", "at most 1024", limits.network_threads <= 1_024),
            ("limits.requests-max", "more than zero", limits.requests_max > 0),
            (
                "limits.key-size-max",
                "between 64B and 14KiB",
                (64..=KEY_BYTES_MAX as u64).contains(&limits.key_size_max.get()),
            ),
            (
                "limits.value-size-max",
                "with a key, 64KiB less than raft.command-size-max",
                limits.value_size_max.get() > 0 && with_margin(entry) <= command,
            ),
            (
                "limits.message-size-max",
                "64KiB more than a key and a value, and less than 2GiB",
                message >= with_margin(entry) && message < 2 << 30,
            ),
            (
                "limits.peer-message-size-max",
                "64KiB more than raft.command-size-max, and less than 2GiB",
                limits.peer_message_size_max.get() >= with_margin(command)
                    && limits.peer_message_size_max.get() < 2 << 30,
            ),
            (
                "http.connections-max",
                "from 1 to 1048576",
                (1..=CONNECTIONS_MAX).contains(&self.http.connections_max),
            ),
            (
                "http.header-size-max",
                "at least 8KiB and at most 1MiB",
                (HEAD_BYTES_MIN..=1 << 20).contains(&self.http.header_size_max.get()),
            ),
        ];
        collect(problems, &checks);
        self.check_storage(problems);
    }

    fn check_storage(&self, problems: &mut Problems) {
        let storage = &self.storage;
        let largest = storage.raft_memory_size.max(storage.data_memory_size);
        let rate = storage.background_rate_max;
        let checks = [
            ("storage.block-cache-size", "at least 1MiB", storage.block_cache_size >= Size::mib(1)),
            (
                "storage.memory-size-max",
                "at least 1MiB, and not less than either of its parts",
                storage.memory_size_max >= largest.max(Size::mib(1)),
            ),
            (
                "storage.raft-memory-size",
                "at least 64KiB",
                storage.raft_memory_size >= Size::kib(64),
            ),
            (
                "storage.data-memory-size",
                "at least 64KiB",
                storage.data_memory_size >= Size::kib(64),
            ),
            ("storage.log-size-max", "at least 256KiB", storage.log_size_max >= Size::kib(256)),
            (
                "storage.background-jobs",
                "from 1 to 64",
                (1..=64).contains(&storage.background_jobs),
            ),
            (
                "storage.background-rate-max",
                "0, or at least 1MiB",
                rate == Size::default() || rate >= Size::mib(1),
            ),
            ("storage.open-files-max", "at least 64", storage.open_files_max >= 64),
        ];
        collect(problems, &checks);
    }

    /// What the engine says about what it is given, in our names.
    fn check_raft(&self, problems: &mut Problems) {
        for bad in self.multiraft().validate().err().unwrap_or_default() {
            let key = match bad.field {
                "campaign-after" | "restart-wait" => "election-timeout",
                "lease.drift-ppm" => "clock-drift-ppm",
                "command-bytes-max" => "command-size-max",
                "proposed-bytes-max" => "proposed-size-max",
                "inbox-bytes-max" => "inbox-size-max",
                "lag-bytes-max" => "lag-size-max",
                "snapshot-bytes-per-second" => "snapshot-rate-max",
                same => same,
            };
            wrong(problems, &format!("raft.{key}"), bad.must);
        }
        if self.raft.election_timeout < Span::millis(50) {
            wrong(problems, "raft.election-timeout", "at least 50ms");
        }
        // A node that starts waits for as long, and one with a slip of the pen for ever.
        if self.raft.election_timeout > Span::secs(60) {
            wrong(problems, "raft.election-timeout", "at most 60s");
        }
    }

    fn check_times(&self, problems: &mut Problems) {
        let (placement, limits) = (&self.placement, &self.limits);
        let twice = |span: Span| span.get().saturating_mul(2);
        let spans = [
            ("region.check-interval", self.region.check_interval),
            ("placement.heartbeat-interval", placement.heartbeat_interval),
            ("limits.request-timeout", limits.request_timeout),
            ("limits.handshake-timeout", limits.handshake_timeout),
            ("limits.keepalive-interval", limits.keepalive_interval),
            ("limits.keepalive-timeout", limits.keepalive_timeout),
            ("http.request-timeout", self.http.request_timeout),
            ("tls.check-interval", self.tls.check_interval),
        ];
        for (key, span) in spans {
            if span.get().is_zero() {
                wrong(problems, key, "more than zero");
            }
        }
        let is_late = placement.disconnected_after.get() >= twice(placement.heartbeat_interval);
        if !is_late {
            let must = "at least two of placement.heartbeat-interval";
            wrong(problems, "placement.disconnected-after", must);
        }
        if placement.down_after <= placement.disconnected_after {
            wrong(problems, "placement.down-after", "more than placement.disconnected-after");
        }
        if let Err(why) = placement::state::check_location_labels(&placement.location_labels) {
            let must = format!("at most eight names, each of them once, not {why}");
            wrong(problems, "placement.location-labels", &must);
        }
        if !(1..=100).contains(&placement.full_percent) {
            wrong(problems, "placement.full-percent", "from 1 to 100");
        }
    }
}

fn wrong(problems: &mut Problems, key: &str, must: &str) {
    problems.push((key.to_owned(), format!("must be {must}")));
}

fn collect(problems: &mut Problems, checks: &[(&str, &str, bool)]) {
    for (key, must, _) in checks.iter().filter(|(_, _, holds)| !holds) {
        wrong(problems, key, must);
    }
}

/// The port of `host:port`; `None` if it is not of that form.
pub(super) fn port(address: &str) -> Option<u16> {
    let (host, port) = address.rsplit_once(':')?;
    let is_host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
        }
    };
    if is_host { port.parse().ok() } else { None }
}

/// Whether an address stands for every interface, which nobody can dial.
fn is_everywhere(address: &str) -> bool {
    address.starts_with("0.0.0.0:") || address.starts_with("[::]:")
}
