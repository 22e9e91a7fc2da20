//! What people do: they drain a store, and take the drain back. Also what is looked at from outside
//! now and then: replicas of a region with the same slots applied have the same data.

use std::collections::BTreeMap;
use std::ops::Bound;

use multiraft::GroupStatus;
use multiraft::shard::Event;
use placement::state::Life;
use storage::{Cf, Direction};
use types::{GroupId, Index, KeyRange, StoreId, Time};

use super::check::Replicas;
use super::glue::Asked;
use super::tally::Kind;
use super::world::{Happening, World};
use crate::check::Violation;
use crate::dice::Stream;
use crate::plan::MS;

const EVERY: u64 = 500 * MS;

/// The pairs of a range.
pub(crate) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

impl World<'_> {
    pub(crate) fn people(&mut self) {
        self.after(EVERY, Happening::People);
        if self.healed {
            return;
        }
        let now = self.agenda.now();
        if self.plan.loses_at.take_if(|at| *at <= now).is_some() {
            self.lose_for_long();
        }
        if self.plan.drains_at.is_some_and(|at| at <= now) {
            self.begin_drain();
        }
    }

    /// A store stays away until its replicas were given up.
    fn lose_for_long(&mut self) {
        // Not the one store besides the founders: without it there is no other place.
        let at = self.dice.nth(Stream::People, self.plan.founders);
        let wait = self.dice.of(Stream::People).between((7_000, 10_000)) * MS;
        self.hosts[at].away_until = Time(self.agenda.now().0 + wait);
        self.stop(at);
        self.lose_power(at);
        self.tally.add(Kind::Lost, 1);
        self.say(|world| format!("{} stays away", world.hosts[at].node.id));
        self.after(wait, Happening::Start { at });
    }

    fn begin_drain(&mut self) {
        let Some(leader) = self.placement_leader() else { return };
        let Some(agreed) = self.state(leader) else { return };
        if agreed.stores.values().any(|store| store.life == Life::Draining) {
            return;
        }
        // What was asked before may be lost, with whoever led.
        let stores: Vec<StoreId> = self.hosts.iter().filter_map(|host| host.store).collect();
        let before = self.drains.map(|(store, _)| store);
        let Some(store) = before.or_else(|| self.dice.of(Stream::People).pick(&stores)) else {
            return;
        };
        if self.may_drain(leader, store).is_ok() {
            self.say(|_| format!("{store} is to be drained"));
            self.set_life(leader, store, Life::Draining);
            self.drains = Some((store, false));
        }
    }

    /// Whether the drained store is empty, once that can be seen.
    pub(crate) fn look_at_drain(&mut self) {
        let Some((store, false)) = self.drains else { return };
        let Some(agreed) = self.placement_leader().and_then(|at| self.state(at)) else { return };
        let Some(at) = self.place_of(store) else { return };
        let Some(glue) = &self.hosts[at].glue else { return };
        let drains = agreed.stores.get(&store).is_some_and(|of| of.life == Life::Draining);
        if drains && glue.regions.all().is_empty() {
            self.drains = Some((store, true));
            self.tally.add(Kind::Drained, 1);
        }
    }

    pub(crate) fn sample(&mut self) {
        self.after(EVERY, Happening::Sample);
        self.look_at_drain();
        let regions = self.checks.lock().cover.ids();
        for _ in 0..3 {
            if let Some(region) = self.dice.of(Stream::Samples).pick(&regions) {
                let found = self.compare(region);
                self.checks.lock().report(found);
            }
        }
    }

    /// Replicas of a region that have the same slots applied are the same.
    pub(crate) fn compare(&mut self, region: GroupId) -> Result<(), Violation> {
        let mut seen: BTreeMap<Index, (StoreId, (KeyRange, Pairs))> = BTreeMap::new();
        for at in 0..self.hosts.len() {
            let Some(status) = self.look_from_outside(at, region) else { continue };
            let (Some(state), Some(store)) = (self.state_of(at, region), self.hosts[at].store)
            else {
                continue;
            };
            let range = state.region.range.clone();
            let Some(pairs) = self.pairs(at, &range) else { continue };
            let is = (range, pairs);
            match seen.get(&status.applied) {
                Some((other, known)) => {
                    self.tally.add(Kind::Compared, 1);
                    Replicas::compared(region, (*other, known), (store, &is))?;
                }
                None => {
                    seen.insert(status.applied, (store, is));
                }
            }
        }
        Ok(())
    }

    /// The group on a store, as it is now.
    pub(crate) fn look_from_outside(&mut self, at: usize, group: GroupId) -> Option<GroupStatus> {
        if self.hosts[at].node.paused_until > self.agenda.now() {
            return None;
        }
        self.status = None;
        self.ask(at, Asked::Status, |token| Event::Look { group, token });
        self.status.take()
    }

    /// What a store has of a range.
    fn pairs(&self, at: usize, range: &KeyRange) -> Option<Pairs> {
        let engine = &self.hosts[at].node.up.as_ref()?.engine;
        let mut pairs = Vec::new();
        let end = match range.end.as_slice() {
            [] => Bound::Unbounded,
            end => Bound::Excluded(end),
        };
        let bounds = (Bound::Included(range.start.as_slice()), end);
        let each = &mut |key: &[u8], value: &[u8]| {
            pairs.push((key.to_vec(), value.to_vec()));
            true
        };
        engine.view().scan(Cf::Default, bounds, Direction::Forward, each).ok()?;
        Some(pairs)
    }
}
