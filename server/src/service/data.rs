//! Reads and commands of regions: found, checked, led from here, carried out.
//!
//! A read is granted first, then takes its view, and is right if the region has not changed its
//! range when the view was taken. A command carries the epoch it was made for, and is checked again
//! where it is applied.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kv::command::{Action, Command};
use kv::edge::{Target, check};
use kv::{RegionError, RegionState, Regions, Reply};
use multiraft::{Handle, Outcome, Pending, Refusal};
use storage::{Engine, View};
use tokio::time::{Instant, sleep};
use types::{GroupId, Index, StoreId};

use super::errors::Denied;
use crate::node::Standings;

/// How long a request may wait here for room: clients give up after two seconds.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait between two tries, at first; it doubles.
const TRY_AGAIN: Duration = Duration::from_millis(4);

/// The regions of this store, for those who ask.
pub(crate) struct Data {
    /// This store.
    pub(crate) store: StoreId,
    /// Its regions.
    pub(crate) regions: Arc<Regions>,
    /// Its groups.
    pub(crate) handle: Handle,
    /// Its engine.
    pub(crate) engine: Arc<dyn Engine>,
    /// Who leads them.
    pub(crate) standings: Arc<Standings>,
}

/// Seconds since 1970 on this machine's clock: when values expire.
pub(super) fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Data {
    /// The region that a request is for, if it is led from here and has these engine keys.
    fn find<'a>(
        &self,
        target: &Target,
        keys: impl IntoIterator<Item = &'a [u8]> + Clone,
    ) -> Result<Arc<RegionState>, RegionError> {
        let id = target.region;
        let standing = self.standings.of(id);
        let Some(state) = self.regions.get(id) else {
            return Err(match standing {
                Some(_) => RegionError::NotInitialized(id),
                None => RegionError::RegionNotFound(id),
            });
        };
        if let Some(standing) = standing
            && !standing.leads()
        {
            // What this store knows of the region may be old: whoever leads knows better.
            let leader = standing.leader.and_then(|leader| state.region.peer(leader));
            return Err(RegionError::NotLeader { region: id, leader });
        }
        check(self.store, &state.region, target, keys.clone())
            .map_err(|error| self.regions.explain(error, keys))?;
        Ok(state)
    }

    /// Reads from a region. `look` is given a view that shows everything that was answered before.
    pub(super) async fn read<'a, T>(
        &self,
        target: &Target,
        keys: impl IntoIterator<Item = &'a [u8]> + Clone,
        look: impl FnOnce(Box<dyn View>, Arc<RegionState>) -> T,
    ) -> Result<(T, Index), Denied> {
        let known = self.find(target, keys.clone())?;
        let id = target.region;
        let index = match self.patiently(|| self.handle.read(id)).await {
            Outcome::Readable(index) => index,
            Outcome::Refused(refusal) => {
                return Err(RegionError::of_refusal(&refusal, id, Some(&known.region)).into());
            }
            _ => return Err(RegionError::StaleCommand.into()),
        };
        // What was applied since may have changed it.
        let state = self.find(target, keys.clone())?;
        let view = self.engine.view();
        self.regions.check_still(&state).map_err(|error| self.regions.explain(error, keys))?;
        Ok((look(view, state), index))
    }

    /// Carries out a command of a region.
    pub(super) async fn write<'a>(
        &self,
        target: &Target,
        keys: impl IntoIterator<Item = &'a [u8]> + Clone,
        action: Action,
    ) -> Result<(Reply, Index), Denied> {
        let state = self.find(target, keys.clone())?;
        let command = Command { epoch: state.region.epoch, action };
        self.propose(&state, &command, keys).await
    }

    /// Proposes a command to a region that is led from here.
    pub(crate) async fn propose<'a>(
        &self,
        state: &RegionState,
        command: &Command,
        keys: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(Reply, Index), Denied> {
        let id = state.region.id;
        let bytes = command.encode();
        match self.patiently(|| self.handle.propose(id, bytes.clone())).await {
            Outcome::Applied { index, reply } => {
                let reply = Reply::decode(&reply).map_err(|why| {
                    Denied::Bad(format!("CRIB-E4002: a reply of the region: {why}"))
                })?;
                match RegionError::of_reply(reply, &state.region) {
                    Ok(Reply::Refused(why)) => Err(Denied::Bad(format!("CRIB-E2002: {why}"))),
                    Ok(reply) => Ok((reply, index)),
                    Err(error) => Err(self.regions.explain(error, keys).into()),
                }
            }
            Outcome::Refused(refusal) => {
                Err(RegionError::of_refusal(&refusal, id, Some(&state.region)).into())
            }
            _ => Err(RegionError::Undetermined.into()),
        }
    }

    /// Asks until there is room, for as long as clients wait.
    async fn patiently(&self, ask: impl Fn() -> Pending) -> Outcome {
        let until = Instant::now() + PATIENCE;
        let mut wait = TRY_AGAIN;
        loop {
            let outcome = ask().await;
            if !matches!(outcome, Outcome::Refused(Refusal::Busy(_))) || Instant::now() >= until {
                return outcome;
            }
            sleep(wait).await;
            wait *= 2;
        }
    }

    /// The regions here that have keys of a range and are led from here.
    pub(super) fn led_within(&self, range: &types::KeyRange) -> Vec<Arc<RegionState>> {
        let leads = |id: GroupId| self.standings.of(id).is_some_and(|standing| standing.leads());
        let mut states = self.regions.within(range);
        states.retain(|state| leads(state.region.id));
        states
    }
}
