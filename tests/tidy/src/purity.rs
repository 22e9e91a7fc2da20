//! Pure code names nothing that could make two runs differ.
//!
//! Time comes in as an argument, randomness as a seed, disk and network leave as effects. One call
//! to a clock or one walk over a hash map, and a seed no longer replays what happened.
//!
//! Looked at: `src` of the pure crates in [`crate::table`], and the pure parts of the others.
//! Not looked at: comments, literals, test code, examples.
//!
//! A name check is not a proof. It is a second fence beside each crate's `clippy.toml`, and it
//! holds for what clippy has no list for.

use crate::source::has_word;
use crate::table::{Purity, TABLE};
use crate::{Complaint, Tree};

const CLOCK: &str = "take `now` as an argument";
const THREAD: &str = "return an effect: the shell runs threads";
const OWNER: &str = "one owner steps it: take `&mut self`";
const SOCKET: &str = "return a message as an effect: the shell owns the network";
const FILE: &str = "return a write as an effect: the shell owns the disk";
const PROCESS: &str = "take it as configuration";
const RANDOM: &str = "take a seed and step a generator of your own";
const HASH: &str = "iteration order differs per run: use ";
const RUNTIME: &str = "a pure core is stepped, it never waits: take an event, return effects";
const PRINT: &str = "return a value or a status: the shell prints";

/// A name that pure code does not contain, and what to do instead.
const BANNED: &[(&str, &str)] = &[
    ("Instant", CLOCK),
    ("SystemTime", CLOCK),
    ("UNIX_EPOCH", CLOCK),
    ("thread::", THREAD),
    ("std::thread", THREAD),
    ("thread_local!", "keep it in a field of the state"),
    ("Mutex", OWNER),
    ("RwLock", OWNER),
    ("Condvar", OWNER),
    ("mpsc", OWNER),
    ("sync::atomic", OWNER),
    ("crossbeam", OWNER),
    ("parking_lot", OWNER),
    ("TcpStream", SOCKET),
    ("TcpListener", SOCKET),
    ("UdpSocket", SOCKET),
    ("UnixStream", SOCKET),
    ("ToSocketAddrs", SOCKET),
    ("std::fs", FILE),
    ("fs::", FILE),
    ("std::env", PROCESS),
    ("env::var", PROCESS),
    ("env::args", PROCESS),
    ("std::process", "assert, or return an error: the shell stops the process"),
    ("process::exit", "assert, or return an error: the shell stops the process"),
    ("thread_rng", RANDOM),
    ("rand::rng", RANDOM),
    ("rand::random", RANDOM),
    ("getrandom", RANDOM),
    ("fastrand", RANDOM),
    ("OsRng", RANDOM),
    ("RandomState", RANDOM),
    ("HashMap", "BTreeMap or a sorted Vec"),
    ("HashSet", "BTreeSet or a sorted Vec"),
    ("tokio", RUNTIME),
    ("async", RUNTIME),
    (".await", RUNTIME),
    ("block_on", RUNTIME),
    ("println!", PRINT),
    ("eprintln!", PRINT),
    ("print!", PRINT),
    ("eprint!", PRINT),
    ("stdin", PRINT),
    ("stdout", PRINT),
    ("stderr", PRINT),
];

/// Checks the pure crates and the pure parts of the others.
pub fn check(tree: &Tree) -> Vec<Complaint> {
    let mut found = Vec::new();
    for row in TABLE {
        let parts: &[&str] = match row.purity {
            Purity::Pure { .. } => &["src/"],
            Purity::PureUnder(parts) => parts,
            Purity::Shell => continue,
        };
        for part in parts {
            let prefix = format!("{}/{part}", row.path);
            for file in tree.rust().filter(|file| file.path.starts_with(&prefix)) {
                for (number, line) in file.code().filter(|(_, line)| !line.is_test) {
                    found.extend(
                        banned(&line.code)
                            .map(|(what, instead)| complain(&file.path, number, what, instead)),
                    );
                }
            }
        }
    }
    found
}

/// The banned names in `code`, without those that lie within a longer one found there.
fn banned(code: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let here: Vec<_> = BANNED.iter().filter(|(name, _)| has_word(code, name)).copied().collect();
    let names: Vec<&str> = here.iter().map(|(name, _)| *name).collect();
    here.into_iter().filter(move |(name, _)| {
        !names
            .iter()
            .any(|other| other.len() > name.len() && other.contains(name.trim_end_matches(':')))
    })
}

fn complain(path: &str, line: usize, what: &str, instead: &str) -> Complaint {
    let lead = if what.starts_with("Hash") { HASH } else { "" };
    Complaint::new(path, line, format!("pure code names `{what}`"), format!("{lead}{instead}"))
}

#[cfg(test)]
mod tests {
    use super::BANNED;
    use crate::complaints;

    fn at_raft(text: &str) -> Vec<String> {
        complaints(super::check, &[("components/raft/src/node.rs", text)])
    }

    #[test]
    fn each_kind_is_refused_with_its_replacement() {
        let text = "use std::{fs::File, time::Instant};\n\
                    let t = std::thread::spawn(f);\n\
                    let s: HashSet<u8> = HashSet::new();\n\
                    async fn f() { x.await }\n\
                    let r = rand::random();\n\
                    let s = TcpStream::connect(a);\n\
                    let m = Mutex::new(1);\n";
        let expected = [
            "1: pure code names `Instant` — take `now` as an argument",
            "1: pure code names `fs::` — return a write as an effect: the shell owns the disk",
            "2: pure code names `std::thread` — return an effect: the shell runs threads",
            "3: pure code names `HashSet` — iteration order differs per run: use BTreeSet or a \
             sorted Vec",
            "4: pure code names `.await` — a pure core is stepped, it never waits: take an \
             event, return effects",
            "4: pure code names `async` — a pure core is stepped, it never waits: take an event, \
             return effects",
            "5: pure code names `rand::random` — take a seed and step a generator of your own",
            "6: pure code names `TcpStream` — return a message as an effect: the shell owns the \
             network",
            "7: pure code names `Mutex` — one owner steps it: take `&mut self`",
        ];
        let expected: Vec<String> =
            expected.iter().map(|tail| format!("components/raft/src/node.rs:{tail}")).collect();
        assert_eq!(at_raft(text), expected);
    }

    #[test]
    fn every_banned_name_is_found() {
        for (name, _) in BANNED {
            let tail = if name.ends_with(':') { "x" } else { "" };
            let found = at_raft(&format!("let y = {name}{tail};\n"));
            assert_eq!(found.len(), 1, "{name}: {found:?}");
        }
    }

    #[test]
    fn comments_literals_and_tests_are_free() {
        let text = "//! No HashMap, no Instant.\nlet s = \"std::fs\";\n\
                    #[cfg(test)]\nmod tests {\n    use std::collections::HashMap;\n}\n";
        assert_eq!(at_raft(text), [""; 0]);
    }

    #[test]
    fn only_pure_parts_are_looked_at() {
        let text = "use std::time::Instant;\n";
        let found = complaints(
            super::check,
            &[
                ("components/multiraft/src/runtime.rs", text),
                ("components/multiraft/src/shard/step.rs", text),
                ("components/raft/examples/raft-sim.rs", text),
                ("server/src/main.rs", text),
            ],
        );
        assert_eq!(
            found,
            ["components/multiraft/src/shard/step.rs:1: pure code names `Instant` — take `now` \
                 as an argument"]
        );
    }
}
