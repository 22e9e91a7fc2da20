//! Operations on many keys: grouped by region, some requests at a time.
//!
//! It goes in rounds. Each groups what is left by the regions as they are known then, and does the
//! groups at once; keys whose region has changed meanwhile go into the next round.
//!
//! None of them is atomic: when one fails, parts of it may have been done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::backoff::{Attempt, Budget, Kind, Setback};
use crate::client::{Client, done, seconds};
use crate::command::{Body, Command};
use crate::error::{Error, Result};
use crate::region_cache::Route;
use crate::scan::TOO_LONG;

/// Keys in one request.
const KEYS_PER_REQUEST: usize = 4_096;

/// A key, with its value if there is one to write.
type Item = (Bytes, Bytes);

/// What is to be done with keys.
#[derive(Clone, Copy)]
enum Action {
    Get,
    Put { ttl: u64 },
    Delete,
}

impl Action {
    fn kind(self) -> Kind {
        match self {
            Action::Get => Kind::Read,
            Action::Put { .. } | Action::Delete => Kind::Write,
        }
    }

    fn command(self, items: Vec<Item>) -> Command {
        let keys = |items: Vec<Item>| items.into_iter().map(|(key, _)| key).collect();
        match self {
            Action::Get => Command::batch_get(keys(items)),
            Action::Put { ttl } => Command::batch_put(items, ttl),
            Action::Delete => Command::batch_delete(keys(items)),
        }
    }
}

