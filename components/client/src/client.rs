//! The client: connecting, and operations on single keys.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proto::kvrpcpb::RawCasRequest;

use crate::admin::Admin;
use crate::backoff::{Budget, Kind};
use crate::command::{Body, Command};
use crate::dial::address;
use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::options::{KeyMode, Options};
use crate::placement::Placement;
use crate::router::Router;

/// A client of a cluster. Clones are the same client; it is used by many tasks at once.
#[derive(Clone)]
pub struct Client {
    pub(crate) router: Arc<Router>,
}

/// What a compare-and-swap has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swap {
    /// The new value was written.
    pub is_swapped: bool,
    /// What was there before, in either case.
    pub previous: Option<Bytes>,
}

/// How long a value lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until it is deleted.
    Forever,
    /// This much longer, in whole seconds.
    Left(Duration),
}

impl Client {
    /// Connects to a cluster by any of its nodes, `host:port`.
    ///
    /// # Errors
    /// [`Error::NotConnected`], at once, if no endpoint is of use, with the reason of each;
    /// [`Error::Timeout`] if placement has no leader for as long as the budget;
    /// [`Error::Invalid`] if a setting is out of bounds or there is no such keyspace.
    pub async fn connect<S: AsRef<str>>(endpoints: &[S], options: Options) -> Result<Client> {
        let endpoints: Vec<String> =
            endpoints.iter().map(|each| address(each.as_ref()).to_owned()).collect();
        Client::open(endpoints, options).await
    }

    async fn open(endpoints: Vec<String>, options: Options) -> Result<Client> {
        let problems = options.problems();
        if !problems.is_empty() {
            let problems = problems.join(", ");
            return Err(Error::Invalid(format!("settings that must not be zero: {problems}")));
        }
        if endpoints.is_empty() {
            return Err(Error::Invalid("no endpoint was given".to_owned()));
        }
        let options = Arc::new(options);
        let placement = Placement::connect(&endpoints, Arc::clone(&options)).await?;
        let keys = match &options.mode {
            KeyMode::V1 => Keys::V1,
            KeyMode::V1Ttl => Keys::V1Ttl,
            KeyMode::V2 { keyspace } => {
                let mut budget = Budget::new(&options, Kind::Read);
                let found = placement.keyspace(keyspace, &mut budget).await?;
                let missing = || Error::Invalid(format!("there is no keyspace {keyspace:?}"));
                Keys::of_keyspace(found.ok_or_else(missing)?.id)
            }
        };
        Ok(Client { router: Arc::new(Router::new(options, keys, placement)) })
    }

    /// The cluster that it is connected to.
    #[must_use]
    pub fn cluster_id(&self) -> u64 {
        self.router.placement.cluster()
    }

