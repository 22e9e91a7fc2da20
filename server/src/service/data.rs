//! Reads and commands of regions: found, checked, led from here, carried out.
//!
//! A read is granted first, then takes its view, and is right if the region has not changed its
//! range when the view was taken. Under a lease it is granted at once, without a turn of any other
//! thread. A command carries the epoch it was made for, and is checked again where it is applied.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kv::command::{Action, Command, Mutation};
use kv::edge::{Target, check, check_store};
use kv::read::{Found, Reader, get_now};
use kv::{RegionError, RegionState, Regions, Reply};
use multiraft::{Handle, Outcome, Refusal};
use storage::{Cf, Engine, View};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, interval, sleep, timeout};
use types::{GroupId, Index, StoreId};

use super::Requests;
use super::errors::Denied;
use super::gather::{Coming, Gather};
use crate::node::{Room, Standings};

/// How long a request may wait here for room: clients give up after two seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait between two tries, at first; it doubles.
const TRY_AGAIN: Duration = Duration::from_millis(4);

/// Reads at a time whose answers may be large. Each has some 100 MiB at most, as it is read, as an
/// answer and as bytes; others wait.
const LOOKS_MAX: usize = 32;
/// Reads at a time whose answers may be as large as a region.
const WIDE_LOOKS_MAX: usize = 2;

/// How much clients may have under way, and for how long.
pub(crate) struct Bounds {
    places: Semaphore,
    looks: Arc<Semaphore>,
    wide_looks: Arc<Semaphore>,
    timeout: Duration,
}

impl Bounds {
    /// So many requests at a time, none of them for longer than `timeout`.
    pub(crate) fn new(requests_max: usize, timeout: Duration) -> Bounds {
        let places = Semaphore::new(requests_max.min(Semaphore::MAX_PERMITS));
        let (looks, wide_looks) = (Semaphore::new(LOOKS_MAX), Semaphore::new(WIDE_LOOKS_MAX));
        Bounds { places, looks: Arc::new(looks), wide_looks: Arc::new(wide_looks), timeout }
    }

    /// A place for a read whose answer may be large, for as long as it is put together: whoever
    /// does that holds it. There are fewer for answers as large as a region, which are `wide`.
    ///
    /// # Errors
    /// There was none in time.
    pub(super) async fn look(&self, wide: bool) -> Result<OwnedSemaphorePermit, RegionError> {
        let places = if wide { &self.wide_looks } else { &self.looks };
        let place = Arc::clone(places).acquire_owned();
        match timeout(PATIENCE.min(self.timeout), place).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(RegionError::Busy("large reads are under way")),
        }
    }

    /// What comes of a request. One that finds no place in time is refused; of one that takes too
    /// long nobody knows what comes of it.
    async fn within(&self, request: Pin<&mut impl Future<Output = Outcome>>) -> Outcome {
        let Ok(Ok(_place)) = timeout(PATIENCE.min(self.timeout), self.places.acquire()).await
        else {
            return Outcome::Refused(Refusal::Busy("requests of clients are under way"));
        };
        timeout(self.timeout, request).await.unwrap_or(Outcome::Undetermined)
    }
}

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
    /// What clients may have under way.
    pub(crate) bounds: Bounds,
    /// Room on its disk.
    pub(crate) room: Arc<Room>,
    /// What was asked of it.
    pub(crate) requests: Requests,
    /// Writes that go together.
    pub(crate) gather: Arc<Gather>,
}

