//! Callers that notice what happens to a cluster: few, in a closed loop, on keys of their own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use client::Client;
use load::{Dice, Target, Values};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::Result;
use super::turn::{self, VALUE_BYTES};

/// Callers of each region in a closed loop, and when they succeeded. Their calls are to succeed.
pub struct Watch {
    /// Of each region, ascending or nearly so.
    successes: Vec<Arc<Mutex<Vec<Instant>>>>,
    is_over: Arc<AtomicBool>,
    callers: Vec<JoinHandle<Result<()>>>,
}

impl Watch {
    /// Starts them: so many of each of so many parts of the keys, which are as large as each other.
    pub fn start(
        runtime: &Handle,
        client: &Client,
        (regions, callers): (usize, usize),
        records: u64,
    ) -> Watch {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut watch = Watch { successes: Vec::new(), is_over, callers: Vec::new() };
        let values = Values::new(VALUE_BYTES, 1);
        let keys = turn::keys(records);
        let each = records / regions as u64;
        for region in 0..regions {
            let successes = Arc::new(Mutex::new(Vec::new()));
            watch.successes.push(Arc::clone(&successes));
            for caller in 0..callers {
                let (successes, is_over) = (Arc::clone(&successes), Arc::clone(&watch.is_over));
                let (target, values) = (Target::Crib(client.clone()), values.clone());
                let keys = keys.clone();
                watch.callers.push(runtime.spawn(async move {
                    let mut dice = Dice::new(region as u64, caller as u64);
                    while !is_over.load(Ordering::Relaxed) {
                        let key = keys.key_of(region as u64 * each + dice.below(each));
                        let put = target.put(caller, key, values.any(&mut dice)).await;
                        put.map_err(|failed| failed.to_string())?;
                        locked(&successes).push(Instant::now());
                        // Enough to see gaps, and not so much that the machine makes them.
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                    Ok(())
                }));
            }
        }
        watch
    }

    /// Whether callers of a region have succeeded since then.
    pub fn has_success_since(&self, region: usize, since: Instant) -> bool {
        locked(&self.successes[region]).last().is_some_and(|&at| at > since)
    }

    /// The longest time between two successes, of which the later one is after `from`.
    pub fn gap(&self, region: usize, from: Instant) -> Duration {
        let successes = locked(&self.successes[region]);
        let mut longest = Duration::ZERO;
        let pairs = successes.iter().zip(successes.iter().skip(1));
        for (earlier, later) in pairs.rev().take_while(|(_, later)| **later > from) {
            longest = longest.max(later.saturating_duration_since(*earlier));
        }
        let last = successes.last().copied().unwrap_or(from);
        longest.max(last.elapsed())
    }

    /// Ends them.
    ///
    /// # Errors
    /// The first call that failed.
    pub fn stop(self, runtime: &Handle) -> Result<()> {
        self.is_over.store(true, Ordering::Relaxed);
        for caller in self.callers {
            runtime.block_on(caller).map_err(|error| error.to_string())??;
        }
        Ok(())
    }
}

/// In milliseconds.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
