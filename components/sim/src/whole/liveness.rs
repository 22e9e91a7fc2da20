//! The second phase: everything heals, and the cluster must come to rest.

use std::collections::BTreeMap;

use placement::state::Life;
use raft::RoleStatus;
use storage::Faults;
use types::{GroupId, PeerRole, Region, StoreId, Time};

use super::faults::Link;
use super::seats::unseated;
use super::world::World;
use crate::check::Violation;
use crate::plan::MS;

/// How long coming to rest may take, in virtual time.
const PATIENCE: u64 = 120_000 * MS;
const STEP: u64 = 500 * MS;

impl World<'_> {
    pub(crate) fn liveness(&mut self) -> Result<(), Violation> {
        self.healed = true;
        self.plan.heal();
        self.links.iter_mut().for_each(|row| row.fill(Link::Open));
        for at in 0..self.hosts.len() {
            let host = &mut self.hosts[at];
            host.node.disk.set_faults(Faults::default());
            host.node.stalled_until = Time::ZERO;
            host.node.paused_until = Time::ZERO;
            host.away_until = Time::ZERO;
            if let Some(up) = &mut host.node.up {
                up.odd.calm();
            }
            if self.hosts[at].times != self.times.wanted {
                self.kill(at);
            }
            self.start(at);
        }
        let end = Time(self.agenda.now().0 + PATIENCE);
        self.wait_for(end, "every request ends", |world| {
            let waits = world.clients.iter().position(|client| !client.is_idle)?;
            Some(format!("client {waits} waits"))
        })?;
        self.wait_for(end, "placement is led", |world| {
            world.placement_leader().is_none().then(|| "nobody leads it".to_owned())
        })?;
        self.wait_for(end, "placement has its members", unseated)?;
        self.wait_for(end, "regions are led and whole", |world| {
            let regions = world.checks.lock().cover.ids();
            regions.into_iter().find_map(|region| world.unwell(region))
        })?;
        self.wait_for(end, "nobody stays who has left", stray)?;
        let regions = self.checks.lock().cover.ids();
        self.wait_for(end, "replicas come to the same", |world| {
            regions.iter().find_map(|&region| world.uneven(region))
        })?;
        for region in regions {
            self.compare(region)?;
        }
        self.look_at_drain();
        self.scan_all(0);
        self.wait_for(end, "every request ends", |world| {
            (!world.clients[0].is_idle).then(|| "the last scan".to_owned())
        })?;
        let checks = self.checks.lock();
        checks.history.check(&self.clients[0].found)
    }

    /// Runs until nothing is wrong any more.
    fn wait_for(
        &mut self,
        end: Time,
        check: &'static str,
        wrong: impl Fn(&mut World<'_>) -> Option<String>,
    ) -> Result<(), Violation> {
        loop {
            self.run_until(Time(self.agenda.now().0 + STEP))?;
            match wrong(self) {
                None => return Ok(()),
                Some(what) if self.agenda.now() >= end => return Err(Violation { check, what }),
                Some(_) => {}
            }
        }
    }

    /// The store whose peer leads the latest term, and what it has of the region.
    fn led(&self, region: GroupId) -> Option<(usize, Region)> {
        let led = self.hosts.iter().enumerate().filter_map(|(at, host)| {
            let status = host.node.up.as_ref()?.shard.core(region)?.status();
            (status.role == RoleStatus::Leader).then_some((status.term, at))
        });
        let (_, at) = led.max()?;
        Some((at, self.state_of(at, region)?.region.clone()))
    }

    /// Why a region is not as it should be.
    fn unwell(&mut self, id: GroupId) -> Option<String> {
        let Some((at, region)) = self.led(id) else {
            let told: Vec<String> = (0..self.hosts.len()).map(|at| self.describe(at, id)).collect();
            return Some(format!("{id} is not led: {told:?}"));
        };
        let Some(agreed) = self.placement_leader().and_then(|at| self.state(at)) else {
            return Some("nobody leads placement".to_owned());
        };
        let drains = |store| agreed.stores.get(&store).is_some_and(|s| s.life == Life::Draining);
        let is_well = region.peers.len() == 3
            && region.peers.iter().all(|peer| {
                peer.role == PeerRole::Voter
                    && !drains(peer.store)
                    && self
                        .place_of(peer.store)
                        .and_then(|at| self.state_of(at, id))
                        .is_some_and(|state| state.region.epoch == region.epoch)
            });
        (!is_well).then(|| {
            let told: Vec<String> = (0..self.hosts.len()).map(|at| self.describe(at, id)).collect();
            let operator = self.placement_leader().and_then(|at| {
                let lead = self.member(at)?.lead.as_ref()?;
                Some(format!("{:?}", lead.controller.operator_of(id)))
            });
            format!("{id}, led on {at}, is {region:?}, {operator:?}; {told:?}")
        })
    }

    fn describe(&mut self, at: usize, id: GroupId) -> String {
        let status = self.look_from_outside(at, id);
        let region = self.state_of(at, id).map(|state| state.region.clone());
        format!("on {at}: {status:?} {region:?}")
    }

    /// Replicas that have not applied the same yet.
    fn uneven(&mut self, id: GroupId) -> Option<String> {
        let (_, region) = self.led(id)?;
        let mut applied = Vec::new();
        for peer in &region.peers {
            let at = self.place_of(peer.store)?;
            applied.push(self.look_from_outside(at, id).map(|status| status.applied));
        }
        let first = applied.first().copied().flatten();
        let is_even = first.is_some() && applied.iter().all(|one| *one == first);
        (!is_even).then(|| format!("{id} is applied {applied:?}"))
    }
}

/// A store that has a region whose leader does not know it.
fn stray(world: &mut World<'_>) -> Option<String> {
    let mut members: BTreeMap<GroupId, Vec<StoreId>> = BTreeMap::new();
    for id in world.checks.lock().cover.ids() {
        let (_, region) = world.led(id)?;
        members.insert(id, region.peers.iter().map(|peer| peer.store).collect());
    }
    for host in &world.hosts {
        let (Some(glue), Some(store)) = (&host.glue, host.store) else { continue };
        for state in glue.regions.all() {
            let id = state.region.id;
            if !members.get(&id).is_some_and(|stores| stores.contains(&store)) {
                return Some(format!("{store} still has {:?}", state.region));
            }
        }
    }
    None
}