    /// What operators ask of placement.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin::new(Arc::clone(&self.router))
    }

    /// The value of a key; none if it has none.
    ///
    /// # Errors
    /// See [`Error`]. Nothing is ever written.
    pub async fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        let key = self.router.keys.request(key.as_ref());
        match self.router.send(&key, Command::get(key.clone())).await? {
            Body::Value(value) => Ok(value),
            other => Err(unfit(&other)),
        }
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// See [`Error`]; if it is [`Error::Undetermined`], the key may have the value.
    pub async fn put(&self, key: impl AsRef<[u8]>, value: impl Into<Bytes>) -> Result<()> {
        self.put_for(key.as_ref(), value.into(), 0).await
    }

    /// Sets the value of a key, for a while. It counts in whole seconds; a part of one is one.
    ///
    /// # Errors
    /// As [`put`](Client::put); [`Error::Invalid`] if the time is zero.
    pub async fn put_with_ttl(
        &self,
        key: impl AsRef<[u8]>,
        value: impl Into<Bytes>,
        ttl: Duration,
    ) -> Result<()> {
        self.put_for(key.as_ref(), value.into(), seconds(ttl)?).await
    }

    async fn put_for(&self, key: &[u8], value: Bytes, ttl: u64) -> Result<()> {
        let key = self.router.keys.request(key);
        let command = Command::put(key.clone(), value, ttl);
        done(self.router.send(&key, command).await?)
    }

    /// Removes a key. That it has no value is no error.
    ///
    /// # Errors
    /// See [`Error`]; if it is [`Error::Undetermined`], the key may be gone.
    pub async fn delete(&self, key: impl AsRef<[u8]>) -> Result<()> {
        let key = self.router.keys.request(key.as_ref());
        done(self.router.send(&key, Command::delete(key.clone())).await?)
    }

    /// How much longer the value of a key lives; none if it has none.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get_ttl(&self, key: impl AsRef<[u8]>) -> Result<Option<Lifetime>> {
        let key = self.router.keys.request(key.as_ref());
        match self.router.send(&key, Command::ttl(key.clone())).await? {
            Body::Ttl(ttl) => Ok(ttl.map(|seconds| match seconds {
                0 => Lifetime::Forever,
                seconds => Lifetime::Left(Duration::from_secs(seconds)),
            })),
            other => Err(unfit(&other)),
        }
    }

    /// Sets the value of a key if it has the expected one, or none.
    ///
    /// # Errors
    /// See [`Error`]. It is never tried again once it may have been done: then it ends with
    /// [`Error::Undetermined`], and who cares reads the key.
    pub async fn compare_and_swap(
        &self,
        key: impl AsRef<[u8]>,
        expected: Option<Bytes>,
        value: impl Into<Bytes>,
    ) -> Result<Swap> {
        let request = RawCasRequest { value: value.into(), ..Default::default() };
        self.swap(key.as_ref(), expected, request).await
    }

    /// As [`compare_and_swap`](Client::compare_and_swap), and the new value lives for a while.
    ///
    /// # Errors
    /// The same; [`Error::Invalid`] if the time is zero.
    pub async fn compare_and_swap_with_ttl(
        &self,
        key: impl AsRef<[u8]>,
        expected: Option<Bytes>,
        value: impl Into<Bytes>,
        ttl: Duration,
    ) -> Result<Swap> {
        let (value, ttl) = (value.into(), seconds(ttl)?);
        let request = RawCasRequest { value, ttl, ..Default::default() };
        self.swap(key.as_ref(), expected, request).await
    }

    /// Removes a key if it has the expected value.
    ///
    /// # Errors
    /// As [`compare_and_swap`](Client::compare_and_swap).
    pub async fn compare_and_delete(
        &self,
        key: impl AsRef<[u8]>,
        expected: impl Into<Bytes>,
    ) -> Result<Swap> {
        let request = RawCasRequest { delete: true, ..Default::default() };
        self.swap(key.as_ref(), Some(expected.into()), request).await
    }

    async fn swap(
        &self,
        key: &[u8],
        expected: Option<Bytes>,
        mut request: RawCasRequest,
    ) -> Result<Swap> {
        let key = self.router.keys.request(key);
        request.key = key.clone();
        request.previous_not_exist = expected.is_none();
        request.previous_value = expected.unwrap_or_default();
        match self.router.send(&key, Command::Cas(request)).await? {
            Body::Swap { is_swapped, previous } => Ok(Swap { is_swapped, previous }),
            other => Err(unfit(&other)),
        }
    }
}

/// A time to live in seconds, rounded up.
pub(crate) fn seconds(ttl: Duration) -> Result<u64> {
    let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
    // Zero would be for ever.
    if seconds == 0 {
        Err(Error::Invalid("a time to live of zero".to_owned()))
    } else {
        Ok(seconds)
    }
}

pub(crate) fn done(body: Body) -> Result<()> {
    match body {
        Body::Done => Ok(()),
        other => Err(unfit(&other)),
    }
}

/// A store that speaks another protocol.
pub(crate) fn unfit(body: &Body) -> Error {
    Error::Refused(format!("the store's answer is to something else: {body:?}"))
}
