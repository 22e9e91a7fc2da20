//! Commands, replies and records come back as they went; what does not is refused, never a panic.

use proptest::prelude::*;
use types::{KeyRange, PeerRole, Region, RegionPeer, StoreId};

use super::*;
use crate::record::{decode_header, decode_record, encode_header, encode_record};
use crate::reply::Reply;

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from)
}

fn family() -> impl Strategy<Value = Cf> {
    prop::sample::select(FAMILIES.to_vec())
}

fn mutation() -> impl Strategy<Value = Mutation> {
    (family(), bytes(), prop::option::of((bytes(), prop::option::of(any::<u64>())))).prop_map(
        |(family, key, stored)| match stored {
            None => Mutation::delete(family, key),
            Some((value, expires)) => Mutation::put(family, key, Stored { expires, value: &value }),
        },
    )
}

#[test]
fn only_what_sets_a_value_writes() {
    let put = || Mutation::put(Cf::Default, "a", Stored { expires: None, value: b"" });
    let delete = || Mutation::delete(Cf::Default, "a");
    let cas = |mutation| Action::Cas(Cas { mutation, expected: None, now_seconds: 0 });
    assert!(Action::Write(vec![delete(), put()]).writes() && cas(put()).writes());
    let range = DeleteRange { families: Vec::new(), start: Bytes::new(), end: Bytes::new() };
    let others = [
        Action::Write(vec![delete(), delete()]),
        cas(delete()),
        Action::DeleteRange(range),
        Action::Split(Vec::new()),
    ];
    assert!(others.iter().all(|action| !action.writes()));
}

fn group() -> impl Strategy<Value = GroupId> {
    (1..=u64::MAX).prop_map(|id| GroupId::new(id).unwrap())
}

fn peer() -> impl Strategy<Value = PeerId> {
    (1..=u64::MAX).prop_map(|id| PeerId::new(id).unwrap())
}

fn epoch() -> impl Strategy<Value = Epoch> {
    (any::<u64>(), any::<u64>()).prop_map(|(version, conf_ver)| Epoch { version, conf_ver })
}

fn action() -> impl Strategy<Value = Action> {
    let child = (bytes(), group(), prop::collection::vec(peer(), 0..4))
        .prop_map(|(end, region, peers)| NewRegion { end, region, peers });
    let families = prop::sample::subsequence(FAMILIES.to_vec(), 0..=3);
    prop_oneof![
        prop::collection::vec(mutation(), 0..5).prop_map(Action::Write),
        (mutation(), prop::option::of(bytes()), any::<u64>()).prop_map(
            |(mutation, expected, now_seconds)| {
                Action::Cas(Cas { mutation, expected, now_seconds })
            }
        ),
        (families, bytes(), bytes()).prop_map(|(families, start, end)| {
            Action::DeleteRange(DeleteRange { families, start, end })
        }),
        prop::collection::vec(child, 0..4).prop_map(Action::Split),
    ]
}

