//! Settings of a peer, shared by all peers of a host.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// Timing and limits. One value is shared by all peers of a host.
///
/// All peers of a group must agree on [`Config::election_timeout`] and on whether leases are on;
/// the rest may differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long a peer that heard its leader protects it: until then it grants nobody else a vote.
    /// A leader that has not heard a majority for as long steps down. Shorter finds a dead leader
    /// sooner and suspects a slow one more often.
    /// Default: 1 s. At least two heartbeat intervals.
    pub election_timeout: Duration,
    /// The election timer runs out this long after the leader was last heard, plus a random part.
    /// Give a host a longer time to make it a leader of last resort.
    /// Default: 1 s. At least the election timeout.
    pub campaign_after: Duration,
    /// Upper bound of the random part. It keeps peers from campaigning at once and splitting the
    /// vote.
    /// Default: 1 s. May be zero when the hosts' `campaign_after` differ.
    pub campaign_spread: Duration,
    /// How often a leader that is not asleep lets every other member hear from it.
    /// Default: 100 ms. Not zero.
    pub heartbeat_interval: Duration,
    /// Whether reads are served from a leader lease, and how far clocks may drift.
    /// Default: on, 500 ppm.
    pub lease: Lease,
    /// How long a restarted peer grants no other peer a vote: it may have protected a leader before
    /// it stopped. Default: 1 s. At least the election timeout if leases are on.
    pub restart_wait: Duration,
    /// Most bytes of entries in one append. A single larger entry still passes.
    /// Default: 1 MiB. Not zero.
    pub append_bytes_max: u64,
    /// Most bytes sent to one peer and not yet durable there; one entry may exceed it.
    /// Default: 16 MiB. At least `append_bytes_max`.
    pub window_bytes: u64,
    /// Most entries sent to one peer and not yet durable there.
    /// Default: 16,384. Not zero.
    pub window_entries: u64,
    /// Most bytes proposed and not yet committed; a first proposal of any size passes.
    /// Default: 64 MiB. Not zero.
    pub uncommitted_bytes_max: u64,
    /// Most reads waiting for confirmation.
    /// Default: 65,536. Not zero.
    pub reads_max: usize,
}

/// Whether a leader may serve reads without asking, for as long as no other can have been elected
/// (thesis §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// Every read is confirmed by a majority.
    Off,
    /// A lease is counted from when the leader *sent* what a majority echoed.
    On {
        /// How much faster than true time the clock of any host may run, or slower, in parts per
        /// million. At most 100,000 (a tenth).
        drift_ppm: u32,
    },
}

/// A setting that is out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadConfig {
    /// Which.
    pub field: &'static str,
    /// What it must be.
    pub must: &'static str,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            election_timeout: Duration::from_secs(1),
            campaign_after: Duration::from_secs(1),
            campaign_spread: Duration::from_secs(1),
            heartbeat_interval: Duration::from_millis(100),
            lease: Lease::On { drift_ppm: 500 },
            restart_wait: Duration::from_secs(1),
            append_bytes_max: 1 << 20,
            window_bytes: 16 << 20,
            window_entries: 1 << 14,
            uncommitted_bytes_max: 64 << 20,
            reads_max: 1 << 16,
        }
    }
}

impl Config {
    /// Checks all bounds, and that times are the same as before.
    ///
    /// # Errors
    /// Every setting that is out of bounds, not only the first.
    pub(crate) fn validate_after(&self, before: &Config) -> Result<(), Vec<BadConfig>> {
        self.validate()?;
        let Config { append_bytes_max, window_bytes, window_entries, .. } = *self;
        let Config { uncommitted_bytes_max, reads_max, .. } = *self;
        let limits = Config {
            append_bytes_max,
            window_bytes,
            window_entries,
            uncommitted_bytes_max,
            reads_max,
            ..before.clone()
        };
        let must = "the same as before while peers run";
        if limits == *self { Ok(()) } else { Err(Vec::from([BadConfig { field: "times", must }])) }
    }

    /// Checks all bounds.
    ///
    /// # Errors
    /// Every setting that is out of bounds, not only the first.
    pub fn validate(&self) -> Result<(), Vec<BadConfig>> {
        let lease_on = self.lease != Lease::Off;
        let checks = [
            (
                "heartbeat-interval",
                "more than zero and at most half the election timeout",
                !self.heartbeat_interval.is_zero()
                    && self.heartbeat_interval.saturating_mul(2) <= self.election_timeout,
            ),
            (
                "campaign-after",
                "at least the election timeout",
                self.campaign_after >= self.election_timeout,
            ),
            (
                "restart-wait",
                "at least the election timeout while leases are on",
                !lease_on || self.restart_wait >= self.election_timeout,
            ),
            (
                "lease.drift-ppm",
                "at most 100000",
                !matches!(self.lease, Lease::On { drift_ppm: 100_001.. }),
            ),
            ("append-bytes-max", "more than zero", self.append_bytes_max > 0),
            (
                "window-bytes",
                "at least append-bytes-max",
                self.window_bytes >= self.append_bytes_max,
            ),
            ("window-entries", "more than zero", self.window_entries > 0),
            ("uncommitted-bytes-max", "more than zero", self.uncommitted_bytes_max > 0),
            ("reads-max", "more than zero", self.reads_max > 0),
        ];
        let bad: Vec<BadConfig> = checks
            .into_iter()
            .filter(|&(_, _, holds)| !holds)
            .map(|(field, must, _)| BadConfig { field, must })
            .collect();
        if bad.is_empty() { Ok(()) } else { Err(bad) }
    }

    /// How long a lease lasts from the sending of what a majority echoed, on the leader's clock.
    ///
    /// The echoing peers protect the leader for `election_timeout` on theirs. If the leader's clock
    /// runs slow by d and theirs fast by d, that is `election_timeout · (1 − d)/(1 + d)` on the
    /// leader's, which is more than `election_timeout · (1 − 2d)`.
    #[must_use]
    pub fn lease_span(&self) -> Option<Duration> {
        match self.lease {
            Lease::Off => None,
            Lease::On { drift_ppm } => {
                let timeout = self.election_timeout;
                let margin = timeout / 1_000 * 2 * drift_ppm.min(100_000) / 1_000;
                Some(timeout.saturating_sub(margin))
            }
        }
    }
}

impl fmt::Display for BadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}", self.field, self.must)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_is_valid_and_leaves_a_margin_for_drift() {
        let config = Config::default();
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.lease_span(), Some(Duration::from_millis(999)));
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let config = Config {
            heartbeat_interval: Duration::ZERO,
            campaign_after: Duration::from_millis(1),
            lease: Lease::On { drift_ppm: 200_000 },
            restart_wait: Duration::ZERO,
            append_bytes_max: 0,
            window_bytes: 0,
            window_entries: 0,
            uncommitted_bytes_max: 0,
            reads_max: 0,
            ..Config::default()
        };
        let bad = config.validate().expect_err("nearly everything is wrong");
        let fields: Vec<&str> = bad.iter().map(|bad| bad.field).collect();
        assert_eq!(
            fields,
            [
                "heartbeat-interval",
                "campaign-after",
                "restart-wait",
                "lease.drift-ppm",
                "append-bytes-max",
                "window-entries",
                "uncommitted-bytes-max",
                "reads-max"
            ]
        );
    }
}
