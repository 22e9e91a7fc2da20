//! Certificates of a cluster under test: who signs them, and files of those who hold them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use transport::{Certificates, TlsFiles};

/// Who signs.
pub struct Signer(CertifiedIssuer<'static, KeyPair>);

/// The three files of one holder of a certificate, in PEM.
#[derive(Clone, Debug)]
pub struct Files {
    /// Who is trusted.
    pub ca: PathBuf,
    /// The certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// For whom.
    host: String,
}

impl Default for Signer {
    fn default() -> Signer {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Signer(CertifiedIssuer::self_signed(params, key).expect("a signature"))
    }
}

impl Files {
    /// Files of a host, by a signer that is trusted too.
    pub fn new(dir: &Path, name: &str, host: &str, by: &Signer) -> Files {
        let file = |what: &str| dir.join(format!("{name}.{what}.pem"));
        let files =
            Files { ca: file("ca"), cert: file("cert"), key: file("key"), host: host.to_owned() };
        files.trust(&[by]);
        files.renew(by);
        files
    }

    /// Trusts these from now on.
    ///
    /// # Panics
    /// If there is no room for a file.
    pub fn trust(&self, signers: &[&Signer]) {
        let pem: String = signers.iter().map(|signer| signer.0.pem()).collect();
        fs::write(&self.ca, pem).expect("a file");
    }

    /// Gets another certificate, and key.
    ///
    /// # Panics
    /// If there is no room for a file.
    pub fn renew(&self, by: &Signer) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![self.host.clone()]).expect("a name");
        let cert = params.signed_by(&key, &by.0).expect("a signature");
        fs::write(&self.cert, cert.pem()).expect("a file");
        fs::write(&self.key, key.serialize_pem()).expect("a file");
    }

    /// Settings of a node.
    pub(super) fn settings(&self) -> Vec<String> {
        let set = |key: &str, file: &Path| format!("tls.{key}={}", file.display());
        vec![set("ca", &self.ca), set("cert", &self.cert), set("key", &self.key)]
    }

    /// Flags of a command.
    pub fn flags(&self) -> Vec<String> {
        let flag = |name: &str, file: &Path| [name.to_owned(), file.display().to_string()];
        let flags =
            [flag("--cacert", &self.ca), flag("--cert", &self.cert), flag("--key", &self.key)];
        flags.concat()
    }

    /// Certificates of a client: for each connection those that are in the files then.
    ///
    /// # Panics
    /// If they cannot be used.
    pub fn tls(&self) -> client::Tls {
        let (ca, cert, key) = (self.ca.clone(), self.cert.clone(), self.key.clone());
        let files = TlsFiles { ca, cert, key };
        let certificates = Certificates::load(files, Duration::from_secs(5)).expect("good files");
        client::Tls::new(move || {
            // While they are replaced, those from before are good.
            let _ = certificates.refresh();
            certificates.client()
        })
    }

    /// The answer to a `GET` over TLS, its head included; with our certificate or without.
    ///
    /// # Errors
    /// Why there is none.
    ///
    /// # Panics
    /// If the files cannot be used.
    pub async fn get(&self, address: &str, path: &str, shows: bool) -> std::io::Result<String> {
        let pem = |file: &Path| fs::read(file).expect("a file");
        let parse = |file: &Path| {
            let found = CertificateDer::pem_slice_iter(&pem(file)).collect::<Result<Vec<_>, _>>();
            found.expect("certificates")
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(parse(&self.ca));
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("they are known")
            .with_root_certificates(roots);
        let config = if shows {
            let key = PrivateKeyDer::from_pem_slice(&pem(&self.key)).expect("a key");
            builder.with_client_auth_cert(parse(&self.cert), key).expect("they belong together")
        } else {
            builder.with_no_client_auth()
        };
        let host = address.split(':').next().expect("host:port");
        let name = ServerName::try_from(host.to_owned()).expect("an address");
        let stream = TcpStream::connect(address).await?;
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

/// The files of all who take part, as far as they have some.
#[derive(Default)]
pub(super) struct Holders {
    /// Of nodes, in their order.
    pub(super) nodes: Mutex<Vec<Files>>,
    /// Of clients.
    pub(super) client: Mutex<Option<Files>>,
}
