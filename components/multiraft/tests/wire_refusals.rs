//! What the codec refuses, one fault at a time, by the name of the field and the reason.

use bytes::Bytes;
use multiraft::wire::{self, BadMessage, Limits};
use proto::crib::raft::v1;
use proto::crib::raft::v1::envelope::Body;

fn id(term: u64, index: u64) -> v1::EntryId {
    v1::EntryId { term, index }
}

fn envelope(body: Option<Body>) -> v1::Envelope {
    v1::Envelope { group: 1, from_peer: 2, to_peer: 3, term: 5, body }
}

fn command(term: u64) -> v1::Entry {
    let payload = v1::entry::Payload::Command(Bytes::from_static(b"0123456789"));
    v1::Entry { term, payload: Some(payload) }
}

fn append(prev: Option<v1::EntryId>, terms: &[u64]) -> v1::Envelope {
    let entries = terms.iter().map(|&term| command(term)).collect();
    envelope(Some(Body::Append(v1::Append { prev, commit: 0, stamp: 0, entries })))
}

fn roster(members: &[(u64, u64, i32, bool)]) -> v1::Envelope {
    let members = (members.iter())
        .map(|&(peer, store, seat, outgoing)| v1::Member { peer, store, seat, outgoing })
        .collect();
    let payload = v1::entry::Payload::Roster(v1::Roster { members });
    let entries = vec![v1::Entry { term: 5, payload: Some(payload) }];
    let prev = Some(id(0, 0));
    envelope(Some(Body::Append(v1::Append { prev, commit: 0, stamp: 0, entries })))
}

fn offer(change: impl FnOnce(&mut v1::SnapshotOffer)) -> v1::Bundle {
    let member = v1::Member { peer: 1, store: 1, seat: 1, outgoing: false };
    let mut offer = v1::SnapshotOffer {
        term: 5,
        covers: Some(id(4, 10)),
        stamp: 0,
        roster_index: 10,
        roster: Some(v1::Roster { members: vec![member] }),
        removed: vec![v1::RemovedPeer { peer: 1, store: 1, index: 1 }; 2],
        format: 1,
        header: Bytes::new(),
    };
    change(&mut offer);
    frame(Some(v1::snapshot_frame::Body::Offer(offer)))
}

fn frame(body: Option<v1::snapshot_frame::Body>) -> v1::Bundle {
    let frame = v1::SnapshotFrame { group: 1, from_peer: 2, to_peer: 3, session: 4, body };
    v1::Bundle { snapshot: Some(frame), ..v1::Bundle::default() }
}

fn small() -> Limits {
    Limits {
        entry_bytes_max: 10,
        entries_max: 3,
        envelopes_max: 2,
        members_max: 2,
        removed_max: 2,
        chunk_bytes_max: 10,
        header_bytes_max: 10,
    }
}

fn refusal(bundle: v1::Bundle) -> String {
    match wire::parcels(bundle, &small()) {
        Ok(parcels) => format!("taken: {parcels:?}"),
        Err(error) => error.to_string(),
    }
}

fn check(envelope: v1::Envelope, expected: &str) {
    let bundle = v1::Bundle { envelopes: vec![envelope], ..v1::Bundle::default() };
    assert_eq!(refusal(bundle), expected);
}

#[test]
fn envelope_of_nobody_or_without_content_refused() {
    let behind = || envelope(Some(Body::Behind(v1::Empty {})));
    check(v1::Envelope { group: 0, ..behind() }, "Envelope.group is 0, which names nobody");
    check(v1::Envelope { from_peer: 0, ..behind() }, "Envelope.from_peer is 0, which names nobody");
    check(v1::Envelope { to_peer: 0, ..behind() }, "Envelope.to_peer is 0, which names nobody");
    check(envelope(None), "Envelope.body is missing");
    let vote = v1::Vote { last: None, transfer: false };
    check(envelope(Some(Body::Vote(vote))), "Vote.last is missing");
    let nack = v1::Nack { at: 1, hint: None, stamp: 1 };
    check(envelope(Some(Body::Nack(nack))), "Nack.hint is missing");
}

#[test]
fn append_with_impossible_terms_or_slots_refused() {
    check(append(None, &[]), "Append.prev is missing");
    check(append(Some(id(6, 1)), &[]), "Append.prev.term is 6, 5 is the most here");
    check(append(Some(id(3, 1)), &[2]), "Append.entries.term is 2 behind an entry of 3");
    check(append(Some(id(3, 1)), &[5, 4]), "Append.entries.term is 4 behind an entry of 5");
    check(append(Some(id(3, 1)), &[3, 6]), "Append.entries.term is 6, 5 is the most here");
    let end = Some(id(3, u64::MAX - 1));
    check(append(end, &[3, 3]), "Append.entries goes beyond the last possible slot");
}

