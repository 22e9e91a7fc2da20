//! Settings of a store.

use std::sync::Arc;
use std::time::Duration;

/// Timing and limits of a store. Those of its groups' Raft cores are in [`Config::raft`].
#[derive(Clone, Debug)]
pub struct Config {
    /// Settings that all groups of the store share.
    pub raft: Arc<raft::Config>,
    /// Threads that step groups. More help only when one is busy all the time.
    /// Default: 1. At least 1.
    pub workers: usize,
    /// Threads that apply. Groups are spread over them.
    /// Default: 1. At least 1.
    pub appliers: usize,
    /// Largest command. A larger one is refused before it is appended.
    /// Default: 8 MiB. Not zero.
    pub command_bytes_max: usize,
    /// Bytes proposed by callers and not yet answered, over all groups of the store; further
    /// proposals are refused as busy.
    /// Default: 256 MiB. At least `command_bytes_max`.
    pub proposed_bytes_max: usize,
    /// Bytes of messages that arrived and are not processed; further appends are dropped, as a
    /// network would, but for one at a time. What is committed is still applied. As many again may
    /// wait to be written to the log, beside those of callers.
    /// Default: 256 MiB. At least `command_bytes_max`.
    pub inbox_bytes_max: usize,
    /// Bytes that one group applies before another's turn.
    /// Default: 256 KiB. Not zero.
    pub apply_slice_bytes: u64,
    /// A group's log is compacted when this much of it can go. Smaller keeps more of the log out of
    /// the tables on disk, larger costs fewer range deletions.
    /// Default: 256 KiB. Not zero.
    pub compact_bytes: u64,
    /// Bytes of log of all groups, beyond which the logs of many groups are compacted earlier than
    /// `compact_bytes` says, so that together they go before the engine's memory is written out: an
    /// eighth of the memory that the engine keeps for the log.
    /// Default: 16 MiB. Not zero.
    pub log_bytes_wanted: u64,
    /// Entries behind which a group's log is compacted, whatever their size.
    /// Default: 1,024. Not zero.
    pub compact_entries: u64,
    /// Most bytes of log kept for members that lag. Beyond it they are caught up by a snapshot.
    /// Default: 64 MiB.
    pub lag_bytes_max: u64,
    /// Entries kept in memory for members that lag, per group.
    /// Default: 1 MiB.
    pub cache_bytes: u64,
    /// How long a proposal may be without outcome after its leader stepped down; then it is
    /// answered as undetermined.
    /// Default: 10 s. Not zero.
    pub undetermined_after: Duration,
    /// A write of the log that takes longer makes the store give up what it leads: without its disk
    /// it can answer nobody, while others can.
    /// Default: 2 s. Not zero.
    pub disk_stall_after: Duration,
    /// A write of the log that takes longer, though there is room, means that the disk hangs: the
    /// store stops.
    /// Default: 60 s. More than `disk_stall_after`.
    pub disk_hang_after: Duration,
    /// How often a store lets another hear from it; with it goes one sync of the disk. Groups at
    /// rest keep their leases if it is well below the election timeout.
    /// Default: 500 ms. Not zero.
    pub liveness_interval: Duration,
    /// How long support lasts without being renewed. Shorter finds a dead store sooner and suspects
    /// a slow disk more often.
    /// Default: 2.5 s. At least three intervals.
    pub support_span: Duration,
    /// Snapshots sent at a time. Default: 2. At least 1.
    pub snapshots_sent_max: usize,
    /// Snapshots received at a time. Default: 4. At least 1.
    pub snapshots_received_max: usize,
    /// Bytes of a chunk of a snapshot. Default: 256 KiB. Not zero.
    pub snapshot_chunk_bytes: usize,
    /// Bytes per second that snapshots may take of the network, all together. Default: 100 MiB/s.
    /// Not zero.
    pub snapshot_bytes_per_second: u64,
    /// How long a snapshot may make no progress before it is given up.
    /// Default: 10 s. Not zero.
    pub snapshot_patience: Duration,
    /// Groups on this store, destroyed ones included; messages make no more.
    /// Default: 1,000,000. At least 1.
    pub groups_max: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            raft: Arc::new(raft::Config::default()),
            workers: 1,
            appliers: 1,
            command_bytes_max: 8 << 20,
            proposed_bytes_max: 256 << 20,
            inbox_bytes_max: 256 << 20,
            apply_slice_bytes: 256 << 10,
            compact_bytes: 256 << 10,
            log_bytes_wanted: 16 << 20,
            compact_entries: 1 << 10,
            lag_bytes_max: 64 << 20,
            cache_bytes: 1 << 20,
            undetermined_after: Duration::from_secs(10),
            disk_stall_after: Duration::from_secs(2),
            disk_hang_after: Duration::from_secs(60),
            liveness_interval: Duration::from_millis(500),
            support_span: Duration::from_millis(2_500),
            snapshots_sent_max: 2,
            snapshots_received_max: 4,
            snapshot_chunk_bytes: 256 << 10,
            snapshot_bytes_per_second: 100 << 20,
            snapshot_patience: Duration::from_secs(10),
            groups_max: 1_000_000,
        }
    }
}

