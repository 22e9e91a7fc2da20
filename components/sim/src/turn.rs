//! One turn of a store: something happens to it, and what it wants is carried out as far as it
//! goes. Settings may be others for a turn, within what their owner allows.

use std::sync::Arc;

use multiraft::courier::CourierEffects;
use multiraft::shard::{Event, Fetch};
use multiraft::{Body, Config, Envelope, Outcome, Parcel, Refusal, SnapshotBody, SnapshotFrame};
use multiraft::{SnapshotRefusal, apply::Done, apply::Work};
use types::{StoreId, Time};

use crate::node::{Died, Running, Wants};
use crate::odd::Site;

/// Sites that are settings of a turn.
const SETTINGS: [Site; 6] =
    [Site::Appends, Site::Window, Site::Chunks, Site::Compaction, Site::Cache, Site::Busy];

impl Running {
    /// Something happens, and the store goes on until it wants nothing more.
    pub(crate) fn takes_turn(
        &mut self,
        clock: Time,
        what: impl FnOnce(&mut Running, Time, &mut Wants) -> Result<(), Died>,
    ) -> Result<Wants, Died> {
        let mut wants = Wants::default();
        wants.answers.append(&mut self.late);
        self.compactions = 0;
        let odd: Vec<Site> = SETTINGS.into_iter().filter(|&site| self.odd.fires(site)).collect();
        if !odd.is_empty() {
            let settings = Arc::new(settings(&self.config, &odd));
            self.reconfigure(&settings);
        }
        if self.odd.reaches(Site::Wakes) {
            self.shard.wake(clock);
        }
        let done = what(self, clock, &mut wants).and_then(|()| self.turn(clock, &mut wants));
        if !odd.is_empty() {
            let settings = Arc::clone(&self.config);
            self.reconfigure(&settings);
            odd.into_iter().for_each(|site| self.count(site, &wants));
        }
        done?;
        if !wants.answers.is_empty() && self.odd.reaches(Site::LateReplies) {
            self.late.append(&mut wants.answers);
        }
        Ok(wants)
    }

    fn reconfigure(&mut self, settings: &Arc<Config>) {
        self.shard.reconfigure(settings).expect("odd settings are within bounds");
        self.courier.reconfigure(settings);
    }

    /// What a setting of the turn has made of it.
    fn count(&mut self, site: Site, wants: &Wants) {
        let envelopes = || {
            let groups = wants.sends.iter().filter_map(|(_, parcel)| match parcel {
                Parcel::Groups(envelopes) => Some(envelopes),
                _ => None,
            });
            groups.flatten()
        };
        let entries = |envelope: &&Envelope| match &envelope.body {
            Body::Raft(_, entries) => entries.len() == 1,
            _ => false,
        };
        let is_chunk = |parcel: &Parcel| {
            matches!(parcel, Parcel::Snapshot(SnapshotFrame { body: SnapshotBody::Chunk(_), .. }))
        };
        let is_busy = |outcome: &Outcome| matches!(outcome, Outcome::Refused(Refusal::Busy(_)));
        let times = match site {
            Site::Appends | Site::Window => envelopes().filter(entries).count(),
            Site::Chunks => wants.sends.iter().filter(|(_, parcel)| is_chunk(parcel)).count(),
            Site::Compaction => self.compactions,
            Site::Busy => wants.answers.iter().filter(|(_, outcome)| is_busy(outcome)).count(),
            _ => 1,
        };
        self.odd.reach(site, times);
    }

    /// Entries of an append are read back.
    pub(crate) fn fetched(&mut self, clock: Time, fetch: Fetch) {
        let mut fetched = multiraft::fetch(&*self.engine, fetch);
        if self.odd.reaches(Site::Unread) {
            fetched.entries = None;
        }
        self.shard.handle(clock, Event::Fetched(Box::new(fetched)));
    }

    /// What was sent to a store, in parcels.
    pub(crate) fn parcels(&mut self, mut envelopes: Vec<Envelope>) -> Vec<Parcel> {
        let first = envelopes.first().map(|envelope| envelope.group);
        let is_one = envelopes.iter().all(|envelope| Some(envelope.group) == first);
        if is_one || !self.odd.reaches(Site::Apart) {
            return vec![Parcel::Groups(envelopes)];
        }
        // Messages of a group keep their order.
        envelopes.sort_by_key(|envelope| std::cmp::Reverse(envelope.group));
        envelopes.into_iter().map(|envelope| Parcel::Groups(vec![envelope])).collect()
    }

    /// Work for the apply lane, perhaps without the entries that were in memory.
    pub(crate) fn withhold(&mut self, work: &mut Work) {
        self.compactions += usize::from(matches!(work, Work::Compact(_)));
        if let Work::Entries { entries, .. } = work
            && entries.is_some()
            && self.odd.reaches(Site::Withheld)
        {
            *entries = None;
        }
    }

    /// A slice of the apply lane, of one entry or as large as usual.
    pub(crate) fn slice_bytes(&mut self) -> u64 {
        if self.odd.fires(Site::Slices) { 1 } else { self.config.apply_slice_bytes }
    }

    /// What became of slices of this size.
    pub(crate) fn sliced(&mut self, bytes: u64, applied: &[multiraft::apply::Applied]) {
        if bytes == 1 {
            let slices = applied.iter().filter(|one| matches!(one.done, Done::Upto { .. }));
            self.odd.reach(Site::Slices, slices.count());
        }
    }

    /// Whether an offered snapshot is refused, though there would be room.
    pub(crate) fn refuses(
        &mut self,
        from: StoreId,
        frame: &SnapshotFrame,
        out: &mut CourierEffects,
    ) -> bool {
        let refuses = self.odd.reaches(Site::NoRoom);
        if refuses {
            let SnapshotFrame { group, from: sender, to, session, .. } = *frame;
            let body = SnapshotBody::Refuse(SnapshotRefusal::Busy);
            let refusal = SnapshotFrame { group, from: to, to: sender, session, body };
            out.sends.push((from, refusal));
        }
        refuses
    }
}

/// Settings that are as odd as they may be.
fn settings(config: &Config, odd: &[Site]) -> Config {
    let mut settings = config.clone();
    let mut raft = (*config.raft).clone();
    for site in odd {
        match site {
            Site::Appends => raft.append_bytes_max = 1,
            Site::Window => raft.window_entries = 1,
            Site::Busy => raft.uncommitted_bytes_max = 1,
            Site::Chunks => settings.snapshot_chunk_bytes = 1,
            Site::Cache => settings.cache_bytes = 0,
            Site::Compaction => {
                (settings.compact_bytes, settings.compact_entries) = (1, 1);
                settings.lag_bytes_max = 0;
            }
            _ => unreachable!("no setting"),
        }
    }
    settings.raft = Arc::new(raft);
    settings
}
