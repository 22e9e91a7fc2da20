//! What callers call: one of two clusters, by the same two operations.

use bytes::Bytes;
use client::Client;

use super::Result;
use super::etcd::Connections;

/// Digits of a key behind its first letter.
pub const KEY_DIGITS: usize = 12;

/// A cluster as its callers have it.
#[derive(Clone)]
pub enum Target {
    /// Ours.
    Crib(Client),
    /// The peer.
    Etcd(Connections),
}

/// The key of a number; in the order of numbers.
pub fn key_of(number: u64) -> Bytes {
    format!("k{number:0KEY_DIGITS$}").into()
}

impl Target {
    /// Sets a key.
    ///
    /// # Errors
    /// Whatever the client says.
    pub async fn put(&self, caller: usize, key: Bytes, value: Bytes) -> Result<()> {
        match self {
            Target::Crib(client) => client.put(key, value).await.map_err(|e| e.to_string()),
            Target::Etcd(connections) => connections.put(caller, key, value).await,
        }
    }

    /// Reads a key, as it is after all writes that were answered; that it is there is known.
    ///
    /// # Errors
    /// Whatever the client says; that the key is absent.
    pub async fn get(&self, caller: usize, key: Bytes) -> Result<()> {
        let found = match self {
            Target::Crib(client) => client.get(key).await.map_err(|e| e.to_string())?,
            Target::Etcd(connections) => connections.get(caller, key).await?,
        };
        found.map(drop).ok_or_else(|| "a key that was written is absent".to_owned())
    }
}
