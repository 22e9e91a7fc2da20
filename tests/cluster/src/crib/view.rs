//! What a cluster says of itself, and waits for what it should say.

use client::Client;
use proto::crib::placement::v1::{
    ListRegionsRequest, RegionReport, StatusResponse, Store, StoreState,
};

use super::cluster::{Cluster, until};

impl Cluster {
    /// Waits until every node that runs is a store that is up, and every region is whole.
    pub async fn wait_healthy(&self) -> StatusResponse {
        let client = self.client().await;
        let running: Vec<String> = self.running();
        let mut asked = 0_u32;
        until("a healthy cluster", async || {
            let status = client.admin().status().await;
            asked += 1;
            // Every ten seconds or more.
            if asked.is_multiple_of(200) {
                let why = status.as_ref().map(|status| &status.problems);
                eprintln!("{}: not healthy yet: {why:?}", self.options.test);
            }
            let status = status.ok()?;
            let up = |address: &String| {
                let store = status.stores.iter().find(|store| store.address == *address);
                store.is_some_and(|store| store.state() == StoreState::Up)
            };
            let is_well = status.problems.is_empty()
                && status.is_prepared
                && status.regions > 0
                && status.regions_without_leader == 0
                && status.regions_under_replicated == 0
                && running.iter().all(up);
            is_well.then_some(status)
        })
        .await
    }

    fn running(&self) -> Vec<String> {
        let nodes = self.nodes();
        nodes.iter().filter(|node| node.runs()).map(|node| node.address.clone()).collect()
    }

    /// Fails if a node is gone that nobody stopped.
    ///
    /// # Panics
    /// Then.
    pub fn assert_all_run(&self) {
        for node in self.nodes() {
            assert!(node.runs(), "{} ended by itself: {}", node.address, node.last_words());
        }
    }
}

/// The store of a node, as placement has it.
pub async fn store_of(client: &Client, address: &str) -> Store {
    let what = format!("a store at {address}");
    until(&what, async || {
        let stores = client.admin().list_stores(true).await.ok()?;
        stores.into_iter().find(|store| store.address == address)
    })
    .await
}

/// All regions with their leaders.
pub async fn regions(client: &Client) -> Vec<RegionReport> {
    let request = ListRegionsRequest { limit: 10_240, ..Default::default() };
    until("a list of regions", async || client.admin().list_regions(request.clone()).await.ok())
        .await
}
