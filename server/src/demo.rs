//! `crib demo`: a cluster of processes on this machine.
//!
//! 1. The plan: which nodes, where; what is in the directory already. Whatever cannot work is told
//!    before anything is started.
//! 2. Each node is a process of this same binary. It ends with this one, however this one ends: its
//!    standard input is a pipe from here.
//! 3. When all stores are up and all regions are led, the nodes are printed.
//! 4. A signal stops them; a second one does so at once. The data stays.

pub(crate) mod children;
pub(crate) mod plan;

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use self::children::Children;
use self::plan::{Node, Plan, is_removed};
use crate::cli::args::DemoArgs;
use crate::cli::connect::Target;
use crate::cli::output::{Output, Table};
use crate::cli::status;
use crate::errors::Failure;
use crate::lock;
use crate::run::Signals;
use crate::view::Status;

/// How long a cluster may take to be well.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is printed when it is ready.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Ready {
    cluster_id: String,
    nodes: Vec<ReadyNode>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct ReadyNode {
    id: u64,
    pid: u32,
    grpc: String,
    http: String,
    data_dir: String,
}

/// Runs a cluster until it is told to stop.
///
/// # Errors
/// If it cannot be started, or no node is left.
pub async fn run(args: &DemoArgs, output: &Output) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let begun = Instant::now();
    let plan = Plan::new(args)?;
    // Held until the end: two demos in one directory would take each other's nodes for their own.
    let _lock = lock::take(&plan.dir)?;
    plan.check_ports()?;
    plan.save()?;
    output.note(&format!("starting {} nodes in {}", plan.nodes.len(), plan.dir.display()));
    let mut children = Children::start(&plan)?;
    let result = live(&plan, &mut children, &mut signals, begun, output).await;
    output.note("stopping; the data is kept");
    children.stop(&mut signals).await;
    result
}

async fn live(
    plan: &Plan,
    children: &mut Children,
    signals: &mut Signals,
    begun: Instant,
    output: &Output,
) -> Result<(), Failure> {
    let target = Target::plain(plan.nodes.iter().map(|node| node.grpc.clone()).collect());
    let mut there = plan.nodes.clone();
    let status = loop {
        let ready = status::healthy(&target, there.len(), begun + PATIENCE, output);
        tokio::select! {
            ready = Box::pin(ready) => break ready.map_err(|failure| {
                failure.next(format!("look at the logs of the nodes: {}", plan.logs()))
            })?,
            (node, died) = children.death() => {
                // Its store was removed while it did not run: it has just heard of that.
                if !is_removed(&node.dir) || children.is_empty() {
                    return Err(died);
                }
                output.note(&format!("node {} has left: its store was removed", node.number));
                there.retain(|other| *other != node);
            }
            () = signals.next() => return Ok(()),
        }
    };
    let ready = ready_line(&there, children, &status);
    output.data(&ready, || text(plan, &ready, begun.elapsed(), output))?;
    loop {
        tokio::select! {
            () = signals.next() => return Ok(()),
            (_, died) = children.death() => {
                if children.is_empty() {
                    return Err(died);
                }
                // Somebody tries what happens then: that is what a demo is for.
                output.note(died.to_string().trim_end());
            }
        }
    }
}

fn ready_line(there: &[Node], children: &Children, status: &Status) -> Ready {
    let nodes = there.iter().map(|node| {
        let store = status.stores.iter().find(|store| store.address == node.grpc);
        ReadyNode {
            id: store.map_or(u64::from(node.number), |store| store.id),
            pid: children.pid(node.number),
            grpc: node.grpc.clone(),
            http: node.http.clone(),
            data_dir: node.dir.display().to_string(),
        }
    });
    Ready { cluster_id: status.cluster_id.clone(), nodes: nodes.collect() }
}

fn text(plan: &Plan, ready: &Ready, took: Duration, output: &Output) -> String {
    let mut table = Table::new(&["STORE", "GRPC", "HTTP", "PID", "DATA"]);
    for node in &ready.nodes {
        table.row([
            node.id.to_string(),
            node.grpc.clone(),
            node.http.clone(),
            node.pid.to_string(),
            node.data_dir.clone(),
        ]);
    }
    let endpoints = match plan.is_found_by_default() {
        true => String::new(),
        false => {
            let first = ready.nodes.first().map_or("", |node| &node.grpc);
            format!(" --endpoints {first}")
        }
    };
    format!(
        "\n{}\ncluster {} is ready in {:.1} s; Ctrl-C stops it, and the data is kept\n\
         try in another terminal: crib kv put hello world{endpoints}\n",
        output.table(&table),
        ready.cluster_id,
        took.as_secs_f64()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_line_is_the_contract_with_scripts() {
        let node = ReadyNode {
            id: 1,
            pid: 123,
            grpc: "127.0.0.1:6711".to_owned(),
            http: "127.0.0.1:6781".to_owned(),
            data_dir: "/d/node1".to_owned(),
        };
        let ready = Ready { cluster_id: "77".to_owned(), nodes: vec![node] };
        assert_eq!(
            crate::cli::output::json(&ready),
            "{\"cluster_id\":\"77\",\"nodes\":[{\"id\":1,\"pid\":123,\"grpc\":\"127.0.0.1:6711\",\
             \"http\":\"127.0.0.1:6781\",\"data_dir\":\"/d/node1\"}]}"
        );
    }
}
