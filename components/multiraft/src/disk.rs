//! What a store keeps on disk about its groups: written and read here alone.
//!
//! Formats are those of `crib.store.v1`, keys those of `keys`. What cannot be read is damage, and
//! is said with the key it was found under; nothing is guessed.

use std::fmt;
use std::ops::{Bound, Range};

use bytes::Bytes;
use prost::Message as _;
use proto::crib::raft::v1 as raft_v1;
use proto::crib::store::v1;
use storage::{Batch, Cf, Direction, Engine, View};
use types::{EntryId, GroupId, Index, PeerId, StoreId, Term};

use crate::apply::AppliedRoster;
use crate::entry::Entry;
use crate::keys::{self, Meta};
use crate::message::{SnapshotChunk, SnapshotOffer};
use crate::shard::liveness::Remembered;
use crate::wire;

/// A stored record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    Engine(storage::Error),
    Damaged(String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Engine(why) => write!(f, "{why}"),
            ReadError::Damaged(why) => write!(f, "the data is damaged: {why}"),
        }
    }
}

impl From<storage::Error> for ReadError {
    fn from(why: storage::Error) -> ReadError {
        ReadError::Engine(why)
    }
}

/// Decodes a record, naming it if it cannot be.
pub(crate) fn decode<M: prost::Message + Default>(
    what: &str,
    key: &[u8],
    value: &[u8],
) -> Result<M, ReadError> {
    M::decode(value).map_err(|why| ReadError::Damaged(format!("{what} under {key:02x?}: {why}")))
}

fn put(batch: &mut Batch, key: &keys::Key, record: &impl prost::Message) {
    batch.put(Cf::Meta, key.as_slice(), &record.encode_to_vec());
}

fn id(entry: EntryId) -> raft_v1::EntryId {
    raft_v1::EntryId { term: entry.term.0, index: entry.index.0 }
}

pub(crate) fn entry_id(entry: Option<raft_v1::EntryId>) -> EntryId {
    entry.map_or(EntryId::default(), |id| EntryId::new(Term(id.term), Index(id.index)))
}

/// Term, vote and commit index.
pub(crate) fn put_hard_state(
    batch: &mut Batch,
    group: GroupId,
    state: &raft::Receipt,
    commit: Index,
) {
    let state = v1::HardState {
        term: state.term.0,
        vote: state.vote.map_or(0, PeerId::get),
        commit: commit.0,
    };
    batch.put(Cf::Raft, keys::hard_state(group).as_slice(), &state.encode_to_vec());
}

/// One slot of the log.
pub(crate) fn put_entry(batch: &mut Batch, group: GroupId, entry: &Entry) {
    let key = keys::entry(group, entry.id.index);
    batch.put(Cf::Raft, key.as_slice(), &wire::entry_value(entry));
}

/// Deletes the slots from `from` on.
pub(crate) fn cut_entries(batch: &mut Batch, group: GroupId, from: Index) {
    let (start, end) = (keys::entry(group, from), keys::entries_end(group));
    batch.delete_range(Cf::Raft, start.as_slice(), end.as_slice());
}

/// Deletes the slots up to `upto` and says that the log begins behind it.
pub(crate) fn drop_entries(batch: &mut Batch, group: GroupId, upto: EntryId) {
    let (start, end) = (keys::entry(group, Index(0)), keys::entry(group, upto.index.next()));
    batch.delete_range(Cf::Raft, start.as_slice(), end.as_slice());
    put_base(batch, group, upto);
}

/// The group lives here, as this peer, perhaps with a snapshot being installed.
pub(crate) fn put_live(
    batch: &mut Batch,
    group: GroupId,
    peer: PeerId,
    installing: Option<&SnapshotOffer>,
) {
    let record = v1::GroupRecord {
        peer: peer.get(),
        life: v1::GroupLife::Live.into(),
        installing: installing.map(wire::offer_to_proto),
    };
    put(batch, &keys::of_group(Meta::Group, group), &record);
}

