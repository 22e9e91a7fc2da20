//! What a client may be told. Every limit is set here; none is inherited from a library.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tonic::transport::ClientTlsConfig;

/// How the keys of the cluster are encoded. Must be the cluster's own `api-version`, or stores
/// refuse what is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyMode {
    /// Keys as they are, without times to live.
    V1,
    /// Keys as they are, with times to live.
    V1Ttl,
    /// Keys of a keyspace, by its name. `DEFAULT` always exists.
    V2 {
        /// Its name.
        keyspace: String,
    },
}

/// Certificates, asked for anew for each connection that is opened: those of a process that lives
/// long are renewed meanwhile.
#[derive(Clone)]
pub struct Tls(Arc<dyn Fn() -> ClientTlsConfig + Send + Sync>);

impl Tls {
    /// Those that this says at the time. It must not block.
    pub fn new(now: impl Fn() -> ClientTlsConfig + Send + Sync + 'static) -> Tls {
        Tls(Arc::new(now))
    }

    pub(crate) fn now(&self) -> ClientTlsConfig {
        (self.0)()
    }
}

/// The same for all connections.
impl From<ClientTlsConfig> for Tls {
    fn from(config: ClientTlsConfig) -> Tls {
        Tls::new(move || config.clone())
    }
}

/// Settings of a client.
#[derive(Clone)]
pub struct Options {
    /// How keys are encoded.
    /// Default: `V2`, keyspace `DEFAULT`.
    pub mode: KeyMode,
    /// Certificates. With them every connection is encrypted.
    /// Default: none.
    pub tls: Option<Tls>,
    /// How long one attempt may take, at placement or at a store, after which it is made again.
    /// Default: 2 s. Not zero.
    pub attempt_timeout: Duration,
    /// How long a connection may take to open.
    /// Default: 2 s. Not zero.
    pub connect_timeout: Duration,
    /// How long an operation may take with all its attempts. Each page of a scan has its own.
    /// Default: 10 s. Not zero.
    pub budget: Duration,
    /// Whether a write of which it is not known if it was done is done again. It then may take
    /// effect twice, the second time over what another client has written in between. Turn it off
    /// where that matters, as when checking that operations are atomic; the write then ends with
    /// [`Error::Undetermined`](crate::Error::Undetermined). Compare-and-swap never is repeated.
    /// Default: on.
    pub resend_writes: bool,
    /// Many commands share a stream, which costs a fraction of a call for each. A store that does
    /// not serve such streams is called instead.
    /// Default: on.
    pub batched: bool,
    /// Connections to one store. Another is opened when each that is open has 64 operations under
    /// way.
    /// Default: 4. Not zero.
    pub connections_max: usize,
    /// Commands under way on the stream of one connection; further ones wait.
    /// Default: 4,096. Not zero.
    pub pending_max: usize,
    /// Requests under way for one operation that goes to many regions.
    /// Default: 16. Not zero.
    pub fan_out: usize,
    /// Bytes of keys and values in one request of an operation on many keys, about.
    /// Default: 1 MiB. Not zero.
    pub request_bytes: usize,
    /// Largest answer that is taken: a store answers a scan with up to 512 MiB.
    /// Default: 1 GiB. Not zero.
    pub answer_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            mode: KeyMode::V2 { keyspace: "DEFAULT".to_owned() },
            tls: None,
            attempt_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(2),
            budget: Duration::from_secs(10),
            resend_writes: true,
            batched: true,
            connections_max: 4,
            pending_max: 4_096,
            fan_out: 16,
            request_bytes: 1 << 20,
            answer_bytes_max: 1 << 30,
        }
    }
}

impl Options {
    /// The settings that are out of bounds, by name.
    pub(crate) fn problems(&self) -> Vec<&'static str> {
        let checks = [
            ("attempt-timeout", self.attempt_timeout.is_zero()),
            ("connect-timeout", self.connect_timeout.is_zero()),
            ("budget", self.budget.is_zero()),
            ("connections-max", self.connections_max == 0),
            ("pending-max", self.pending_max == 0),
            ("fan-out", self.fan_out == 0),
            ("request-bytes", self.request_bytes == 0),
            ("answer-bytes-max", self.answer_bytes_max == 0),
        ];
        checks.into_iter().filter(|&(_, is_bad)| is_bad).map(|(name, _)| name).collect()
    }
}

/// Without the certificates, which hold a key.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("mode", &self.mode)
            .field("tls", &self.tls.is_some())
            .field("attempt_timeout", &self.attempt_timeout)
            .field("budget", &self.budget)
            .field("batched", &self.batched)
            .finish_non_exhaustive()
    }
}
