//! Between messages and bytes: everything that arrives is checked here.
//!
//! ```text
//! Parcel ──put──► v1::Bundle ──prost──► bytes ──prost──► v1::Bundle ──parcels──► [Parcel]
//! Entry ──entry_value──► bytes on disk ──entry_from──► Entry
//! ```
//!
//! Invariant: what is decoded keeps the rules of its type: ids name somebody, an append is a run of
//! consecutive slots whose terms do not fall, a roster is a membership that [`raft::Membership`]
//! accepts, and nothing is larger than [`Limits`]. Whatever does not is a [`BadMessage`], and
//! nothing of its bundle is handed out. Encoding asserts the same rules, about ourselves.
//!
//! Payloads share the buffer they arrived in. So a small command keeps that buffer until it is
//! dropped; copying every command would cost more than the buffers that are kept.
//!
//! Not here: what is stale, known or from a stranger (the Raft core and the shard decide), and
//! `Hello`, which is between the ends of a connection.

mod bad;
mod entry;
mod envelope;
mod snapshot;

use proto::crib::raft::v1;
use raft::Pledge;

pub use bad::{BadMessage, Why};
pub use entry::{entry_from, entry_value};
pub(crate) use entry::{removed_from_proto, removed_to_proto, roster_from_proto, roster_to_proto};
pub(crate) use snapshot::{offer_from_proto, offer_to_proto};

use crate::message::{Body, Liveness, Parcel, SnapshotBody};

/// What a message may hold. Far above what a store of this version sends; they bound what a wrong
/// or hostile one can make us hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one command.
    /// Default: 16 MiB, above what any store lets be proposed.
    pub entry_bytes_max: usize,
    /// Entries of one append.
    /// Default: 65,536.
    pub entries_max: usize,
    /// Envelopes of one bundle.
    /// Default: 65,536.
    pub envelopes_max: usize,
    /// Members of a roster.
    /// Default: what a membership may have, [`raft::MEMBERS_MAX`].
    pub members_max: usize,
    /// Removed peers that a snapshot lists.
    /// Default: 65,536.
    pub removed_max: usize,
    /// Bytes of one chunk of a snapshot.
    /// Default: 16 MiB.
    pub chunk_bytes_max: usize,
    /// Bytes that a state machine says about a snapshot.
    /// Default: 64 KiB.
    pub header_bytes_max: usize,
}

impl Limits {
    /// The defaults.
    pub const DEFAULT: Limits = Limits {
        entry_bytes_max: 16 << 20,
        entries_max: 1 << 16,
        envelopes_max: 1 << 16,
        members_max: raft::MEMBERS_MAX,
        removed_max: 1 << 16,
        chunk_bytes_max: 16 << 20,
        header_bytes_max: 64 << 10,
    };

    /// What is on our own disk was checked when it arrived, maybe under other limits.
    const OWN: Limits = Limits {
        entry_bytes_max: usize::MAX,
        entries_max: usize::MAX,
        envelopes_max: usize::MAX,
        members_max: raft::MEMBERS_MAX,
        removed_max: usize::MAX,
        chunk_bytes_max: usize::MAX,
        header_bytes_max: usize::MAX,
    };
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::DEFAULT
    }
}

/// A parcel as a bundle of its own.
///
/// # Panics
/// As [`put`].
#[must_use]
pub fn bundle(parcel: Parcel) -> v1::Bundle {
    let mut bundle = v1::Bundle::default();
    put(&mut bundle, parcel);
    bundle
}

