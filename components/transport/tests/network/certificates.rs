//! Certificates: a pair of one signer talks, others are refused, bad files are named, and files
//! that were renewed are taken by both ends.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use transport::{Certificates, Config, TlsFiles};

use crate::world::{Book, Node, PATIENCE, Told, groups, quick};

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

fn load(files: TlsFiles) -> Arc<Certificates> {
    Arc::new(Certificates::load(files, Duration::from_secs(20)).unwrap())
}

fn start(id: u64, tls: Option<TlsFiles>, book: &Arc<Book>) -> Node {
    start_with(id, tls.map(load), book)
}

fn start_with(id: u64, tls: Option<Arc<Certificates>>, book: &Arc<Book>) -> Node {
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
    let reasons = [(None, "this port speaks TLS"), (Some(foreigner), "received fatal alert: ")];
    for (tls, why) in reasons {
        refused(&start(1, tls, &book), &two, why);
    }
    let one = start(1, Some(files(&directory, "one", &ours, &ours)), &book);
    one.send(2, groups([1]));
    assert_eq!(two.next(), Told::Delivered(1, groups([1])), "a stranger was heard");
}

/// Checks that `one` does not reach `two`, and knows why; it is ended.
#[track_caller]
fn refused(one: &Node, two: &Node, why: &str) {
    one.send(2, groups([66]));
    assert_eq!(one.next(), Told::Lost(2));
    let problem = one.problem(2).unwrap();
    let start = format!("s2 at {}: ", two.network.address());
    assert!(problem.starts_with(&start) && problem.contains(why), "{problem}");
}

#[test]
fn server_of_a_foreign_signer_is_handed_nothing() {
    let directory = Directory::new("server_of_a_foreign_signer");
    let (ours, foreign) = (signer(), signer());
    let book = Arc::new(Book::default());
    let two = start(2, Some(files(&directory, "two", &foreign, &foreign)), &book);
    let one = start(1, Some(files(&directory, "one", &ours, &ours)), &book);
    refused(&one, &two, "invalid peer certificate");
    assert!(two.told.try_recv().is_err());
}

/// What a port answers to this, until it closes.
fn answer(to: &Node, asked: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to.network.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(asked).unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).unwrap();
    said
}

