//! Tests of configurations as a whole.

use std::collections::BTreeSet;

use super::check::port;
use super::*;
use crate::errors::Failure;

fn flag(key: &str, value: &str) -> (String, String, String) {
    (key.to_owned(), format!("--{key}"), value.to_owned())
}

fn env(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn refused(sources: &Sources) -> String {
    let failure: Failure = Effective::load(sources).expect_err("something is wrong");
    failure.to_string()
}

#[test]
fn defaults_are_valid_and_every_key_is_described_once() {
    assert_eq!(Config::default().validate(), []);
    let known: BTreeSet<String> = merge::leaves(&Config::default()).into_keys().collect();
    let described: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    let set: BTreeSet<String> = described.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(set.len(), described.len(), "a key is described twice");
    assert_eq!(known, set);
    assert!(KEYS.iter().all(|key| !key.about.is_empty()));
}

#[test]
fn template_with_its_comments_taken_off_is_the_default() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("crib.toml");
    let is_setting = |line: &str| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let text: Vec<String> = template()
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if is_setting(rest) => rest.to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    std::fs::write(&path, text.join("\n")).unwrap();
    let sources = Sources { file: Some(path), ..Sources::default() };
    let effective = Effective::load(&sources).unwrap();
    assert_eq!(effective.config, Config::default());
    assert_eq!(effective.origins.len(), KEYS.len());
}

#[test]
fn sources_are_merged_key_by_key_and_keep_their_origins() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("crib.toml");
    let text = "listen = \"a:1\"\nreplicas = 5\nlabels = { zone = \"b\" }\n\
                [raft]\nelection-timeout = \"2s\"\nworkers = 2\n";
    std::fs::write(&path, text).unwrap();
    let sources = Sources {
        file: Some(path.clone()),
        env: vec![
            env("CRIB_RAFT__WORKERS", "3"),
            env("CRIB_JOIN", "a:1, b:2"),
            env("CRIB_ENDPOINTS", "for:1"),
            env("HOME", "/root"),
        ],
        flags: vec![flag("replicas", "1"), flag("raft.lease", "false")],
    };
    let effective = Effective::load(&sources).unwrap();
    let config = &effective.config;
    assert_eq!(config.listen, "a:1");
    assert_eq!(config.replicas, 1);
    assert_eq!(config.raft.workers, 3);
    assert_eq!(config.raft.election_timeout, Span::secs(2));
    assert!(!config.raft.lease);
    assert_eq!(config.join, ["a:1", "b:2"]);
    assert_eq!(config.labels.get("zone").map(String::as_str), Some("b"));
    assert_eq!(effective.origin("listen"), Origin::File(path));
    assert_eq!(effective.origin("raft.workers"), Origin::Env("CRIB_RAFT__WORKERS".to_owned()));
    assert_eq!(effective.origin("replicas"), Origin::Flag("--replicas".to_owned()));
    assert_eq!(effective.origin("data-dir"), Origin::Default);
    assert_eq!(effective.origins.len(), 7);
}

#[test]
fn every_problem_is_told_at_once_with_key_value_origin_and_what_it_must_be() {
    let sources = Sources {
        file: None,
        env: vec![env("CRIB_DATADIR", "/x"), env("CRIB_RAFT__HEARTBEAT_INTERVAL", "2s")],
        flags: vec![
            flag("region.split-size", "100"),
            flag("advertise", "0.0.0.0:1"),
            flag("raft.workers", "many"),
            flag("api-version", "v3"),
        ],
    };
    assert_eq!(
        refused(&sources),
        "error[CRIB-E5001]: the configuration has 6 problems\n\
         \x20 datadir (environment CRIB_DATADIR): there is no such key; did you mean data-dir?\n\
         \x20 region.split-size = \"100\" (flag --region.split-size): `100` is not a size: write \
         it as 64MiB, 64MB or 512KiB\n\
         \x20 raft.workers = \"many\" (flag --raft.workers): invalid type: string \"many\", \
         expected usize\n\
         \x20 api-version = \"v3\" (flag --api-version): unknown variant `v3`, expected one of \
         `v1`, `v1ttl`, `v2`\n\
         \x20 advertise = \"0.0.0.0:1\" (flag --advertise): must be an address that others can \
         dial; every interface is none\n\
         \x20 raft.heartbeat-interval = \"2s\" (environment CRIB_RAFT__HEARTBEAT_INTERVAL): must \
         be more than zero and at most half the election timeout\n\
         \x20 try: correct these keys; `crib config default` prints every key with its meaning\n"
    );
}

#[test]
fn file_with_a_number_for_a_size_or_a_misspelt_section_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("crib.toml");
    std::fs::write(&path, "[region]\nsplit-size = 100\n[rfat]\nworkers = 1\n").unwrap();
    let text = refused(&Sources { file: Some(path.clone()), ..Sources::default() });
    assert!(text.contains("region.split-size = \"100\" (file "), "{text}");
    assert!(text.contains("rfat (file "), "{text}");
    std::fs::write(&path, "listen = \n").unwrap();
    let text = refused(&Sources { file: Some(path), ..Sources::default() });
    assert!(text.starts_with("error[CRIB-E5002]") && text.contains("is not TOML"), "{text}");
}

