//! Planted bugs of whole clusters: what a checker must find. None of them is in shipped code; each
//! is something that what surrounds the real parts does wrong.

use std::sync::Arc;

use bytes::Bytes;
use kv::command::{Action, Command};
use kv::{Reply, encode_record, record_key};
use multiraft::{Body, Parcel};
use prost::Message as _;
use proto::crib::store::v1::Identity;
use raft::Pledge;
use storage::{Batch, Cf, Durability, Engine, View};
use types::{Region, StoreId, Time};

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// Commands are applied whatever form of the region they were made for.
    EpochUnchecked,
    /// A read is not compared with its region when it has its view.
    NotStill,
    /// Reads are answered without the right to read.
    ReadUngranted,
    /// Readers do not hear that a leader has taken its lease back.
    LeaseKept,
    /// A store takes what others pledged to it for what they pledge for ever.
    PledgesNeverVoid,
    /// A store counts on what others pledged from when it hears of it.
    PledgesCountedLate,
    /// On one store a region that a split makes begins without its data.
    ChildWithoutData,
    /// On one store a split cuts elsewhere.
    CutElsewhere,
    /// Comparing is done by whoever proposes.
    CasAtProposer,
    /// A range is deleted beyond the region.
    RangeNotClipped,
    /// One store leaves out some writes.
    WriteLeftOut,
    /// A snapshot may come whatever is in its place.
    AdmittedAnyway,
    /// A store forgets at a restart for how long it may have promised not to vote.
    PromisesForgotten,
    /// Only the first window of timestamps of a leadership is saved.
    WindowNotSaved,
    /// A new leader of placement gives timestamps by its clock alone.
    WindowIgnored,
    /// A new leader of placement hands out ids that another has.
    IdsReused,
    /// What may have been done is answered as refused.
    UnknownAsRefused,
    /// What may have been done is answered as done.
    ProposedAsDone,
    /// Nothing is synced.
    NoSync,
    /// One store's record of a region that a split makes has another end.
    RecordElsewhere,
    /// Tombstones are lost at a restart.
    TombstoneLost,
    /// Members of placement that are gone are not replaced.
    SeatsForgotten,
    /// Nobody hears a replica that asks whether it is a member.
    InquiryUnheard,
    /// A replica that asks is told at once, by whoever hears it, that it was removed.
    StrangerBelieved,
}

impl Planted {
    /// All of them.
    pub const ALL: [Planted; 24] = [
        Planted::EpochUnchecked,
        Planted::NotStill,
        Planted::ReadUngranted,
        Planted::LeaseKept,
        Planted::PledgesNeverVoid,
        Planted::PledgesCountedLate,
        Planted::ChildWithoutData,
        Planted::CutElsewhere,
        Planted::CasAtProposer,
        Planted::RangeNotClipped,
        Planted::WriteLeftOut,
        Planted::AdmittedAnyway,
        Planted::PromisesForgotten,
        Planted::WindowNotSaved,
        Planted::WindowIgnored,
        Planted::IdsReused,
        Planted::UnknownAsRefused,
        Planted::ProposedAsDone,
        Planted::NoSync,
        Planted::RecordElsewhere,
        Planted::TombstoneLost,
        Planted::SeatsForgotten,
        Planted::InquiryUnheard,
        Planted::StrangerBelieved,
    ];

    /// What a store makes of what another says.
    pub(crate) fn heard(self, clock: Time, mut parcel: Parcel) -> Parcel {
        match (self, &mut parcel) {
            (Planted::PledgesNeverVoid, Parcel::Liveness(said)) => {
                said.promise = said.promise.min(Pledge(1));
            }
            (Planted::PledgesNeverVoid, Parcel::Groups(envelopes)) => {
                for envelope in envelopes {
                    if let Body::Raft(message, _) = &mut envelope.body
                        && let raft::Body::Ack { pledge, .. } = &mut message.body
                    {
                        *pledge = (*pledge).min(Pledge(1));
                    }
                }
            }
            (Planted::PledgesCountedLate, Parcel::Liveness(said)) if said.echo > 0 => {
                said.echo = clock.0;
            }
            _ => {}
        }
        parcel
    }

