//! Lives of a store: each start begins another, on the disk of the one before.

use std::time::Duration;

use prost::Message as _;
use proto::crib::store::v1;
use storage::{Batch, Cf, Durability, Engine};
use types::{ClusterId, StoreId, Time};

use super::{OpenError, scan};
use crate::config::Config;
use crate::disk::{self, decode};
use crate::keys::{self, Meta};
use crate::shard::liveness::Remembered;

/// Version of everything a store writes.
const FORMAT: u32 = 1;

/// A life of a store that has begun.
pub(super) struct Begun {
    pub life: u64,
    pub remembered: Remembered,
    /// Until when peers may have promised, in the lives before, more than settings of this life
    /// keep; and what says on disk that this is over. `None` if they promised no more.
    pub outlived: Option<(Time, Batch)>,
}

/// Checks whose disk it is and begins another life on it, durably.
///
/// # Errors
/// If it is another store's, or cannot be read or written.
pub(super) fn begin(
    engine: &dyn Engine,
    (cluster, store): (ClusterId, StoreId),
    config: &Config,
    now: Time,
) -> Result<Begun, OpenError> {
    let mut life = 1;
    let mut promised = Duration::ZERO;
    if let Some(value) = engine.get(Cf::Meta, keys::IDENTITY)? {
        let found: v1::Identity = decode("identity", keys::IDENTITY, &value)?;
        if found.format != FORMAT {
            return Err(OpenError::Format { found: found.format, supported: FORMAT });
        }
        let owner = (found.cluster, found.store);
        if owner != (cluster.get(), store.get()) {
            return Err(OpenError::Foreign { found: owner, expected: (cluster, store) });
        }
        life = found.life + 1;
        promised = Duration::from_nanos(found.promised_ns);
    }
    let mut remembered = Remembered::default();
    if let Some(value) = engine.get(Cf::Meta, keys::OWN_EPOCH)? {
        disk::remember(&mut remembered, keys::OWN_EPOCH, &value)?;
    }
    let (start, end) = keys::all(Meta::Support);
    let mut failed = None;
    scan(&*engine.view(), Cf::Meta, (&start, &end), &mut |key, value| {
        failed = disk::remember(&mut remembered, key, value).err();
        failed.is_none()
    })?;
    if let Some(why) = failed {
        return Err(why.into());
    }
    remembered.epoch += 1;
    let put_identity = |batch: &mut Batch, promised: Duration| {
        let identity = v1::Identity {
            format: FORMAT,
            cluster: cluster.get(),
            store: store.get(),
            life,
            promised_ns: u64::try_from(promised.as_nanos()).unwrap_or(u64::MAX),
        };
        batch.put(Cf::Meta, keys::IDENTITY, &identity.encode_to_vec());
    };
    let raft = &config.raft;
    let own = raft.lease_span().map_or(Duration::ZERO, |_| raft.election_timeout);
    let mut batch = Batch::new();
    // Not less than before: a life may be shorter than what was promised in the one before it.
    put_identity(&mut batch, promised.max(own));
    let outlived = (promised > own).then(|| {
        tracing::info!(?promised, "peers keep what they promised by earlier settings");
        let mut batch = Batch::new();
        put_identity(&mut batch, own);
        (now.after(promised), batch)
    });
    disk::put_own_epoch(&mut batch, remembered.epoch);
    engine.write(&batch, Durability::Synced)?;
    Ok(Begun { life, remembered, outlived })
}
