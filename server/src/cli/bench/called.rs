//! The cluster that a bench calls: a client, what it says of itself, whether it is well, and which
//! of its processes are on this machine.

use std::sync::Arc;
use std::time::Duration;

use client::{Admin, Client, Options};
use load::summary::Cluster;
use load::{Etcd, Failed, Watch, processes};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::args::{Kind, LoadArgs};
use crate::cli::connect::Target;
use crate::cli::status;
use crate::errors::{self, Failure};
use crate::view::{Status, Store};

/// How long a node may take to take a connection.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// Where etcd is looked for if nobody says.
const ETCD: &str = "127.0.0.1:2379";

/// A cluster, before it is called.
pub(super) struct Called {
    pub(super) target: load::Target,
    pub(super) cluster: Cluster,
    pub(super) watch: Watch,
    /// What is wrong with it already.
    pub(super) problem: Option<String>,
}

impl Called {
    /// Connects.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub(super) async fn connect(args: &LoadArgs, target: &Target) -> Result<Called, Failure> {
        match args.target {
            Kind::Crib => crib(args, target).await,
            Kind::Etcd => etcd(target).await,
        }
    }
}

async fn crib(args: &LoadArgs, target: &Target) -> Result<Called, Failure> {
    let mode = target.mode().await?;
    let options = Options { batched: !args.unary, ..target.options(mode) };
    let client = Client::connect(&target.endpoints, options).await?;
    let admin = client.admin();
    let status = Status::from(admin.status().await?);
    let stores: Vec<_> = status.stores.iter().filter(|store| store.state != "removed").collect();
    let mut versions: Vec<String> = stores.iter().map(|store| store.version.clone()).collect();
    versions.sort();
    versions.dedup();
    let addresses: Vec<String> = stores.iter().map(|store| store.address.clone()).collect();
    let servers = processes::listening_at(&addresses).unwrap_or_default();
    let cluster = Cluster {
        kind: "crib",
        via: if args.unary { "single calls" } else { "the batched stream" }.to_owned(),
        endpoints: target.endpoints.clone(),
        versions,
        nodes: stores.len(),
        replicas: usize::try_from(status.replicas).unwrap_or(usize::MAX),
    };
    let ask = {
        let begun = Arc::new(status.clone());
        move || -> load::Wellness { Box::pin(wellness(admin.clone(), Arc::clone(&begun))) }
    };
    let watch = Watch { wellness: Some(Arc::new(ask)), servers };
    let problem = problem(&status);
    Ok(Called { target: load::Target::Crib(client), cluster, watch, problem })
}

/// Whether all is well, and no node has gone or begun anew since then. Placement waits for a while
/// before it takes a store for gone; a bench that ran meanwhile would not hear of it.
async fn wellness(admin: Admin, begun: Arc<Status>) -> Result<(), String> {
    let status = Status::from(admin.status().await.map_err(|error| error.to_string())?);
    if let Some(problem) = problem(&status).or_else(|| restarted(&begun, &status)) {
        return Err(problem);
    }
    for store in status.stores.iter().filter(|store| store.state != "removed") {
        let connected = timeout(CONNECT_MAX, TcpStream::connect(&store.address)).await;
        let why = match connected {
            Ok(Ok(_)) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => format!("not connected within {CONNECT_MAX:?}"),
        };
        return Err(format!("store {} ({}): {why}", store.id, store.address));
    }
    Ok(())
}

/// A store that was started again since then.
fn restarted(begun: &Status, now: &Status) -> Option<String> {
    let life = |store: &Store| begun.stores.iter().find(|of| of.id == store.id).map(|of| of.life);
    let store =
        now.stores.iter().find(|store| life(store).is_some_and(|life| life < store.life))?;
    Some(format!("store {} ({}) was started again", store.id, store.address))
}

fn problem(status: &Status) -> Option<String> {
    let wrong = status::wrong(status).join(", ");
    (!wrong.is_empty()).then_some(wrong)
}

async fn etcd(target: &Target) -> Result<Called, Failure> {
    let endpoints = target.named().unwrap_or_else(|| vec![ETCD.to_owned()]);
    let etcd = Etcd::connect(&endpoints, target.short()).await.map_err(|failed| told(&failed))?;
    let about = etcd.about().await.map_err(|failed| told(&failed))?;
    let cluster = Cluster {
        kind: "etcd",
        via: "connections to all endpoints".to_owned(),
        endpoints: etcd.endpoints().to_vec(),
        versions: about.versions,
        nodes: about.members,
        replicas: about.members,
    };
    let listening = processes::listening_at(etcd.endpoints()).unwrap_or_default();
    let servers = all_or_none(listening, about.members);
    let asked = etcd.clone();
    let ask = move || -> load::Wellness {
        let etcd = asked.clone();
        Box::pin(async move { etcd.about().await.map(drop).map_err(|failed| failed.why) })
    };
    let watch = Watch { wellness: Some(Arc::new(ask)), servers };
    Ok(Called { target: load::Target::Etcd(etcd), cluster, watch, problem: None })
}

/// The processes of which CPU is measured: those of all members, or of none. What some of them
/// spend is no figure of the cluster.
fn all_or_none<T>(processes: Vec<T>, members: usize) -> Vec<T> {
    if processes.len() == members { processes } else { Vec::new() }
}

/// What went wrong with etcd before anything was measured.
fn told(failed: &Failed) -> Failure {
    if failed.kind == "not connected" {
        return Failure::new(&errors::CANNOT_CONNECT, "cannot connect to etcd")
            .why(&failed.why)
            .next("start etcd, or name its nodes with --endpoints host:port");
    }
    Failure::new(&errors::UNHEALTHY, "etcd is not healthy")
        .why(failed.to_string())
        .next("see `etcdctl endpoint status --cluster`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::tests as fake;

    #[test]
    fn cpu_of_some_members_is_not_that_of_the_cluster() {
        assert_eq!(all_or_none(vec![1, 2, 3], 3), [1, 2, 3]);
        assert!(all_or_none(vec![1], 3).is_empty() && all_or_none(vec![1, 2], 1).is_empty());
    }

    #[test]
    fn store_that_was_started_again_is_found() {
        let begun = Status::from(fake::status());
        assert_eq!(restarted(&begun, &begun), None);
        let mut now = begun.clone();
        now.stores[1].life += 1;
        let found = restarted(&begun, &now).unwrap();
        assert_eq!(found, "store 2 (127.0.0.1:6712) was started again");
    }

    #[test]
    fn etcd_that_is_down_is_told_from_one_that_is_not_well() {
        let entry = |kind| told(&Failed { kind, why: String::new() }).entry;
        assert_eq!(entry("not connected"), &errors::CANNOT_CONNECT);
        assert_eq!(entry("unhealthy"), &errors::UNHEALTHY);
    }
}
