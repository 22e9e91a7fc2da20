//! Planted manifests, and the exact words each must be answered with.

use crate::complaints;

const ROOT: &str = r#"
[workspace]
members = ["components/types", "components/raft", "components/raft/world", "server", "benches"]
[workspace.dependencies]
types = { path = "components/types" }
raft = { path = "components/raft" }
raft-world = { path = "components/raft/world" }
gossip = { path = "components/gossip" }
proptest = "1"
rocksdb = { package = "rust-rocksdb", version = "1" }
other-raft = { package = "raft", version = "0.7" }
"#;

/// Complaints about the manifest of `name` in `home`, which ends with `rest`.
fn of(home: &str, name: &str, rest: &str) -> Vec<String> {
    let path = format!("{home}/Cargo.toml");
    let text =
        format!("[package]\nname = \"{name}\"\n[lints]\nworkspace = true\n[dependencies]\n{rest}");
    let found = complaints(super::check, &[("Cargo.toml", ROOT), (&path, &text)]);
    found.iter().map(|line| line.strip_prefix(&path).unwrap_or(line).to_string()).collect()
}

fn of_raft(rest: &str) -> Vec<String> {
    of("components/raft", "raft", rest)
}

#[test]
fn lawful_manifest_passes() {
    let rest = "types = { workspace = true }\n\
                [dev-dependencies]\nraft-world.workspace = true\nproptest.workspace = true\n";
    assert_eq!(of_raft(rest), [""; 0]);
    assert_eq!(of("components/raft/world", "raft-world", "raft.workspace = true\n"), [""; 0]);
}

#[test]
fn same_name_from_elsewhere_is_third_party() {
    assert_eq!(of("benches", "benches", "other-raft.workspace = true\n"), [""; 0]);
    assert_eq!(
        of("components/types", "types", "other-raft.workspace = true\n"),
        [":6: pure crate `types` depends on `raft` — write the little it needs, or move what \
             needs it to a crate that is not pure"]
    );
}

#[test]
fn unknown_crate_is_refused() {
    assert_eq!(
        of("components/raft", "rafty", ""),
        [":2: crate `rafty` is not in the crate table — make it a module, or add a row to \
             tests/tidy/src/table.rs and a decision record"]
    );
}

#[test]
fn crate_elsewhere_is_refused() {
    assert_eq!(
        of("components/consensus", "raft", ""),
        [
            ":1: crate `components/consensus` is outside the workspace — add its path to \
             `members` in Cargo.toml",
            ":2: crate `raft` lies in `components/consensus` — move it to `components/raft`, its \
             place in the crate table",
        ]
    );
}

#[test]
fn upward_and_sideways_names_are_refused() {
    assert_eq!(
        of_raft("gossip.workspace = true\n"),
        [":6: `raft` may not name `gossip` — it may name types; see tests/tidy/src/table.rs"]
    );
    assert_eq!(
        of("components/types", "types", "[build-dependencies]\nraft.workspace = true\n"),
        [":7: `types` may not name `raft` — it names no workspace crate; see \
             tests/tidy/src/table.rs"]
    );
    assert_eq!(
        of_raft("[dev-dependencies]\ngossip.workspace = true\n"),
        [":7: `raft` may not name `gossip`, not even in tests — it may name types; see \
             tests/tidy/src/table.rs"]
    );
    assert_eq!(
        of_raft("[target.'cfg(unix)'.dependencies]\ngossip.workspace = true\n"),
        [":7: `raft` may not name `gossip` — it may name types; see tests/tidy/src/table.rs"]
    );
}

#[test]
fn shipped_crate_may_not_name_the_test_world() {
    assert_eq!(
        of_raft("raft-world.workspace = true\n"),
        [":6: `raft` may not name `raft-world` — it may name types; see \
             tests/tidy/src/table.rs"]
    );
}

#[test]
fn third_party_in_pure_crate_is_refused() {
    assert_eq!(
        of_raft("proptest.workspace = true\n"),
        [":6: pure crate `raft` depends on `proptest` — write the little it needs, or move \
             what needs it to a crate that is not pure"]
    );
}

#[test]
fn version_in_member_is_refused() {
    assert_eq!(
        of_raft("[dev-dependencies]\nproptest = \"1\"\n"),
        [":7: `proptest` is not inherited from the workspace — set it in \
             `[workspace.dependencies]`, here `workspace = true`"]
    );
    assert_eq!(
        of_raft("[dev-dependencies]\nproptest = { git = \"x\" }\n"),
        [":7: `proptest` comes from a git repository — use a published version"]
    );
}

#[test]
fn rocksdb_is_for_storage_alone() {
    assert_eq!(
        of("server", "server", "rocksdb.workspace = true\n"),
        [":6: `server` depends on `rust-rocksdb` — go through `storage`, which alone names it"]
    );
}

#[test]
fn lints_are_taken() {
    let files =
        [("Cargo.toml", ROOT), ("components/types/Cargo.toml", "[package]\nname = \"types\"\n")];
    assert_eq!(
        complaints(super::check, &files),
        ["components/types/Cargo.toml:1: crate `types` does not take the workspace's lints — \
             add `[lints]` with `workspace = true`"]
    );
}

#[test]
fn broken_manifest_is_reported() {
    let found = complaints(super::check, &[("Cargo.toml", "[workspace\n")]);
    assert!(found[0].starts_with("Cargo.toml:1: manifest cannot be read: "), "{found:?}");
}
