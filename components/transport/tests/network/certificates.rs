//! Certificates: a pair of one signer talks, others are refused, bad files are named.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use transport::{Config, Network, TlsFiles};
use types::ClusterId;

use crate::world::{Book, Node, Told, groups, quick, store};

/// A directory of its own for each test, removed at its end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn signer() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Files of a store, and the signers it trusts.
fn files(
    directory: &Directory,
    name: &str,
    by: &CertifiedIssuer<'static, KeyPair>,
    trusted: &CertifiedIssuer<'static, KeyPair>,
) -> TlsFiles {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let cert = params.signed_by(&key, by).unwrap();
    TlsFiles {
        ca: directory.write(&format!("{name}.ca.pem"), &trusted.pem()),
        cert: directory.write(&format!("{name}.cert.pem"), &cert.pem()),
        key: directory.write(&format!("{name}.key.pem"), &key.serialize_pem()),
    }
}

fn start(id: u64, tls: Option<TlsFiles>, book: &Arc<Book>) -> Node {
    let mut node = Node::bind(id, Config { tls, ..quick() }, book);
    node.serve();
    node
}

#[test]
fn stores_of_one_signer_talk() {
    let directory = Directory::new("stores_of_one_signer_talk");
    let ours = signer();
    let book = Arc::new(Book::default());
    let one = start(1, Some(files(&directory, "one", &ours, &ours)), &book);
    let two = start(2, Some(files(&directory, "two", &ours, &ours)), &book);
    for nth in 0..100 {
        one.send(2, groups([nth]));
        two.send(1, groups([nth]));
    }
    assert_eq!(two.numbers_until(99), (0..100).collect::<Vec<_>>());
    assert_eq!(one.numbers_until(99), (0..100).collect::<Vec<_>>());
}

#[test]
fn dialer_without_certificate_or_of_a_foreign_signer_refused() {
    let directory = Directory::new("dialer_without_certificate_refused");
    let (ours, foreign) = (signer(), signer());
    let book = Arc::new(Book::default());
    let two = start(2, Some(files(&directory, "two", &ours, &ours)), &book);
    // It trusts ours, and is signed by another.
    let foreigner = files(&directory, "foreigner", &foreign, &ours);
    for tls in [None, Some(foreigner)] {
        let stranger = start(1, tls, &book);
        stranger.send(2, groups([66]));
        assert_eq!(stranger.next(), Told::Lost(2));
        let problem = stranger.network.problem(store(2)).unwrap();
        assert!(problem.starts_with(&format!("s2 at {}: ", two.network.address())), "{problem}");
        stranger.network.shutdown();
    }
    let one = start(1, Some(files(&directory, "one", &ours, &ours)), &book);
    one.send(2, groups([1]));
    assert_eq!(two.next(), Told::Delivered(1, groups([1])), "a stranger was heard");
}

#[test]
fn server_of_a_foreign_signer_is_handed_nothing() {
    let directory = Directory::new("server_of_a_foreign_signer");
    let (ours, foreign) = (signer(), signer());
    let book = Arc::new(Book::default());
    let two = start(2, Some(files(&directory, "two", &foreign, &foreign)), &book);
    let one = start(1, Some(files(&directory, "one", &ours, &ours)), &book);
    one.send(2, groups([66]));
    assert_eq!(one.next(), Told::Lost(2));
    let problem = one.network.problem(store(2)).unwrap();
    assert!(problem.contains("invalid peer certificate"), "{problem}");
    assert!(two.told.try_recv().is_err());
}

#[test]
fn file_that_cannot_be_used_is_named_with_the_reason() {
    let directory = Directory::new("file_that_cannot_be_used");
    let ours = signer();
    let good = files(&directory, "good", &ours, &ours);
    let other = files(&directory, "other", &ours, &ours);
    let empty = directory.write("empty.pem", "");
    let text = directory.write("text.pem", "-----BEGIN CERTIFICATE-----\n?\n");
    let refusal = |tls: TlsFiles| {
        let config = Config { tls: Some(tls), ..quick() };
        let identity = (ClusterId::new(7).unwrap(), store(1));
        match Network::bind(config, identity, Arc::new(Book::default())) {
            Ok(_) => panic!("it was started"),
            Err(error) => error.to_string(),
        }
    };
    let absent = directory.0.join("absent.pem");
    for (tls, file, why) in [
        (TlsFiles { ca: absent.clone(), ..good.clone() }, &absent, "No such file"),
        (TlsFiles { cert: empty.clone(), ..good.clone() }, &empty, "no certificate in PEM"),
        (TlsFiles { ca: text.clone(), ..good.clone() }, &text, "no certificate in PEM"),
        (TlsFiles { key: empty.clone(), ..good.clone() }, &empty, "no private key in PEM"),
        (TlsFiles { key: other.key.clone(), ..good.clone() }, &other.key, "not the key of"),
    ] {
        let said = refusal(tls);
        let start = format!("bad certificate file {}: ", file.display());
        assert!(said.starts_with(&start) && said.contains(why), "{said}");
    }
}
