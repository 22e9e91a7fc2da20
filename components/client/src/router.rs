//! From a key to the store that answers for it, and from failures to what is known better.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use proto::kvrpcpb::Context;
use types::{GroupId, Region, RegionPeer, StoreId};

use crate::backoff::{Attempt, Budget, Setback};
use crate::command::{Body, Command};
use crate::convert;
use crate::error::Result;
use crate::keys::Keys;
use crate::options::Options;
use crate::placement::Placement;
use crate::region_cache::{RegionCache, Route};
use crate::stores::Stores;
use crate::verdict::{self, Lesson, Verdict};

/// The parts of a client.
pub(crate) struct Router {
    pub(crate) options: Arc<Options>,
    pub(crate) keys: Keys,
    pub(crate) placement: Placement,
    stores: Stores,
    cache: Mutex<RegionCache>,
    /// Whose turn it is, of the peers of regions without a known leader.
    turn: AtomicUsize,
}

impl Router {
    pub(crate) fn new(options: Arc<Options>, keys: Keys, placement: Placement) -> Router {
        let stores = Stores::new(Arc::clone(&options));
        let (cache, turn) = (Mutex::default(), AtomicUsize::new(0));
        Router { options, keys, placement, stores, cache, turn }
    }

    /// The region that has a key, in the form of bounds.
    pub(crate) async fn locate(&self, key: &[u8], budget: &mut Budget) -> Result<Route> {
        loop {
            if let Some(route) = self.cache.lock().find(key).cloned() {
                return Ok(route);
            }
            // Large, and rare.
            if let Some(route) = Box::pin(self.placement.region(key, budget)).await? {
                // One that is refused is older than what is known, which does not have the key. The
                // store that it leads to knows better than both.
                self.cache.lock().insert(route.clone());
                if route.region.range.contains(key) {
                    return Ok(route);
                }
            }
            tracing::debug!("placement knows no region with the key");
            budget.pause(Setback::harmless("placement knows no region with the key")).await?;
        }
    }

    /// The region that has the keys just before this one; empty is behind all keys.
    pub(crate) async fn locate_before(&self, key: &[u8], budget: &mut Budget) -> Result<Route> {
        loop {
            if let Some(route) = self.cache.lock().find_before(key).cloned() {
                return Ok(route);
            }
            let found = if key.is_empty() {
                Some(self.locate_last(budget).await?)
            } else {
                match self.placement.region(key, budget).await? {
                    // The key is the first of its region.
                    Some(route) if route.region.range.start == key => {
                        self.placement.region_before(key, budget).await?
                    }
                    other => other,
                }
            };
            if let Some(route) = found {
                self.cache.lock().insert(route.clone());
                let range = &route.region.range;
                let is_behind = key.is_empty() || range.start.as_slice() < key;
                let reaches =
                    range.end.is_empty() || (!key.is_empty() && range.end.as_slice() >= key);
                if is_behind && reaches {
                    return Ok(route);
                }
            }
            budget.pause(Setback::harmless("placement knows no region before the key")).await?;
        }
    }

    /// The last region: there is no call for it, so one goes from a high key to the end.
    async fn locate_last(&self, budget: &mut Budget) -> Result<Route> {
        let mut key = vec![0xff; 32];
        loop {
            let route = self.locate(&key, budget).await?;
            if route.region.range.end.is_empty() {
                return Ok(route);
            }
            key.clone_from(&route.region.range.end);
        }
    }

    /// Does a command that is for one key, wherever that is.
    pub(crate) async fn send(&self, key: &[u8], command: Command) -> Result<Body> {
        let mut budget = Budget::new(&self.options, command.kind());
        let result = self.send_within(&self.keys.bound(key), command, &mut budget).await;
        result.map_err(|error| budget.settle(error))
    }

    async fn send_within(
        &self,
        bound: &[u8],
        command: Command,
        budget: &mut Budget,
    ) -> Result<Body> {
        loop {
            let route = self.locate(bound, budget).await?;
            // Boxed: it would be copied at each of the steps that a caller's future has here.
            match Box::pin(self.attempt(&route, command.clone(), budget)).await? {
                Ok(body) => return Ok(body),
                Err(setback) => budget.pause(setback).await?,
            }
        }
    }

