//! The settings of the parts of a node, made of those of the node.

use std::sync::Arc;

use super::sections::Config;

impl Config {
    /// Where others reach this node.
    #[must_use]
    pub fn address(&self) -> &str {
        if self.advertise.is_empty() { &self.listen } else { &self.advertise }
    }

    /// Where others reach its second port; empty if it has none.
    #[must_use]
    pub fn http_address(&self) -> &str {
        if self.http.advertise.is_empty() { &self.http.listen } else { &self.http.advertise }
    }

    /// With whom this node founds a cluster; empty if it joins one.
    #[must_use]
    pub fn founders(&self) -> Vec<String> {
        if !self.founders.is_empty() || !self.join.is_empty() {
            return self.founders.clone();
        }
        vec![self.address().to_owned()]
    }

    /// Whether connections are encrypted.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        !self.tls.ca.as_os_str().is_empty()
    }

    /// Settings of the multi-Raft engine.
    #[must_use]
    pub fn multiraft(&self) -> multiraft::Config {
        let raft = &self.raft;
        let election = raft.election_timeout.get();
        let lease = if raft.lease {
            raft::Lease::On { drift_ppm: raft.clock_drift_ppm }
        } else {
            raft::Lease::Off
        };
        multiraft::Config {
            raft: Arc::new(raft::Config {
                election_timeout: election,
                campaign_after: election,
                campaign_spread: raft.election_spread.get(),
                heartbeat_interval: raft.heartbeat_interval.get(),
                lease,
                restart_wait: election,
                ..raft::Config::default()
            }),
            workers: raft.workers,
            appliers: raft.appliers,
            command_bytes_max: raft.command_size_max.as_usize(),
            proposed_bytes_max: raft.proposed_size_max.as_usize(),
            inbox_bytes_max: raft.inbox_size_max.as_usize(),
            // Logs are to go before the engine writes them out: see the field.
            log_bytes_wanted: (self.storage.raft_memory_size.get() / 8).max(1),
            lag_bytes_max: raft.lag_size_max.get(),
            undetermined_after: raft.undetermined_after.get(),
            disk_stall_after: raft.disk_stall_after.get(),
            disk_hang_after: raft.disk_hang_after.get(),
            liveness_interval: raft.liveness_interval.get(),
            support_span: raft.support_span.get(),
            snapshots_sent_max: raft.snapshots_sent_max,
            snapshots_received_max: raft.snapshots_received_max,
            snapshot_bytes_per_second: raft.snapshot_rate_max.get(),
            groups_max: raft.groups_max,
            ..multiraft::Config::default()
        }
    }

    /// Settings of the engine on disk.
    #[cfg(feature = "engine")]
    #[must_use]
    pub fn engine(&self) -> storage::Config {
        let storage = &self.storage;
        let rate = storage.background_rate_max.get();
        storage::Config {
            block_cache_bytes: storage.block_cache_size.as_usize(),
            memory_bytes_max: storage.memory_size_max.as_usize(),
            raft_memory_bytes: storage.raft_memory_size.as_usize(),
            data_memory_bytes: storage.data_memory_size.as_usize(),
            log_bytes_max: storage.log_size_max.get(),
            background_jobs: storage.background_jobs,
            background_bytes_per_s_max: (rate > 0).then_some(rate),
            open_files_max: storage.open_files_max,
            ..storage::Config::default()
        }
    }

    /// The files of this node's certificate, if it is to have one.
    #[must_use]
    pub fn tls_files(&self) -> Option<transport::TlsFiles> {
        self.has_tls().then(|| transport::TlsFiles {
            ca: self.tls.ca.clone(),
            cert: self.tls.cert.clone(),
            key: self.tls.key.clone(),
        })
    }

    /// Settings of the network between stores, but for the certificates, which are read before.
    #[must_use]
    pub fn transport(&self) -> transport::Config {
        let limits = &self.limits;
        let message = limits.peer_message_size_max.as_usize();
        let default = transport::Config::default();
        transport::Config {
            listen: self.listen.clone(),
            threads: network_threads(limits.network_threads),
            bundle_bytes_max: default.bundle_bytes_max.min(message),
            message_bytes_max: message,
            queue_bytes_max: default.queue_bytes_max.max(message),
            snapshot_queue_bytes_max: default.snapshot_queue_bytes_max.max(message),
            connections_max: limits.connections_max,
            streams_max: limits.streams_max,
            handshake_timeout: limits.handshake_timeout.get(),
            keepalive_interval: limits.keepalive_interval.get(),
            keepalive_timeout: limits.keepalive_timeout.get(),
            agreed: self.agreed(),
            ..default
        }
    }

    /// What all nodes must have set alike: a lease of one rests on what the others promise. (What
    /// the cluster was born with is added by whoever knows it.)
    fn agreed(&self) -> Vec<(String, String)> {
        let raft = &self.raft;
        [
            ("raft.election-timeout", raft.election_timeout.to_string()),
            ("raft.lease", raft.lease.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// The rest of the cores is for groups, state machines and the engine.
fn network_threads(set: usize) -> usize {
    match set {
        0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)),
        set => set,
    }
}