/// Adds a parcel to a bundle. Envelopes go behind those in it; of liveness only the newest counts,
/// so it takes the place of an older one ([`Liveness::in_place_of`]).
///
/// # Panics
/// If the bundle has a snapshot frame and the parcel is another; if an append does not come with
/// exactly the entries it names; if an envelope holds [`raft::Body::Install`], which travels as
/// the offer of a snapshot.
pub fn put(bundle: &mut v1::Bundle, parcel: Parcel) {
    match parcel {
        Parcel::Groups(envelopes) => {
            bundle.envelopes.extend(envelopes.into_iter().map(envelope::to_proto));
        }
        Parcel::Liveness(liveness) => {
            let older = bundle.liveness.take();
            let older = older.map(|older| liveness_from_proto(older).expect("it was put here"));
            bundle.liveness = Some(liveness_to_proto(liveness.in_place_of(older)));
        }
        Parcel::Snapshot(frame) => {
            assert!(bundle.snapshot.is_none(), "one snapshot frame per bundle");
            bundle.snapshot = Some(snapshot::frame_to_proto(frame));
        }
    }
}

/// The parcels of a bundle: liveness, envelopes, snapshot frame, as far as there are any.
///
/// # Errors
/// If anything in it breaks a rule; nothing is handed out then.
pub fn parcels(bundle: v1::Bundle, limits: &Limits) -> Result<Vec<Parcel>, BadMessage> {
    let v1::Bundle { hello, envelopes, liveness, snapshot } = bundle;
    if hello.is_some() {
        return Err(BadMessage { what: "Bundle.hello", why: Why::OutOfPlace });
    }
    bad::bounded("Bundle.envelopes", envelopes.len(), limits.envelopes_max)?;
    let mut parcels = Vec::with_capacity(1);
    if let Some(liveness) = liveness {
        parcels.push(Parcel::Liveness(liveness_from_proto(liveness)?));
    }
    if !envelopes.is_empty() {
        let envelopes: Result<Vec<_>, _> = (envelopes.into_iter())
            .map(|envelope| envelope::from_proto(envelope, limits))
            .collect();
        parcels.push(Parcel::Groups(envelopes?));
    }
    if let Some(frame) = snapshot {
        parcels.push(Parcel::Snapshot(snapshot::frame_from_proto(frame, limits)?));
    }
    Ok(parcels)
}

/// Bytes that a parcel takes in a bundle at most. Quick to find, and not far above the truth.
#[must_use]
pub fn bytes_max(parcel: &Parcel) -> usize {
    match parcel {
        Parcel::Groups(envelopes) => envelopes.iter().map(envelope_bytes_max).sum(),
        Parcel::Liveness(_) => 96,
        Parcel::Snapshot(frame) => {
            128 + match &frame.body {
                SnapshotBody::Offer(offer) => {
                    128 + 32 * offer.roster.1.membership().len() + 40 * offer.removed.len()
                }
                SnapshotBody::Chunk(chunk) => 32 + chunk.data.len(),
                _ => 0,
            }
        }
    }
}

/// Bytes that an envelope takes in a bundle at most.
#[must_use]
pub fn envelope_bytes_max(envelope: &crate::Envelope) -> usize {
    128 + match &envelope.body {
        Body::Raft(_, entries) => entries.iter().map(entry::bytes_max).sum(),
        _ => 0,
    }
}

fn liveness_to_proto(liveness: Liveness) -> v1::Liveness {
    let Liveness { epoch, sent_at, supports, at_least, echo, promise, answers } = liveness;
    v1::Liveness { epoch, sent_at, supports, at_least, echo, promise: promise.0, answers }
}

/// Epochs, instants and tokens beyond this only come from garbage: counting on never overflows.
const LIVENESS_MAX: u64 = 1 << 62;

fn liveness_from_proto(liveness: v1::Liveness) -> Result<Liveness, BadMessage> {
    let v1::Liveness { epoch, sent_at, supports, at_least, echo, promise, answers } = liveness;
    for (what, is) in [
        ("Liveness.epoch", epoch),
        ("Liveness.sent_at", sent_at),
        ("Liveness.supports", supports),
        ("Liveness.at_least", at_least),
        ("Liveness.echo", echo),
        ("Liveness.promise", promise),
    ] {
        bad::not_above(what, is, LIVENESS_MAX)?;
    }
    let promise = Pledge(promise);
    Ok(Liveness { epoch, sent_at, supports, at_least, echo, promise, answers })
}
