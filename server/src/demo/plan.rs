//! Which nodes a demo has, where they are, and what its directory must hold.
//!
//! The file `demo.json` says of which cluster the directory is. Addresses and token make the
//! cluster's id, so a cluster goes on only where it was, with the token that it had.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cli::args::DemoArgs;
use crate::config::ApiVersion;
use crate::errors::{self, Failure};
use crate::node::Identity;
use crate::view;

/// Name of the file.
const NAME: &str = "demo.json";
/// Where all nodes are.
const HOST: &str = "127.0.0.1";
/// Ports that commands try by themselves: see `connect`.
const DEFAULT_BASE: u16 = 6710;

/// What has to be.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) dir: PathBuf,
    pub(super) nodes: Vec<Node>,
    pub(super) saved: Saved,
    pub(super) set: Vec<String>,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// From one.
    pub(super) number: u16,
    pub(super) grpc: String,
    pub(super) http: String,
    pub(super) dir: PathBuf,
    pub(super) log: PathBuf,
}

/// What is remembered from one start to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) token: String,
    pub(super) api_version: ApiVersion,
    pub(super) replicas: u16,
    pub(super) founders: u16,
    nodes: u16,
    port_base: u16,
    http_base: u16,
}

impl Plan {
    /// A plan that fits to the directory.
    ///
    /// # Errors
    /// If it does not.
    pub(super) fn new(args: &DemoArgs) -> Result<Plan, Failure> {
        // What the nodes are told holds wherever they look from.
        let dir = std::path::absolute(&args.data_dir).unwrap_or_else(|_| args.data_dir.clone());
        let before = read(&dir)?;
        let numbers = 1..=before.as_ref().map_or(0, |saved| saved.nodes);
        let removed: Vec<u16> =
            numbers.filter(|&number| is_removed(&node_dir(&dir, number))).collect();
        let saved = match before {
            None => first(args)?,
            Some(saved) => again(args, saved, removed.len(), &dir)?,
        };
        check_numbers(args, saved.nodes)?;
        let node = |number: u16| Node {
            number,
            grpc: saved.grpc(number),
            http: format!("{HOST}:{}", args.http_base + number),
            dir: node_dir(&dir, number),
            log: dir.join(format!("node{number}.log")),
        };
        let there = (1..=saved.nodes).filter(|number| !removed.contains(number));
        let nodes = there.map(node).collect();
        Ok(Plan { dir, nodes, saved, set: args.set.clone() })
    }

    /// The addresses of those that the cluster was born with, also of those that have left.
    pub(super) fn founders(&self) -> String {
        let founders = (1..=self.saved.founders).map(|number| self.saved.grpc(number));
        founders.collect::<Vec<String>>().join(",")
    }

    /// Looks whether all ports are free.
    ///
    /// # Errors
    /// All that are not.
    pub(super) fn check_ports(&self) -> Result<(), Failure> {
        let mut taken = Vec::new();
        for node in &self.nodes {
            for address in [&node.grpc, &node.http] {
                if let Err(error) = TcpListener::bind(address) {
                    taken.push(format!("{address}: {error}"));
                }
            }
        }
        if taken.is_empty() {
            return Ok(());
        }
        let failure = Failure::new(&errors::PORT_TAKEN, "ports that the nodes need are in use");
        Err(taken.into_iter().fold(failure, Failure::why))
    }

    /// Remembers what this cluster is.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn save(&self) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(&self.saved).unwrap_or_default() + "\n";
        let path = self.dir.join(NAME);
        let new = self.dir.join("demo.json.new");
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &path));
        written.map_err(|error| unusable(&path, &error))
    }

    /// Whether commands find this cluster without being told where it is.
    pub(super) fn is_found_by_default(&self) -> bool {
        self.saved.port_base == DEFAULT_BASE
    }

    /// Where the nodes write what they do.
    pub(super) fn logs(&self) -> String {
        self.dir.join("node*.log").display().to_string()
    }
}

/// Of so many nodes, how many found the cluster; the others join. Only 1, 3 or 5 stores can.
pub(crate) fn founders_of(nodes: u16) -> u16 {
    match nodes {
        0..=2 => 1,
        3 | 4 => 3,
        _ => 5,
    }
}

