//! Records that must be there before anything is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinSet;

use crate::dice::Dice;
use crate::keys::Keys;
use crate::target::{Result, Target};
use crate::values::Values;

/// Callers that set them.
const FILLERS: u64 = 32;
/// Records in one request.
const BATCH: u64 = 128;
/// Records whose values are looked at to tell whether all are as they should be.
const SAMPLE: u64 = 16;

/// Whether all records are there, with values of this size as far as a few of them tell.
///
/// # Errors
/// What the client says.
pub async fn is_filled(target: &Target, keys: &Keys, value_bytes: usize) -> Result<bool> {
    if target.count(keys.records()).await? != keys.records {
        return Ok(false);
    }
    for nth in 0..SAMPLE.min(keys.records) {
        let number = keys.records / SAMPLE.min(keys.records) * nth;
        let found = target.find(0, keys.key_of(number)).await?;
        if found.is_none_or(|value| value.len() != value_bytes) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Sets every record once. Tells, now and then, how many are set.
///
/// # Errors
/// The first failure of any caller.
pub async fn fill(
    target: &Target,
    keys: &Keys,
    values: &Values,
    show: &mut (dyn FnMut(u64) + Send),
) -> Result<()> {
    let next = Arc::new(AtomicU64::new(0));
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut fillers = JoinSet::new();
    for filler in 0..FILLERS {
        let (target, keys, values) = (target.clone(), keys.clone(), values.clone());
        let (next, told) = (Arc::clone(&next), told.clone());
        fillers.spawn(async move {
            // Other values than those of callers.
            let mut dice = Dice::new(u64::MAX, filler);
            loop {
                let first = next.fetch_add(BATCH, Ordering::Relaxed);
                if first >= keys.records {
                    return Result::Ok(());
                }
                let numbers = first..(first + BATCH).min(keys.records);
                let set = numbers.end - numbers.start;
                let pairs = numbers.map(|nth| (keys.key_of(nth), values.any(&mut dice))).collect();
                target.put_all(usize::try_from(filler).expect("few"), pairs).await?;
                // Who listens has gone only after a failure.
                let _ = told.send(set);
            }
        });
    }
    drop(told);
    let mut done = 0;
    while let Some(set) = heard.recv().await {
        done += set;
        show(done);
    }
    while let Some(ended) = fillers.join_next().await {
        match ended {
            Ok(filled) => filled?,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_cancelled) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    #[tokio::test]
    async fn records_are_set_once_and_found_to_be_there() {
        let fake = Arc::new(Fake::default());
        let target = Target::Fake(Arc::clone(&fake));
        let keys = Keys { prefix: "bench/".to_owned(), records: 1_000 };
        assert_eq!(is_filled(&target, &keys, 8).await, Ok(false));
        let mut told = Vec::new();
        fill(&target, &keys, &Values::new(8, 1), &mut |done| told.push(done)).await.unwrap();
        assert_eq!((fake.len(), told.last()), (1_000, Some(&1_000)));
        assert_eq!(is_filled(&target, &keys, 8).await, Ok(true));
        assert_eq!(is_filled(&target, &keys, 9).await, Ok(false), "values of another size");
        let more = Keys { records: 1_001, ..keys };
        assert_eq!(is_filled(&target, &more, 8).await, Ok(false));
    }

    #[tokio::test]
    async fn failure_ends_it() {
        let fake = Arc::new(Fake::default());
        fake.fail("refused");
        let keys = Keys { prefix: String::new(), records: 1_000 };
        let filled =
            fill(&Target::Fake(fake), &keys, &Values::new(8, 1), &mut |_| ()).await.unwrap_err();
        assert_eq!(filled.kind, "refused");
    }
}
