//! What the edge lets in, by api-version.

use types::{PeerId, PeerRole, RegionPeer};

use super::*;

#[test]
fn keys_are_as_they_are_or_encoded() {
    for api in ApiVersion::ALL {
        let key = api.engine_key(b"r\0\0\x01key");
        assert_eq!(api.client_key(&key), Some(b"r\0\0\x01key".to_vec()));
        assert_eq!(ApiVersion::from_name(api.name()), Some(api));
    }
    assert_eq!(ApiVersion::V1.engine_key(b"key"), b"key");
    assert_eq!(ApiVersion::V2.engine_key(b"rkey"), encode_key(b"rkey"));
    assert_eq!(ApiVersion::V2.client_key(b"rkey"), None);
    let mut followed = encode_key(b"rkey");
    followed.push(1);
    assert_eq!(ApiVersion::V2.client_key(&followed), None);
    assert_eq!(ApiVersion::from_name("v3"), None);
}

#[test]
fn bounds_are_whole_keys() {
    let encoded = encode_key(b"xkey");
    let mut followed = encoded.clone();
    followed.extend_from_slice(&[1; 8]);
    assert!(ApiVersion::V1.is_boundary(&followed) && !ApiVersion::V2.is_boundary(&followed));
    assert_eq!(ApiVersion::V2.boundary(&followed), Some(encoded.clone()));
    assert!(ApiVersion::V2.is_boundary(&encoded));
    assert_eq!(ApiVersion::V2.boundary(b"xkey"), None);
    for api in ApiVersion::ALL {
        assert!(!api.is_boundary(b""));
        let first = api.first_boundaries();
        assert!(first.is_sorted() && first.iter().all(|bound| api.is_boundary(bound)));
    }
}

#[test]
fn keys_that_clients_may_not_have_are_refused() {
    let (one, two) = (Edge::new(ApiVersion::V1), Edge::new(ApiVersion::V2));
    assert_eq!(one.key(b""), Err(BadRequest::EmptyKey));
    assert_eq!(two.key(b""), Err(BadRequest::EmptyKey));
    assert_eq!(two.key(b"r\0\0\0"), Err(BadRequest::EmptyKey));
    assert_eq!(two.key(b"r\0\0\0k"), Ok(encode_key(b"r\0\0\0k")));
    for key in [&b"k"[..], b"x\0\0\0k", b"r\0", b"s\0\0\0k"] {
        assert_eq!(two.key(key), Err(BadRequest::KeyMode(Bytes::copy_from_slice(key))));
        assert_eq!(one.key(key), Ok(key.to_vec()));
    }
    let long = vec![b'r'; (8 << 10) + 1];
    assert_eq!(one.key(&long), Err(BadRequest::KeyTooLong(8193, 8192)));
    // A bound may lie right behind the longest key.
    assert!(one.range(&long, b"").is_ok());
    let longer = [&long[..], b"r"].concat();
    assert_eq!(one.range(b"", &longer), Err(BadRequest::KeyTooLong(8194, 8193)));
    // The longest key fits into what engines are told is the end of all keys.
    let widest = Edge { key_bytes_max: KEY_BYTES_MAX, ..two };
    let longest = widest.key(&vec![b'r'; KEY_BYTES_MAX]).unwrap();
    let behind = widest.range(&[b'r'; KEY_BYTES_MAX + 1], b"s").unwrap().start;
    assert!(longest.len().max(behind.len()) <= crate::keys::ENGINE_KEY_BYTES_MAX);
}

#[test]
fn ranges_are_within_raw_keys() {
    let (one, two) = (Edge::new(ApiVersion::V1), Edge::new(ApiVersion::V2));
    assert_eq!(one.range(b"", b""), Ok(KeyRange::default()));
    assert_eq!(one.range(b"a", b""), Ok(KeyRange::new("a", "")));
    assert_eq!(one.range(b"a", b"a"), Ok(KeyRange::new("a", "a")));
    assert_eq!(one.range(b"b", b"a"), Err(BadRequest::InvertedRange));
    let range =
        |lower: &[u8], upper: &[u8]| Ok(KeyRange::new(encode_key(lower), encode_key(upper)));
    for (lower, upper) in [
        (&b"r"[..], &b"s"[..]),
        (b"r\0\0\x01", b"r\0\0\x02"),
        (b"r\xff\xff\xff", b"s\0\0\0"),
        (b"r\0\0\0a", b"r\0\0\0b"),
    ] {
        assert_eq!(two.range(lower, upper), range(lower, upper));
    }
    for (lower, upper, bad) in [
        (&b""[..], &b"s"[..], &b""[..]),
        (b"r", b"", b""),
        (b"r", b"t", b"t"),
        (b"x\0\0\0", b"x\0\0\x01", b"x\0\0\0"),
    ] {
        assert_eq!(
            two.range(lower, upper),
            Err(BadRequest::RangeMode(Bytes::copy_from_slice(bad)))
        );
    }
    assert_eq!(two.range(b"s", b"r"), Err(BadRequest::InvertedRange));
}

