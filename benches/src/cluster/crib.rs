//! Our cluster: three nodes with default settings, or with a few that a bench changes.
//!
//! It is asked as anybody would ask it: by its own command line and client.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use client::{Client, Options, Route};
use tokio::runtime::Handle;
use types::StoreId;

use super::nodes::{self, Node};
use super::{Result, Settings, turn};

/// Nodes that a cluster is born with.
const FOUNDERS: usize = 3;
/// How long anything may take that is not measured.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much longer with each region that there is.
const PATIENCE_EACH: Duration = Duration::from_millis(20);
/// How often is looked whether it has come about.
const POLL: Duration = Duration::from_millis(100);
/// How long a caller goes on trying: longer than any outage that is measured.
const BUDGET: Duration = Duration::from_secs(40);
/// Keys at which regions are cut by one command; placement takes few more.
const CUTS_MAX: u64 = 1_000;
/// Leaders that are asked to move at a time.
const TRANSFERS_MAX: usize = 64;
/// What `crib status --exit-code` ends with where not all is well.
const UNHEALTHY: i32 = 7;

/// Three nodes, and those that have joined them.
pub struct Crib<'a> {
    settings: &'a Settings,
    dir: PathBuf,
    set: Vec<String>,
    /// Their processes.
    pub nodes: Vec<Node>,
    /// Where the founders are.
    addresses: Vec<String>,
    patience: Duration,
}