    /// What becomes of a command before a store applies it.
    pub(crate) fn command(self, store: StoreId, data: &Bytes, region: Option<&Region>) -> Bytes {
        let (Ok(mut command), Some(region)) = (Command::decode(data), region) else {
            return data.clone();
        };
        match (self, &mut command.action) {
            (Planted::EpochUnchecked, _) => command.epoch = region.epoch,
            (Planted::CutElsewhere, Action::Split(children)) if store.get() == 2 => {
                let end = [&children[0].end[..], &b"\0"[..]].concat();
                children[0].end = end.into();
            }
            (Planted::WriteLeftOut, Action::Write(mutations)) if store.get() == 2 => {
                mutations.retain(|mutation| mutation.stored.len() % 8 != 0);
            }
            _ => return data.clone(),
        }
        command.encode()
    }

    /// What a store writes besides, or not, with a command.
    pub(crate) fn in_batch(self, store: StoreId, data: &Bytes, reply: &Bytes, batch: &mut Batch) {
        let (Ok(command), Ok(reply)) = (Command::decode(data), Reply::decode(reply)) else {
            return;
        };
        match (self, command.action, reply) {
            (Planted::ChildWithoutData, _, Reply::Split(parts)) if store.get() == 2 => {
                for part in &parts[..parts.len() - 1] {
                    batch.delete_range(Cf::Default, &part.range.start, &part.range.end);
                }
            }
            (Planted::RecordElsewhere, _, Reply::Split(mut parts)) if store.get() == 2 => {
                let key = record_key(parts[0].id);
                parts[0].range.end.pop();
                batch.put(Cf::Meta, &key, &encode_record(&parts[0]));
            }
            (Planted::RangeNotClipped, Action::DeleteRange(range), Reply::Done) => {
                batch.delete_range(Cf::Default, &range.start, &range.end);
            }
            _ => {}
        }
    }

    /// The engine of a store.
    pub(crate) fn engine(self, engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
        match self {
            Planted::NoSync => Arc::new(Unsynced(engine)),
            Planted::TombstoneLost => {
                crate::Bug::TombstoneLost.at_start(&*engine);
                engine
            }
            Planted::PromisesForgotten => {
                forget_promises(&*engine);
                engine
            }
            _ => engine,
        }
    }
}

fn forget_promises(engine: &dyn Engine) {
    // A store without an identity has promised nothing, and one whose disk fails does not start.
    let Ok(Some(value)) = engine.get(Cf::Meta, b"i") else { return };
    let mut identity = Identity::decode(&*value).expect("written by a store");
    identity.promised_ns = 0;
    let mut batch = Batch::new();
    batch.put(Cf::Meta, b"i", &identity.encode_to_vec());
    let _ = engine.write(&batch, Durability::Buffered);
}

/// An engine that syncs nothing.
struct Unsynced(Arc<dyn Engine>);

impl Engine for Unsynced {
    fn write(&self, batch: &Batch, _: Durability) -> Result<(), storage::Error> {
        self.0.write(batch, Durability::Buffered)
    }

    fn view(&self) -> Box<dyn View> {
        self.0.view()
    }

    fn get(&self, cf: Cf, key: &[u8]) -> Result<Option<Vec<u8>>, storage::Error> {
        self.0.get(cf, key)
    }

    fn flush(&self, cf: Cf) -> Result<(), storage::Error> {
        self.0.flush(cf)
    }

    fn checkpoint(&self, to: &std::path::Path) -> Result<(), storage::Error> {
        self.0.checkpoint(to)
    }

    fn table(
        &self,
        cf: Cf,
        path: &std::path::Path,
    ) -> Result<Box<dyn storage::TableWriter>, storage::Error> {
        self.0.table(cf, path)
    }

    fn ingest(&self, cf: Cf, tables: &[std::path::PathBuf]) -> Result<(), storage::Error> {
        self.0.ingest(cf, tables)
    }

    fn health(&self) -> storage::Health {
        self.0.health()
    }
}
