//! The form of a result, letter by letter; and when it is invalid.

use std::time::Duration;

use super::*;
use crate::environment::Fsync;
use crate::run::Second as Measure;
use crate::tally::Tally;
use crate::target::{Done, Failed};
use crate::verdict::{self, Errors};
use crate::workload::{Workload, Ycsb};

/// A result of a hundred reads and a conflict, over two seconds.
pub(crate) fn measured() -> Measured {
    let mut tally = Tally::default();
    for nth in 1..=100 {
        tally.succeeded(Kind::Read, Duration::from_micros(nth * 10), Done::Whole);
    }
    tally.succeeded(Kind::Modify, Duration::from_millis(2), Done::Conflict);
    let second = |at: u64, operations: u64| Measure {
        at: Duration::from_secs(at),
        took: Duration::from_secs(1),
        operations,
        failed: 0,
        p50_us: Some(500),
        p99_us: (operations >= 100).then_some(990),
        max_us: Some(2_000),
        behind: 0,
    };
    Measured {
        elapsed: Duration::from_secs(2),
        tally,
        seconds: vec![second(1, 1), second(2, 100)],
        never_begun: 0,
        problems: Vec::new(),
        servers_cpu: Some(Duration::from_millis(202)),
        client_cpu: None,
        threads: 2,
    }
}

pub(crate) fn summary(measured: &Measured) -> Summary {
    let plan = Plan {
        workload: Workload::ycsb(Ycsb::F),
        keys: Keys { prefix: "bench/".to_owned(), records: 1_000 },
        clients: 4,
        pace: Pace::Open(50),
        warmup: Duration::from_millis(500),
        span: Duration::from_secs(2),
        value_bytes: 256,
        seed: u64::MAX,
    };
    let target = Cluster {
        kind: "crib",
        via: "batched stream".to_owned(),
        endpoints: vec!["127.0.0.1:6711".to_owned()],
        versions: vec!["0.1.0".to_owned()],
        nodes: 3,
        replicas: 3,
    };
    let fsync = Fsync { dir: ".".to_owned(), samples: 200, p50_us: Some(420), p99_us: Some(1_900) };
    let environment = Environment {
        version: "0.1.0".to_owned(),
        cores: 2,
        cpu: Some("a <fast> CPU".to_owned()),
        memory_bytes: Some(24 << 30),
        system: "linux 6.18".to_owned(),
        load_average: Some(0.5),
        fsync: Some(fsync),
    };
    let reasons = verdict::reasons(measured, Errors::Refuse);
    Summary::new(&plan, target, 3, environment, measured, reasons)
}

#[test]
fn json_is_the_contract_with_scripts() {
    let found = serde_json::to_string_pretty(&summary(&measured())).unwrap() + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/summary/golden.json");
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap();
    assert_eq!(found, expected, "UPDATE_GOLDENFILES=1 rewrites it");
}

#[test]
fn result_is_invalid_with_its_reasons() {
    let reasons = |change: fn(&mut Measured)| {
        let mut measured = measured();
        change(&mut measured);
        let summary = summary(&measured);
        assert_eq!(summary.valid, summary.reasons.is_empty());
        summary.reasons.join("; ")
    };
    assert_eq!(reasons(|_| ()), "");
    assert_eq!(reasons(|of| of.tally = Tally::default()), "no operation ended well");
    let why = reasons(|of| {
        of.tally.failed(Failed { kind: "timed out", why: "no leader".to_owned() });
    });
    assert_eq!(why, "1 operation failed (timed out), the first one so: no leader");
    assert!(reasons(|of| of.never_begun = 7).starts_with("7 operations of the schedule never"));
    let why = reasons(|of| of.problems.push("after 3 s: store 2 is down".to_owned()));
    assert_eq!(why, "not healthy after 3 s: store 2 is down");
}

#[test]
fn failures_may_be_allowed_and_nothing_else() {
    let mut measured = measured();
    measured.tally.failed(Failed { kind: "timed out", why: String::new() });
    assert!(verdict::reasons(&measured, Errors::Allow).is_empty());
    measured.problems.push("after 3 s: store 2 is down".to_owned());
    assert_eq!(verdict::reasons(&measured, Errors::Allow).len(), 1);
}

#[test]
fn what_was_not_measured_is_no_number() {
    let mut measured = measured();
    (measured.tally, measured.servers_cpu) = (Tally::default(), Some(Duration::from_secs(1)));
    let summary = summary(&measured);
    assert_eq!(summary.operations_per_second, None);
    assert_eq!(summary.cpu.server_seconds_per_1000, None);
    assert!(summary.latencies.is_empty());
}
