//! Regions that have grown too large: measured, given ids, cut. Stands for `splits` of the server's
//! node.

use std::sync::Arc;

use kv::command::{Action, Command, NewRegion};
use kv::split::{Measured, SizeScan, SplitConfig, parts_of};
use kv::{RegionState, Reply};
use multiraft::Outcome;
use multiraft::shard::Event;
use types::{GroupId, Time};

use super::glue::Asked;
use super::words::{Elsewhere, Message, NewIds, Place};
use super::world::{World, applied};
use crate::plan::MS;

const STEP_BYTES: u64 = 200;
const MEASURE_PART: u64 = 16;

/// A region that is being cut, one after the other.
pub(crate) struct Cutting {
    serial: u64,
    state: Arc<RegionState>,
    keys: Vec<Vec<u8>>,
    until: Time,
}

/// Whether a region is to be looked at.
fn is_due(config: &SplitConfig, state: &RegionState, before: Option<u64>) -> bool {
    let (Some(before), Some(bytes), Some(keys)) = (before, state.load.bytes(), state.load.keys())
    else {
        return true;
    };
    let step = (config.max_bytes / MEASURE_PART).max(1);
    let written = state.load.written_bytes();
    config.is_too_large(bytes, keys) && written.saturating_sub(before) >= step
}

impl World<'_> {
    pub(crate) fn measure_regions(&mut self, at: usize) {
        let now = self.agenda.now();
        let (config, is_full) =
            (self.plan.split, self.checks.lock().cover.len() >= self.plan.regions_max);
        let Some(glue) = &mut self.hosts[at].glue else { return };
        glue.cutting.take_if(|cutting| cutting.until <= now);
        if glue.cutting.is_some() || is_full {
            return;
        }
        let standings = &glue.standings;
        let led: Vec<GroupId> =
            standings.iter().filter_map(|(&id, standing)| standing.leads().then_some(id)).collect();
        glue.measured.retain(|id, _| led.contains(id));
        for id in led {
            let Some(state) = self.state_of(at, id) else { continue };
            let Some(glue) = &mut self.hosts[at].glue else { return };
            if !is_due(&config, &state, glue.measured.get(&id).copied()) {
                continue;
            }
            let written = state.load.written_bytes();
            glue.measured.insert(id, written);
            let Some(measured) = self.measure(at, &state) else { continue };
            let Some(glue) = &self.hosts[at].glue else { return };
            glue.regions.set_measured(id, measured.bytes, measured.keys);
            if !measured.split_keys.is_empty() {
                return self.ask_split(at, &state, measured.split_keys);
            }
        }
    }

    fn measure(&self, at: usize, state: &RegionState) -> Option<Measured> {
        let engine = &self.hosts[at].node.up.as_ref()?.engine;
        let mut scan = SizeScan::new(state.region.range.clone(), self.plan.api, self.plan.split);
        loop {
            // A disk that fails is found by whoever writes.
            if let Some(measured) = scan.step(&*engine.view(), STEP_BYTES).ok()? {
                return Some(measured);
            }
        }
    }

    pub(crate) fn halves(&self, at: usize, state: &RegionState) -> Vec<Vec<u8>> {
        self.measure(at, state).and_then(|measured| measured.middle).into_iter().collect()
    }

    /// Asks placement for the ids of parts.
    pub(crate) fn ask_split(&mut self, at: usize, state: &Arc<RegionState>, keys: Vec<Vec<u8>>) {
        if keys.is_empty() {
            return;
        }
        let (serial, until) = (self.number(), Time(self.agenda.now().0 + 2_000 * MS));
        let (region, count) = (state.region.clone(), keys.len());
        let to = self.hosts[at].toward;
        let Some(glue) = &mut self.hosts[at].glue else { return };
        glue.cutting = Some(Cutting { serial, state: Arc::clone(state), keys, until });
        let ask = Message::AskSplit { serial, region, count };
        self.send(Place::Host(at), Place::Host(to), ask);
    }

    pub(crate) fn split_ids(&mut self, at: usize, serial: u64, ids: Result<NewIds, Elsewhere>) {
        let api = self.plan.api;
        let Some(glue) = &mut self.hosts[at].glue else { return };
        let Some(cutting) = glue.cutting.take_if(|cutting| cutting.serial == serial) else {
            return;
        };
        let Ok(ids) = ids else { return };
        let region = &cutting.state.region;
        let children: Vec<NewRegion> = cutting
            .keys
            .iter()
            .zip(ids)
            .map(|(end, (region, peers))| NewRegion { end: end.clone().into(), region, peers })
            .collect();
        if parts_of(region, &children, api).is_err() {
            return;
        }
        let (group, epoch) = (region.id, region.epoch);
        let command = Command { epoch, action: Action::Split(children) }.encode();
        self.ask(at, Asked::Split, |token| Event::Propose { group, token, command, spawns: true });
    }

    pub(crate) fn was_split(&mut self, at: usize, outcome: Outcome) {
        let Some(Ok(Reply::Split(parts))) =
            applied(outcome).ok().map(|reply| Reply::decode(&reply))
        else {
            return;
        };
        let own = parts.last().map(|part| part.id);
        for part in &parts {
            let group = part.id;
            if Some(group) != own {
                self.ask(at, Asked::Nothing, |token| Event::Campaign { group, token });
            }
            self.ask_report(at, group, true);
        }
    }
}