impl Saved {
    /// Where a node listens.
    fn grpc(&self, number: u16) -> String {
        format!("{HOST}:{}", self.port_base + number)
    }
}

/// Whether the store of a node was removed from the cluster: it is none of it any more.
pub(super) fn is_removed(dir: &Path) -> bool {
    Identity::read(dir).is_ok_and(|found| found.is_some_and(|identity| identity.is_removed))
}

fn node_dir(dir: &Path, number: u16) -> PathBuf {
    dir.join(format!("node{number}"))
}

/// Whether so many nodes have ports.
fn check_numbers(args: &DemoArgs, last: u16) -> Result<(), Failure> {
    let ports = [(args.port_base, "--port-base"), (args.http_base, "--http-base")];
    for (base, flag) in ports {
        if base == 0 || base.checked_add(last).is_none() {
            let what = format!("{flag} {base} leaves no port for node {last}");
            return Err(Failure::new(&errors::USAGE, what));
        }
    }
    if args.port_base.abs_diff(args.http_base) < last {
        let what = format!("the ports of {last} nodes overlap");
        let (grpc, http) = (args.port_base + 1, args.http_base + 1);
        let why = format!("gRPC from {grpc}, HTTP from {http}");
        return Err(Failure::new(&errors::USAGE, what).why(why));
    }
    Ok(())
}

/// A cluster that is to be born.
fn first(args: &DemoArgs) -> Result<Saved, Failure> {
    Ok(Saved {
        token: token()?,
        api_version: args.api_version,
        replicas: if args.nodes < 3 { 1 } else { 3 },
        founders: founders_of(args.nodes),
        nodes: args.nodes,
        port_base: args.port_base,
        http_base: args.http_base,
    })
}

/// A cluster that was there before. It may get more nodes, and is otherwise as it was. Nodes whose
/// stores were removed do not count; others never get their numbers.
fn again(args: &DemoArgs, saved: Saved, removed: usize, dir: &Path) -> Result<Saved, Failure> {
    let left = saved.nodes - u16::try_from(removed).unwrap_or(saved.nodes);
    let has_same_ports = (saved.port_base, saved.http_base) == (args.port_base, args.http_base);
    let is_same = has_same_ports && saved.api_version == args.api_version;
    if is_same && args.nodes >= left {
        return Ok(Saved { nodes: saved.nodes + (args.nodes - left), ..saved });
    }
    let made = format!(
        "--nodes {left} --port-base {} --http-base {} --api-version {}",
        saved.port_base,
        saved.http_base,
        saved.api_version.name()
    );
    let what = format!("{} has a demo cluster that was made otherwise", dir.display());
    Err(Failure::new(&errors::DIR_FOREIGN, what)
        .why(format!("it was made with {made}"))
        .next("go on with these, or begin a new cluster with another --data-dir"))
}

/// What the directory holds: none if it is empty, or not there.
fn read(dir: &Path) -> Result<Option<Saved>, Failure> {
    let path = dir.join(NAME);
    match fs::read_to_string(&path) {
        Ok(text) => match serde_json::from_str(&text) {
            Ok(saved) => Ok(Some(saved)),
            Err(error) => {
                let what = format!("{} is not of a demo cluster", path.display());
                Err(Failure::new(&errors::DIR_FOREIGN, what).why(error.to_string()))
            }
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let entries = match fs::read_dir(dir) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(unusable(dir, &error)),
            };
            // A lock alone is left by a start that got no further.
            let mut foreign = entries.flatten().filter(|entry| entry.file_name() != "LOCK");
            match foreign.next() {
                None => Ok(None),
                Some(entry) => {
                    let what = format!("{} holds something else", dir.display());
                    let why = format!("it has {:?}, and no {NAME}", entry.file_name());
                    Err(Failure::new(&errors::DIR_FOREIGN, what).why(why))
                }
            }
        }
        Err(error) => Err(unusable(&path, &error)),
    }
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(&errors::DIR_UNUSABLE, format!("cannot use {}", path.display()))
        .why(error.to_string())
}

