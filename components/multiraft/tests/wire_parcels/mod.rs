//! Arbitrary parcels that keep the rules.

use bytes::Bytes;
use multiraft::{
    Body, Entry, Envelope, Liveness, Parcel, Payload, RemovedPeer, Roster, SnapshotBody,
    SnapshotChunk, SnapshotFrame, SnapshotOffer, SnapshotRefusal,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use raft::{Member, Membership, Message, Seat, Stamp};
use types::{EntryId, GroupId, Index, PeerId, StoreId, Term};

fn any_peer() -> impl Strategy<Value = PeerId> {
    (1..=u64::MAX).prop_map(|id| PeerId::new(id).unwrap())
}

fn any_store() -> impl Strategy<Value = StoreId> {
    (1..=u64::MAX).prop_map(|id| StoreId::new(id).unwrap())
}

fn any_group() -> impl Strategy<Value = GroupId> {
    (1..=u64::MAX).prop_map(|id| GroupId::new(id).unwrap())
}

fn any_id() -> impl Strategy<Value = EntryId> {
    any::<(u64, u64)>().prop_map(|(term, index)| EntryId::new(Term(term), Index(index)))
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

/// A seat, and whether the member votes in the old half.
fn any_seat() -> impl Strategy<Value = (Option<Seat>, bool)> {
    prop_oneof![
        Just((Some(Seat::Voter), false)),
        Just((Some(Seat::Voter), true)),
        Just((Some(Seat::Learner), false)),
        Just((Some(Seat::Learner), true)),
        Just((None, true)),
    ]
}

/// Rosters; the first member votes, so that there is a voter.
pub(crate) fn any_roster() -> impl Strategy<Value = Roster> {
    btree_map(any_peer(), (any_seat(), any_store()), 1..9).prop_map(|members| {
        let voter = *members.keys().next().unwrap();
        let seats: Vec<Member> = (members.iter())
            .map(|(&id, &((seat, outgoing), _))| {
                let seat = if id == voter { Some(Seat::Voter) } else { seat };
                Member { id, seat, outgoing }
            })
            .collect();
        let membership = Membership::new(&seats).unwrap();
        Roster::new(membership, |peer| members.get(&peer).map(|&(_, store)| store)).unwrap()
    })
}

/// What an entry may hold.
pub(crate) fn any_payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        Just(Payload::Empty),
        any_bytes().prop_map(Payload::Command),
        any_roster().prop_map(Payload::Roster),
    ]
}

/// An append whose terms rise by small steps from that of `prev` to that of the message.
fn any_append() -> impl Strategy<Value = Body> {
    let entries = vec((0..3_u64, any_payload()), 0..6);
    let most = u64::MAX - 20;
    (0..most, 0..most, entries, any::<(u64, u64)>(), 0..3_u64).prop_map(
        |(term, index, given, (commit, stamp), more)| {
            let prev = EntryId::new(Term(term), Index(index));
            let mut last = prev;
            let mut entries = Vec::new();
            for (step, payload) in given {
                last = EntryId::new(Term(last.term.0 + step), last.index.next());
                entries.push(Entry { id: last, payload });
            }
            let (commit, stamp) = (Index(commit), Stamp(stamp));
            let body = raft::Body::Append { prev, last: last.index, commit, stamp };
            Body::Raft(Message { term: Term(last.term.0 + more), body }, entries)
        },
    )
}

