//! Certificates on all ports: who has the right ones is served, everybody else is told why not, and
//! they are renewed while the cluster goes on.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use cluster::crib::{Cluster, Files, Load, Said, Signer, say, until};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::options;

/// Runs a command of `crib` at the cluster, with these flags for its certificates.
async fn crib(cluster: &Cluster, args: &[&str], flags: &[String]) -> Said {
    let mut command = Command::new(&cluster.options.program);
    let endpoints = cluster.endpoints().join(",");
    command.args(args).args(flags).args(["--endpoints", &endpoints, "--color", "never"]);
    say(command).await
}

fn refused(said: &Said, words: &[&str]) {
    assert_eq!(said.code, Some(8), "{said:?}");
    for word in ["CRIB-E1006"].iter().chain(words) {
        assert!(said.err.contains(word), "{word:?} is not said: {said:?}");
    }
}

/// The answer of a port to plain text.
async fn plainly(address: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it closes in peace");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_ports_take_holders_of_certificates_and_tell_others_why_not() {
    let mut options = options("certificates");
    options.signer = Some(Arc::new(Signer::default()));
    let cluster = Cluster::start(options).await;
    let ours = cluster.client_certificates();
    let said = crib(&cluster, &["kv", "put", "pier/1", "oak"], &ours.flags()).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let said = crib(&cluster, &["kv", "get", "pier/1", "-o", "raw"], &ours.flags()).await;
    assert_eq!((said.code, said.out.as_str()), (Some(0), "oak"), "{said:?}");

    let put = ["kv", "put", "pier/1", "ash"];
    refused(&crib(&cluster, &put, &[]).await, &["this port speaks TLS", "--cacert"]);
    let without = &ours.flags()[..2];
    refused(&crib(&cluster, &put, without).await, &["received fatal alert: CertificateRequired"]);
    let dir = TempDir::new().expect("a directory");
    let foreign = Files::new(dir.path(), "foreign", "client", &Signer::default());
    refused(&crib(&cluster, &put, &foreign.flags()).await, &["invalid peer certificate"]);
    // It trusts ours, and is signed by another.
    fs::copy(&ours.ca, &foreign.ca).expect("a copy");
    refused(&crib(&cluster, &put, &foreign.flags()).await, &["received fatal alert"]);
    let said = crib(&cluster, &["kv", "get", "pier/1", "-o", "raw"], &ours.flags()).await;
    assert_eq!(said.out, "oak", "a stranger has written: {said:?}");

    let node = cluster.node(0);
    let served = ours.get(&node.http, "/livez", true).await.expect("an answer");
    assert!(served.starts_with("HTTP/1.1 200"), "{served}");
    for (files, shows) in [(&ours, false), (&foreign, true)] {
        let error = files.get(&node.http, "/livez", shows).await.expect_err("it was served");
        assert!(error.to_string().contains("received fatal alert"), "{error}");
    }
    for address in [&node.http, &node.listen] {
        let answer = plainly(address).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains("this port speaks TLS"), "{answer}");
    }
    assert!(node.words().contains("connection refused"), "{}", node.last_words());
    cluster.assert_all_run();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn command_with_certificates_is_told_that_a_port_speaks_plain_text() {
    let mut options = options("plain text");
    options.stores = 1;
    options.set.push("replicas=1".to_owned());
    let cluster = Cluster::start(options).await;
    let dir = TempDir::new().expect("a directory");
    let files = Files::new(dir.path(), "client", "client", &Signer::default());
    let said = crib(&cluster, &["status"], &files.flags()).await;
    refused(&said, &["received corrupt message of type InvalidContentType"]);
}

/// Waits until a node has said so, so many times.
async fn said(cluster: &Cluster, at: usize, words: &str, times: usize) {
    let node = cluster.node(at);
    until(&format!("{words:?}, {times} times"), async || {
        (node.words().matches(words).count() >= times).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signer_is_replaced_in_three_steps_under_load_and_then_the_old_one_is_a_stranger() {
    let (old, new) = (Arc::new(Signer::default()), Signer::default());
    let mut options = options("renewal");
    options.signer = Some(Arc::clone(&old));
    // They look when they are told to.
    options.set.push("tls.check-interval=1h".to_owned());
    let cluster = Cluster::start(options).await;
    let clients = cluster.client_certificates();
    let dir = TempDir::new().expect("a directory");
    let left = Files::new(dir.path(), "left", "client", &old);
    let load = Load::start(&cluster).await;
    load.more(100).await;
    let steps: [&dyn Fn(&Files); 3] =
        [&|files| files.trust(&[&old, &new]), &|files| files.renew(&new), &|files| {
            files.trust(&[&new]);
        }];
    for (nth, step) in steps.iter().enumerate() {
        step(&clients);
        cluster.certificates().iter().for_each(step);
        for at in 0..3 {
            cluster.node(at).hang_up();
            said(&cluster, at, "certificates renewed", nth + 1).await;
        }
        // All that is open begins anew: between these two nodes, and at clients.
        let node = cluster.node(nth);
        assert_eq!(node.stop().await.code(), Some(0), "{}", node.last_words());
        node.start();
        cluster.wait_healthy().await;
        load.more(100).await;
    }
    load.finish(&cluster).await;
    // Nobody was restarted after the last step but one: the others have taken it as they ran.
    let endpoints = ["--endpoints".to_owned(), cluster.node(0).address.clone()];
    left.trust(&[&new]);
    let mut command = Command::new(&cluster.options.program);
    command.args(["status", "--color", "never"]).args(&endpoints).args(left.flags());
    refused(&say(command).await, &["received fatal alert"]);
    let mut command = Command::new(&cluster.options.program);
    command.args(["status"]).args(&endpoints).args(clients.flags());
    let said = say(command).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    cluster.assert_all_run();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewed_file_that_cannot_be_used_is_told_and_the_old_one_is_used() {
    let mut options = options("bad renewal");
    options.stores = 1;
    options.signer = Some(Arc::new(Signer::default()));
    let set = ["replicas=1", "tls.check-interval=50ms", "http.tls=server"];
    options.set.extend(set.map(str::to_owned));
    let cluster = Cluster::start(options).await;
    // Probes have no certificates, and may be let in without.
    let (ours, http) = (cluster.client_certificates(), &cluster.node(0).http);
    let served = ours.get(http, "/livez", false).await.expect("an answer");
    assert!(served.starts_with("HTTP/1.1 200"), "{served}");
    let files = &cluster.certificates()[0];
    let good = fs::read(&files.key).expect("a file");
    fs::write(&files.key, "nonsense").expect("a file");
    said(&cluster, 0, "renewed certificates cannot be used: the old ones are used further", 1)
        .await;
    let words = cluster.node(0).words();
    let line = words.lines().find(|line| line.contains("renewed certificates")).expect("a line");
    let file = files.key.display().to_string();
    assert!(line.contains("CRIB-E1005") && line.contains(&file), "{line}");
    cluster.client().await.put("a", "1").await.expect("a put over the old certificate");
    // Without a signal, once they can be used.
    fs::write(&files.key, good).expect("a file");
    files.renew(cluster.options.signer.as_ref().expect("somebody signs"));
    said(&cluster, 0, "certificates renewed", 1).await;
    cluster.client().await.put("a", "2").await.expect("a put over the new certificate");
}
