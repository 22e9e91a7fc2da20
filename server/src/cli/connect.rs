//! How commands reach a cluster.
//!
//! Flags are over the environment, that is over the defaults. How keys are formed is the cluster's
//! affair, so it is asked first; whoever only asks placement does not need to know.

use std::path::{Path, PathBuf};
use std::time::Duration;

use client::{Admin, Client, KeyMode, Options};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use super::args::Global;
use crate::config::Span;
use crate::errors::{self, Failure};

/// Where a cluster is looked for if nobody says: the nodes of a demo, and a single node.
const ENDPOINTS: [&str; 4] =
    ["127.0.0.1:6711", "127.0.0.1:6712", "127.0.0.1:6713", "127.0.0.1:6710"];
/// How long a command may take, if nobody says.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The keyspace that always exists.
const KEYSPACE: &str = "DEFAULT";

/// Which cluster, and how.
#[derive(Clone)]
pub struct Target {
    /// Where to ask.
    pub endpoints: Vec<String>,
    /// How long a command may take; none if nobody says.
    pub timeout: Option<Duration>,
    tls: Option<ClientTlsConfig>,
    /// Whether a flag has said where to ask.
    is_named: bool,
}

impl Target {
    /// As the flags say, or else the environment, in which what is empty is not there.
    ///
    /// # Errors
    /// If that makes no sense, or a file cannot be read.
    pub fn new(global: &Global, env: impl Fn(&str) -> Option<String>) -> Result<Target, Failure> {
        let mut endpoints = global.endpoints.clone();
        let is_named = !endpoints.is_empty();
        if endpoints.is_empty() {
            let text = env("CRIB_ENDPOINTS").unwrap_or_default();
            endpoints = text.split(',').map(str::trim).map(str::to_owned).collect();
        }
        endpoints.retain(|endpoint| !endpoint.is_empty());
        if endpoints.is_empty() {
            endpoints = ENDPOINTS.map(str::to_owned).to_vec();
        }
        let timeout = match (global.timeout, env("CRIB_TIMEOUT")) {
            (Some(span), _) => Some(span),
            (None, Some(text)) => Some(Span::parse(&text).map_err(|why| {
                Failure::new(&errors::USAGE, "CRIB_TIMEOUT makes no sense").why(why)
            })?),
            (None, None) => None,
        };
        let timeout = timeout.map(Span::get);
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(Failure::new(&errors::USAGE, "--timeout must be more than zero"));
        }
        let file = |flag: &Option<PathBuf>, name: &str| {
            flag.clone().or_else(|| env(name).map(PathBuf::from))
        };
        let tls = tls(
            file(&global.cacert, "CRIB_CACERT").as_deref(),
            file(&global.cert, "CRIB_CERT").as_deref(),
            file(&global.tls_key, "CRIB_KEY").as_deref(),
        )?;
        Ok(Target { endpoints, timeout, tls, is_named })
    }

    /// A target without certificates.
    #[must_use]
    pub fn plain(endpoints: Vec<String>) -> Target {
        Target { endpoints, timeout: None, tls: None, is_named: true }
    }

    /// The same, with this much time for each command.
    #[must_use]
    pub fn within(&self, timeout: Duration) -> Target {
        Target { timeout: Some(timeout), ..self.clone() }
    }

    /// Where to ask, if a flag has said so: for what is no cluster of ours, which the environment
    /// may name.
    #[must_use]
    pub fn named(&self) -> Option<Vec<String>> {
        self.is_named.then(|| self.endpoints.clone())
    }

    /// How long a command may take that does not wait for anything.
    #[must_use]
    pub fn short(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT)
    }

    /// What operators ask.
    ///
    /// # Errors
    /// If the cluster cannot be reached.
    pub async fn admin(&self) -> Result<Admin, Failure> {
        Ok(self.connect(KeyMode::V1).await?.admin())
    }

    /// How keys of the cluster are formed.
    ///
    /// # Errors
    /// If the cluster cannot be reached.
    pub async fn mode(&self) -> Result<KeyMode, Failure> {
        Ok(mode_of(&self.admin().await?.status().await?.api_version))
    }

    /// Settings of a client that asks it, with the times of commands.
    #[must_use]
    pub fn options(&self, mode: KeyMode) -> Options {
        let budget = self.short();
        Options {
            mode,
            tls: self.tls.clone().map(client::Tls::from),
            attempt_timeout: Duration::from_secs(2).min(budget),
            connect_timeout: Duration::from_secs(1).min(budget),
            budget,
            ..Options::default()
        }
    }

    /// A client for keys, and how they are formed.
    ///
    /// # Errors
    /// If the cluster cannot be reached.
    pub async fn client(&self) -> Result<(Client, String), Failure> {
        let client = self.connect(KeyMode::V1).await?;
        let version = client.admin().status().await?.api_version;
        let client = match mode_of(&version) {
            KeyMode::V1 => client,
            other => self.connect(other).await?,
        };
        Ok((client, version))
    }

    async fn connect(&self, mode: KeyMode) -> Result<Client, Failure> {
        let (budget, options) = (self.short(), self.options(mode));
        match tokio::time::timeout(budget, Client::connect(&self.endpoints, options)).await {
            Ok(connected) => Ok(connected?),
            Err(_elapsed) => Err(Failure::new(
                &errors::TIMED_OUT,
                format!("not connected within {budget:?}; nothing happened"),
            )
            .why(format!("asked {}", self.endpoints.join(", ")))),
        }
    }
}

