//! Opening a store: from what is on the disk to groups that run.
//!
//! One scan of the meta family finds the groups, one of the raft family their logs, in the same
//! order. An install that a crash interrupted is completed from its staged chunks before anything
//! else. A group whose records contradict each other is set aside and named: the others run.

mod life;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use proto::crib::store::v1;
use raft::Run;
use storage::{Batch, Cf, Direction, Durability, Engine, View};
use types::{ClusterId, EntryId, GroupId, Index, PeerId, StoreId, Term, Time};

use crate::apply::{AppliedRoster, Applier, ApplyError, ApplyOutput, ApplyTask, Work};
use crate::config::Config;
use crate::disk::{self, ReadError, decode};
use crate::entry::Payload;
use crate::keys::{self, Meta, RaftKey};
use crate::message::SnapshotOffer;
use crate::pledges::Pledges;
use crate::shard::life::Stored;
use crate::shard::liveness::Remembered;
use crate::shard::{NAMELESS, Shard};
use crate::state_machine::Machines;
use crate::wire;
use life::Begun;

/// A store that was read from its disk.
pub struct Opened {
    /// How often it was started, this time included.
    pub life: u64,
    /// For store liveness.
    pub remembered: Remembered,
    /// What is to be written from then on: that no promise of an earlier life binds any more.
    pub(crate) outlived: Option<(Time, Batch)>,
    /// The groups, by [`shard_of`].
    pub shards: Vec<Shard>,
    /// Their state machines, by [`shard_of`] over the appliers.
    pub appliers: Vec<Applier>,
    /// Groups that were set aside, and why.
    pub damaged: Vec<(GroupId, String)>,
    /// All stores that peers live on.
    pub stores: Vec<StoreId>,
    /// For whoever tells the store of others, and for readers; the shards have it.
    pub pledges: Arc<Pledges>,
}

/// Why a store does not open. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// Settings out of bounds.
    Config(Vec<raft::BadConfig>),
    /// The engine failed.
    Engine(storage::Error),
    /// The disk belongs to another store.
    Foreign {
        /// Whose it is.
        found: (u64, u64),
        /// Whose it should be.
        expected: (ClusterId, StoreId),
    },
    /// The disk was written by another version.
    Format {
        /// Its format.
        found: u32,
        /// What this version reads.
        supported: u32,
    },
    /// A record of the store itself cannot be read.
    Damaged(String),
}

/// Which of several shards, or appliers, a group belongs to.
#[must_use]
pub fn shard_of(group: GroupId, shards: usize) -> usize {
    usize::try_from(group.get() % shards as u64).expect("there are few shards")
}

/// Reads a store from its disk, or makes a new one of an empty disk.
///
/// # Errors
/// As [`OpenError`] says. Groups that cannot be read are set aside and do not keep the store from
/// opening.
pub fn open(
    config: &Arc<Config>,
    engine: &Arc<dyn Engine>,
    machines: &Arc<dyn Machines>,
    identity: (ClusterId, StoreId),
    now: Time,
) -> Result<Opened, OpenError> {
    config.validate().map_err(OpenError::Config)?;
    let Begun { life, remembered, outlived } = life::begin(&**engine, identity, config, now)?;
    let view = engine.view();
    let mut found = Records::default();
    found.read_meta(&*view)?;
    found.read_logs(&*view)?;
    drop(view);
    let (_, store) = identity;
    let seed = store.get().wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ life;
    let pledges = Arc::new(Pledges::new(life, &config.raft));
    let promised_before = outlived.as_ref().map_or(Time::ZERO, |(until, _)| *until);
    let applier =
        || Applier::new(Arc::clone(engine), Arc::clone(machines), config.apply_slice_bytes);
    let shard = || Shard::new(Arc::clone(config), (store, seed), Arc::clone(&pledges), now);
    let mut shards: Vec<Shard> = (0..config.workers).map(|_| shard()).collect();
    shards.iter_mut().for_each(|shard| shard.remember_promises(promised_before));
    let mut opened = Opened {
        life,
        remembered,
        outlived,
        shards,
        appliers: (0..config.appliers).map(|_| applier()).collect(),
        damaged: Vec::new(),
        stores: Vec::new(),
        pledges,
    };
    let mut burials = Vec::new();
    for (group, record) in found.groups {
        burials.extend(opened.take_up((group, record), store, (config, engine, machines), now)?);
    }
    // Behind all that was installed above: what comes of these the shards are to hear.
    for (group, peer) in burials {
        let applier = &mut opened.appliers[shard_of(group, config.appliers)];
        applier.push(ApplyTask { group, peer, work: Work::Destroy });
        opened.shards[shard_of(group, config.workers)].remember_burial(group);
    }
    opened.stores.sort_unstable();
    opened.stores.dedup();
    opened.stores.retain(|&other| other != store);
    Ok(opened)
}

