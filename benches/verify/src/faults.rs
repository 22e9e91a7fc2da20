//! Doing what the script says, and proving that it happened.
//!
//! A fault that silently does nothing makes every cluster look good. So each leaves a mark with
//! what was seen: the process was gone and another took its place, the kernel says that it stood
//! still, the region has another leader, there is one region more.
//!
//! Invariant: when the script has ended, however it ended, every process runs.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::{Client, Error};
use load::processes::state_of;
use proto::crib::placement::v1::{Store, StoreState};
use serde::Serialize;

use crate::regions::{Region, Regions};
use crate::script::{Fault, Planned};

/// How often something is looked at until it has come about, and how long it is waited in between.
const ASKED_MAX: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);
/// Leaders that one fault moves.
const MOVES_MAX: usize = 4;
/// How long a cluster without faults may take to be well: a store that was away may first have to
/// be caught up. Far above what it takes.
const WELL_MAX: Duration = Duration::from_secs(120);

/// The processes of a cluster, by number from zero. Calls may block for as long as a process takes.
pub trait Nodes: Send + Sync {
    /// How many there are.
    fn count(&self) -> usize;
    /// Where clients reach one.
    fn address(&self, at: usize) -> String;
    /// Its process; none if it does not run.
    fn pid(&self, at: usize) -> Option<u32>;
    /// Kills it, and waits until it is gone.
    ///
    /// # Errors
    /// Why it cannot be: it had ended by itself.
    fn kill(&self, at: usize) -> Result<(), String>;
    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    /// If it ends otherwise than in peace.
    fn stop(&self, at: usize) -> Result<(), String>;
    /// Starts it from what is in its directory.
    ///
    /// # Errors
    /// Why it cannot be.
    fn start(&self, at: usize) -> Result<(), String>;
    /// Makes it stand still.
    ///
    /// # Errors
    /// If it does not run.
    fn pause(&self, at: usize) -> Result<(), String>;
    /// Lets it go on.
    ///
    /// # Errors
    /// If it does not run.
    fn resume(&self, at: usize) -> Result<(), String>;
    /// Those that have ended otherwise than they were asked to since this was asked last, in words.
    /// They may be started again.
    fn deaths(&self) -> Vec<String>;
}

/// Whether a process that was asked to stop did so in peace.
///
/// # Errors
/// How it ended otherwise.
pub fn in_peace(status: ExitStatus) -> Result<(), String> {
    let otherwise = || format!("it ended otherwise than in peace: {status}");
    status.success().then_some(()).ok_or_else(otherwise)
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// What.
    pub fault: Fault,
    /// When it began, in milliseconds from the beginning of the load.
    pub from_ms: u64,
    /// When it was over.
    pub to_ms: u64,
    /// To what.
    pub target: String,
    /// What shows that it happened; none if nothing does.
    pub proof: Option<String>,
    /// Why it did not happen, if it did not.
    pub note: String,
}

/// What came of all that was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Harm {
    /// What was done.
    pub marks: Vec<Mark>,
    /// What could not be put right: then the run shows nothing.
    pub broken: Vec<String>,
    /// What the cluster did wrong, as who did the harm has seen.
    pub wrong: Vec<String>,
}

impl Harm {
    /// With what came of something else that was done.
    pub fn add(&mut self, other: Harm) {
        self.marks.extend(other.marks);
        self.broken.extend(other.broken);
        self.wrong.extend(other.wrong);
    }
}

/// Where faults are done: a cluster under load.
pub struct Stage {
    pub(crate) regions: Regions,
    begun: Instant,
}

impl Stage {
    pub(crate) fn new(regions: Regions, begun: Instant) -> Stage {
        Stage { regions, begun }
    }

    /// A client that is not part of the load.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.regions.client()
    }

    /// Carries out a script on these processes; `said` hears of each fault as it ends.
    pub async fn play(
        &self,
        script: &[Planned],
        nodes: Arc<dyn Nodes>,
        said: &(dyn Fn(&Mark) + Sync),
    ) -> Harm {
        Nemesis::new(self, Some(nodes)).run(script, said).await
    }

    /// Waits until the cluster says that all is well; whether it came to that.
    pub async fn until_well(&self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < WELL_MAX {
            if is_well(self.client()).await {
                return true;
            }
            tokio::time::sleep(PAUSE).await;
        }
        false
    }

    /// Regions of the load that the store at this address leads.
    pub async fn led_by(&self, address: &str) -> usize {
        let stores = self.client().admin().list_stores(false).await.unwrap_or_default();
        let regions = self.regions.list().await.unwrap_or_default();
        led_by(address, &stores, &regions)
    }

    /// The time since the load began, in milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Carries out a script.