impl<'a> Crib<'a> {
    /// Starts a cluster in this directory, and waits until it is well.
    ///
    /// # Errors
    /// If it does not become so.
    pub fn start(settings: &'a Settings, dir: &Path, set: &[&str]) -> Result<Crib<'a>> {
        fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let mut addresses = nodes::free_addresses(2 * FOUNDERS)?;
        // So are stores numbered: see `store_id`.
        addresses.sort();
        let http = addresses.split_off(FOUNDERS);
        let mut crib = Crib {
            settings,
            dir: dir.to_owned(),
            set: set.iter().map(|&set| set.to_owned()).collect(),
            nodes: Vec::new(),
            addresses: addresses.clone(),
            patience: PATIENCE,
        };
        let founders = ["--founders".to_owned(), addresses.join(",")];
        for (grpc, http) in addresses.iter().zip(&http) {
            crib.node(grpc, http, &founders)?;
        }
        crib.wait_well()?;
        Ok(crib)
    }

    /// Starts one more node, which joins.
    ///
    /// # Errors
    /// If it cannot be started. Whether the others take it is seen later.
    pub fn join(&mut self) -> Result<()> {
        let addresses = nodes::free_addresses(2)?;
        let join = ["--join".to_owned(), self.addresses.join(",")];
        self.node(&addresses[0], &addresses[1], &join)
    }

    /// Starts a node, of which `birth` says to whom it belongs.
    fn node(&mut self, grpc: &str, http: &str, birth: &[String; 2]) -> Result<()> {
        let nth = self.nodes.len();
        let data = self.dir.join(format!("node{nth}")).display().to_string();
        let binary = self.settings.crib.display().to_string();
        let words: [&str; 12] = [
            &binary,
            "server",
            "--exit-with-parent",
            "--data-dir",
            &data,
            "--listen",
            grpc,
            "--http",
            http,
            &birth[0],
            &birth[1],
            "--cluster-token=bench",
        ];
        let mut command = words.map(str::to_owned).to_vec();
        self.set.iter().for_each(|set| command.extend(["--set".to_owned(), set.clone()]));
        let log = self.dir.join(format!("node{nth}.log"));
        self.nodes.push(Node::start(&self.settings.under, &command, log)?);
        Ok(())
    }

    /// A client of this cluster.
    ///
    /// # Errors
    /// If it cannot connect.
    pub fn client(&self, runtime: &Handle, is_batched: bool) -> Result<Client> {
        let options = Options { batched: is_batched, budget: BUDGET, ..Options::default() };
        runtime.block_on(Client::connect(&self.addresses, options)).map_err(|e| e.to_string())
    }

    fn ask(&self, args: &[&str]) -> Result<Output> {
        Command::new(&self.settings.crib)
            .args(["--endpoints", &self.addresses.join(",")])
            .args(args)
            .output()
            .map_err(|error| format!("{}: {error}", self.settings.crib.display()))
    }

    /// Does what a command says.
    fn tell(&self, args: &[&str]) -> Result<()> {
        let output = self.ask(args)?;
        if output.status.success() {
            return Ok(());
        }
        // Of a command that cuts at a thousand keys the beginning says enough.
        let command = args.iter().take(4).copied().collect::<Vec<&str>>().join(" ");
        Err(format!("crib {command}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Waits until the cluster says that it is well.
    ///
    /// # Errors
    /// If it does not, or a node has ended.
    pub fn wait_well(&mut self) -> Result<()> {
        let timeout = format!("{}s", self.patience.as_secs());
        self.tell(&["status", "--exit-when-healthy", "--timeout", &timeout])?;
        nodes::check_alive(&mut self.nodes)
    }

    /// Waits until the cluster says that it is not well, as after a node was killed.
    ///
    /// # Errors
    /// If it does not.
    pub fn wait_unwell(&self) -> Result<()> {
        let args = ["status", "--exit-code"];
        let until = Instant::now() + self.patience;
        loop {
            let output = self.ask(&args)?;
            if output.status.code() == Some(UNHEALTHY) {
                return Ok(());
            }
            // Nor can it be asked for a moment, if the node led placement.
            if Instant::now() > until {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                return Err(format!("nobody noticed that a node is gone: {said}"));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Why a store is as it is, in placement's words, each sentence behind the other.
    pub fn explained(&self, store: u64) -> String {
        let said = self.ask(&["explain", "store", &store.to_string()]);
        said.map_or_else(
            |why| why,
            |output| String::from_utf8_lossy(&output.stdout).replace('\n', "; "),
        )
    }

    /// Complains if the cluster is not well now.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check_well(&mut self) -> Result<()> {
        nodes::check_alive(&mut self.nodes)?;
        self.tell(&["status", "--exit-code"])
    }

    /// Cuts the keys of a bench into so many regions of the same number of keys, and deals their
    /// leaders out over the founders. Returns how long each of both took.
    ///
    /// # Errors
    /// If that does not come about.
    pub fn cut(
        &mut self,
        runtime: &Handle,
        client: &Client,
        regions: usize,
        keys: u64,
    ) -> Result<[Duration; 2]> {
        let begun = Instant::now();
        let count = regions as u64;
        if count < 2 {
            return Ok([Duration::ZERO; 2]);
        }
        self.patience = PATIENCE + PATIENCE_EACH * u32::try_from(count).unwrap_or(u32::MAX);
        let mut first = 1;
        while first < count {
            let next = (first + CUTS_MAX).min(count);
            let cut = |nth| turn::keys(keys).key_of(keys * nth / count);
            let cuts: Vec<String> =
                (first..next).map(|nth| String::from_utf8_lossy(&cut(nth)).into_owned()).collect();
            let mut args = vec!["region", "split"];
            cuts.iter().for_each(|cut| args.extend(["--at", cut]));
            self.tell(&args)?;
            // The next ones cut the last region of these: it must be known.
            let until = Instant::now() + self.patience;
            while led(runtime, client)?.is_none_or(|routes| (routes.len() as u64) < next) {
                if Instant::now() > until {
                    return Err(format!("a split did not come about: {first} of {count} regions"));
                }
                std::thread::sleep(POLL);
            }
            first = next;
        }
        let cut = begun.elapsed();
        self.deal(runtime, client)?;
        Ok([cut, begun.elapsed() - cut])
    }

    /// Deals the leaders of all regions out over the founders: also of those that no key of the
    /// bench lies in, or placement would level them by others.
    ///
    /// # Errors
    /// If that does not come about.
    pub fn deal(&mut self, runtime: &Handle, client: &Client) -> Result<()> {
        let until = Instant::now() + self.patience;
        loop {
            let routes = runtime.block_on(client.every_region()).map_err(|why| why.to_string())?;
            let wanted = routes.iter().enumerate().map(|(nth, of)| (of, store_id(nth % FOUNDERS)));
            let elsewhere: Vec<(u64, u64)> = wanted
                .filter(|(of, store)| of.leader.is_none_or(|leader| leader.store != *store))
                .map(|(of, store)| (of.region.id.get(), store.get()))
                .collect();
            if elsewhere.is_empty() && !routes.is_empty() {
                return Ok(());
            }
            for some in elsewhere.chunks(TRANSFERS_MAX) {
                let ask = |&(region, store): &(u64, u64)| {
                    let admin = client.admin();
                    runtime.spawn(async move { admin.transfer_leader(region, store).await })
                };
                for asked in some.iter().map(ask).collect::<Vec<_>>() {
                    // Whether it has come about is seen in the next round.
                    let _ = runtime.block_on(asked);
                }
            }
            if Instant::now() > until {
                let (left, of) = (elsewhere.len(), routes.len());
                return Err(format!("leaders could not be dealt out: {left} of {of} elsewhere"));
            }
            std::thread::sleep(5 * POLL);
        }
    }
}

/// Node `nth` is this store: founders are numbered in the order of their addresses.
pub fn store_id(nth: usize) -> StoreId {
    StoreId::new(nth as u64 + 1).expect("not zero")
}

/// The regions that the keys of a bench lie in; none if one of them has no known leader.
///
/// # Errors
/// If placement cannot be asked.
pub fn led(runtime: &Handle, client: &Client) -> Result<Option<Vec<Route>>> {
    let range = turn::keys(0).from(0);
    let routes = runtime.block_on(client.regions(&range)).map_err(|error| error.to_string())?;
    Ok(routes.iter().all(|route| route.leader.is_some()).then_some(routes))
}

/// The region that all keys lie in, and the store that leads it.
///
/// # Errors
/// If none is known.
pub fn only_leader(runtime: &Handle, client: &Client) -> Result<(u64, u64)> {
    let route = led(runtime, client)?.and_then(|mut routes| routes.pop());
    let leader = route.and_then(|route| Some((route.region.id.get(), route.leader?.store.get())));
    leader.ok_or_else(|| "no leader is known".to_owned())
}
