//! A target in memory, for the tests of this crate: it takes as long as it is told, and fails.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use types::KeyRange;

use crate::target::{Failed, Result};

/// See above.
#[derive(Default)]
pub struct Fake {
    pairs: Mutex<BTreeMap<Bytes, Bytes>>,
    how: Mutex<How>,
}

#[derive(Clone, Copy, Default)]
struct How {
    takes: Duration,
    /// Nothing is answered in between.
    stall: Option<(Instant, Instant)>,
    fails: Option<&'static str>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fake {
    pub(crate) fn take(&self, takes: Duration) {
        locked(&self.how).takes = takes;
    }

    pub(crate) fn stall(&self, from: Instant, to: Instant) {
        locked(&self.how).stall = Some((from, to));
    }

    pub(crate) fn fail(&self, kind: &'static str) {
        locked(&self.how).fails = Some(kind);
    }

    pub(crate) fn len(&self) -> usize {
        locked(&self.pairs).len()
    }

    async fn answer(&self) -> Result<()> {
        let How { takes, stall, fails } = *locked(&self.how);
        tokio::time::sleep(takes).await;
        if let Some((from, to)) = stall
            && (from..to).contains(&Instant::now())
        {
            tokio::time::sleep_until(to).await;
        }
        match fails {
            Some(kind) => Err(Failed { kind, why: "it was told to".to_owned() }),
            None => Ok(()),
        }
    }

    pub(crate) async fn put(&self, key: Bytes, value: Bytes) -> Result<()> {
        self.answer().await?;
        locked(&self.pairs).insert(key, value);
        Ok(())
    }

    pub(crate) async fn get(&self, key: Bytes) -> Result<Option<Bytes>> {
        self.answer().await?;
        Ok(locked(&self.pairs).get(&key).cloned())
    }

    pub(crate) async fn scan(&self, range: KeyRange, keys: u64) -> Result<usize> {
        Ok(self.count(range).await?.min(keys).try_into().expect("few"))
    }

    pub(crate) async fn swap(&self, key: Bytes, expected: Bytes, value: Bytes) -> Result<bool> {
        self.answer().await?;
        let mut pairs = locked(&self.pairs);
        let is_same = pairs.get(&key) == Some(&expected);
        if is_same {
            pairs.insert(key, value);
        }
        Ok(is_same)
    }

    pub(crate) async fn count(&self, range: KeyRange) -> Result<u64> {
        self.answer().await?;
        Ok(locked(&self.pairs).keys().filter(|key| range.contains(key)).count() as u64)
    }
}