#[test]
fn values_expire_where_they_may() {
    let (one, ttl) = (Edge::new(ApiVersion::V1), Edge::new(ApiVersion::V1Ttl));
    let decode = |bytes: Bytes| Stored::decode(&bytes).map(|stored| stored.expires);
    assert_eq!(one.value(b"v", 0, 100).map(decode), Ok(Ok(None)));
    assert_eq!(one.value(b"v", 1, 100), Err(BadRequest::NoTtl));
    assert_eq!(ttl.value(b"v", 1, 100).map(decode), Ok(Ok(Some(101))));
    assert_eq!(ttl.value(b"v", u64::MAX, 100).map(decode), Ok(Ok(Some(u64::MAX))));
    let small = Edge { value_bytes_max: 2, ..one };
    assert_eq!(small.value(b"vvv", 0, 0), Err(BadRequest::ValueTooLong(3, 2)));
    let ttls = |ttls: &[u64], keys| ttl.ttls(ttls, keys).map(Iterator::collect::<Vec<_>>);
    assert_eq!(ttls(&[], 2), Ok(vec![0, 0]));
    assert_eq!(ttls(&[5], 2), Ok(vec![5, 5]));
    assert_eq!(ttls(&[5, 6], 2), Ok(vec![5, 6]));
    assert_eq!(ttls(&[5, 6], 3), Err(BadRequest::Ttls(2, 3)));
}

#[test]
fn families_and_versions_are_the_clusters() {
    let edge = Edge::new(ApiVersion::V2);
    let names = ["", "default", "lock", "write"].map(|name| edge.family(name).ok());
    let families = [Cf::Default, Cf::Default, Cf::Lock, Cf::Write];
    assert_eq!(names, families.map(Some));
    for name in ["raft", "meta", "Default"] {
        assert_eq!(edge.family(name), Err(BadRequest::Family(name.to_owned())));
    }
    assert_eq!(edge.check_api(true), Ok(()));
    assert_eq!(edge.check_api(false), Err(BadRequest::ApiVersion("v1", "v2")));
    assert_eq!(Edge::new(ApiVersion::V1Ttl).check_api(false), Ok(()));
    assert_eq!(
        Edge::new(ApiVersion::V1Ttl).check_api(true),
        Err(BadRequest::ApiVersion("v2", "v1ttl"))
    );
}

#[test]
fn request_is_checked_in_the_order_of_what_helps_most() {
    let store = |id| StoreId::new(id).unwrap();
    let region = Region {
        id: GroupId::new(7).unwrap(),
        range: KeyRange::new("b", "m"),
        epoch: Epoch { version: 3, conf_ver: 4 },
        peers: vec![RegionPeer {
            id: PeerId::new(1).unwrap(),
            store: store(1),
            role: PeerRole::Voter,
        }],
    };
    let target = Target { region: region.id, epoch: region.epoch, store: Some(store(1)) };
    let keys = |keys: &[&'static [u8]]| keys.to_vec();
    assert_eq!(check(store(1), &region, &target, keys(&[b"b", b"lz"])), Ok(()));
    let outside = check(store(1), &region, &target, keys(&[b"b", b"m"]));
    assert_eq!(outside, Err(RegionError::outside(&region, b"m")));
    // Members may have changed.
    let joined = Target { epoch: Epoch { version: 3, conf_ver: 9 }, store: None, ..target };
    assert_eq!(check(store(1), &region, &joined, keys(&[b"b"])), Ok(()));
    for version in [2, 4] {
        let other = Target { epoch: Epoch { version, conf_ver: 4 }, ..target };
        let found = check(store(1), &region, &other, keys(&[b"z"]));
        assert_eq!(found, Err(RegionError::EpochNotMatch(vec![region.clone()])));
    }
    let elsewhere = check(store(2), &region, &target, keys(&[b"z"]));
    assert_eq!(elsewhere, Err(RegionError::StoreNotMatch { asked: store(1), own: store(2) }));
}