    /// Sends a command to a region, once. What its failure taught is known afterwards.
    ///
    /// # Errors
    /// The outer one is final; the inner one may be followed by another attempt.
    pub(crate) async fn attempt(
        &self,
        route: &Route,
        mut command: Command,
        budget: &mut Budget,
    ) -> Result<Attempt<Body>> {
        let Some(peer) = self.peer_to_ask(route) else {
            self.forget(&route.region);
            return Ok(Err(Setback::harmless(format!("{} has no peers", route.region.id))));
        };
        let store = match self.stores.get(peer.store, &self.placement, budget).await? {
            Ok(store) => store,
            Err(setback) => {
                self.doubt(route);
                return Ok(Err(setback));
            }
        };
        command.set_context(self.context(&route.region, peer));
        let verdict = match store.send(command, budget, &self.options).await {
            Ok(answer) => match answer.region_error {
                Some(error) => verdict::of_region_error(error),
                None if answer.error.is_empty() => return Ok(Ok(answer.body)),
                None => verdict::of_text(answer.error),
            },
            Err(verdict) => verdict,
        };
        let (mut setback, lesson) = match verdict {
            Verdict::Final(error) => return Err(error),
            Verdict::Again(setback, lesson) => (setback, lesson),
        };
        let (region, why) = (route.region.id, &setback.why);
        tracing::debug!(%region, store = %peer.store, why, "not done");
        if lesson == Lesson::Store {
            self.stores.lose(peer.store, &store);
        }
        if !self.learn(route, peer, lesson) {
            // The same peer would say the same.
            setback.pause = setback.pause.or_backoff();
        }
        Ok(Err(setback))
    }

    /// The leader; or one of the others, in turn, who will say who leads.
    fn peer_to_ask(&self, route: &Route) -> Option<RegionPeer> {
        let peers = &route.region.peers;
        let any = || {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            turn.checked_rem(peers.len()).map(|at| peers[at])
        };
        route.leader.or_else(any)
    }

    fn context(&self, region: &Region, peer: RegionPeer) -> Context {
        let Region { id, epoch, .. } = region;
        Context {
            region_id: id.get(),
            region_epoch: Some((*epoch).into()),
            peer: Some(peer.into()),
            api_version: self.keys.api_version().into(),
            ..Default::default()
        }
    }

    /// Takes in what a failure taught. Returns whether the next attempt goes somewhere else.
    fn learn(&self, route: &Route, asked: RegionPeer, lesson: Lesson) -> bool {
        match lesson {
            Lesson::Nothing => false,
            Lesson::Region | Lesson::Store => {
                self.forget(&route.region);
                true
            }
            Lesson::Peer => {
                self.doubt(route);
                true
            }
            Lesson::Leader(leader) => self.learn_leader(route, asked, leader),
            Lesson::Regions(regions) => self.learn_regions(route, asked.store, regions),
        }
    }

    fn learn_leader(&self, route: &Route, asked: RegionPeer, leader: RegionPeer) -> bool {
        let Region { id, epoch, .. } = route.region;
        let mut cache = self.cache.lock();
        // One that names itself, and refuses, is of no use; nor is one that we do not know.
        if leader.id == asked.id || !cache.set_leader(id, epoch, leader) {
            cache.invalidate(id, epoch);
            return leader.id != asked.id;
        }
        true
    }

    fn learn_regions(
        &self,
        route: &Route,
        store: StoreId,
        regions: Vec<proto::metapb::Region>,
    ) -> bool {
        let mut cache = self.cache.lock();
        let regions: Vec<Region> = regions.iter().filter_map(convert::region).collect();
        // A store that is behind us will be where we are; the region is right.
        let is_behind = (regions.iter())
            .any(|told| told.id == route.region.id && told.epoch.is_older(route.region.epoch));
        if is_behind {
            return false;
        }
        if cache.learn(regions, store) == 0 {
            cache.invalidate(route.region.id, route.region.epoch);
            return false;
        }
        true
    }

    /// A peer cannot be asked. If it led, the others may know who leads instead, before placement
    /// does; if they do not, placement is asked.
    fn doubt(&self, route: &Route) {
        let Region { id, epoch, .. } = route.region;
        if route.leader.is_some() {
            self.cache.lock().lose_leader(id, epoch);
        } else {
            self.cache.lock().invalidate(id, epoch);
        }
    }

    /// Forgets a region, unless something newer is known of it.
    pub(crate) fn forget(&self, region: &Region) {
        self.cache.lock().invalidate(region.id, region.epoch);
    }

    /// A region by its id, from placement.
    pub(crate) async fn region(&self, id: GroupId, budget: &mut Budget) -> Result<Option<Route>> {
        let found = self.placement.region_by_id(id, budget).await?;
        if let Some(route) = &found {
            self.cache.lock().insert(route.clone());
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_call<'a, F>(_: impl Fn(&'a Router, &'a [u8], Command) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn call_is_small_enough_to_be_copied_at_each_step() {
        let size = size_of_call(Router::send);
        assert!(size <= 2_560, "{size} bytes: what is large or rare is to be boxed");
    }
}