fn any_say() -> impl Strategy<Value = raft::Body> {
    let stamp = || any::<u64>().prop_map(Stamp);
    let index = || any::<u64>().prop_map(Index);
    prop_oneof![
        any_id().prop_map(|last| raft::Body::PreVote { last }),
        any::<(u64, bool)>()
            .prop_map(|(ask, granted)| raft::Body::PreVoteReply { ask: Term(ask), granted }),
        (any_id(), any::<bool>()).prop_map(|(last, transfer)| raft::Body::Vote { last, transfer }),
        any::<bool>().prop_map(|granted| raft::Body::VoteReply { granted }),
        (index(), index(), stamp(), any::<u64>()).prop_map(|(matched, verified, stamp, pledge)| {
            raft::Body::Ack { matched, verified, stamp, pledge: raft::Pledge(pledge) }
        }),
        (index(), any_id(), stamp()).prop_map(|(at, hint, stamp)| raft::Body::Nack {
            at,
            hint,
            stamp
        }),
        (index(), stamp()).prop_map(|(commit, stamp)| raft::Body::Beat { commit, stamp }),
        index().prop_map(|commit| raft::Body::Commit { commit }),
        stamp().prop_map(|stamp| raft::Body::TimeoutNow { stamp }),
        Just(raft::Body::Behind),
    ]
}

fn any_envelope() -> impl Strategy<Value = Envelope> {
    let body = prop_oneof![
        3 => any_append(),
        3 => (any::<u64>(), any_say())
            .prop_map(|(term, body)| Body::Raft(Message { term: Term(term), body }, Vec::new())),
        1 => any::<u64>().prop_map(|index| Body::Removed(Index(index))),
        1 => Just(Body::RemovedAck),
        1 => Just(Body::Inquiry),
        1 => Just(Body::Absent),
    ];
    (any_group(), any_peer(), any_peer(), body).prop_map(|(group, from, to, body)| Envelope {
        group,
        from,
        to,
        body,
    })
}

fn any_offer() -> impl Strategy<Value = SnapshotOffer> {
    let removed = (any_peer(), any_store(), any::<u64>())
        .prop_map(|(peer, store, index)| RemovedPeer { peer, store, index: Index(index) });
    let numbers = (any::<(u64, u64)>(), any::<(u64, u64)>(), any::<(u64, u32)>());
    let header = vec(any::<u8>(), 0..4).prop_map(Bytes::from);
    (numbers, any_roster(), vec(removed, 0..4), header).prop_map(
        |(numbers, roster, removed, header)| {
            let ((term, older), (index, since), (stamp, format)) = numbers;
            let covers = EntryId::new(Term(term.min(older)), Index(index));
            let roster = (Index(index.min(since)), roster);
            SnapshotOffer { term: Term(term), covers, stamp, roster, removed, format, header }
        },
    )
}

fn any_snapshot_body() -> impl Strategy<Value = SnapshotBody> {
    let refusal = prop_oneof![
        Just(SnapshotRefusal::Busy),
        Just(SnapshotRefusal::NotWanted),
        Just(SnapshotRefusal::Absent),
        Just(SnapshotRefusal::Corrupt),
        Just(SnapshotRefusal::Full),
    ];
    let chunk = (any::<(u64, u32, bool)>(), any_bytes())
        .prop_map(|((nth, crc, is_last), data)| SnapshotChunk { nth, data, crc, is_last });
    prop_oneof![
        any_offer().prop_map(SnapshotBody::Offer),
        any::<u64>().prop_map(SnapshotBody::Accept),
        refusal.prop_map(SnapshotBody::Refuse),
        chunk.prop_map(SnapshotBody::Chunk),
        Just(SnapshotBody::Done),
    ]
}

/// Any parcel that a store may send.
pub(crate) fn any_parcel() -> impl Strategy<Value = Parcel> {
    let liveness = any::<([u64; 6], bool)>().prop_map(|(numbers, answers)| {
        let numbers = numbers.map(|number: u64| number >> 2);
        let [epoch, sent_at, supports, at_least, echo, promise] = numbers;
        let promise = raft::Pledge(promise);
        Parcel::Liveness(Liveness { epoch, sent_at, supports, at_least, echo, promise, answers })
    });
    let frame = (any_group(), any_peer(), any_peer(), any::<u64>(), any_snapshot_body()).prop_map(
        |(group, from, to, session, body)| {
            Parcel::Snapshot(SnapshotFrame { group, from, to, session, body })
        },
    );
    prop_oneof![3 => vec(any_envelope(), 0..5).prop_map(Parcel::Groups), 1 => liveness, 2 => frame]
}