pub(crate) struct Nemesis<'a> {
    stage: &'a Stage,
    nodes: Option<Arc<dyn Nodes>>,
}

/// What was seen of a fault: to what it was done, and what shows it.
type Seen = Result<(String, String), (String, String)>;

impl<'a> Nemesis<'a> {
    pub(crate) fn new(stage: &'a Stage, nodes: Option<Arc<dyn Nodes>>) -> Nemesis<'a> {
        Nemesis { stage, nodes }
    }

    /// Does all of it, and puts right what it can; `said` hears of each as it ends.
    pub(crate) async fn run(&self, script: &[Planned], said: &(dyn Fn(&Mark) + Sync)) -> Harm {
        let (mut marks, mut wrong) = (Vec::new(), Vec::new());
        let last_ms = script.last().map_or(0, |last| last.at_ms + last.hold_ms);
        for planned in script {
            let now = self.stage.now_ms();
            // It was late all the time: the end of the load is not put off for it.
            if now > last_ms {
                break;
            }
            tokio::time::sleep(Duration::from_millis(planned.at_ms.saturating_sub(now))).await;
            let mark = self.one(planned).await;
            said(&mark);
            marks.push(mark);
            wrong.extend(self.deaths().await);
        }
        let broken = self.heal().await.err().into_iter().collect();
        wrong.extend(self.deaths().await);
        Harm { marks, broken, wrong }
    }

    async fn one(&self, planned: &Planned) -> Mark {
        let from_ms = self.stage.now_ms();
        let seen = match planned.fault {
            Fault::Kill | Fault::Restart => self.bounce(planned).await,
            Fault::KillAll => self.kill_all().await,
            Fault::Pause => self.pause(planned).await,
            Fault::Transfer => self.transfer(planned).await,
            Fault::Split => self.split(planned).await,
            Fault::Drain => self.drain(planned).await,
            _ => Err(("nothing".to_owned(), "no script does this".to_owned())),
        };
        let to_ms = self.stage.now_ms();
        if seen.is_err() && planned.fault.needs_processes() {
            // Half done is worse than not done: the next fault would meet one process less. What
            // cannot be started now is tried again, and told, in the end.
            let _ = self.heal().await;
        }
        let (target, proof, note) = match seen {
            Ok((target, proof)) => (target, Some(proof), String::new()),
            Err((target, why)) => (target, None, why),
        };
        Mark { fault: planned.fault, from_ms, to_ms, target, proof, note }
    }

    async fn deaths(&self) -> Vec<String> {
        self.act(|nodes| Ok(nodes.deaths())).await.unwrap_or_default()
    }

    fn nodes(&self) -> Result<&Arc<dyn Nodes>, (String, String)> {
        let missing = "no process is ours to do this to";
        self.nodes.as_ref().ok_or_else(|| ("nothing".to_owned(), missing.to_owned()))
    }

    /// Something that blocks, done to a node.
    async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&dyn Nodes) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let Some(nodes) = self.nodes.clone() else { return Err("there is no process".to_owned()) };
        let done = tokio::task::spawn_blocking(move || act(&*nodes)).await;
        done.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// The node that something is to be done to, and how many regions of the load it leads. One
    /// that leads some, if any does: what happens to the others is hardly felt.
    async fn choose(&self, pick: usize) -> Result<(usize, usize), (String, String)> {
        let nodes = self.nodes()?;
        let stores = self.stage.client().admin().list_stores(false).await.unwrap_or_default();
        let regions = self.stage.regions.list().await.unwrap_or_default();
        let leads = |at: usize| led_by(&nodes.address(at), &stores, &regions);
        let leading: Vec<usize> = (0..nodes.count()).filter(|&at| leads(at) > 0).collect();
        let at = match leading.is_empty() {
            true => pick % nodes.count(),
            false => leading[pick % leading.len()],
        };
        Ok((at, leads(at)))
    }

