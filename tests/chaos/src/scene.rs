//! A scenario as it goes on: what is drawn, what was done so far, and how long to wait.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::crib::{Cluster, Node};
use proto::crib::placement::v1::{ListRegionsRequest, RegionReport};
use verify::faults::{Harm, Mark, Stage};
use verify::random::Random;
use verify::script::Fault;

/// How long something may take to come about. Far above what it takes.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a node says when it runs.
const RUNS: &str = "server::node: running";
/// How often it is looked at.
const PAUSE: Duration = Duration::from_millis(50);
/// Time of the load without a fault in the end.
const CALM_MS: u64 = 2_000;

/// Where harm is done, by whom, and what came of it.
pub(crate) struct Scene<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) cluster: &'a Cluster,
    pub(crate) lot: Random,
    /// When the load ends, in milliseconds.
    until_ms: u64,
    pub(crate) harm: Harm,
}

impl<'a> Scene<'a> {
    /// The beginning: nothing was done.
    pub(crate) fn new(
        stage: &'a Stage,
        cluster: &'a Cluster,
        seed: u64,
        until_ms: u64,
    ) -> Scene<'a> {
        let (lot, harm) = (Random::new(seed), Harm::default());
        Scene { stage, cluster, lot, until_ms, harm }
    }

    /// One of several.
    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.lot.below(all.len())]
    }

    /// From these up to those milliseconds.
    pub(crate) fn time(&mut self, least_ms: u64, most_ms: u64) -> Duration {
        let width = usize::try_from(most_ms - least_ms).unwrap_or(usize::MAX);
        Duration::from_millis(least_ms + self.lot.below(width) as u64)
    }

    /// Whether something that takes so long still fits in.
    pub(crate) fn fits(&self, time: Duration) -> bool {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.stage.now_ms() + ms + CALM_MS <= self.until_ms
    }

    /// A node from this number on that leads regions of the load, if any does, and its number.
    pub(crate) async fn leading(&mut self, first: usize) -> (usize, Arc<Node>) {
        let nodes = self.cluster.nodes();
        let mut leading = Vec::new();
        for (at, node) in nodes.iter().enumerate().skip(first) {
            if self.stage.led_by(&node.address).await > 0 {
                leading.push(at);
            }
        }
        let at = match leading.is_empty() {
            true => first + self.lot.below(nodes.len() - first),
            false => self.one_of(&leading),
        };
        (at, Arc::clone(&nodes[at]))
    }

    /// The id of the store at this address, once there is one.
    pub(crate) async fn store_at(&mut self, address: &str) -> Option<u64> {
        let (admin, mut id) = (self.stage.client().admin(), None);
        let what = format!("a store at {address}");
        self.expect(&what, async || {
            let stores = admin.list_stores(false).await.unwrap_or_default();
            id = stores.iter().find(|store| store.address == address).map(|store| store.id);
            id.is_some()
        })
        .await;
        id
    }

    /// Waits until something is so, which the cluster is expected to bring about; otherwise that is
    /// wrong of it.
    pub(crate) async fn expect(&mut self, what: &str, is_so: impl AsyncFnMut() -> bool) -> bool {
        let came = comes(PATIENCE, is_so).await;
        if !came {
            self.harm.wrong.push(format!("did not come about: {what}"));
        }
        came
    }

    /// Starts a node, and waits until it runs: the cluster may not have noticed that it was away.
    pub(crate) async fn start_again(&mut self, node: &Node) {
        let since = node.written();
        node.start();
        let what = format!("{} runs again", node.address);
        self.expect(&what, async || node.words_after(since).contains(RUNS)).await;
    }

    /// Waits until the cluster is well again; otherwise that is wrong of it.
    pub(crate) async fn until_well(&mut self) {
        if !self.stage.until_well().await {
            self.harm.wrong.push("the cluster is not well again after a fault".to_owned());
        }
    }

    /// Notes what was done, with the proof of it, or why there is none.
    pub(crate) fn note(
        &mut self,
        fault: Fault,
        from_ms: u64,
        target: impl ToString,
        seen: Result<String, String>,
    ) {
        let (proof, note) = match seen {
            Ok(proof) => (Some(proof), String::new()),
            Err(why) => (None, why),
        };
        let (to_ms, target) = (self.stage.now_ms(), target.to_string());
        let mark = Mark { fault, from_ms, to_ms, target, proof, note };
        println!("  {mark:?}");
        self.harm.marks.push(mark);
    }
}

/// A region of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) id: u64,
    /// The store that leads it; zero if none does.
    pub(crate) leader: u64,
    pub(crate) stores: Vec<u64>,
}

/// All regions of the cluster; none if nobody says.
pub(crate) async fn all_regions(stage: &Stage) -> Option<Vec<Region>> {
    let request = ListRegionsRequest { limit: 10_240, ..ListRegionsRequest::default() };
    let found = stage.client().admin().list_regions(request).await.ok()?;
    let region = |report: &RegionReport| {
        let region = report.region.as_ref()?;
        let leader = report.leader.as_ref().map_or(0, |leader| leader.store_id);
        let stores = region.peers.iter().map(|peer| peer.store_id).collect();
        Some(Region { id: region.id, leader, stores })
    };
    Some(found.iter().filter_map(region).collect())
}

/// Waits until something is so, for so long at most; whether it is.
pub(crate) async fn comes(within: Duration, mut is_so: impl AsyncFnMut() -> bool) -> bool {
    let begun = Instant::now();
    loop {
        if is_so().await {
            return true;
        }
        if begun.elapsed() >= within {
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Draws all of some things before any again, in an order that is drawn.
#[derive(Debug)]
pub(crate) struct Deck<T> {
    all: Vec<T>,
    left: Vec<T>,
}

impl<T: Copy + Debug> Deck<T> {
    /// A deck of these; not none.
    pub(crate) fn new(all: &[T]) -> Deck<T> {
        Deck { all: all.to_vec(), left: Vec::new() }
    }

    /// The next.
    pub(crate) fn draw(&mut self, lot: &mut Random) -> T {
        if self.left.is_empty() {
            self.left.clone_from(&self.all);
        }
        self.left.swap_remove(lot.below(self.left.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_drawn_before_any_again() {
        let (mut deck, mut lot) = (Deck::new(&[1, 2, 3]), Random::new(5));
        for _ in 0..10 {
            let mut round: Vec<i32> = (0..3).map(|_| deck.draw(&mut lot)).collect();
            round.sort_unstable();
            assert_eq!(round, [1, 2, 3]);
        }
    }
}