#[test]
fn what_placement_would_refuse_is_refused_before_a_cluster_waits_for_its_birth() {
    let many: Vec<String> = (0..33).map(|n| format!("l{n}=x")).collect();
    let nine: Vec<String> = (0..9).map(|n| format!("l{n}")).collect();
    for (key, value, why) in [
        ("labels", many.join(","), "must be at most 32"),
        ("placement.location-labels", "zone,zone".to_owned(), "\"zone\" is named twice"),
        ("placement.location-labels", nine.join(","), "9 labels, 8 is the most"),
        ("placement.location-labels", "z".repeat(300), "a label of 300 bytes"),
    ] {
        let text = refused(&Sources { flags: vec![flag(key, &value)], ..Sources::default() });
        assert!(text.contains(&format!("{key} = ")) && text.contains(why), "{text}");
    }
}

#[test]
fn numbers_that_nothing_can_count_to_are_refused() {
    for key in ["http.connections-max", "limits.connections-max"] {
        let flags = vec![flag(key, "9223372036854775807")];
        let text = refused(&Sources { flags, ..Sources::default() });
        assert!(text.contains(key) && text.contains("from 1 to 1048576"), "{text}");
    }
}

#[test]
fn variables_that_kubernetes_sets_for_a_service_are_no_settings() {
    let of_service = [
        ("CRIB_SERVICE_HOST", "10.0.0.1"),
        ("CRIB_SERVICE_PORT", "6710"),
        ("CRIB_SERVICE_PORT_GRPC", "6710"),
        ("CRIB_PORT", "tcp://10.0.0.1:6710"),
        ("CRIB_PORT_6710_TCP_ADDR", "10.0.0.1"),
        ("CRIB_PORT_6710_TCP", "tcp://10.0.0.1:6710"),
        ("CRIB_HTTP_SERVICE_HOST", "10.0.0.2"),
        ("CRIB_HTTP_PORT", "tcp://10.0.0.2:6780"),
        ("CRIB_HTTP_PORT_6780_TCP_PROTO", "tcp"),
    ];
    let variables = of_service.map(|(name, value)| env(name, value)).to_vec();
    Effective::load(&Sources { env: variables, ..Sources::default() }).expect("no settings");
    let text = refused(&Sources { env: vec![env("CRIB_PORT", "1")], ..Sources::default() });
    assert!(text.contains("there is no such key"), "{text}");
}

#[test]
fn keys_longer_than_any_region_takes_cannot_be_allowed() {
    let sources =
        Sources { flags: vec![flag("limits.key-size-max", "15KiB")], ..Sources::default() };
    let text = refused(&sources);
    assert!(text.contains("limits.key-size-max = \"15KiB\""), "{text}");
    assert!(text.contains("must be between 64B and 14KiB"), "{text}");
}

#[test]
fn founders_and_joiners_must_make_sense() {
    let keys = |config: &Config| -> Vec<String> {
        config.validate().into_iter().map(|(key, _)| key).collect()
    };
    let own = |founders: &[&str], join: &[&str]| Config {
        founders: founders.iter().map(|&text| text.to_owned()).collect(),
        join: join.iter().map(|&text| text.to_owned()).collect(),
        ..Config::default()
    };
    let me = "127.0.0.1:6710";
    assert_eq!(keys(&own(&[me], &[])), [""; 0]);
    assert_eq!(keys(&own(&[], &["a:1"])), [""; 0]);
    assert_eq!(keys(&own(&[me, "a:1"], &[])), ["founders"]);
    assert_eq!(keys(&own(&["a:1", "b:1", "c:1"], &[])), ["founders"]);
    assert_eq!(keys(&own(&[me], &["a:1"])), ["join"]);
    assert_eq!(keys(&own(&[], &["a", "b:0"])), ["join"]);
    assert_eq!(Config::default().founders(), [me]);
    assert_eq!(own(&[], &["a:1"]).founders(), [""; 0]);
}

#[test]
fn tls_is_all_three_files_or_none() {
    let mut config = Config::default();
    config.tls.cert = "cert.pem".into();
    let keys: Vec<String> = config.validate().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["tls.ca", "tls.key"]);
}

#[test]
fn addresses_are_told_from_other_text() {
    for (address, expected) in [
        ("127.0.0.1:6710", Some(6710)),
        ("[::1]:80", Some(80)),
        ("node-1.example:0", Some(0)),
        ("::1:80", None),
        ("host", None),
        (":80", None),
        ("host:99999", None),
        ("http://host:80", None),
    ] {
        assert_eq!(port(address), expected, "{address}");
    }
}

#[test]
fn nodes_agree_on_what_leases_rest_on_and_on_nothing_else() {
    let agreed = |flags: &[(&str, &str)]| {
        let flags = flags.iter().map(|(key, value)| flag(key, value)).collect();
        let sources = Sources { flags, ..Sources::default() };
        Effective::load(&sources).unwrap().config.transport().agreed
    };
    let settings = [("raft.election-timeout", "2s"), ("raft.lease", "false")];
    let expected = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(agreed(&settings), expected);
    assert_ne!(agreed(&[]), agreed(&settings[..1]));
    assert_ne!(agreed(&[]), agreed(&settings[1..]));
}
