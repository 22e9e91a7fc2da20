//! What does not belong to the cluster: garbage, another cluster's node, another store's disk.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::cluster::{Cluster, NODES, args, new_address, until};
use crate::load::Load;
use crate::process::Process;

fn dirs(dir: &TempDir) -> Vec<PathBuf> {
    (1..=NODES).map(|id| dir.path().join(format!("{id}"))).collect()
}

/// Says something to a port, and waits until the other end hangs up.
fn say(address: &str, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).expect("a node listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    // It may hang up before everything was said.
    let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn garbage_and_another_cluster_change_nothing() {
    let dir = TempDir::new().expect("a directory");
    let cluster = Cluster::start(&dirs(&dir));
    let load = Load::new(10);
    load.during(&cluster, || load.wait_more_everywhere(5));
    cluster.wait_equal();
    let before = cluster.terms(1);

    let noise: Vec<u8> =
        (0..1_u32 << 18).map(|n| n.wrapping_mul(0x9e37_79b9).to_be_bytes()[0]).collect();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let foreign_log = dir.path().join("foreign.log");
    let mut addresses = cluster.addresses().to_vec();
    addresses[1] = new_address();
    let foreign_args = args(8, 2, &dir.path().join("foreign"), &addresses);
    let foreign = Process::start(&foreign_args, File::create(foreign_log).expect("a file"));
    let foreign = foreign.expect("it starts");
    load.during(&cluster, || {
        for address in cluster.addresses() {
            say(address, &noise);
            say(address, b"GET / HTTP/1.1\r\n\r\n");
            say(address, &[preface.as_slice(), &noise].concat());
            say(address, &[preface.as_slice(), &[0; 1 << 16]].concat());
        }
        for id in [1, 3] {
            until("a refusal", || {
                let problem = foreign.ask(&format!("problem {id}")).expect("it runs");
                problem.contains("another cluster").then_some(())
            });
        }
        load.wait_more_everywhere(20);
    });
    let refused = foreign.ask("put 1 x").expect("it runs");
    assert!(refused.starts_with("refused "), "{refused}");
    assert_eq!(cluster.terms(1), before, "a leader was lost");
    load.verify(&cluster);
    cluster.wait_equal();
}

#[test]
fn disk_of_another_store_is_refused_with_a_clear_word() {
    let dir = TempDir::new().expect("a directory");
    let cluster = Cluster::start(&dirs(&dir));
    let load = Load::new(10);
    load.during(&cluster, || load.wait_more_everywhere(5));
    cluster.kill(1);
    let words = dir.path().join("words");
    let mut addresses = cluster.addresses().to_vec();
    addresses[1] = new_address();
    for (id, store) in [(7, 2), (9, 1)] {
        let log = File::create(&words).expect("a file");
        let started = Process::start(&args(id, store, cluster.dir(1), &addresses), log);
        assert!(started.is_none(), "it started on another's disk");
        let said = std::fs::read_to_string(&words).expect("its words");
        assert!(said.contains("belongs to"), "{said}");
    }
    // And the disk is as it was.
    cluster.restart(1);
    load.during(&cluster, || load.wait_more_everywhere(5));
    load.verify(&cluster);
    cluster.wait_equal();
}