#[test]
fn caller_in_plain_text_is_told_in_the_protocol_it_speaks() {
    let directory = Directory::new("caller_in_plain_text");
    let ours = signer();
    let book = Arc::new(Book::default());
    let two = start(2, Some(files(&directory, "two", &ours, &ours)), &book);
    let said = answer(&two, b"GET /version HTTP/1.1\r\nhost: a\r\n\r\n");
    let text = String::from_utf8(said).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
    assert!(head.ends_with(&format!("content-length: {}", body.len())), "{text}");
    assert!(body.starts_with("this port speaks TLS"), "{text}");

    // Settings of no length, then the end with its reason: all that is left of the answer.
    let said = answer(&two, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let (settings, goaway) = said.split_at(9);
    assert_eq!(settings, [0, 0, 0, 4, 0, 0, 0, 0, 0]);
    assert_eq!(&goaway[..3], &u32::try_from(goaway.len() - 9).unwrap().to_be_bytes()[1..]);
    assert_eq!(&goaway[3..9], [7, 0, 0, 0, 0, 0]);
    assert_eq!(&goaway[9..17], [0, 0, 0, 0, 0, 0, 0, 12], "inadequate security");
    assert!(goaway[17..].starts_with(b"this port speaks TLS"));
}

/// Puts the files of one certificate in the place of another's.
fn replace(old: &TlsFiles, new: &TlsFiles) {
    for (old, new) in [(&old.ca, &new.ca), (&old.cert, &new.cert), (&old.key, &new.key)] {
        fs::copy(new, old).unwrap();
    }
}

#[test]
fn renewed_files_are_taken_by_the_accepting_end() {
    let directory = Directory::new("renewed_accepting");
    let (old, new) = (signer(), signer());
    let book = Arc::new(Book::default());
    let of_two = files(&directory, "two", &old, &old);
    let certificates = load(of_two.clone());
    assert_eq!(certificates.refresh(), Ok(false), "nothing has changed");
    let two = start_with(2, Some(Arc::clone(&certificates)), &book);
    let of_old = files(&directory, "old", &old, &old);
    let of_new = files(&directory, "new", &new, &new);
    let open = start(3, Some(of_old.clone()), &book);
    open.reach(&two, 2);
    refused(&start(1, Some(of_new.clone()), &book), &two, "invalid peer certificate");

    replace(&of_two, &files(&directory, "renewed", &new, &new));
    assert_eq!(certificates.refresh(), Ok(true));
    start(1, Some(of_new), &book).reach(&two, 2);
    refused(&start(1, Some(of_old), &book), &two, "invalid peer certificate");
    open.reach(&two, 2);
}

#[test]
fn renewed_files_are_taken_by_the_dialing_end() {
    let directory = Directory::new("renewed_dialing");
    let (old, new) = (signer(), signer());
    let book = Arc::new(Book::default());
    let of_one = files(&directory, "one", &old, &old);
    let certificates = load(of_one.clone());
    let one = start_with(1, Some(Arc::clone(&certificates)), &book);
    let two = start(2, Some(files(&directory, "two", &new, &new)), &book);
    refused(&one, &two, "invalid peer certificate");
    replace(&of_one, &files(&directory, "renewed", &new, &new));
    assert_eq!(certificates.refresh(), Ok(true));
    one.reach(&two, 2);
}

#[test]
fn renewed_file_that_cannot_be_used_changes_nothing() {
    let directory = Directory::new("renewed_bad");
    let ours = signer();
    let book = Arc::new(Book::default());
    let of_two = files(&directory, "two", &ours, &ours);
    let good = fs::read(&of_two.cert).unwrap();
    let certificates = load(of_two.clone());
    let two = start_with(2, Some(Arc::clone(&certificates)), &book);
    let of_one = files(&directory, "one", &ours, &ours);
    // Of another key: the first of the two files to be replaced.
    for bad in [b"nonsense".to_vec(), fs::read(&of_one.cert).unwrap()] {
        fs::write(&of_two.cert, bad).unwrap();
        let error = certificates.refresh().unwrap_err();
        assert!([&of_two.cert, &of_two.key].contains(&&error.file), "{error}");
        start(1, Some(of_one.clone()), &book).reach(&two, 2);
    }
    fs::remove_file(&of_two.ca).unwrap();
    assert_eq!(certificates.refresh().unwrap_err().file, of_two.ca);
    fs::write(&of_two.ca, ours.pem()).unwrap();
    fs::write(&of_two.cert, good).unwrap();
    assert_eq!(certificates.refresh(), Ok(false), "what is used is there again");
}

#[test]
fn file_that_cannot_be_used_is_named_with_the_reason() {
    let directory = Directory::new("file_that_cannot_be_used");
    let ours = signer();
    let good = files(&directory, "good", &ours, &ours);
    let other = files(&directory, "other", &ours, &ours);
    let empty = directory.write("empty.pem", "");
    let text = directory.write("text.pem", "-----BEGIN CERTIFICATE-----\n?\n");
    let refusal = |tls| Certificates::load(tls, PATIENCE).unwrap_err();
    let absent = directory.0.join("absent.pem");
    for (tls, file, why) in [
        (TlsFiles { ca: absent.clone(), ..good.clone() }, &absent, "No such file"),
        (TlsFiles { cert: empty.clone(), ..good.clone() }, &empty, "no certificate in PEM"),
        (TlsFiles { ca: text.clone(), ..good.clone() }, &text, "no certificate in PEM"),
        (TlsFiles { key: empty.clone(), ..good.clone() }, &empty, "no private key in PEM"),
        (TlsFiles { key: other.key.clone(), ..good.clone() }, &other.key, "not the key of"),
    ] {
        let bad = refusal(tls);
        assert!(bad.file == *file && bad.why.contains(why), "{bad}");
    }
}
