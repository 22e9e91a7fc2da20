//! Certificates: read, checked one by one, and made into the settings of both ends.
//!
//! ```text
//!  files ──refresh──► settings ──┬─► accept: each connection that is taken from now on
//!                                └─► client: each connection that is opened from now on
//! ```
//!
//! Invariant: settings are replaced as a whole, by such as were checked: a file that cannot be used
//! changes nothing. What is open stays open.
//!
//! Not here: who a certificate names. Any holder of a certificate of the signer may speak as any
//! store, so the signer must be one for stores alone. Lists of certificates that were withdrawn.

use std::error::Error;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::config::TlsFiles;

/// The certificates of a node, as its files are now: one for all that it accepts and opens.
pub struct Certificates {
    files: TlsFiles,
    pub(crate) handshake_timeout: Duration,
    now: RwLock<Arc<Settings>>,
}

/// What a port speaks inside TLS, and with whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// HTTP/2 and HTTP/1, with holders of a certificate of the signer.
    Grpc,
    /// HTTP/1, with the same.
    Http,
    /// HTTP/1, with whoever comes; they are shown this node's certificate.
    HttpOpen,
}

/// The bytes of the files, as they were read.
#[derive(PartialEq, Eq)]
struct Pem {
    ca: Vec<u8>,
    cert: Vec<u8>,
    key: Vec<u8>,
}

/// What both ends of a connection need.
struct Settings {
    pem: Pem,
    grpc: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
    http_open: Arc<ServerConfig>,
    client: ClientTlsConfig,
}

/// A certificate file that cannot be used. Nothing was started, or changed.
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

/// Without the key.
impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Reads and checks the files. A connection may take `handshake_timeout` to agree on keys.
    ///
    /// # Errors
    /// If a file cannot be read, or is not what it should be.
    pub fn load(files: TlsFiles, handshake_timeout: Duration) -> Result<Certificates, BadTls> {
        let settings = Settings::of(&files, Pem::read(&files)?, handshake_timeout)?;
        Ok(Certificates { files, handshake_timeout, now: RwLock::new(Arc::new(settings)) })
    }

    /// Reads the files again, and takes them if they have changed. Says whether they had.
    ///
    /// # Errors
    /// If a file cannot be read, or is not what it should be, as while only some of them are
    /// replaced. What was used before is used further.
    pub fn refresh(&self) -> Result<bool, BadTls> {
        let pem = Pem::read(&self.files)?;
        if self.now.read().pem == pem {
            return Ok(false);
        }
        let settings = Settings::of(&self.files, pem, self.handshake_timeout)?;
        *self.now.write() = Arc::new(settings);
        Ok(true)
    }

    /// The settings for a connection that is opened now.
    #[must_use]
    pub fn client(&self) -> ClientTlsConfig {
        self.now.read().client.clone()
    }

    /// The settings for a connection that is taken now.
    pub(crate) fn server(&self, port: Port) -> Arc<ServerConfig> {
        let now = self.now.read();
        Arc::clone(match port {
            Port::Grpc => &now.grpc,
            Port::Http => &now.http,
            Port::HttpOpen => &now.http_open,
        })
    }
}

impl Pem {
    fn read(files: &TlsFiles) -> Result<Pem, BadTls> {
        Ok(Pem { ca: read(&files.ca)?, cert: read(&files.cert)?, key: read(&files.key)? })
    }
}

impl Settings {
    fn of(files: &TlsFiles, pem: Pem, handshake_timeout: Duration) -> Result<Settings, BadTls> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        // Another provider may be in the process already; then that one is used by dialers.
        let _ = CryptoProvider::install_default((*provider).clone());
        let mut roots = RootCertStore::empty();
        for root in certificates(&files.ca, &pem.ca)? {
            roots.add(root).map_err(|error| bad(&files.ca, format!("no signer: {error}")))?;
        }
        let chain = certificates(&files.cert, &pem.cert)?;
        let secret = PrivateKeyDer::from_pem_slice(&pem.key).map_err(|error| {
            let what = "no private key in PEM";
            bad(
                &files.key,
                if is_absent(&error) { what.into() } else { format!("{what}: {error}") },
            )
        })?;
        let key = CertifiedKey::from_der(chain, secret, &provider).map_err(|error| {
            bad(&files.key, format!("not the key of {}: {error}", files.cert.display()))
        })?;
        let key = Arc::new(SingleCertAndKey::from(key));
        let signers =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let signers = (signers.build())
            .map_err(|error| bad(&files.ca, format!("no signer of clients: {error}")))?;
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| bad(&files.cert, error.to_string()))?;
        let mut grpc = (builder.clone())
            .with_client_cert_verifier(signers)
            .with_cert_resolver(Arc::<SingleCertAndKey>::clone(&key));
        let mut http = grpc.clone();
        let mut http_open = builder.with_no_client_auth().with_cert_resolver(key);
        grpc.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        http.alpn_protocols = vec![b"http/1.1".to_vec()];
        http_open.alpn_protocols.clone_from(&http.alpn_protocols);
        let [grpc, http, http_open] = [grpc, http, http_open].map(Arc::new);
        let client = ClientTlsConfig::new()
            .identity(Identity::from_pem(&pem.cert, &pem.key))
            .ca_certificate(Certificate::from_pem(&pem.ca))
            .timeout(handshake_timeout);
        Ok(Settings { pem, grpc, http, http_open, client })
    }
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