    async fn bounce(&self, planned: &Planned) -> Seen {
        let nodes = self.nodes()?;
        let (at, led) = self.choose(planned.pick).await?;
        let target = nodes.address(at);
        let fail = |why| (target.clone(), why);
        let before = nodes.pid(at).ok_or_else(|| fail("it does not run".to_owned()))?;
        let is_kill = planned.fault == Fault::Kill;
        let end = move |nodes: &dyn Nodes| if is_kill { nodes.kill(at) } else { nodes.stop(at) };
        self.act(end).await.map_err(fail)?;
        let was_gone = state_of(before).is_none();
        tokio::time::sleep(Duration::from_millis(planned.hold_ms)).await;
        self.act(move |nodes| nodes.start(at)).await.map_err(fail)?;
        let after = nodes.pid(at).ok_or_else(|| fail("it did not start again".to_owned()))?;
        if !was_gone || after == before {
            return Err(fail(format!("process {before} was not gone; now it is {after}")));
        }
        let proof =
            format!("process {before} was gone, {after} took its place; it led {led} regions");
        Ok((target, proof))
    }

    async fn kill_all(&self) -> Seen {
        let target = "all".to_owned();
        let fail = |why| (target.clone(), why);
        let kill = |nodes: &dyn Nodes| -> Result<(usize, usize), String> {
            let all: Vec<usize> = (0..nodes.count()).collect();
            let before: Vec<u32> = all.iter().filter_map(|&at| nodes.pid(at)).collect();
            let killed: Vec<Result<(), String>> = all.iter().map(|&at| nodes.kill(at)).collect();
            let gone = before.iter().filter(|&&pid| state_of(pid).is_none()).count();
            let started: Vec<Result<(), String>> = all.iter().map(|&at| nodes.start(at)).collect();
            for result in killed.into_iter().chain(started) {
                result?;
            }
            Ok((gone, all.len()))
        };
        let (gone, all) = self.act(kill).await.map_err(fail)?;
        if gone < all {
            return Err(fail(format!("{gone} of {all} processes were gone at one time")));
        }
        Ok((target, format!("{gone} of {all} processes were gone at one time")))
    }

    async fn pause(&self, planned: &Planned) -> Seen {
        let nodes = self.nodes()?;
        let (at, led) = self.choose(planned.pick).await?;
        let target = nodes.address(at);
        let fail = |why| (target.clone(), why);
        let pid = nodes.pid(at).ok_or_else(|| fail("it does not run".to_owned()))?;
        self.act(move |nodes| nodes.pause(at)).await.map_err(fail)?;
        let first = stands_still(pid).await;
        tokio::time::sleep(Duration::from_millis(planned.hold_ms)).await;
        let last = state_of(pid);
        self.act(move |nodes| nodes.resume(at)).await.map_err(fail)?;
        if (first, last) != (Some('T'), Some('T')) {
            return Err(fail(format!("the kernel says {first:?}, then {last:?}")));
        }
        let held = planned.hold_ms;
        Ok((target, format!("process {pid} stood still for {held} ms; it led {led} regions")))
    }

    async fn transfer(&self, planned: &Planned) -> Seen {
        let target = "regions".to_owned();
        let fail = |why: String| (target.clone(), why);
        let all = self.stage.regions.list().await.map_err(|error| fail(error.to_string()))?;
        let admin = self.stage.regions.client().admin();
        let mut wanted: Vec<(u64, u64)> = Vec::new();
        for nth in 0..all.len().min(MOVES_MAX) {
            let region = &all[(planned.pick + nth) % all.len()];
            let others: Vec<u64> =
                region.stores.iter().copied().filter(|&store| store != region.leader).collect();
            if region.leader == 0 || others.is_empty() {
                continue;
            }
            let to = others[planned.pick % others.len()];
            if admin.transfer_leader(region.id, to).await.is_ok() {
                wanted.push((region.id, to));
            }
        }
        let has_moved = |now: &[Region]| {
            let is_led = |&&(id, to): &&(u64, u64)| {
                now.iter().any(|region| region.id == id && region.leader == to)
            };
            wanted.iter().filter(is_led).count()
        };
        let is_done = |now: &[Region]| !wanted.is_empty() && has_moved(now) > 0;
        match self.stage.regions.until(is_done).await {
            Ok(true) => {
                let ids: Vec<String> =
                    wanted.iter().map(|(id, to)| format!("{id} to {to}")).collect();
                let said = format!("one of these at least is led from there: {}", ids.join(", "));
                Ok((target.clone(), said))
            }
            Ok(false) => Err(fail(format!("none of {} moves was seen", wanted.len()))),
            Err(error) => Err(fail(error.to_string())),
        }
    }

