//! Certificates: read, checked one by one, and made into the settings of both ends.
//!
//! A network with certificates is mutual: a dialer without one, or with one of a foreign signer, is
//! refused in the handshake, before it can send a byte of ours.
//!
//! Not here: who a certificate names. Any holder of a certificate of the signer may speak as any
//! store, so the signer must be one for stores alone. Renewal without a restart.

use std::error::Error;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

use crate::config::TlsFiles;

/// What both ends of a connection need.
pub(crate) struct Tls {
    pub(crate) server: ServerTlsConfig,
    pub(crate) client: ClientTlsConfig,
}

/// A certificate file that cannot be used. Nothing was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadTls {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for BadTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.why)
    }
}

impl Error for BadTls {}

impl Tls {
    /// Reads and checks the files.
    pub(crate) fn load(files: &TlsFiles, handshake_timeout: Duration) -> Result<Tls, BadTls> {
        let provider = aws_lc_rs::default_provider();
        // Another provider may be in the process already; then that one is used by both ends.
        let _ = CryptoProvider::install_default(provider.clone());
        let ca = read(&files.ca)?;
        let cert = read(&files.cert)?;
        let key = read(&files.key)?;
        let mut roots = RootCertStore::empty();
        for root in certificates(&files.ca, &ca)? {
            roots.add(root).map_err(|error| bad(&files.ca, format!("no signer: {error}")))?;
        }
        let chain = certificates(&files.cert, &cert)?;
        let secret = PrivateKeyDer::from_pem_slice(&key).map_err(|error| {
            let what = "no private key in PEM";
            bad(
                &files.key,
                if is_absent(&error) { what.into() } else { format!("{what}: {error}") },
            )
        })?;
        CertifiedKey::from_der(chain, secret, &provider).map_err(|error| {
            bad(&files.key, format!("not the key of {}: {error}", files.cert.display()))
        })?;
        let ca = Certificate::from_pem(ca);
        let identity = Identity::from_pem(cert, key);
        let server = ServerTlsConfig::new()
            .identity(identity.clone())
            .client_ca_root(ca.clone())
            .timeout(handshake_timeout);
        let client =
            ClientTlsConfig::new().identity(identity).ca_certificate(ca).timeout(handshake_timeout);
        Ok(Tls { server, client })
    }
}

/// The settings with which this store dials others, for dialers of further services.
///
/// # Errors
/// If a file cannot be read, or is not what it should be.
pub fn client_tls(
    files: &TlsFiles,
    handshake_timeout: Duration,
) -> Result<ClientTlsConfig, BadTls> {
    Tls::load(files, handshake_timeout).map(|tls| tls.client)
}

fn read(file: &Path) -> Result<Vec<u8>, BadTls> {
    fs::read(file).map_err(|error| bad(file, error.to_string()))
}

fn certificates(file: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, BadTls> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| bad(file, format!("no certificate in PEM: {error}")))?;
    if found.is_empty() {
        return Err(bad(file, "no certificate in PEM".into()));
    }
    Ok(found)
}

fn is_absent(error: &pem::Error) -> bool {
    matches!(error, pem::Error::NoItemsFound)
}

fn bad(file: &Path, why: String) -> BadTls {
    BadTls { file: file.to_owned(), why }
}

/// An error with everything that it was caused by: libraries keep the cause in the chain alone.
pub(crate) fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}
