//! What callers call: one of two clusters, by the same few operations.
//!
//! A call has ended when its caller knows the outcome. That a key is absent which was written
//! before is a failure: no bench asks for anything else.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use client::{Client, Error, ScanOptions};
use types::KeyRange;

use crate::etcd::Etcd;

/// A cluster as its callers have it.
#[derive(Clone)]
pub enum Target {
    /// Ours, by a client that routes: through a stream, or call by call.
    Crib(Client),
    /// The peer, over connections that callers share.
    Etcd(Etcd),
    /// Something that takes puts, and nothing else.
    Callee(Arc<dyn Callee>),
    /// None: what the tests of this crate call.
    #[cfg(test)]
    Fake(Arc<crate::fake::Fake>),
}

/// What a bench brings along to be measured by the same callers.
pub trait Callee: Send + Sync {
    /// Sets a key.
    fn put(
        &self,
        caller: usize,
        key: Bytes,
        value: Bytes,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + '_>>;
}

/// An operation that failed, after whatever the client did about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Of which kind; failures are counted by it.
    pub kind: &'static str,
    /// What was said.
    pub why: String,
}

/// How an operation ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// As it was meant.
    Whole,
    /// Somebody else had changed the key meanwhile: nothing was written.
    Conflict,
}

/// What operations return.
pub type Result<T> = std::result::Result<T, Failed>;

impl Target {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Target::Crib(_) => "crib",
            Target::Etcd(_) => "etcd",
            Target::Callee(_) => "callee",
            #[cfg(test)]
            Target::Fake(_) => "fake",
        }
    }

    /// Sets a key.
    ///
    /// # Errors
    /// What the client says.
    pub async fn put(&self, caller: usize, key: Bytes, value: Bytes) -> Result<()> {
        match self {
            Target::Crib(client) => Ok(client.put(key, value).await?),
            Target::Etcd(etcd) => etcd.put(caller, key, value).await,
            Target::Callee(callee) => callee.put(caller, key, value).await,
            #[cfg(test)]
            Target::Fake(fake) => fake.put(key, value).await,
        }
    }

    /// Sets many keys, in as many requests as it takes: for what is not measured.
    ///
    /// # Errors
    /// What the client says. Some of them may be set.
    pub async fn put_all(&self, caller: usize, pairs: Vec<(Bytes, Bytes)>) -> Result<()> {
        match self {
            Target::Crib(client) => Ok(client.batch_put(pairs).await?),
            Target::Etcd(etcd) => etcd.put_all(caller, pairs).await,
            Target::Callee(callee) => {
                for (key, value) in pairs {
                    callee.put(caller, key, value).await?;
                }
                Ok(())
            }
            #[cfg(test)]
            Target::Fake(fake) => {
                for (key, value) in pairs {
                    fake.put(key, value).await?;
                }
                Ok(())
            }
        }
    }

    /// Reads a key, as it is after all writes that were answered.
    ///
    /// # Errors
    /// What the client says; that the key is absent.
    pub async fn get(&self, caller: usize, key: Bytes) -> Result<Bytes> {
        let found = self.find(caller, key).await?;
        found.ok_or_else(|| Failed::absent("a key that was written is absent"))
    }

    /// Reads a key that may be absent.
    ///
    /// # Errors
    /// What the client says.
    pub async fn find(&self, caller: usize, key: Bytes) -> Result<Option<Bytes>> {
        match self {
            Target::Crib(client) => Ok(client.get(key).await?),
            Target::Etcd(etcd) => etcd.get(caller, key).await,
            Target::Callee(_) => Err(Failed::unserved()),
            #[cfg(test)]
            Target::Fake(fake) => fake.get(key).await,
        }
    }

    /// Reads so many keys of a range, which is not empty, from its beginning on.
    ///
    /// # Errors
    /// What the client says; that there is none.
    pub async fn scan(&self, caller: usize, range: KeyRange, keys: u64) -> Result<()> {
        let found = match self {
            Target::Crib(client) => {
                let limit = usize::try_from(keys).unwrap_or(usize::MAX);
                let page_keys = limit.clamp(1, ScanOptions::default().page_keys);
                let options =
                    ScanOptions { limit: Some(limit), page_keys, ..ScanOptions::default() };
                client.scan(&range, options).collect().await?.len()
            }
            Target::Etcd(etcd) => etcd.scan(caller, range, keys).await?,
            Target::Callee(_) => return Err(Failed::unserved()),
            #[cfg(test)]
            Target::Fake(fake) => fake.scan(range, keys).await?,
        };
        if found == 0 { Err(Failed::absent("a range that was written is empty")) } else { Ok(()) }
    }

    /// Reads a key, and gives it a new value if it still has that one.
    ///
    /// # Errors
    /// What the client says; that the key is absent.
    pub async fn modify(&self, caller: usize, key: Bytes, value: Bytes) -> Result<Done> {
        let found = self.get(caller, key.clone()).await?;
        let is_swapped = match self {
            Target::Crib(client) => {
                client.compare_and_swap(key, Some(found), value).await?.is_swapped
            }
            Target::Etcd(etcd) => etcd.swap(caller, key, found, value).await?,
            Target::Callee(_) => return Err(Failed::unserved()),
            #[cfg(test)]
            Target::Fake(fake) => fake.swap(key, found, value).await?,
        };
        Ok(if is_swapped { Done::Whole } else { Done::Conflict })
    }

    /// How many keys there are in a range.
    ///
    /// # Errors
    /// What the client says.
    pub async fn count(&self, range: KeyRange) -> Result<u64> {
        match self {
            Target::Crib(client) => Ok(client.count(&range).await?),
            Target::Etcd(etcd) => etcd.count(range).await,
            Target::Callee(_) => Err(Failed::unserved()),
            #[cfg(test)]
            Target::Fake(fake) => fake.count(range).await,
        }
    }
}

impl Failed {
    /// What is measured takes puts alone.
    fn unserved() -> Failed {
        Failed { kind: "refused", why: "it takes puts, and nothing else".to_owned() }
    }

    /// What was to be there is not.
    fn absent(why: &str) -> Failed {
        Failed { kind: "absent", why: why.to_owned() }
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind, self.why)
    }
}

impl std::error::Error for Failed {}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        let kind = match &error {
            Error::NotConnected(_) => "not connected",
            Error::Timeout { .. } => "timed out",
            Error::NoLeader(_) => "no leader",
            Error::Undetermined(_) => "outcome unknown",
            Error::Refused(_) => "refused",
            Error::Denied(_) => "denied",
            Error::TooLarge(_) => "too large",
            Error::OtherCluster { .. } => "other cluster",
            Error::Invalid(_) => "invalid",
        };
        Failed { kind, why: error.to_string() }
    }
}
