//! Settings of a network. Every limit is set here; none is inherited from a library.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use multiraft::wire::Limits;

use crate::tls::Certificates;

/// Bytes of names and values of settings that stores agree on.
const AGREED_BYTES_MAX: usize = 4 << 10;

/// Bytes that a bundle takes beside the payload of its only element, at most.
const MARGIN: usize = 64 << 10;

/// Timing and limits of a network.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen: `host:port`. Port 0 takes a free one.
    /// Default: `127.0.0.1:6710`.
    pub listen: String,
    /// Threads that serve connections, of other stores and of whoever uses the routes beside them.
    /// One costs the least for each message; more serve what one cannot.
    /// Default: 1. Not zero, at most 1,024.
    pub threads: usize,
    /// Certificates, shared by all that this node accepts and opens. With them every connection is
    /// encrypted and both ends prove who signed them; without them, whoever reaches the port may
    /// speak as any store.
    /// Default: none.
    pub tls: Option<Arc<Certificates>>,
    /// What waits for a store is sent in bundles of about this size. Larger saves processing,
    /// smaller lets liveness overtake sooner.
    /// Default: 1 MiB. Not zero, at most `message_bytes_max`.
    pub bundle_bytes_max: usize,
    /// Largest message sent or taken. A larger one is not sent; a stream on which one arrives is
    /// closed.
    /// Default: 32 MiB. At least 64 KiB more than a command or chunk may have by `limits`.
    pub message_bytes_max: usize,
    /// Bytes of messages that wait for one store. Beyond it the oldest are dropped.
    /// Default: 64 MiB. At least `message_bytes_max`.
    pub queue_bytes_max: usize,
    /// Envelopes that wait for one store. Beyond it the oldest are dropped.
    /// Default: 65,536. Not zero.
    pub queue_count_max: usize,
    /// Bytes of snapshot frames that wait for one store. Beyond it the oldest are dropped.
    /// Default: 32 MiB. At least `message_bytes_max`.
    pub snapshot_queue_bytes_max: usize,
    /// Stores that are dialed. What is sent to further ones is dropped.
    /// Default: 1,024. Not zero.
    pub stores_max: usize,
    /// Connections that are taken. Further ones are closed at once.
    /// Default: 4,096. Not zero.
    pub connections_max: usize,
    /// Streams of one connection, calls of further services included. A store opens one.
    /// Default: 16. Not zero.
    pub streams_max: u32,
    /// How long a connection may take to open, to agree on keys, and to say `Hello`; each.
    /// Default: 5 s. Not zero.
    pub handshake_timeout: Duration,
    /// A connection that was silent for this long is asked whether it is there.
    /// Default: 2 s. Not zero.
    pub keepalive_interval: Duration,
    /// How long the answer to that may take. Then the connection is broken.
    /// Default: 5 s. Not zero.
    pub keepalive_timeout: Duration,
    /// How long to wait before a store is dialed again, at first. It doubles with each failure; the
    /// second half of each wait is random.
    /// Default: 50 ms. Not zero.
    pub backoff_min: Duration,
    /// How long to wait at most.
    /// Default: 3 s. At least `backoff_min`.
    pub backoff_max: Duration,
    /// What a message may hold.
    /// Default: those of the codec.
    pub limits: Limits,
    /// Settings that all stores must have alike, with their values, by the names and in the words
    /// of those who set them. A store that has another value, or another list, is not talked to:
    /// leases rest on [`multiraft::Config::raft`]'s times, and no message says what they are.
    /// Default: none. Each once, at most 4 KiB.
    pub agreed: Vec<(String, String)>,
    /// Names the disk of this store, for those who remember: see [`Resolver::admits`].
    /// Default: 0.
    ///
    /// [`Resolver::admits`]: crate::Resolver::admits
    pub disk: u64,
}

