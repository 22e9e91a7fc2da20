//! CPU time of several subjects that take turns.
//!
//! First      each subject's iteration count is doubled until one run lasts `run_min`; this also
//!            warms caches and allocator.
//! Then       `runs` times over, each subject runs once, in turn, so a slow spell of the machine
//!            hits all of them.
//! Result     per subject the CPU time of one iteration, turn by turn. A ratio of two subjects is
//!            the median of the turns' ratios: neighbours in time saw the same machine.

use std::time::Duration;

use cpu_time::ThreadTime;

/// How long and how often to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Turns per subject.
    pub runs: usize,
    /// Least CPU time of one turn.
    pub run_min: Duration,
}

/// Something that can be repeated: called with the number of iterations to do.
pub type Subject<'a> = Box<dyn FnMut(u64) + 'a>;

/// Nanoseconds per iteration of each subject (outer) in each turn (inner).
pub fn interleaved(plan: Plan, subjects: &mut [Subject<'_>]) -> Vec<Vec<f64>> {
    let iterations: Vec<u64> = subjects.iter_mut().map(|s| calibrate(plan.run_min, s)).collect();
    let mut times = vec![Vec::with_capacity(plan.runs); subjects.len()];
    for _ in 0..plan.runs {
        for (i, subject) in subjects.iter_mut().enumerate() {
            let elapsed = time(subject, iterations[i]);
            times[i].push(elapsed.as_secs_f64() * 1e9 / iterations[i] as f64);
        }
    }
    times
}

/// The middle value; of an even number the upper one.
///
/// # Panics
/// If there is none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn calibrate(run_min: Duration, subject: &mut Subject<'_>) -> u64 {
    let mut iterations = 1;
    // A subject whose single iteration takes seconds is not run twice just to warm it up.
    while time(subject, iterations) < run_min {
        iterations *= 2;
    }
    iterations
}

fn time(subject: &mut Subject<'_>, iterations: u64) -> Duration {
    let start = ThreadTime::now();
    subject(iterations);
    start.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_unsorted_values_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    }

    #[test]
    fn interleaved_subjects_all_run_equally_often() {
        let plan = Plan { runs: 3, run_min: Duration::ZERO };
        let (mut a, mut b) = (0, 0);
        let times = interleaved(plan, &mut [Box::new(|n| a += n), Box::new(|n| b += n)]);
        assert_eq!((times[1].len(), a, b), (3, 4, 4));
    }
}
