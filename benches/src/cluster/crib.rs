//! Our cluster: three nodes with default settings, or with a few that a bench changes.
//!
//! It is asked as anybody would ask it: by its own command line and client.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use client::{Client, Options, Route};
use tokio::runtime::Handle;
use types::StoreId;

use super::nodes::{self, Node};
use super::{Result, Settings, turn};

/// How long anything may take that is not measured.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often is looked whether it has come about.
const POLL: Duration = Duration::from_millis(100);
/// How long a caller goes on trying: longer than any outage that is measured.
const BUDGET: Duration = Duration::from_secs(40);

/// Three nodes.
pub struct Crib<'a> {
    settings: &'a Settings,
    /// Their processes.
    pub nodes: Vec<Node>,
    addresses: Vec<String>,
}

impl<'a> Crib<'a> {
    /// Starts a cluster in this directory, and waits until it is well.
    ///
    /// # Errors
    /// If it does not become so.
    pub fn start(settings: &'a Settings, dir: &Path, set: &[&str]) -> Result<Crib<'a>> {
        fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let mut addresses = nodes::free_addresses(6)?;
        // So are stores numbered: see `store_id`.
        addresses.sort();
        let (grpc, http) = addresses.split_at(3);
        let founders = grpc.join(",");
        let node = |nth: usize| {
            let data = dir.join(format!("node{nth}")).display().to_string();
            let binary = settings.crib.display().to_string();
            let words: [&str; 12] = [
                &binary,
                "server",
                "--exit-with-parent",
                "--data-dir",
                &data,
                "--listen",
                &grpc[nth],
                "--http",
                &http[nth],
                "--founders",
                &founders,
                "--cluster-token=bench",
            ];
            let mut command = words.map(str::to_owned).to_vec();
            set.iter().for_each(|set| command.extend(["--set".to_owned(), (*set).to_owned()]));
            Node::start(&settings.under, &command, dir.join(format!("node{nth}.log")))
        };
        let nodes = (0..3).map(node).collect::<Result<_>>()?;
        let mut crib = Crib { settings, nodes, addresses: grpc.to_vec() };
        crib.wait_well()?;
        Ok(crib)
    }

    /// A client of this cluster.
    ///
    /// # Errors
    /// If it cannot connect.
    pub fn client(&self, runtime: &Handle, is_batched: bool) -> Result<Client> {
        let options = Options { batched: is_batched, budget: BUDGET, ..Options::default() };
        runtime.block_on(Client::connect(&self.addresses, options)).map_err(|e| e.to_string())
    }

    fn ask(&self, args: &[&str]) -> Result<String> {
        let output = Command::new(&self.settings.crib)
            .args(["--endpoints", &self.addresses.join(",")])
            .args(args)
            .output()
            .map_err(|error| format!("{}: {error}", self.settings.crib.display()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!("crib {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr)))
    }

    /// Waits until the cluster says that it is well.
    ///
    /// # Errors
    /// If it does not, or a node has ended.
    pub fn wait_well(&mut self) -> Result<()> {
        self.ask(&["status", "--exit-when-healthy", "--timeout", "60s"])?;
        nodes::check_alive(&mut self.nodes)
    }

    /// Complains if the cluster is not well now.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check_well(&mut self) -> Result<()> {
        nodes::check_alive(&mut self.nodes)?;
        self.ask(&["status", "--exit-code"]).map(drop)
    }

    /// Cuts the keys of a bench into so many regions of the same number of keys, and deals their
    /// leaders out over the stores.
    ///
    /// # Errors
    /// If that does not come about.
    pub fn cut(
        &mut self,
        runtime: &Handle,
        client: &Client,
        regions: usize,
        keys: u64,
    ) -> Result<()> {
        let key_of = |nth: u64| turn::keys(keys).key_of(keys * nth / regions as u64);
        let cuts: Vec<String> = (1..regions as u64)
            .map(|nth| String::from_utf8_lossy(&key_of(nth)).into_owned())
            .collect();
        if cuts.is_empty() {
            return Ok(());
        }
        let mut args = vec!["region", "split"];
        cuts.iter().for_each(|cut| args.extend(["--at", cut]));
        self.ask(&args)?;
        let until = Instant::now() + PATIENCE;
        while led(runtime, client)?.is_none_or(|routes| routes.len() < regions) {
            if Instant::now() > until {
                return Err("a split did not come about".to_owned());
            }
            std::thread::sleep(POLL);
        }
        self.deal(runtime, client)
    }

    /// Deals the leaders of all regions of the bench out over the stores.
    ///
    /// # Errors
    /// If that does not come about.
    pub fn deal(&mut self, runtime: &Handle, client: &Client) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        let admin = client.admin();
        loop {
            let routes = led(runtime, client)?.unwrap_or_default();
            let mut is_dealt = !routes.is_empty();
            for (nth, route) in routes.iter().enumerate() {
                let store = store_id(nth % 3);
                if route.leader.is_none_or(|leader| leader.store != store) {
                    is_dealt = false;
                    // Whether it has come about is seen in the next round.
                    let ask = admin.transfer_leader(route.region.id.get(), store.get());
                    let _ = runtime.block_on(ask);
                }
            }
            if is_dealt {
                return Ok(());
            }
            if Instant::now() > until {
                return Err("leaders could not be dealt out".to_owned());
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
