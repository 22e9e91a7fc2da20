//! The codec: what is encoded comes back, and what arrives is refused or keeps the rules.
//!
//! Not here: tables of single faults, see `wire_refusals.rs`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod wire_parcels;

use bytes::Bytes;
use multiraft::wire::{self, Limits};
use multiraft::{Entry, Parcel, Payload};
use proptest::prelude::*;
use prost::Message as _;
use proto::crib::raft::v1;
use types::{EntryId, Index, Term};

use wire_parcels::{any_parcel, any_payload};

/// Whatever these bytes are: an error, or parcels that come back the same.
fn check_total(bytes: Vec<u8>) {
    let Ok(bundle) = v1::Bundle::decode(Bytes::from(bytes)) else { return };
    let Ok(parcels) = wire::parcels(bundle, &Limits::DEFAULT) else { return };
    let mut again = v1::Bundle::default();
    for parcel in parcels.clone() {
        wire::put(&mut again, parcel);
    }
    let again = v1::Bundle::decode(Bytes::from(again.encode_to_vec())).unwrap();
    assert_eq!(wire::parcels(again, &Limits::DEFAULT), Ok(parcels));
}

proptest! {
    #[test]
    fn parcel_encoded_comes_back(parcel in any_parcel()) {
        let bytes = wire::bundle(parcel.clone()).encode_to_vec();
        prop_assert!(bytes.len() <= wire::bytes_max(&parcel), "{} bytes", bytes.len());
        let bundle = v1::Bundle::decode(Bytes::from(bytes)).unwrap();
        let expected = match parcel {
            // There is nothing to say, so nothing arrives.
            Parcel::Groups(envelopes) if envelopes.is_empty() => Vec::new(),
            parcel => vec![parcel],
        };
        prop_assert_eq!(wire::parcels(bundle, &Limits::DEFAULT), Ok(expected));
    }

    #[test]
    fn entry_on_disk_comes_back(term in 0..9_u64, index: u64, payload in any_payload()) {
        let entry = Entry { id: EntryId::new(Term(term), Index(index)), payload };
        let value = Bytes::from(wire::entry_value(&entry));
        prop_assert_eq!(wire::entry_from(Index(index), value), Ok(entry));
    }

    #[test]
    fn bytes_of_any_kind_never_panic(bytes: Vec<u8>) {
        let _ = wire::entry_from(Index(1), Bytes::from(bytes.clone()));
        check_total(bytes);
    }

    #[test]
    fn bytes_altered_never_panic(
        parcel in any_parcel(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        is_cut in prop::bool::weighted(0.2),
    ) {
        let mut bytes = wire::bundle(parcel).encode_to_vec();
        prop_assume!(!bytes.is_empty());
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        check_total(bytes);
    }
}

#[test]
fn command_shares_the_buffer_it_arrived_in() {
    let payload = Payload::Command(Bytes::from(vec![7; 100]));
    let entry = Entry { id: EntryId::new(Term(1), Index(1)), payload };
    let value = Bytes::from(wire::entry_value(&entry));
    let range = value.as_ptr_range();
    let entry = wire::entry_from(Index(1), value).unwrap();
    let Payload::Command(command) = entry.payload else { panic!("a command was written") };
    assert!(range.contains(&command.as_ptr()), "it was copied");
}