fn region() -> impl Strategy<Value = Region> {
    let role = prop::sample::select(vec![
        PeerRole::Voter,
        PeerRole::Learner,
        PeerRole::Incoming,
        PeerRole::Demoting,
    ]);
    let peers = prop::collection::btree_map(peer(), (1..=u64::MAX, role), 0..4);
    (group(), bytes(), bytes(), epoch(), peers).prop_map(|(id, one, other, epoch, peers)| {
        let end = if one == other { Bytes::new() } else { one.clone().max(other.clone()) };
        let range = KeyRange::new(one.min(other), end);
        let peers = peers.into_iter().map(|(id, (store, role))| RegionPeer {
            id,
            store: StoreId::new(store).unwrap(),
            role,
        });
        Region { id, range, epoch, peers: peers.collect() }
    })
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        Just(Reply::Done),
        (any::<bool>(), prop::option::of(bytes()))
            .prop_map(|(succeeded, previous)| Reply::Cas { succeeded, previous }),
        prop::collection::vec(region(), 0..3).prop_map(Reply::Split),
        region().prop_map(Reply::EpochNotMatch),
        bytes().prop_map(Reply::KeyNotInRegion),
        Just(Reply::Uninitialized),
        "[a-z ]{0,10}".prop_map(Reply::Refused),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_encoded_is_decoded(
        (epoch, action, reply, region) in (epoch(), action(), reply(), region())
    ) {
        let command = Command { epoch, action };
        prop_assert_eq!(Command::decode(&command.encode()), Ok(command));
        prop_assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
        prop_assert_eq!(decode_record(&encode_record(&region)), Ok(region.clone()));
        prop_assert_eq!(decode_header(&encode_header(&region)), Ok(region));
    }

    #[test]
    fn garbage_is_refused_or_decoded_to_something(
        garbage in prop::collection::vec(any::<u8>(), 0..60)
    ) {
        let _ = decode_record(&garbage);
        let _ = decode_header(&garbage);
        let garbage = Bytes::from(garbage);
        let _ = Reply::decode(&garbage);
        if let Ok(command) = Command::decode(&garbage) {
            prop_assert_eq!(Command::decode(&command.encode()), Ok(command));
        }
    }

    #[test]
    fn damage_is_refused_or_decoded_to_something(
        (epoch, action, region, at, bit) in
            (epoch(), action(), region(), any::<prop::sample::Index>(), 0u8..8)
    ) {
        for whole in [Command { epoch, action }.encode().to_vec(), encode_record(&region)] {
            let mut damaged = whole.clone();
            let at = at.index(damaged.len());
            damaged[at] ^= 1 << bit;
            let _ = Command::decode(&damaged.clone().into());
            let _ = decode_record(&damaged);
            let _ = decode_record(&whole[..at]);
            let _ = Command::decode(&Bytes::from(whole).slice(..at));
        }
    }
}

#[test]
fn short_write_is_short_in_the_log() {
    let epoch = Epoch { version: 7, conf_ver: 9 };
    let value = Stored { expires: None, value: &[1; 256] };
    let put = Mutation::put(Cf::Default, &b"0123456789abcdef"[..], value);
    let command = Command { epoch, action: Action::Write(vec![put]) }.encode();
    let (key, stored) = (16, 257);
    assert!(command.len() <= key + stored + 20, "{} bytes", command.len());
    assert!(Reply::Done.encode().is_empty());
}

#[test]
fn command_that_makes_no_sense_is_refused() {
    let encode = |kind| {
        let command = v1::Command { version: 1, conf_ver: 1, kind };
        Bytes::from(command.encode_to_vec())
    };
    let write = |family, key: &[u8], stored: &[u8]| {
        let mutation = v1::Mutation {
            family,
            key: Bytes::copy_from_slice(key),
            stored: Bytes::copy_from_slice(stored),
        };
        Some(v1::command::Kind::Write(v1::RawWrite { mutations: vec![mutation] }))
    };
    let range = |families| {
        let (start, end) = (Bytes::new(), Bytes::new());
        Some(v1::command::Kind::DeleteRange(v1::RawDeleteRange { families, start, end }))
    };
    let split = |region, peers| {
        let child = v1::NewRegion { end: "m".into(), region, peers };
        Some(v1::command::Kind::Split(v1::Split { children: vec![child] }))
    };
    for (kind, why) in [
        (None, "a command of no kind"),
        (write(3, b"k", b"\0v"), "family 3"),
        (write(0, b"k", b"\x02v"), "a value that cannot be stored"),
        (write(0, &[b'k'; ENGINE_KEY_BYTES_MAX + 1], b""), "an engine key of 16385 bytes"),
        (range(vec![0, 1, 0]), "a family is named twice"),
        (range(vec![7]), "family 7"),
        (split(0, vec![1]), "region 0"),
        (split(1, vec![1, 0]), "peer 0"),
    ] {
        assert_eq!(Command::decode(&encode(kind)), Err(Malformed::from(why)));
    }
}
