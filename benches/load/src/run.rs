//! A run: callers, a moment that is not counted, seconds that are, and what came of it.
//!
//! ```text
//!  begin ── warm-up ──┬── span: an operation that is to begin here counts ──┬── last answers ─►
//!                     │ CPU is read         a line each second              │  CPU is read
//! ```
//!
//! - Latency counts from when an operation was to begin: by the schedule of an open loop, else from
//!   the answer before.
//! - Failures are counted from the very beginning. So is whether the cluster is well.
//! - The rate is operations over the time from the end of the warm-up to the last answer, but at
//!   least the span: an answer that comes late is not a gift.
//!
//! Whether the result may be used is decided in `verdict`.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use crate::keys::{Keys, Numbers};
use crate::pace::{Pace, Pacer};
use crate::processes;
use crate::tally::{Recorder, Tally, quantile_us};
use crate::target::{Done, Result, Target};
use crate::values::Values;
use crate::workload::{Call, Script, Workload};

/// Between two lines, and between two looks at the cluster.
const SECOND: Duration = Duration::from_secs(1);
/// How long a caller of a closed loop waits after a failure: one that is refused at once would
/// take the machine from whatever is to become well again.
const AFTER_FAILURE: Duration = Duration::from_millis(10);
/// How often a cluster may turn unwell until that is no longer written down.
const PROBLEMS_MAX: usize = 8;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which operations.
    pub workload: Workload,
    /// On which keys.
    pub keys: Keys,
    /// Callers, each with one operation at a time.
    pub clients: usize,
    /// When they begin.
    pub pace: Pace,
    /// How long nothing is counted at first.
    pub warmup: Duration,
    /// How long it is counted then.
    pub span: Duration,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// What all choices follow from.
    pub seed: u64,
}

/// An answer to the question whether a cluster is well: if not, why not.
pub type Wellness = Pin<Box<dyn Future<Output = std::result::Result<(), String>> + Send>>;

/// What is looked at beside the callers.
#[derive(Clone, Default)]
pub struct Watch {
    /// Asks whether the cluster is well.
    pub wellness: Option<Arc<dyn Fn() -> Wellness + Send + Sync>>,
    /// Processes of the cluster on this machine.
    pub servers: Vec<u32>,
}

impl Watch {
    /// Whether all is well.
    async fn ask(&self) -> std::result::Result<(), String> {
        if let Some(pid) = self.servers.iter().find(|pid| !processes::runs(**pid)) {
            return Err(format!("process {pid} of the cluster has ended"));
        }
        match &self.wellness {
            Some(ask) => ask().await,
            None => Ok(()),
        }
    }
}

/// One second of a run, or what is left of it at the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Second {
    /// When it ended, since the warm-up.
    pub at: Duration,
    /// How long it was.
    pub took: Duration,
    /// Operations that ended well in it.
    pub operations: u64,
    /// Operations that failed in it.
    pub failed: u64,
    /// Half of the operations took no longer.
    pub p50_us: Option<u64>,
    /// 99 of a hundred took no longer.
    pub p99_us: Option<u64>,
    /// None took longer.
    pub max_us: Option<u64>,
    /// Operations that were due at its end and had not begun; zero in a closed loop.
    pub behind: u64,
}

/// How many threads callers have if nobody says otherwise: half of the cores, for the cluster may
/// be on the same machine. Those who share a connection are dearer on several threads than on one.
#[must_use]
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

/// The runtime for so many threads of callers.
///
/// One thread has a runtime that takes turns by order of arrival. Where there are several, whoever
/// is woken runs next: a connection writes each request by itself, although others are ready, which
/// cost a caller 6 µs more for each, and a server 10 to 25.
#[must_use]
pub fn runtime(threads: usize) -> Builder {
    let mut builder = match threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(threads).enable_all();
    builder
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Threads that the callers shared.
    pub threads: usize,
    /// From the end of the warm-up to the last answer.
    pub elapsed: Duration,
    /// All that was counted.
    pub tally: Tally,
    /// The same, second by second.
    pub seconds: Vec<Second>,
    /// Operations of the schedule that never began.
    pub never_begun: u64,
    /// What was wrong with the cluster each time that it turned unwell, and when that was seen.
    pub problems: Vec<String>,
    /// CPU of all processes of the cluster; none if they are not here, or one has ended.
    pub servers_cpu: Option<Duration>,
    /// CPU of this process, its callers and all that carries them.
    pub client_cpu: Option<Duration>,
}