impl Opened {
    /// Brings a group to life, or sets it aside. Returns the peer of one that has a tombstone, and
    /// of which something is left that is to be removed.
    fn take_up(
        &mut self,
        (group, mut record): (GroupId, Record),
        store: StoreId,
        (config, engine, machines): (&Config, &Arc<dyn Engine>, &Arc<dyn Machines>),
        now: Time,
    ) -> Result<Option<(GroupId, PeerId)>, OpenError> {
        let shard = &mut self.shards[shard_of(group, config.workers)];
        if let Some(peer) = record.nameless(store) {
            let mut batch = Batch::new();
            disk::put_live(&mut batch, group, peer, None);
            engine.write(&batch, Durability::Buffered)?;
            record.peer = Some(peer);
        }
        let Some(peer) = record.peer else {
            if let Some(why) = record.failed.take() {
                self.damaged.push((group, why));
                // If it is not known who it was, none may come in its place: it has promised.
                shard.remember_aside(group, record.seat_on(store).unwrap_or(NAMELESS));
            }
            return Ok(None);
        };
        if record.is_tombstone {
            shard.remember_tombstone(group, peer);
            // A command may have brought the group into being beside its tombstone.
            return Ok(record.roster.is_some().then_some((group, peer)));
        }
        let applier = &mut self.appliers[shard_of(group, config.appliers)];
        let started = match record.start(group, peer, engine, machines, applier) {
            Ok(stored) => {
                self.stores.extend(stored.roster.roster.iter().map(|(_, store)| store));
                shard.restore(now, &stored).map_err(|why| why.to_string())
            }
            Err(NoStart::Engine(why)) => return Err(OpenError::Engine(why)),
            Err(NoStart::Damaged(why)) => Err(why),
        };
        if let Err(why) = started {
            self.damaged.push((group, why));
            shard.remember_aside(group, peer);
        }
        Ok(None)
    }
}

fn scan(
    view: &dyn View,
    cf: Cf,
    (start, end): (&[u8], &[u8]),
    each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
) -> Result<(), OpenError> {
    let bounds = (Bound::Included(start), Bound::Excluded(end));
    Ok(view.scan(cf, bounds, Direction::Forward, each)?)
}

#[derive(Default)]
struct Records {
    groups: BTreeMap<GroupId, Record>,
}

/// What is on the disk of one group.
#[derive(Default)]
struct Record {
    peer: Option<PeerId>,
    is_tombstone: bool,
    installing: Option<SnapshotOffer>,
    applied: EntryId,
    base: EntryId,
    roster: Option<AppliedRoster>,
    term: Term,
    vote: Option<PeerId>,
    commit: Index,
    runs: Vec<Run>,
    last: Option<Index>,
    rosters: Vec<(Index, crate::entry::Roster)>,
    bytes: u64,
    /// Why it cannot be read.
    failed: Option<String>,
}

impl Records {
    fn read_meta(&mut self, view: &dyn View) -> Result<(), OpenError> {
        for meta in [Meta::Group, Meta::Apply, Meta::Base, Meta::Roster] {
            let (start, end) = keys::all(meta);
            let mut nameless = None;
            scan(view, Cf::Meta, (&start, &end), &mut |key, value| {
                let Some(group) = keys::number(key).and_then(GroupId::new) else {
                    nameless = Some(format!("a record of no group: {key:02x?}"));
                    return false;
                };
                let record = self.groups.entry(group).or_default();
                if let Err(why) = record.read_meta(meta, key, value) {
                    record.failed = Some(why.to_string());
                }
                true
            })?;
            if let Some(why) = nameless {
                return Err(OpenError::Damaged(why));
            }
        }
        Ok(())
    }