/// Seconds since 1970 on this machine's clock: when values expire.
pub(super) fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Data {
    /// The region that a request is for, if it is led from here and has these engine keys.
    pub(super) fn find<'a>(
        &self,
        target: &Target,
        keys: impl IntoIterator<Item = &'a [u8]> + Clone,
    ) -> Result<Arc<RegionState>, RegionError> {
        check_store(self.store, target)?;
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

    /// Reads a key of a region.
    pub(super) async fn get(
        &self,
        target: &Target,
        family: Cf,
        key: &[u8],
    ) -> Result<(Result<Option<Found>, storage::Error>, Index), Denied> {
        let keys = [key];
        if let Some(lease) = self.handle.lease(target.region) {
            let state = self.find(target, keys)?;
            let now = now_seconds();
            let found = get_now(&*self.engine, &state.region, (family, key), now);
            if self.regions.check_still(&state).is_ok() {
                return Ok((found, lease.applied));
            }
        }
        let look = |view: Box<dyn View>, state: Arc<RegionState>| {
            Reader { view: &*view, region: &state.region, now_seconds: now_seconds() }
                .get(family, key)
        };
        self.read_asked(target, keys, look).await
    }

    /// Reads from a region. `look` is given a view that shows everything that was answered before.
    pub(super) async fn read<'a, T>(
        &self,
        target: &Target,
        keys: impl IntoIterator<Item = &'a [u8]> + Clone,
        look: impl FnOnce(Box<dyn View>, Arc<RegionState>) -> T,
    ) -> Result<(T, Index), Denied> {
        if let Some(lease) = self.handle.lease(target.region) {
            let state = self.find(target, keys.clone())?;
            let view = self.engine.view();
            if self.regions.check_still(&state).is_ok() {
                return Ok((look(view, state), lease.applied));
            }
        }
        self.read_asked(target, keys, look).await
    }

    /// As [`Data::read`], with the right to read asked for.
    async fn read_asked<'a, T>(
        &self,
        target: &Target,
        keys: impl IntoIterator<Item = &'a [u8]> + Clone,
        look: impl FnOnce(Box<dyn View>, Arc<RegionState>) -> T,
    ) -> Result<(T, Index), Denied> {
        let known = self.find(target, keys.clone())?;
        let id = target.region;
        let index = match self.bounds.within(pin!(Self::patiently(|| self.handle.read(id)))).await {
            Outcome::Readable(index) => index,
            Outcome::Refused(refusal) => {
                return Err(self.refused(&refusal, &known));
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
    pub(super) async fn command<'a>(
        &self,
        target: &Target,
        keys: impl IntoIterator<Item = &'a [u8]> + Clone,
        action: Action,
    ) -> Result<(Reply, Index), Denied> {
        let state = self.find_for(target, keys.clone(), action.writes())?;
        let command = Command { epoch: state.region.epoch, action };
        self.propose(&state, &command, keys).await
    }

    /// Sets and deletes keys of a region: all of them or none.
    pub(super) async fn write(
        &self,
        target: &Target,
        mutations: Vec<Mutation>,
    ) -> Result<Index, Denied> {
        let keys = || mutations.iter().map(|mutation| &mutation.key[..]);
        let state = self.find_for(target, keys(), mutations.iter().any(|m| !m.is_delete()))?;
        let region = &state.region;
        let write = || self.gather.write(region.id, region.epoch, mutations.clone());
        let written = pin!(Self::patiently(write));
        let (_, index) = self.end(self.bounds.within(written).await, &state, keys())?;
        Ok(index)
    }

    /// As [`Data::find`], for a command that takes room on the disk or does not.
    fn find_for<'a>(
        &self,
        target: &Target,
        keys: impl IntoIterator<Item = &'a [u8]> + Clone,
        takes_room: bool,
    ) -> Result<Arc<RegionState>, RegionError> {
        let state = self.find(target, keys)?;
        if takes_room && self.room.is_low() {
            return Err(RegionError::DiskFull(self.store));
        }
        Ok(state)
    }

    /// Proposes a command to a region that is led from here.
    pub(crate) async fn propose<'a>(
        &self,
        state: &RegionState,
        command: &Command,
        keys: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(Reply, Index), Denied> {
        let (id, bytes) = (state.region.id, command.encode());
        let propose = || match command.action.spawns() {
            true => self.handle.propose_spawn(id, bytes.clone()),
            false => self.handle.propose(id, bytes.clone()),
        };
        let proposed = pin!(Self::patiently(propose));
        self.end(self.bounds.within(proposed).await, state, keys)
    }

    /// What a proposal came to, for who asked.
    fn end<'a>(
        &self,
        outcome: Outcome,
        state: &RegionState,
        keys: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(Reply, Index), Denied> {
        match outcome {
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
            Outcome::Refused(refusal) => Err(self.refused(&refusal, state)),
            _ => Err(RegionError::Undetermined.into()),
        }
    }

    fn refused(&self, refusal: &Refusal, state: &RegionState) -> Denied {
        let region = &state.region;
        RegionError::of_refusal(refusal, self.store, region.id, Some(region)).into()
    }

    /// Asks until there is room, for as long as clients wait.
    async fn patiently<F>(ask: impl Fn() -> F) -> Outcome
    where
        F: IntoFuture<Output = Outcome>,
    {
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

    /// Whether a region is led from here; if nobody leads it, as soon as somebody does.
    ///
    /// # Errors
    /// Nobody does for too long.
    pub(super) async fn leads_or_leaves(&self, region: GroupId) -> Result<bool, RegionError> {
        let deadline = Instant::now() + PATIENCE;
        let mut looks = interval(TRY_AGAIN);
        loop {
            looks.tick().await;
            match self.standings.of(region) {
                // It is not here any more, or has not heard of anybody since it started.
                None if self.regions.get(region).is_none() => return Ok(false),
                Some(standing) if standing.leads() => return Ok(true),
                Some(standing) if standing.leader.is_some() => return Ok(false),
                None | Some(_) if Instant::now() >= deadline => {
                    return Err(RegionError::NotLeader { region, leader: None });
                }
                None | Some(_) => {}
            }
        }
    }
}

/// Gathers the writes that go through this handle, in commands of so many bytes at most.
pub(crate) fn gather(handle: &Handle, command_bytes_max: usize) -> Arc<Gather> {
    let handle = handle.clone();
    let propose = move |region, command| -> Coming {
        Box::pin(handle.propose(region, command).into_future())
    };
    Gather::new(command_bytes_max, Box::new(propose))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_busy(outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Refused(Refusal::Busy(_)))
    }

    #[tokio::test(start_paused = true)]
    async fn requests_beyond_the_bound_wait_a_little_and_are_refused() {
        let bounds = Bounds::new(1, Duration::from_secs(10));
        let slow = async {
            sleep(PATIENCE * 2).await;
            Outcome::Done
        };
        let (slow, quick) = (pin!(slow), pin!(async { Outcome::Done }));
        let (slow, quick) = tokio::join!(bounds.within(slow), bounds.within(quick));
        assert!(matches!(slow, Outcome::Done) && is_busy(&quick), "{slow:?} {quick:?}");
        let brief = async {
            sleep(PATIENCE / 2).await;
            Outcome::Done
        };
        let (brief, quick) = (pin!(brief), pin!(async { Outcome::Done }));
        let (_, quick) = tokio::join!(bounds.within(brief), bounds.within(quick));
        assert!(matches!(quick, Outcome::Done), "{quick:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn request_that_takes_too_long_is_undetermined_and_gives_up_its_place() {
        let bounds = Bounds::new(1, Duration::from_secs(10));
        let ever = bounds.within(pin!(std::future::pending())).await;
        assert!(matches!(ever, Outcome::Undetermined), "{ever:?}");
        let next = bounds.within(pin!(async { Outcome::Done })).await;
        assert!(matches!(next, Outcome::Done), "{next:?}");
    }
}