impl Client {
    /// The values of many keys, in the order of the keys; keys without one are left out.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn batch_get<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<(Bytes, Bytes)>> {
        let asked: Vec<Bytes> =
            keys.into_iter().map(|key| self.router.keys.request(key.as_ref())).collect();
        let items = asked.iter().map(|key| (key.clone(), Bytes::new())).collect();
        let found: BTreeMap<Bytes, Bytes> =
            self.rounds(Action::Get, items).await?.into_iter().collect();
        let user = |key: &Bytes| self.router.keys.user(key);
        let pairs = asked.iter().filter_map(|key| Some((user(key)?, found.get(key)?.clone())));
        Ok(pairs.collect())
    }

    /// Sets the values of many keys. Of a key that is there twice, the last value counts.
    ///
    /// # Errors
    /// See [`Error`]; parts may have been done in any case.
    pub async fn batch_put<K: AsRef<[u8]>, V: Into<Bytes>>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<()> {
        let pairs = self.items(pairs);
        self.rounds(Action::Put { ttl: 0 }, pairs).await.map(|_| ())
    }

    /// As [`batch_put`](Client::batch_put), and the values live for a while.
    ///
    /// # Errors
    /// The same; [`Error::Invalid`] if the time is zero.
    pub async fn batch_put_with_ttl<K: AsRef<[u8]>, V: Into<Bytes>>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
        ttl: Duration,
    ) -> Result<()> {
        let (pairs, ttl) = (self.items(pairs), seconds(ttl)?);
        self.rounds(Action::Put { ttl }, pairs).await.map(|_| ())
    }

    /// Removes many keys.
    ///
    /// # Errors
    /// See [`Error`]; parts may have been done in any case.
    pub async fn batch_delete<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<()> {
        let items = self.items(keys.into_iter().map(|key| (key, Bytes::new())));
        self.rounds(Action::Delete, items).await.map(|_| ())
    }

    fn items<K: AsRef<[u8]>, V: Into<Bytes>>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Vec<Item> {
        let keys = self.router.keys;
        pairs.into_iter().map(|(key, value)| (keys.request(key.as_ref()), value.into())).collect()
    }

    /// Does all of it, and returns what was found.
    async fn rounds(&self, action: Action, items: Vec<Item>) -> Result<Vec<Item>> {
        let mut budget = Budget::new(&self.router.options, action.kind());
        let result = self.rounds_within(action, items, &mut budget).await;
        result.map_err(|error| budget.settle(error))
    }

    async fn rounds_within(
        &self,
        action: Action,
        items: Vec<Item>,
        budget: &mut Budget,
    ) -> Result<Vec<Item>> {
        // One of each key, in order: so a group is a run.
        let left: BTreeMap<Bytes, Bytes> = items.into_iter().collect();
        let mut left: Vec<Item> = left.into_iter().collect();
        let mut found = Vec::new();
        let mut keys_max = KEYS_PER_REQUEST;
        while !left.is_empty() {
            let groups = self.group(std::mem::take(&mut left), keys_max, budget).await?;
            let count = groups.len();
            let mut failed = Vec::new();
            for (items, result) in self.round(action, groups, budget).await? {
                match result {
                    Ok(Some(pairs)) => found.extend(pairs),
                    Ok(None) => {
                        keys_max = keys_max.min(items.len() / 2).max(1);
                        left.extend(items);
                    }
                    Err(setback) => {
                        left.extend(items);
                        failed.push(setback);
                    }
                }
            }
            left.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            if failed.len() < count {
                budget.renew();
            }
            if let Some(setback) = merge(failed) {
                budget.pause(setback).await?;
            }
        }
        Ok(found)
    }

    /// One round: each group once. Of one of which the answer does not fit into a message there is
    /// none. What failed for good ends it, after the others have ended: they are not to be done
    /// behind the caller's back.
    async fn round(
        &self,
        action: Action,
        groups: Vec<(Route, Vec<Item>)>,
        budget: &Budget,
    ) -> Result<Vec<(Vec<Item>, Attempt<Option<Vec<Item>>>)>> {
        let slots = Arc::new(Semaphore::new(self.router.options.fan_out));
        let mut tasks = JoinSet::new();
        for (route, items) in groups {
            let (router, slots) = (Arc::clone(&self.router), Arc::clone(&slots));
            let mut budget = budget.part();
            tasks.spawn(async move {
                let _slot = slots.acquire().await;
                let command = action.command(items.clone());
                let result = router.attempt(&route, command, &mut budget).await;
                (items, result)
            });
        }
        let (mut results, mut fatal) = (Vec::new(), None);
        // Of two reasons to end, that it is not known what was done counts for more.
        let end = |fatal: &mut Option<Error>, error: Error| {
            let is_worse = matches!(error, Error::Undetermined(_));
            if fatal.is_none() || is_worse {
                *fatal = Some(error);
            }
        };
        while let Some(joined) = tasks.join_next().await {
            let Ok((items, result)) = joined else {
                end(&mut fatal, Error::Undetermined("a part of it was broken off".to_owned()));
                continue;
            };
            match result {
                Ok(Ok(Body::Pairs(pairs))) => results.push((items, Ok(Some(pairs)))),
                Ok(Ok(body)) => match done(body) {
                    Ok(()) => results.push((items, Ok(Some(Vec::new())))),
                    Err(error) => end(&mut fatal, error),
                },
                Ok(Err(setback)) => results.push((items, Err(setback))),
                Err(Error::Refused(why)) if why.starts_with(TOO_LONG) && items.len() > 1 => {
                    results.push((items, Ok(None)));
                }
                Err(error) => end(&mut fatal, error),
            }
        }
        let Some(fatal) = fatal else { return Ok(results) };
        let setbacks = results.iter().filter_map(|(_, result)| result.as_ref().err());
        let unknown = setbacks.filter(|_| action.kind() != Kind::Read).find(|it| it.is_unknown);
        Err(match (unknown, fatal) {
            (Some(setback), fatal) if !matches!(fatal, Error::Undetermined(_)) => {
                Error::Undetermined(format!("{}; and then: {fatal}", setback.why))
            }
            (_, fatal) => fatal,
        })
    }

    /// Groups keys, which are in order, by region, in requests that are not too large.
    async fn group(
        &self,
        items: Vec<Item>,
        keys_max: usize,
        budget: &mut Budget,
    ) -> Result<Vec<(Route, Vec<Item>)>> {
        let mut groups: Vec<(Route, Vec<Item>)> = Vec::new();
        let mut bytes = 0;
        for item in items {
            let bound = self.router.keys.bound(&item.0);
            let size = item.0.len() + item.1.len();
            if let Some((route, group)) = groups.last_mut() {
                let fits =
                    group.len() < keys_max && bytes + size <= self.router.options.request_bytes;
                if fits && route.region.range.contains(&bound) {
                    bytes += size;
                    group.push(item);
                    continue;
                }
            }
            bytes = size;
            let route = self.router.locate(&bound, budget).await?;
            groups.push((route, vec![item]));
        }
        Ok(groups)
    }
}

/// The setbacks of one round as one: the worst fate, the longest pause.
fn merge(failed: Vec<Setback>) -> Option<Setback> {
    failed.into_iter().reduce(|one, other| {
        let is_other_worse = other.is_unknown && !one.is_unknown;
        let why = if is_other_worse { other.why } else { one.why };
        let is_unknown = one.is_unknown || other.is_unknown;
        Setback { why, is_unknown, pause: one.pause.max(other.pause) }
    })
}