    async fn split(&self, planned: &Planned) -> Seen {
        let fail = |why: String| ("a region".to_owned(), why);
        let told = |error: Error| fail(error.to_string());
        // Keys of the load are spread by their first two digits; no two faults draw one key.
        let key = format!("{:02x}/{:x}", planned.pick % 256, planned.at_ms);
        match self.stage.regions.split_at(&key).await.map_err(told)? {
            None => Err(fail("there is no region".to_owned())),
            Some((id, count, true)) => {
                Ok((format!("region {id}"), format!("one more than {count} begins at {key}")))
            }
            Some((id, _, false)) => Err(fail(format!("nothing begins within region {id}"))),
        }
    }

    async fn drain(&self, planned: &Planned) -> Seen {
        let fail = |why: String| ("a store".to_owned(), why);
        let told = |error: Error| fail(error.to_string());
        let client = self.stage.regions.client();
        let stores = client.admin().list_stores(false).await.map_err(told)?;
        if stores.is_empty() {
            return Err(fail("there is no store".to_owned()));
        }
        let id = stores[planned.pick % stores.len()].id;
        client.admin().drain_store(id, false).await.map_err(told)?;
        let was_draining = state(client, id, StoreState::Draining).await;
        tokio::time::sleep(Duration::from_millis(planned.hold_ms)).await;
        client.admin().undrain_store(id).await.map_err(told)?;
        let target = format!("store {id}");
        if !was_draining || !state(client, id, StoreState::Up).await {
            return Err((target, "it was not seen to be draining, and up again".to_owned()));
        }
        Ok((target, "it was draining, and then up again".to_owned()))
    }

    /// Whether all processes run; those that do not are started.
    async fn heal(&self) -> Result<(), String> {
        if self.nodes.is_none() {
            return Ok(());
        }
        self.act(|nodes| {
            for at in 0..nodes.count() {
                if nodes.pid(at).is_none() {
                    nodes.start(at)?;
                }
            }
            Ok(())
        })
        .await
    }
}

fn led_by(address: &str, stores: &[Store], regions: &[Region]) -> usize {
    let store = stores.iter().find(|store| store.address == address);
    store.map_or(0, |store| regions.iter().filter(|it| it.leader == store.id).count())
}

/// Whether the cluster says that all is well.
pub(crate) async fn is_well(client: &Client) -> bool {
    let status = client.admin().status().await;
    status.is_ok_and(|status| {
        status.problems.is_empty()
            && status.is_prepared
            && status.regions > 0
            && status.regions_without_leader == 0
            && status.regions_under_replicated == 0
    })
}

async fn state(client: &Client, id: u64, wanted: StoreState) -> bool {
    until(async || {
        let stores = client.admin().list_stores(false).await.unwrap_or_default();
        stores.iter().any(|store| store.id == id && store.state() == wanted)
    })
    .await
}

/// What the kernel says of a process that was told to stand still, once all its threads have heard.
async fn stands_still(pid: u32) -> Option<char> {
    until(async || state_of(pid) == Some('T')).await;
    state_of(pid)
}

/// Looks until something is so, for a while; whether it is.
async fn until(is_so: impl AsyncFn() -> bool) -> bool {
    for _ in 0..ASKED_MAX {
        if is_so().await {
            return true;
        }
        tokio::time::sleep(PAUSE).await;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_knows_whether_a_process_is_there() {
        let state = state_of(std::process::id());
        assert!(matches!(state, Some('R' | 'S')), "{state:?}");
        assert_eq!(state_of(0), None);
    }
}