    fn read_logs(&mut self, view: &dyn View) -> Result<(), OpenError> {
        let mut nameless = None;
        scan(view, Cf::Raft, (&[], &[0xff; 18]), &mut |key, value| {
            let (group, read) = match keys::raft_key(key) {
                Some(RaftKey::HardState(group)) => {
                    (group, self.groups.entry(group).or_default().read_hard_state(key, value))
                }
                Some(RaftKey::Entry(group, index)) => {
                    (group, self.groups.entry(group).or_default().read_entry(index, value))
                }
                None => {
                    nameless = Some(format!("a log record of no group: {key:02x?}"));
                    return false;
                }
            };
            if let Err(why) = read {
                self.groups.entry(group).or_default().failed = Some(why.to_string());
            }
            true
        })?;
        nameless.map_or(Ok(()), |why| Err(OpenError::Damaged(why)))
    }
}

impl Record {
    /// The peer of a group that a command brought into being, and whose name was not written yet.
    fn nameless(&self, store: StoreId) -> Option<PeerId> {
        if self.peer.is_some() || self.failed.is_some() || self.base.index == Index(0) {
            return None;
        }
        self.seat_on(store)
    }

    /// Who lives here by the membership that was applied last.
    fn seat_on(&self, store: StoreId) -> Option<PeerId> {
        let roster = &self.roster.as_ref()?.roster;
        roster.iter().find(|(_, home)| *home == store).map(|(member, _)| member.id)
    }

    fn read_meta(&mut self, meta: Meta, key: &[u8], value: &[u8]) -> Result<(), ReadError> {
        let bad = |why: wire::BadMessage| ReadError::Damaged(format!("under {key:02x?}: {why}"));
        match meta {
            Meta::Group => {
                let record: v1::GroupRecord = decode("group", key, value)?;
                self.peer = PeerId::new(record.peer);
                self.is_tombstone = match record.life() {
                    v1::GroupLife::Live => false,
                    v1::GroupLife::Tombstone => true,
                    v1::GroupLife::Unspecified => {
                        return Err(ReadError::Damaged("a group without life".to_owned()));
                    }
                };
                self.installing =
                    record.installing.map(wire::offer_from_proto).transpose().map_err(bad)?;
            }
            Meta::Apply => {
                let record: v1::ApplyState = decode("apply state", key, value)?;
                self.applied = disk::entry_id(record.applied);
            }
            Meta::Base => {
                let record: v1::LogBase = decode("log base", key, value)?;
                self.base = disk::entry_id(record.base);
            }
            Meta::Roster => {
                let record: v1::AppliedRoster = decode("roster", key, value)?;
                let roster = record.roster.unwrap_or_default();
                let removed = record.removed.into_iter().map(wire::removed_from_proto);
                self.roster = Some(AppliedRoster {
                    index: Index(record.index),
                    roster: wire::roster_from_proto(roster).map_err(bad)?,
                    removed: removed.collect::<Result<_, _>>().map_err(bad)?,
                });
            }
            Meta::Support | Meta::Chunk => unreachable!("not a record of a group's life"),
        }
        Ok(())
    }

    fn read_hard_state(&mut self, key: &[u8], value: &[u8]) -> Result<(), ReadError> {
        let record: v1::HardState = decode("hard state", key, value)?;
        self.term = Term(record.term);
        self.vote = PeerId::new(record.vote);
        self.commit = Index(record.commit);
        Ok(())
    }

    fn read_entry(&mut self, index: Index, value: &[u8]) -> Result<(), ReadError> {
        let floor = self.installing.as_ref().map_or(self.base, |offer| offer.covers);
        if index <= floor.index {
            // Dropped, or covered: its deletion is what a crash may have lost.
            return Ok(());
        }
        let bad = |why: String| ReadError::Damaged(format!("entry {index}: {why}"));
        let entry = wire::entry_from(index, Bytes::copy_from_slice(value))
            .map_err(|why| bad(why.to_string()))?;
        let expected = self.last.unwrap_or(floor.index).next();
        if index != expected {
            return Err(bad(format!("entry {expected} is missing before it")));
        }
        if self.runs.last().is_none_or(|run| run.term != entry.id.term) {
            self.runs.push(Run { first: index, term: entry.id.term });
        }
        self.bytes += entry.payload.bytes();
        if let Payload::Roster(roster) = entry.payload {
            self.rosters.push((index, roster));
        }
        self.last = Some(index);
        Ok(())
    }