/// Does it, and hands out every second as it ends.
pub async fn run(
    target: &Target,
    plan: &Plan,
    watch: &Watch,
    show: &mut (dyn FnMut(&Second) + Send),
) -> Measured {
    drive(target, plan, watch, show, Pacer::start).await
}

/// The same; how the pacer is started is chosen by tests.
async fn drive(
    target: &Target,
    plan: &Plan,
    watch: &Watch,
    show: &mut (dyn FnMut(&Second) + Send),
    start: impl FnOnce(&Arc<Pacer>),
) -> Measured {
    let shared = Arc::new(Shared::new(target, plan));
    let mut callers = JoinSet::new();
    for nth in 0..plan.clients {
        callers.spawn(call(Arc::clone(&shared), nth));
    }
    start(&shared.pacer);
    let looker = tokio::spawn(look(watch.clone(), Arc::clone(&shared)));

    sleep_until(shared.counted_from).await;
    let cpu = (processes::cpu_of_all(&watch.servers), processes::own_cpu());
    let mut measured = Measured {
        threads: Handle::current().metrics().num_workers(),
        elapsed: plan.span,
        tally: Tally::default(),
        seconds: Vec::new(),
        never_begun: 0,
        problems: Vec::new(),
        servers_cpu: None,
        client_cpu: None,
    };
    let mut ticks = interval_at(shared.counted_from + SECOND, SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            ended = callers.join_next() => match ended {
                None => break,
                Some(Err(error)) if error.is_panic() => {
                    std::panic::resume_unwind(error.into_panic())
                }
                Some(_) => {}
            },
            _ = ticks.tick() => shared.second(&mut measured, show),
        }
    }
    shared.last(&mut measured, show);
    let used = |before: Option<Duration>, after: Option<Duration>| after?.checked_sub(before?);
    measured.servers_cpu = used(cpu.0, processes::cpu_of_all(&watch.servers));
    measured.client_cpu = used(cpu.1, processes::own_cpu());
    looker.abort();
    shared.learn(watch.ask().await);
    measured.never_begun = shared.pacer.never_begun();
    measured.problems = shared.problems();
    measured
}

/// What callers have in common.
struct Shared {
    target: Target,
    plan: Plan,
    numbers: Numbers,
    values: Values,
    pacer: Arc<Pacer>,
    recorder: Recorder,
    begun: Instant,
    counted_from: Instant,
    /// When the last answer that counts came, in microseconds since `counted_from`.
    last_us: AtomicU64,
    health: Mutex<Health>,
}

/// How the cluster was when it was last asked, and what was wrong with it each time that it turned.
struct Health {
    is_well: bool,
    problems: Vec<String>,
}

impl Shared {
    fn new(target: &Target, plan: &Plan) -> Shared {
        let begun = Instant::now();
        Shared {
            target: target.clone(),
            plan: plan.clone(),
            numbers: Numbers::new(plan.keys.records),
            values: Values::new(plan.value_bytes, plan.seed),
            pacer: Pacer::new(plan.pace, plan.warmup + plan.span, plan.clients),
            recorder: Recorder::new(plan.clients),
            begun,
            counted_from: begun + plan.warmup,
            last_us: AtomicU64::new(0),
            health: Mutex::new(Health { is_well: true, problems: Vec::new() }),
        }
    }

    /// Does one operation.
    async fn perform(&self, caller: usize, call: Call, script: &mut Script) -> Result<Done> {
        let (target, keys) = (&self.target, &self.plan.keys);
        let whole = |()| Done::Whole;
        match call {
            Call::Read(number) => {
                target.get(caller, keys.key_of(number)).await.map(|_value| Done::Whole)
            }
            Call::Update(number) => {
                let value = self.values.any(&mut script.dice);
                target.put(caller, keys.key_of(number), value).await.map(whole)
            }
            Call::Insert(number) => {
                let value = self.values.any(&mut script.dice);
                let ended = target.put(caller, keys.key_of(number), value).await.map(whole);
                self.numbers.settle(number);
                ended
            }
            Call::Scan(number, length) => {
                target.scan(caller, keys.from(number), length).await.map(whole)
            }
            Call::Modify(number) => {
                let value = self.values.any(&mut script.dice);
                target.modify(caller, keys.key_of(number), value).await
            }
        }
    }