/// The files of a certificate, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificates of those who sign: both ends must be signed by one of them.
    pub ca: PathBuf,
    /// This store's certificate, and those between it and the signer. It must be good for a server
    /// and for a client, and name the host by which other stores dial this one.
    pub cert: PathBuf,
    /// The private key of that certificate.
    pub key: PathBuf,
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
            listen: "127.0.0.1:6710".to_owned(),
            threads: 1,
            tls: None,
            bundle_bytes_max: 1 << 20,
            message_bytes_max: 32 << 20,
            queue_bytes_max: 64 << 20,
            queue_count_max: 1 << 16,
            snapshot_queue_bytes_max: 32 << 20,
            stores_max: 1 << 10,
            connections_max: 1 << 12,
            streams_max: 16,
            handshake_timeout: Duration::from_secs(5),
            keepalive_interval: Duration::from_secs(2),
            keepalive_timeout: Duration::from_secs(5),
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(3),
            limits: Limits::default(),
            agreed: Vec::new(),
            disk: 0,
        }
    }
}

impl Config {
    /// Bytes of a bundle on the wire, at most: liveness rides beside the largest message.
    pub(crate) fn wire_bytes_max(&self) -> usize {
        self.message_bytes_max.saturating_add(MARGIN)
    }

    fn is_agreed_sound(&self) -> bool {
        let names: BTreeSet<&str> = self.agreed.iter().map(|(name, _)| name.as_str()).collect();
        let bytes: usize = self.agreed.iter().map(|(name, value)| name.len() + value.len()).sum();
        names.len() == self.agreed.len() && bytes <= AGREED_BYTES_MAX
    }

    /// Checks all bounds.
    ///
    /// # Errors
    /// Every setting that is out of bounds, not only the first.
    pub fn validate(&self) -> Result<(), Vec<BadConfig>> {
        let payload = self.limits.entry_bytes_max.max(self.limits.chunk_bytes_max);
        let is_in_message = payload.saturating_add(MARGIN) <= self.message_bytes_max;
        let message = self.message_bytes_max;
        let checks = [
            ("listen", "host:port", !self.listen.is_empty()),
            ("threads", "more than zero, at most 1024", (1..=1_024).contains(&self.threads)),
            (
                "bundle-bytes-max",
                "more than zero, at most message-bytes-max",
                self.bundle_bytes_max > 0 && self.bundle_bytes_max <= message,
            ),
            ("message-bytes-max", "64 KiB more than a command or chunk", is_in_message),
            ("message-bytes-max", "less than 2 GiB", message < 2 << 30),
            ("queue-bytes-max", "at least message-bytes-max", self.queue_bytes_max >= message),
            ("queue-count-max", "more than zero", self.queue_count_max > 0),
            (
                "snapshot-queue-bytes-max",
                "at least message-bytes-max",
                self.snapshot_queue_bytes_max >= message,
            ),
            ("stores-max", "more than zero", self.stores_max > 0),
            ("connections-max", "more than zero", self.connections_max > 0),
            ("streams-max", "more than zero", self.streams_max > 0),
            ("handshake-timeout", "more than zero", !self.handshake_timeout.is_zero()),
            ("keepalive-interval", "more than zero", !self.keepalive_interval.is_zero()),
            ("keepalive-timeout", "more than zero", !self.keepalive_timeout.is_zero()),
            ("backoff-min", "more than zero", !self.backoff_min.is_zero()),
            ("agreed", "few settings, each named once", self.is_agreed_sound()),
            ("backoff-max", "at least backoff-min", self.backoff_max >= self.backoff_min),
        ];
        let bad: Vec<BadConfig> = (checks.into_iter())
            .filter(|&(_, _, holds)| !holds)
            .map(|(field, must, _)| BadConfig { field, must })
            .collect();
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
            listen: String::new(),
            bundle_bytes_max: 0,
            connections_max: 0,
            backoff_max: Duration::ZERO,
            agreed: vec![("one".to_owned(), "1".to_owned()), ("one".to_owned(), "2".to_owned())],
            ..Config::default()
        };
        let bad = config.validate().expect_err("five are wrong");
        let fields: Vec<&str> = bad.iter().map(|bad| bad.field).collect();
        let expected = ["listen", "bundle-bytes-max", "connections-max", "agreed", "backoff-max"];
        assert_eq!(fields, expected);
    }
}
