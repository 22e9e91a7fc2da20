//! `crib bench` against a cluster that is well, one that is not, and one that is not there.

use cluster::crib::{Cluster, until};
use serde_json::Value;

use crate::commands::{crib, ends};
use crate::options;

/// A bench of two seconds over a few keys.
const SHORT: [&str; 10] =
    ["--clients", "4", "--records", "500", "--warmup", "200ms", "--duration", "2s", "-o", "json"];

fn result(out: &str) -> Value {
    serde_json::from_str(out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bench_measures_what_is_well_and_marks_as_invalid_what_is_not() {
    let cluster = Cluster::start(options("bench")).await;
    let page = tempfile::NamedTempFile::new().expect("a file");
    let path = page.path().to_str().expect("a path of ours");
    let args = [&["bench", "ycsb", "--workload", "f", "--report", path][..], &SHORT].concat();
    let said = ends(&cluster, 0, &args).await;
    let result_of = result(&said.out);
    assert_eq!(result_of["valid"], true, "{said:?}");
    assert!(result_of["operations"].as_u64().is_some_and(|count| count > 0), "{said:?}");
    assert_eq!(result_of["failed"], 0, "{said:?}");
    assert_eq!(result_of["target"]["nodes"], 3, "{said:?}");
    assert_eq!(result_of["cpu"]["server_processes"], 3, "{said:?}");
    let kinds: Vec<&Value> =
        result_of["latencies"].as_array().into_iter().flatten().map(|of| &of["kind"]).collect();
    assert_eq!(kinds, ["read", "modify"], "{said:?}");
    assert!(said.err.contains("setting 500 records"), "{said:?}");
    let page = std::fs::read_to_string(page.path()).expect("a page");
    assert!(page.contains("<svg") && !page.contains("http"), "{page}");

    // By a schedule that one caller can keep; the records are there by now.
    let args = [&["bench", "get", "--rate", "20"][..], &SHORT].concat();
    let said = ends(&cluster, 0, &args).await;
    assert_eq!(result(&said.out)["operations"], 40, "{said:?}");
    assert!(!said.err.contains("setting"), "{said:?}");

    cluster.node(2).kill();
    until("a status that is not well", async || {
        (crib(&cluster, &["status", "--exit-code"]).await.code == Some(7)).then_some(())
    })
    .await;
    let said = ends(&cluster, 7, &[&["bench", "put"][..], &SHORT].concat()).await;
    let result_of = result(&said.out);
    assert_eq!(result_of["valid"], false, "{said:?}");
    assert!(result_of["reasons"].to_string().contains("not healthy"), "{said:?}");
    assert!(said.err.contains("CRIB-E5010"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bench_of_what_is_not_there_prints_no_result() {
    let cluster = Cluster::prepare(options("no bench")).await;
    for target in ["crib", "etcd"] {
        let args = [&["bench", "get", "--target", target][..], &SHORT].concat();
        let said = ends(&cluster, 4, &args).await;
        assert_eq!(said.out, "", "{said:?}");
        assert!(said.err.contains("CRIB-E1001"), "{said:?}");
    }
}