    /// Writes down how an operation ended that was to begin then.
    fn record(&self, caller: usize, call: Call, begun: Instant, ended: Result<Done>) {
        let now = Instant::now();
        match ended {
            Ok(done) if begun >= self.counted_from => {
                let took = now.saturating_duration_since(begun);
                self.recorder.write(caller, |tally| tally.succeeded(call.kind(), took, done));
                let last = now.saturating_duration_since(self.counted_from).as_micros();
                self.last_us.fetch_max(u64::try_from(last).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
            Ok(_) => {}
            Err(failed) => self.recorder.write(caller, |tally| tally.failed(failed)),
        }
    }

    /// A second has ended.
    fn second(&self, measured: &mut Measured, show: &mut (dyn FnMut(&Second) + Send)) {
        let of_second = self.recorder.collect();
        let at = self.counted_from.elapsed();
        let before = measured.seconds.last().map_or(Duration::ZERO, |second| second.at);
        let all_us = of_second.all_us();
        let second = Second {
            at,
            took: at.saturating_sub(before),
            operations: of_second.operations(),
            failed: of_second.failed_operations(),
            p50_us: quantile_us(&all_us, 0.5),
            p99_us: quantile_us(&all_us, 0.99),
            max_us: (!all_us.is_empty()).then(|| all_us.max()),
            behind: self.pacer.behind(),
        };
        measured.tally.add(&of_second);
        show(&second);
        measured.seconds.push(second);
    }

    /// The callers have ended.
    fn last(&self, measured: &mut Measured, show: &mut (dyn FnMut(&Second) + Send)) {
        let counted =
            |measured: &Measured| measured.tally.operations() + measured.tally.failed_operations();
        let before = counted(measured);
        let mut nothing = |_: &Second| ();
        // What is too short to be a second is counted, and not shown.
        self.second(measured, &mut nothing);
        let is_second = measured.seconds.last().is_some_and(|last| last.took >= SECOND / 2);
        match measured.seconds.last() {
            Some(last) if is_second && counted(measured) > before => show(last),
            _ => drop(measured.seconds.pop()),
        }
        let last = Duration::from_micros(self.last_us.load(Ordering::Relaxed));
        measured.elapsed = self.plan.span.max(last);
    }

    /// The cluster was asked whether it is well.
    fn learn(&self, wellness: std::result::Result<(), String>) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let was_well = std::mem::replace(&mut health.is_well, wellness.is_ok());
        // What goes on is told once, though it is told otherwise each second.
        if let Err(why) = wellness
            && was_well
            && health.problems.len() < PROBLEMS_MAX
        {
            let seconds = self.begun.elapsed().as_secs();
            health.problems.push(format!("after {seconds} s: {why}"));
        }
    }

    fn problems(&self) -> Vec<String> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).problems.clone()
    }
}

/// One caller, to the end of the run.
async fn call(shared: Arc<Shared>, nth: usize) {
    let Plan { workload, keys, seed, .. } = &shared.plan;
    let mut script = Script::new(workload, keys.records, *seed, nth as u64);
    while let Some(begun) = shared.pacer.next().await {
        let call = script.next(&shared.numbers);
        let ended = shared.perform(nth, call, &mut script).await;
        let has_failed = ended.is_err();
        shared.record(nth, call, begun, ended);
        if has_failed && shared.plan.pace == Pace::Closed {
            tokio::time::sleep(AFTER_FAILURE).await;
        }
    }
}

/// Asks again and again whether the cluster is well.
async fn look(watch: Watch, shared: Arc<Shared>) {
    let mut ticks = interval_at(Instant::now(), SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.learn(watch.ask().await);
    }
}

#[cfg(test)]
mod tests;