    /// The group's state machine, and what its shard needs to know.
    fn start(
        self,
        group: GroupId,
        peer: PeerId,
        engine: &Arc<dyn Engine>,
        machines: &Arc<dyn Machines>,
        applier: &mut Applier,
    ) -> Result<Stored, NoStart> {
        if let Some(why) = self.failed {
            return Err(NoStart::Damaged(why));
        }
        let opened = machines.open(group, engine);
        let machine = opened.map_err(|why| NoStart::Damaged(why.0))?;
        let mut base = self.base;
        let mut roster = self.roster.unwrap_or_else(AppliedRoster::unknown);
        let applied = if let Some(offer) = self.installing {
            applier.adopt(group, machine, EntryId::default(), roster);
            let work = Work::Install(Box::new(offer.clone()));
            applier.push(ApplyTask { group, peer, work });
            let mut out = ApplyOutput::default();
            while !applier.is_idle() {
                applier.run(1, &mut out)?;
            }
            base = offer.covers;
            roster = AppliedRoster {
                index: offer.roster.0,
                roster: offer.roster.1,
                removed: offer.removed,
            };
            offer.covers
        } else {
            let index = machine.applied(self.applied.index);
            let last = self.last.unwrap_or(base.index);
            if index > last {
                let why = format!("its machine says {index} is applied, the log ends at {last}");
                return Err(NoStart::Damaged(why));
            }
            // The machine was persisted, and the note of it lost: rosters up to there are applied.
            for (at, changed) in self.rosters.iter().filter(|(at, _)| *at <= index) {
                if *at > roster.index {
                    roster.change(*at, changed);
                }
            }
            let run = self.runs.iter().rev().find(|run| run.first <= index);
            let applied = EntryId::new(run.map_or(base.term, |run| run.term), index);
            applier.adopt(group, machine, applied, roster.clone());
            applied
        };
        Ok(Stored {
            group,
            peer,
            // A group that a command brought into being has no hard state before its first vote.
            term: self.term.max(base.term),
            vote: self.vote.filter(|_| self.term >= base.term),
            commit: self.commit,
            applied: applied.index,
            base,
            roster,
            last: self.last.unwrap_or(base.index),
            runs: self.runs,
            rosters: self.rosters,
            bytes: self.bytes,
        })
    }
}

/// Why a group does not start.
enum NoStart {
    /// The engine failed, which is nothing that is wrong with the group.
    Engine(storage::Error),
    /// What is on the disk of it makes no sense.
    Damaged(String),
}

impl From<ApplyError> for NoStart {
    fn from(why: ApplyError) -> NoStart {
        match why {
            ApplyError::Engine(storage::Error::Corrupt(why)) => NoStart::Damaged(why),
            ApplyError::Engine(why) => NoStart::Engine(why),
            why @ ApplyError::Group(..) => NoStart::Damaged(why.to_string()),
        }
    }
}

impl From<storage::Error> for OpenError {
    fn from(why: storage::Error) -> OpenError {
        OpenError::Engine(why)
    }
}

impl From<ReadError> for OpenError {
    fn from(why: ReadError) -> OpenError {
        match why {
            ReadError::Engine(why) => OpenError::Engine(why),
            ReadError::Damaged(why) => OpenError::Damaged(why),
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Config(bad) => {
                for (nth, bad) in bad.iter().enumerate() {
                    write!(f, "{}{bad}", if nth > 0 { "; " } else { "" })?;
                }
                Ok(())
            }
            OpenError::Engine(why) => write!(f, "{why}"),
            OpenError::Foreign { found: (cluster, store), expected: (c, s) } => {
                write!(
                    f,
                    "the disk belongs to store s{store} of cluster c{cluster}, not to {s} of {c}"
                )
            }
            OpenError::Format { found, supported } => {
                write!(f, "the disk has format {found}, this version reads {supported}")
            }
            OpenError::Damaged(why) => write!(f, "the data is damaged: {why}"),
        }
    }
}

impl std::error::Error for OpenError {}
