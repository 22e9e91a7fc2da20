//! Callers in a closed loop: so many proposals are under way, each answer makes room for the next.
//!
//! One thread makes them all. A proposal's waker says which of them was answered, so that nobody
//! waits behind another's answer.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use multiraft::{Awaited, Handle, Outcome, Refusal};

use super::cluster::{Cluster, STORES, group};

/// Without an answer for so long, the stores hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to propose, and how much of it at a time.
#[derive(Clone, Debug)]
pub struct Load {
    /// Each command.
    pub command: Bytes,
    /// Proposals under way.
    pub outstanding: usize,
    /// How long.
    pub span: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Proposals that were applied.
    pub applied: u64,
    /// Proposals that were refused, or whose outcome nobody knows.
    pub failed: u64,
    /// From the first proposal to the last answer.
    pub elapsed: Duration,
    /// Of each proposal that was applied, in microseconds, ascending.
    pub latencies_us: Vec<f64>,
}

struct Ticket {
    nth: usize,
    ready: Sender<usize>,
}

impl Wake for Ticket {
    fn wake(self: Arc<Self>) {
        // A late waker finds that the load has ended.
        let _ = self.ready.send(self.nth);
    }
}

/// One proposal under way, or its successor.
struct Caller {
    number: u64,
    waker: Waker,
    since: Instant,
    awaited: Option<Awaited>,
}

struct Run<'a> {
    load: &'a Load,
    handles: Vec<Handle>,
    leaders: Vec<usize>,
    callers: Vec<Caller>,
    ready: Receiver<usize>,
    answers: Answers,
}

/// Proposes to all groups of a cluster, each caller always to the same.
///
/// # Panics
/// If the stores hang.
pub fn run(cluster: &Cluster, load: &Load) -> Answers {
    let (sender, ready) = channel();
    let leaders = cluster.wait_led(&[0, 1, 2]);
    let start = Instant::now();
    let caller = |nth: usize| {
        let waker = Waker::from(Arc::new(Ticket { nth, ready: sender.clone() }));
        Caller { number: nth as u64 % cluster.groups() + 1, waker, since: start, awaited: None }
    };
    let mut run = Run {
        load,
        handles: (0..STORES).map(|nth| cluster.handle(nth)).collect(),
        leaders,
        callers: (0..load.outstanding).map(caller).collect(),
        ready,
        answers: Answers::default(),
    };
    (0..load.outstanding).for_each(|nth| run.propose(nth));
    let mut under_way = load.outstanding;
    while under_way > 0 {
        let nth = run.ready.recv_timeout(PATIENCE).expect("the stores hang: no answer came");
        if !run.take_answer(nth) {
            continue;
        }
        if start.elapsed() < load.span {
            run.propose(nth);
        } else {
            under_way -= 1;
        }
    }
    let mut answers = run.answers;
    answers.elapsed = start.elapsed();
    answers.latencies_us.sort_by(f64::total_cmp);
    answers
}

impl Run<'_> {
    fn propose(&mut self, nth: usize) {
        let caller = &mut self.callers[nth];
        let leader = self.leaders[super::cluster::slot(caller.number)];
        caller.since = Instant::now();
        let pending = self.handles[leader].propose(group(caller.number), self.load.command.clone());
        caller.awaited = Some(pending.into_future());
        // The first look leaves the waker there; if there is an answer already, look again.
        caller.waker.wake_by_ref();
    }

    /// Returns whether the caller was answered.
    fn take_answer(&mut self, nth: usize) -> bool {
        let caller = &mut self.callers[nth];
        let Some(awaited) = &mut caller.awaited else { return false };
        let mut context = Context::from_waker(&caller.waker);
        let Poll::Ready(outcome) = Pin::new(awaited).poll(&mut context) else { return false };
        caller.awaited = None;
        match outcome {
            Outcome::Applied { .. } => {
                self.answers.applied += 1;
                let took_us = caller.since.elapsed().as_secs_f64() * 1e6;
                self.answers.latencies_us.push(took_us);
            }
            other => {
                self.answers.failed += 1;
                if let Outcome::Refused(Refusal::NotLeader(Some((_, Some(store))))) = other {
                    let leader = usize::try_from(store.get() - 1).expect("three stores");
                    self.leaders[super::cluster::slot(caller.number)] = leader;
                }
                // The leader is being replaced, or too much is under way.
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        true
    }
}