impl Config {
    /// Whether each snapshot has its turn before it is given up.
    fn has_rate_for_snapshots(&self) -> bool {
        let sessions = u128::try_from(self.snapshots_sent_max).unwrap_or(u128::MAX);
        let turns = sessions.saturating_mul(self.snapshot_chunk_bytes as u128);
        let half = self.snapshot_patience.as_millis() / 2;
        let bytes = u128::from(self.snapshot_bytes_per_second).saturating_mul(half) / 1_000;
        self.snapshot_bytes_per_second > 0 && bytes >= turns
    }

    /// Checks all bounds.
    ///
    /// # Errors
    /// Every setting that is out of bounds, not only the first.
    pub fn validate(&self) -> Result<(), Vec<raft::BadConfig>> {
        let mut bad = self.raft.validate().err().unwrap_or_default();
        let three = self.liveness_interval.saturating_mul(3);
        let checks = [
            ("workers", "at least 1", self.workers > 0),
            ("appliers", "at least 1", self.appliers > 0),
            ("command-bytes-max", "more than zero", self.command_bytes_max > 0),
            (
                "proposed-bytes-max",
                "at least command-bytes-max",
                self.proposed_bytes_max >= self.command_bytes_max,
            ),
            (
                "inbox-bytes-max",
                "at least command-bytes-max",
                self.inbox_bytes_max >= self.command_bytes_max,
            ),
            ("apply-slice-bytes", "more than zero", self.apply_slice_bytes > 0),
            ("compact-bytes", "more than zero", self.compact_bytes > 0),
            ("log-bytes-wanted", "more than zero", self.log_bytes_wanted > 0),
            ("compact-entries", "more than zero", self.compact_entries > 0),
            ("undetermined-after", "more than zero", !self.undetermined_after.is_zero()),
            ("disk-stall-after", "more than zero", !self.disk_stall_after.is_zero()),
            (
                "disk-hang-after",
                "more than disk-stall-after",
                self.disk_hang_after > self.disk_stall_after,
            ),
            ("liveness-interval", "more than zero", !self.liveness_interval.is_zero()),
            ("support-span", "at least three liveness intervals", self.support_span >= three),
            ("snapshots-sent-max", "at least 1", self.snapshots_sent_max > 0),
            ("snapshots-received-max", "at least 1", self.snapshots_received_max > 0),
            ("snapshot-chunk-bytes", "more than zero", self.snapshot_chunk_bytes > 0),
            (
                "snapshot-bytes-per-second",
                "enough for a chunk of each snapshot that is sent in half of snapshot-patience",
                self.has_rate_for_snapshots(),
            ),
            ("snapshot-patience", "more than zero", !self.snapshot_patience.is_zero()),
            ("groups-max", "at least 1", self.groups_max > 0),
        ];
        bad.extend(
            (checks.into_iter())
                .filter(|&(_, _, holds)| !holds)
                .map(|(field, must, _)| raft::BadConfig { field, must }),
        );
        if bad.is_empty() { Ok(()) } else { Err(bad) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_is_valid_and_every_problem_is_named_at_once() {
        assert_eq!(Config::default().validate(), Ok(()));
        let config = Config {
            workers: 0,
            support_span: Duration::from_millis(1),
            groups_max: 0,
            ..Config::default()
        };
        let bad = config.validate().expect_err("three are wrong");
        let fields: Vec<&str> = bad.iter().map(|bad| bad.field).collect();
        assert_eq!(fields, ["workers", "support-span", "groups-max"]);
    }
}