/// The group was here, as this peer, and does not come back as it or an earlier one.
pub(crate) fn put_tombstone(batch: &mut Batch, group: GroupId, peer: PeerId) {
    let record = v1::GroupRecord {
        peer: peer.get(),
        life: v1::GroupLife::Tombstone.into(),
        installing: None,
    };
    put(batch, &keys::of_group(Meta::Group, group), &record);
}

/// Replaces everything of the group by a tombstone; the data of its machine apart.
pub(crate) fn bury(batch: &mut Batch, group: GroupId, peer: PeerId) {
    put_tombstone(batch, group, peer);
    for meta in [Meta::Apply, Meta::Base, Meta::Roster] {
        batch.delete(Cf::Meta, keys::of_group(meta, group).as_slice());
    }
    discard_chunks(batch, group);
    let (start, end) = (keys::hard_state(group), keys::entries_end(group));
    batch.delete_range(Cf::Raft, start.as_slice(), end.as_slice());
}

/// How far the group has applied.
pub(crate) fn put_applied(batch: &mut Batch, group: GroupId, applied: EntryId) {
    let record = v1::ApplyState { applied: Some(id(applied)) };
    put(batch, &keys::of_group(Meta::Apply, group), &record);
}

/// Where the stored log begins.
pub(crate) fn put_base(batch: &mut Batch, group: GroupId, base: EntryId) {
    put(batch, &keys::of_group(Meta::Base, group), &v1::LogBase { base: Some(id(base)) });
}

/// The membership applied last.
pub(crate) fn put_roster(batch: &mut Batch, group: GroupId, roster: &AppliedRoster) {
    if roster.roster.membership().is_empty() {
        // Nobody is known yet, which is what no record says.
        return;
    }
    let record = v1::AppliedRoster {
        index: roster.index.0,
        roster: Some(wire::roster_to_proto(&roster.roster)),
        removed: roster.removed.iter().map(wire::removed_to_proto).collect(),
    };
    put(batch, &keys::of_group(Meta::Roster, group), &record);
}

/// A chunk of a snapshot that arrives: its data, behind a byte that says whether it is the last.
pub(crate) fn put_chunk(batch: &mut Batch, group: GroupId, chunk: &SnapshotChunk) {
    let mut value = Vec::with_capacity(chunk.data.len() + 1);
    value.push(u8::from(chunk.is_last));
    value.extend_from_slice(&chunk.data);
    batch.put(Cf::Meta, keys::chunk(group, chunk.nth).as_slice(), &value);
}

/// Forgets the chunks of a group.
pub(crate) fn discard_chunks(batch: &mut Batch, group: GroupId) {
    let (start, end) = keys::chunks(group);
    batch.delete_range(Cf::Meta, start.as_slice(), end.as_slice());
}

/// Which epoch of a store is supported, or was until that was withdrawn.
pub(crate) fn put_support(batch: &mut Batch, store: StoreId, epoch: u64, withdrawn: bool) {
    put(batch, &keys::support(store), &v1::Support { epoch, withdrawn });
}

/// This store's own epoch.
pub(crate) fn put_own_epoch(batch: &mut Batch, epoch: u64) {
    batch.put(Cf::Meta, keys::OWN_EPOCH, &v1::OwnEpoch { epoch }.encode_to_vec());
}

/// Takes over a record of store liveness.
pub(crate) fn remember(
    remembered: &mut Remembered,
    key: &[u8],
    value: &[u8],
) -> Result<(), ReadError> {
    if key == keys::OWN_EPOCH {
        let record: v1::OwnEpoch = decode("own epoch", key, value)?;
        remembered.epoch = record.epoch;
        return Ok(());
    }
    let record: v1::Support = decode("support", key, value)?;
    let store = keys::number(key).and_then(StoreId::new);
    let store =
        store.ok_or_else(|| ReadError::Damaged(format!("support of no store: {key:02x?}")))?;
    remembered.support.insert(store, (record.epoch, record.withdrawn));
    Ok(())
}

