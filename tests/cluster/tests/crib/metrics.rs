//! Figures of a running node: those that the documents list, and they move. And whether it is well.

use std::collections::{BTreeMap, BTreeSet};

use cluster::crib::{Cluster, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::options;

const LISTED: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md"));

/// The text of `/metrics`.
async fn text(address: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("openmetrics"), "{head}");
    body.to_owned()
}

/// Names and types that a node tells, as its samples have them.
fn told(text: &str) -> BTreeSet<(String, String)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let pairs = lines.map(|line| line.split_once(' ').expect("a name and a type"));
    let full = |(name, kind): (&str, &str)| {
        let end = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        (format!("{name}{end}"), kind.to_owned())
    };
    pairs.map(full).collect()
}

/// Names and types of the table.
fn listed() -> BTreeSet<(String, String)> {
    let rows = LISTED.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.map(|row| {
        let (name, rest) = row.split_once("` | ").expect("a name");
        let (kind, _) = rest.split_once(" | ").expect("a type");
        (name.to_owned(), kind.to_owned())
    });
    cells.collect()
}

/// Samples by name and labels.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.map(|line| line.rsplit_once(' ').expect("a name and a number"));
    pairs.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_are_those_that_are_listed_and_count_what_is_done() {
    let cluster = Cluster::start(options("metrics")).await;
    let client = cluster.client().await;
    let mut before = Vec::new();
    for node in cluster.nodes() {
        let text = text(&node.http).await;
        assert_eq!(told(&text), listed(), "of {}", node.http);
        before.push(samples(&text));
    }
    const PUTS: u32 = 200;
    for nth in 0..PUTS {
        client.put(format!("figure/{nth}"), "x").await.expect("a put");
    }
    client.get("figure/1").await.expect("a read");
    // Followers apply later.
    let after = until("entries that are applied everywhere, and a leader", async || {
        let mut after = Vec::new();
        for (node, before) in cluster.nodes().iter().zip(&before) {
            let now = samples(&text(&node.http).await);
            let name = "crib_raft_applied_entries_total";
            if now[name] < before[name] + f64::from(PUTS) {
                return None;
            }
            after.push(now);
        }
        // One that is just elected may be seen on two nodes, or on none.
        let leads = after.iter().map(|one: &BTreeMap<_, _>| one["crib_placement_leads"]);
        (leads.sum::<f64>() == 1.0).then_some(after)
    })
    .await;
    // By how much a figure has risen, on all nodes together.
    let risen = |name: &str| -> f64 {
        let of = |all: &[BTreeMap<String, f64>]| all.iter().map(|one| one[name]).sum::<f64>();
        of(&after) - of(&before)
    };
    let puts = f64::from(PUTS);
    assert!(risen("crib_request_duration_seconds_count{method=\"raw_get\"}") >= 1.0);
    let endless = "crib_request_duration_seconds_bucket{le=\"+Inf\",method=\"raw_put\"}";
    assert!(risen("crib_request_duration_seconds_count{method=\"raw_put\"}") >= puts);
    assert!(risen(endless) >= puts);
    assert!(risen("crib_request_duration_seconds_sum{method=\"raw_put\"}") > 0.0);
    for name in ["crib_raft_proposals_total", "crib_log_writes_total"] {
        assert!(risen(name) >= puts, "{name}: {}", risen(name));
    }
    for name in [
        "crib_raft_messages_sent_total",
        "crib_raft_messages_received_total",
        "crib_log_sync_duration_seconds_count",
        "crib_log_sync_duration_seconds_sum",
        "crib_log_written_bytes_total",
    ] {
        assert!(risen(name) > 0.0, "{name}");
    }
    assert!(after.iter().any(|one| one["crib_store_leaders"] >= 1.0));
    for one in &after {
        assert!(one["crib_store_regions"] >= one["crib_store_leaders"]);
        assert_eq!(one["crib_disk_low"], 0.0);
        assert!(one["crib_disk_capacity_bytes"] > one["crib_disk_kept_bytes"]);
        assert!(one["crib_engine_memory_bytes"] > 0.0);
    }
    cluster.assert_all_run();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_told_of_the_node_and_of_each_service() {
    let cluster = Cluster::start(options("health")).await;
    let address = format!("http://{}", cluster.node(0).address);
    let channel = Endpoint::from_shared(address).expect("an address").connect().await;
    let mut health = HealthClient::new(channel.expect("it listens"));
    let services = ["", "tikvpb.Tikv", "pdpb.PD", "keyspacepb.Keyspace"];
    for service in services.into_iter().chain(["crib.placement.v1.Placement"]) {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(request).await.expect("an answer").into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let request = HealthCheckRequest { service: "nobody.Knows".to_owned() };
    assert_eq!(health.check(request).await.expect_err("no service").code(), Code::NotFound);
}