/// Nobody else's.
fn token() -> Result<String, Failure> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; 16];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|error| unusable(path, &error))?;
    Ok(view::hex(&bytes))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn plan(dir: &Path, words: &str) -> Result<Plan, Failure> {
        let line = format!("crib demo --data-dir {} {words}", dir.display());
        let Command::Demo(args) = Cli::try_parse_from(line.split_whitespace()).unwrap().command
        else {
            panic!("another command")
        };
        Plan::new(&args)
    }

    #[test]
    fn nodes_have_ports_of_their_own_and_only_some_are_founders() {
        let dir = tempfile::tempdir().unwrap();
        let of = plan(dir.path(), "--nodes 4").unwrap();
        assert_eq!(of.founders(), "127.0.0.1:6711,127.0.0.1:6712,127.0.0.1:6713");
        assert_eq!(of.nodes[3].http, "127.0.0.1:6784");
        assert!(of.is_found_by_default());
        assert_eq!(plan(dir.path(), "--nodes 2").unwrap().saved.replicas, 1);
        assert_eq!(plan(dir.path(), "--nodes 6").unwrap().saved.founders, 5);
        for words in ["--port-base 65535", "--port-base 6710 --http-base 6711", "--http-base 0"] {
            assert_eq!(plan(dir.path(), words).unwrap_err().entry, &errors::USAGE, "{words}");
        }
    }

    #[test]
    fn second_start_goes_on_with_the_same_cluster_or_says_what_is_different() {
        let dir = tempfile::tempdir().unwrap();
        let first = plan(dir.path(), "").unwrap();
        first.save().unwrap();
        assert_eq!(plan(dir.path(), "").unwrap().saved, first.saved);
        let more = plan(dir.path(), "--nodes 4").unwrap();
        assert_eq!((more.saved.founders, more.saved.nodes), (3, 4));
        assert_eq!(more.saved.token, first.saved.token);
        for words in ["--nodes 1", "--port-base 7000", "--api-version v1"] {
            let failure = plan(dir.path(), words).unwrap_err();
            assert_eq!(failure.entry, &errors::DIR_FOREIGN);
            assert!(failure.why[0].contains("--nodes 3 --port-base 6710"), "{failure}");
        }
    }

    #[test]
    fn node_whose_store_was_removed_is_not_started_again_nor_its_number_given_twice() {
        let dir = tempfile::tempdir().unwrap();
        plan(dir.path(), "--nodes 4").unwrap().save().unwrap();
        let gone = dir.path().join("node2");
        fs::create_dir(&gone).unwrap();
        let identity = Identity::open(&gone, 7).unwrap();
        Identity { is_removed: true, ..identity }.save(&gone).unwrap();
        let numbers = |words: &str| -> Vec<u16> {
            plan(dir.path(), words).unwrap().nodes.iter().map(|node| node.number).collect()
        };
        assert_eq!(numbers("--nodes 3"), [1, 3, 4]);
        assert_eq!(numbers("--nodes 5"), [1, 3, 4, 5, 6]);
        let of = plan(dir.path(), "--nodes 3").unwrap();
        assert_eq!(of.founders(), "127.0.0.1:6711,127.0.0.1:6712,127.0.0.1:6713");
        assert!(plan(dir.path(), "--nodes 2").is_err());
    }

    #[test]
    fn directory_of_something_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("LOCK"), "").unwrap();
        assert!(plan(dir.path(), "").is_ok());
        fs::write(dir.path().join("thesis.tex"), "").unwrap();
        let failure = plan(dir.path(), "").unwrap_err();
        assert_eq!(failure.entry, &errors::DIR_FOREIGN);
        assert!(failure.why[0].contains("thesis.tex"), "{failure}");
        fs::write(dir.path().join(NAME), "{}").unwrap();
        assert_eq!(plan(dir.path(), "").unwrap_err().entry, &errors::DIR_FOREIGN);
    }

    #[test]
    fn taken_ports_are_all_named() {
        let dir = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut of = plan(dir.path(), "--nodes 1").unwrap();
        of.nodes[0].grpc = taken.local_addr().unwrap().to_string();
        of.nodes[0].http = of.nodes[0].grpc.clone();
        let failure = of.check_ports().unwrap_err();
        assert_eq!((failure.entry, failure.why.len()), (&errors::PORT_TAKEN, 2));
    }
}