fn tls(
    ca: Option<&Path>,
    cert: Option<&Path>,
    key: Option<&Path>,
) -> Result<Option<ClientTlsConfig>, Failure> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| {
            Failure::new(&errors::TLS_FILES, format!("cannot read {}", path.display()))
                .why(error.to_string())
        })
    };
    let Some(ca) = ca else {
        if cert.is_some() || key.is_some() {
            let what = "--cert and --key are given without --cacert";
            return Err(Failure::new(&errors::TLS_FILES, what));
        }
        return Ok(None);
    };
    let config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?));
    match (cert, key) {
        (Some(cert), Some(key)) => {
            Ok(Some(config.identity(Identity::from_pem(read(cert)?, read(key)?))))
        }
        (None, None) => Ok(Some(config)),
        _ => Err(Failure::new(&errors::TLS_FILES, "--cert and --key come together")),
    }
}

/// How keys are formed in a cluster of this api-version.
fn mode_of(api_version: &str) -> KeyMode {
    match api_version {
        "v1" => KeyMode::V1,
        "v1ttl" => KeyMode::V1Ttl,
        _ => KeyMode::V2 { keyspace: KEYSPACE.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::args::Cli;
    use super::*;

    fn target(words: &[&str], env: &[(&str, &str)]) -> Result<Target, Failure> {
        let cli = Cli::try_parse_from(["crib", "status"].iter().chain(words)).unwrap();
        Target::new(&cli.global, |name| {
            let found = env.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn flags_are_over_environment_and_that_over_defaults() {
        let env = [("CRIB_ENDPOINTS", "a:1, b:2"), ("CRIB_TIMEOUT", "3s")];
        assert_eq!(target(&[], &[]).unwrap().endpoints, ENDPOINTS);
        assert_eq!(target(&[], &env).unwrap().endpoints, ["a:1", "b:2"]);
        assert_eq!(target(&[], &env).unwrap().named(), None);
        let both = target(&["--endpoints", "c:3,d:4", "--timeout", "1m"], &env).unwrap();
        assert_eq!(both.endpoints, ["c:3", "d:4"]);
        assert_eq!(both.timeout, Some(Duration::from_secs(60)));
        assert_eq!(target(&[], &env).unwrap().short(), Duration::from_secs(3));
        assert_eq!(target(&[], &[]).unwrap().short(), TIMEOUT);
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_is_asked() {
        let entry = |words: &[&str], env: &[(&str, &str)]| {
            target(words, env).err().map(|failure| failure.entry)
        };
        assert_eq!(entry(&["--timeout", "0"], &[]), Some(&errors::USAGE));
        assert_eq!(entry(&[], &[("CRIB_TIMEOUT", "soon")]), Some(&errors::USAGE));
        assert_eq!(entry(&["--cert", "a"], &[]), Some(&errors::TLS_FILES));
        assert_eq!(entry(&["--cacert", "/nowhere"], &[]), Some(&errors::TLS_FILES));
    }
}