#[test]
fn roster_that_is_no_membership_refused() {
    check(roster(&[]), "Roster.members is no membership: it would leave no voters");
    check(
        roster(&[(1, 1, 1, false), (1, 2, 1, false)]),
        "Roster.members is no membership: p1 is named twice",
    );
    check(roster(&[(0, 1, 1, false)]), "Member.peer is 0, which names nobody");
    check(roster(&[(1, 0, 1, false)]), "Member.store is 0, which names nobody");
    check(roster(&[(1, 1, 3, false)]), "Member.seat is 3, which has no meaning");
    check(roster(&[(1, 1, -1, false)]), "Member.seat is -1, which has no meaning");
    check(
        roster(&[(1, 1, 1, false), (2, 1, 0, false)]),
        "Roster.members is no membership: p2 has no seat in either half",
    );
}

#[test]
fn liveness_whose_numbers_could_not_be_counted_on_refused() {
    type Set = fn(&mut v1::Liveness, u64);
    let most = 1 << 62;
    let says = |change: Set, is| {
        let mut liveness = v1::Liveness::default();
        change(&mut liveness, is);
        refusal(v1::Bundle { liveness: Some(liveness), ..v1::Bundle::default() })
    };
    let fields: [(&str, Set); 6] = [
        ("epoch", |liveness, is| liveness.epoch = is),
        ("sent_at", |liveness, is| liveness.sent_at = is),
        ("supports", |liveness, is| liveness.supports = is),
        ("at_least", |liveness, is| liveness.at_least = is),
        ("echo", |liveness, is| liveness.echo = is),
        ("promise", |liveness, is| liveness.promise = is),
    ];
    for (name, change) in fields {
        assert!(says(change, most).starts_with("taken"), "{name}");
        let expected = format!("Liveness.{name} is {}, {most} is the most here", most + 1);
        assert_eq!(says(change, most + 1), expected);
    }
}

#[test]
fn sizes_above_the_limits_refused() {
    check(append(Some(id(0, 0)), &[1; 4]), "Append.entries has size 4, 3 is the most");
    let one = (1, 1, 1, false);
    check(roster(&[one; 3]), "Roster.members has size 3, 2 is the most");
    let envelopes = vec![append(Some(id(0, 0)), &[]); 3];
    let bundle = v1::Bundle { envelopes, ..v1::Bundle::default() };
    assert_eq!(refusal(bundle), "Bundle.envelopes has size 3, 2 is the most");
    let bundle =
        v1::Bundle { envelopes: vec![append(Some(id(0, 0)), &[1])], ..v1::Bundle::default() };
    let limits = Limits { entry_bytes_max: 9, ..small() };
    let BadMessage { what, .. } = wire::parcels(bundle, &limits).unwrap_err();
    assert_eq!(what, "Entry.command");
    let chunk = v1::SnapshotChunk { nth: 0, data: Bytes::from(vec![0; 11]), crc: 0, last: true };
    let bundle = frame(Some(v1::snapshot_frame::Body::Chunk(chunk)));
    assert_eq!(refusal(bundle), "SnapshotChunk.data has size 11, 10 is the most");
    let bundle = offer(|offer| offer.removed.push(offer.removed[0]));
    assert_eq!(refusal(bundle), "SnapshotOffer.removed has size 3, 2 is the most");
}

#[test]
fn snapshot_frame_that_contradicts_itself_refused() {
    assert_eq!(refusal(frame(None)), "SnapshotFrame.body is missing");
    let refuse = |number| frame(Some(v1::snapshot_frame::Body::Refuse(number)));
    assert_eq!(refusal(refuse(0)), "SnapshotFrame.refuse is 0, which has no meaning");
    assert_eq!(refusal(refuse(6)), "SnapshotFrame.refuse is 6, which has no meaning");
    let bundle = offer(|offer| offer.roster_index = 11);
    assert_eq!(refusal(bundle), "SnapshotOffer.roster_index is 11, 10 is the most here");
    let bundle = offer(|offer| offer.term = 3);
    assert_eq!(refusal(bundle), "SnapshotOffer.covers.term is 4, 3 is the most here");
    let bundle = offer(|offer| offer.roster = None);
    assert_eq!(refusal(bundle), "SnapshotOffer.roster is missing");
    let bundle = offer(|offer| offer.covers = None);
    assert_eq!(refusal(bundle), "SnapshotOffer.covers is missing");
    let bundle = offer(|offer| offer.removed[1].peer = 0);
    assert_eq!(refusal(bundle), "RemovedPeer.peer is 0, which names nobody");
}

#[test]
fn hello_after_the_beginning_refused() {
    let bundle = v1::Bundle { hello: Some(v1::Hello::default()), ..v1::Bundle::default() };
    assert_eq!(refusal(bundle), "Bundle.hello must not be here");
}
