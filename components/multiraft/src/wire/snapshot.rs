//! Frames of snapshots on their way; the offer is also kept on disk while a snapshot arrives.

use proto::crib::raft::v1;
use proto::crib::raft::v1::snapshot_frame::Body as Wire;
use types::{Index, Term};

use super::Limits;
use super::bad::{self, BadMessage, Why};
use super::entry::{removed_from_proto, removed_to_proto, roster_from_proto, roster_to_proto};
use super::envelope::{id_from_proto, id_to_proto};
use crate::message::{SnapshotBody, SnapshotChunk, SnapshotFrame, SnapshotOffer, SnapshotRefusal};

pub(super) fn frame_to_proto(frame: SnapshotFrame) -> v1::SnapshotFrame {
    let SnapshotFrame { group, from, to, session, body } = frame;
    let body = match body {
        SnapshotBody::Offer(offer) => Wire::Offer(offer_to_proto(&offer)),
        SnapshotBody::Accept(nth) => Wire::Accept(nth),
        SnapshotBody::Refuse(refusal) => Wire::Refuse(refusal_to_proto(refusal).into()),
        SnapshotBody::Chunk(SnapshotChunk { nth, data, crc, is_last }) => {
            Wire::Chunk(v1::SnapshotChunk { nth, data, crc, last: is_last })
        }
        SnapshotBody::Done => Wire::Done(v1::Empty {}),
    };
    v1::SnapshotFrame {
        group: group.get(),
        from_peer: from.get(),
        to_peer: to.get(),
        session,
        body: Some(body),
    }
}

pub(super) fn frame_from_proto(
    frame: v1::SnapshotFrame,
    limits: &Limits,
) -> Result<SnapshotFrame, BadMessage> {
    let body = match bad::required("SnapshotFrame.body", frame.body)? {
        Wire::Offer(offer) => {
            bad::bounded("SnapshotOffer.removed", offer.removed.len(), limits.removed_max)?;
            let members = offer.roster.as_ref().map_or(0, |roster| roster.members.len());
            bad::bounded("Roster.members", members, limits.members_max)?;
            bad::bounded("SnapshotOffer.header", offer.header.len(), limits.header_bytes_max)?;
            SnapshotBody::Offer(offer_from_proto(offer)?)
        }
        Wire::Accept(nth) => SnapshotBody::Accept(nth),
        Wire::Refuse(refusal) => SnapshotBody::Refuse(refusal_from_proto(refusal)?),
        Wire::Chunk(v1::SnapshotChunk { nth, data, crc, last }) => {
            bad::bounded("SnapshotChunk.data", data.len(), limits.chunk_bytes_max)?;
            SnapshotBody::Chunk(SnapshotChunk { nth, data, crc, is_last: last })
        }
        Wire::Done(v1::Empty {}) => SnapshotBody::Done,
    };
    Ok(SnapshotFrame {
        group: bad::group("SnapshotFrame.group", frame.group)?,
        from: bad::peer("SnapshotFrame.from_peer", frame.from_peer)?,
        to: bad::peer("SnapshotFrame.to_peer", frame.to_peer)?,
        session: frame.session,
        body,
    })
}

/// A snapshot's header as it is sent and stored.
pub(crate) fn offer_to_proto(offer: &SnapshotOffer) -> v1::SnapshotOffer {
    v1::SnapshotOffer {
        term: offer.term.0,
        covers: Some(id_to_proto(offer.covers)),
        stamp: offer.stamp,
        roster_index: offer.roster.0.0,
        roster: Some(roster_to_proto(&offer.roster.1)),
        removed: offer.removed.iter().map(removed_to_proto).collect(),
        format: offer.format,
        header: offer.header.clone(),
    }
}

/// # Errors
/// If its roster is none, is of a slot that the snapshot does not cover, or it covers an entry of
/// a later term than its leader's.
pub(crate) fn offer_from_proto(offer: v1::SnapshotOffer) -> Result<SnapshotOffer, BadMessage> {
    let covers = id_from_proto(bad::required("SnapshotOffer.covers", offer.covers)?);
    bad::not_above("SnapshotOffer.covers.term", covers.term.0, offer.term)?;
    bad::not_above("SnapshotOffer.roster_index", offer.roster_index, covers.index.0)?;
    let roster = roster_from_proto(bad::required("SnapshotOffer.roster", offer.roster)?)?;
    let removed: Result<Vec<_>, _> = offer.removed.into_iter().map(removed_from_proto).collect();
    Ok(SnapshotOffer {
        term: Term(offer.term),
        covers,
        stamp: offer.stamp,
        roster: (Index(offer.roster_index), roster),
        removed: removed?,
        format: offer.format,
        header: offer.header,
    })
}

fn refusal_to_proto(refusal: SnapshotRefusal) -> v1::SnapshotRefusal {
    match refusal {
        SnapshotRefusal::Busy => v1::SnapshotRefusal::Busy,
        SnapshotRefusal::NotWanted => v1::SnapshotRefusal::NotWanted,
        SnapshotRefusal::Absent => v1::SnapshotRefusal::Absent,
        SnapshotRefusal::Corrupt => v1::SnapshotRefusal::Corrupt,
        SnapshotRefusal::Full => v1::SnapshotRefusal::Full,
    }
}

fn refusal_from_proto(refusal: i32) -> Result<SnapshotRefusal, BadMessage> {
    match v1::SnapshotRefusal::try_from(refusal) {
        Ok(v1::SnapshotRefusal::Busy) => Ok(SnapshotRefusal::Busy),
        Ok(v1::SnapshotRefusal::NotWanted) => Ok(SnapshotRefusal::NotWanted),
        Ok(v1::SnapshotRefusal::Absent) => Ok(SnapshotRefusal::Absent),
        Ok(v1::SnapshotRefusal::Corrupt) => Ok(SnapshotRefusal::Corrupt),
        Ok(v1::SnapshotRefusal::Full) => Ok(SnapshotRefusal::Full),
        Ok(v1::SnapshotRefusal::Unspecified) | Err(_) => {
            Err(BadMessage { what: "SnapshotFrame.refuse", why: Why::Unknown(refusal) })
        }
    }
}
