//! Ways between nodes are cut, each in one direction: from one to another, from one to all, from
//! all to one. What a node says does not arrive, or what it should hear. Clients reach all of them.

use std::sync::Arc;

use cluster::crib::{Cluster, Load, Node, Options};

use crate::{led, options, with_regions};

fn proxied(test: &str) -> Options {
    Options { is_proxied: true, ..options(test) }
}

async fn while_cut(cluster: &Cluster, load: &Load, ways: &[(&Arc<Node>, &Arc<Node>)]) {
    for (from, to) in ways {
        cluster.proxies.cut(from, to);
    }
    load.more(300).await;
    // Stores hear of each other twice a second, whatever else they have to say.
    for _ in 0..500 {
        if cluster.proxies.held() > 0 {
            break;
        }
        load.more(50).await;
    }
    assert!(cluster.proxies.held() > 0, "nothing was kept back: the cut is none");
    cluster.proxies.heal();
    load.more(100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_way_between_two_is_cut_and_all_goes_on() {
    let (cluster, client) = with_regions(proxied("one way")).await;
    let load = Load::start(&cluster).await;
    let nodes = cluster.nodes();
    for from in &nodes {
        for to in nodes.iter().filter(|to| to.address != from.address) {
            println!("one way: {} to {}, {:?}", from.address, to.address, led(&client).await);
            while_cut(&cluster, &load, &[(from, to)]).await;
        }
    }
    cluster.assert_all_run();
    load.finish(&cluster).await;
    cluster.wait_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_that_is_not_heard_or_does_not_hear_loses_what_it_leads() {
    let (cluster, client) = with_regions(proxied("deaf or dumb")).await;
    let load = Load::start(&cluster).await;
    let nodes = cluster.nodes();
    for one in &nodes {
        let others: Vec<&Arc<Node>> = nodes.iter().filter(|to| to.address != one.address).collect();
        println!("deaf or dumb: {}, {:?}", one.address, led(&client).await);
        while_cut(&cluster, &load, &[(one, others[0]), (one, others[1])]).await;
        while_cut(&cluster, &load, &[(others[0], one), (others[1], one)]).await;
        let both = [(one, others[0]), (one, others[1]), (others[0], one), (others[1], one)];
        while_cut(&cluster, &load, &both).await;
    }
    cluster.assert_all_run();
    load.finish(&cluster).await;
    cluster.wait_healthy().await;
}