/// The peer of a group that is recorded here, and whether it is buried.
pub(crate) fn life(
    engine: &dyn Engine,
    group: GroupId,
) -> Result<Option<(PeerId, bool)>, storage::Error> {
    let key = keys::of_group(Meta::Group, group);
    let Some(value) = engine.get(Cf::Meta, key.as_slice())? else { return Ok(None) };
    let record: v1::GroupRecord = decode("group", key.as_slice(), &value)
        .map_err(|why| storage::Error::Corrupt(why.to_string()))?;
    let is_buried = record.life() == v1::GroupLife::Tombstone;
    let peer = PeerId::new(record.peer);
    let peer =
        peer.ok_or_else(|| storage::Error::Corrupt(format!("group {group} without peer")))?;
    Ok(Some((peer, is_buried)))
}

/// Where the stored log of a group begins; `None` if that was never said.
pub(crate) fn base(engine: &dyn Engine, group: GroupId) -> Result<Option<EntryId>, storage::Error> {
    let key = keys::of_group(Meta::Base, group);
    let Some(value) = engine.get(Cf::Meta, key.as_slice())? else { return Ok(None) };
    let record: v1::LogBase = decode("log base", key.as_slice(), &value)
        .map_err(|why| storage::Error::Corrupt(why.to_string()))?;
    Ok(Some(entry_id(record.base)))
}

/// Calls with each staged chunk in order, until told to stop.
///
/// # Errors
/// If the engine cannot read, or not all chunks are there.
pub(crate) fn scan_chunks(
    view: &dyn View,
    group: GroupId,
    each: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<(), storage::Error> {
    let (start, end) = keys::chunks(group);
    let bounds = (Bound::Included(start.as_slice()), Bound::Excluded(end.as_slice()));
    let mut next = 0;
    let mut is_whole = false;
    let mut is_stopped = false;
    view.scan(Cf::Meta, bounds, Direction::Forward, &mut |key, value| {
        let Some((&last, data)) = value.split_first() else { return false };
        if keys::chunk(group, next).as_slice() != key {
            return false;
        }
        next += 1;
        is_whole = last == 1;
        is_stopped = !each(data);
        !is_stopped && !is_whole
    })?;
    if is_whole || is_stopped {
        Ok(())
    } else {
        Err(storage::Error::Corrupt(format!("chunk {next} of the snapshot of {group} is missing")))
    }
}

/// The entries of a range of slots, at least one and then as many as fit into `bytes_max`, without
/// a gap. Fewer if they are not there.
pub(crate) fn read_entries(
    view: &dyn View,
    group: GroupId,
    range: &Range<Index>,
    bytes_max: u64,
) -> Result<Vec<Entry>, ReadError> {
    let (start, end) = (keys::entry(group, range.start), keys::entry(group, range.end));
    let bounds = (Bound::Included(start.as_slice()), Bound::Excluded(end.as_slice()));
    let mut entries: Vec<Entry> = Vec::new();
    let mut bytes = 0;
    let mut failed = None;
    view.scan(Cf::Raft, bounds, Direction::Forward, &mut |key, value| {
        let next = Index(range.start.0 + entries.len() as u64);
        let value = Bytes::copy_from_slice(value);
        match wire::entry_from(next, value) {
            Ok(entry) if keys::entry(group, next).as_slice() == key => {
                bytes += entry.payload.bytes();
                if bytes > bytes_max && !entries.is_empty() {
                    return false;
                }
                entries.push(entry);
                true
            }
            Ok(_) => false,
            Err(why) => {
                failed = Some(ReadError::Damaged(format!("entry {next} of group {group}: {why}")));
                false
            }
        }
    })?;
    failed.map_or(Ok(entries), Err)
}
