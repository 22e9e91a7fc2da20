//! The rules, one table for each.

use std::collections::BTreeSet;

use types::{ApiVersion, ClusterId, StoreId, Term};

use super::keys::Key;
use super::*;
use crate::config::first_regions;

pub(crate) fn id(id: u64) -> StoreId {
    StoreId::new(id).unwrap()
}

pub(crate) fn store(of: Option<u64>, nonce: u64, address: &str) -> Store {
    Store {
        id: of.map(id),
        nonce,
        address: address.to_owned(),
        http_address: String::new(),
        labels: vec![("zone".to_owned(), "a".to_owned())],
        version: "1".to_owned(),
        life: Life::Live,
    }
}

fn window(until_ms: u64, term: u64, after_ms: u64) -> Command {
    Command::SaveWindow(Window { until_ms, term: Term(term), after_ms })
}

fn birth() -> Command {
    let stores = vec![store(Some(1), 0, "a:1"), store(Some(2), 0, "b:1")];
    let regions = first_regions(ApiVersion::V2, 3, &[id(1), id(2)]);
    let cluster = Cluster {
        id: ClusterId::new(7).unwrap(),
        api_version: ApiVersion::V2,
        replicas: 3,
        regions,
        seats: 2,
        location_labels: Some(vec!["zone".to_owned()]),
    };
    Command::Bootstrap(Bootstrap { cluster, stores })
}

fn apply(state: &mut State, command: &Command) -> Reply {
    let reply = state.apply(&command.encode(), &mut BTreeSet::new());
    assert_eq!(Reply::decode(&reply.encode()), Ok(reply.clone()));
    reply
}

fn born() -> State {
    let mut state = State::default();
    assert_eq!(apply(&mut state, &birth()), Reply::Done);
    state
}

#[test]
fn cluster_is_born_once_and_nothing_is_done_before() {
    let mut state = State::default();
    let early = apply(&mut state, &Command::AllocIds(1));
    assert_eq!(early, Reply::Refused(Refused::NotBootstrapped));
    assert_eq!(apply(&mut state, &birth()), Reply::Done);
    let before = state.clone();
    assert_eq!(apply(&mut state, &birth()), Reply::Refused(Refused::AlreadyBootstrapped));
    assert_eq!(state, before);
}

#[test]
fn placement_has_as_many_seats_as_were_decided_last() {
    let mut state = State::default();
    let early = apply(&mut state, &Command::SetSeats(3));
    assert_eq!(early, Reply::Refused(Refused::NotBootstrapped));
    let mut state = born();
    assert_eq!(state.seats(), 2, "as the test's birth says");
    assert_eq!(apply(&mut state, &Command::SetSeats(5)), Reply::Done);
    assert_eq!(state.seats(), 5);
    for seats in [0, 2, 4, 7, u32::MAX] {
        let Reply::Refused(Refused::Senseless(why)) = apply(&mut state, &Command::SetSeats(seats))
        else {
            panic!("{seats} seats")
        };
        assert!(why.contains(&seats.to_string()), "{why}");
    }
    assert_eq!(state.seats(), 5);
    let same = Command::decode(&Command::SetSeats(5).encode());
    assert_eq!(same, Ok(Command::SetSeats(5)));
}

#[test]
fn regions_have_as_many_replicas_as_were_decided_last() {
    let mut state = State::default();
    let early = apply(&mut state, &Command::SetReplicas(3));
    assert_eq!(early, Reply::Refused(Refused::NotBootstrapped));
    let mut state = born();
    let replicas = |state: &State| state.cluster.as_ref().map(|cluster| cluster.replicas);
    assert_eq!(apply(&mut state, &Command::SetReplicas(5)), Reply::Done);
    assert_eq!(replicas(&state), Some(5));
    for count in [0, 2, 4, 9, u32::MAX] {
        let Reply::Refused(Refused::Senseless(why)) =
            apply(&mut state, &Command::SetReplicas(count))
        else {
            panic!("{count} replicas")
        };
        assert!(why.contains(&count.to_string()), "{why}");
    }
    assert_eq!(replicas(&state), Some(5));
    let same = Command::decode(&Command::SetReplicas(5).encode());
    assert_eq!(same, Ok(Command::SetReplicas(5)));
}

#[test]
fn labels_of_places_are_those_that_were_decided_last() {
    let mut state = born();
    let labels = |state: &State| state.cluster.as_ref().and_then(|of| of.location_labels.clone());
    assert_eq!(labels(&state), Some(vec!["zone".to_owned()]), "as the test's birth says");
    let set = |keys: &[&str]| {
        Command::SetLocationLabels(keys.iter().map(|key| (*key).to_owned()).collect())
    };
    for keys in [&["zone", "rack"][..], &[]] {
        assert_eq!(Command::decode(&set(keys).encode()), Ok(set(keys)));
        assert_eq!(apply(&mut state, &set(keys)), Reply::Done);
        assert_eq!(labels(&state).expect("they are said"), keys);
        let record = state.record(Key::Cluster).expect("it has one");
        let mut read = State::default();
        read.load(&Key::Cluster.encode(), &record).expect("it is read");
        assert_eq!(labels(&read), labels(&state));
    }
    for odd in [&["zone", "zone"][..], &[""], &["a", "b", "c", "d", "e", "f", "g", "h", "i"]] {
        assert!(matches!(apply(&mut state, &set(odd)), Reply::Refused(Refused::Senseless(_))));
    }
}

#[test]
fn joining_twice_gives_the_same_id_and_removal_is_final() {
    let mut state = born();
    let join = |nonce, address| Command::PutStore(store(None, nonce, address));
    let joined = |reply| match reply {
        Reply::Store(store) => store.id.unwrap().get(),
        other => panic!("{other:?}"),
    };
    assert_eq!(joined(apply(&mut state, &join(5, "c:1"))), 1_000);
    assert_eq!(joined(apply(&mut state, &join(5, "c:2"))), 1_000);
    assert_eq!(joined(apply(&mut state, &join(6, "d:1"))), 1_001);
    // A disk that was wiped has another nonce.
    let wiped = apply(&mut state, &join(9, "c:2"));
    assert_eq!(wiped, Reply::Refused(Refused::AddressTaken(id(1_000))));
    let moved = apply(&mut state, &Command::PutStore(store(Some(1_001), 6, "a:1")));
    assert_eq!(joined(moved), 1_001);
    assert_eq!(state.stores[&id(1_001)].address, "a:1");
    assert_eq!(state.stores[&id(1)].address, "", "it will say where it is");
    let kept = Command::PutStore(store(Some(1), 0, "e:1"));
    assert_eq!(joined(apply(&mut state, &kept)), 1);
    for odd in ["", "f", "f:x", "f:1 g:1", "f:1\n", ":1", "f:70000"] {
        let Reply::Refused(Refused::Senseless(why)) = apply(&mut state, &join(11, odd)) else {
            panic!("{odd:?} is taken for an address")
        };
        assert!(why.contains("host:port"), "{why}");
    }
    apply(&mut state, &Command::SetLife(id(1_000), Life::Removed));
    let removed = Reply::Refused(Refused::Removed(id(1_000)));
    assert_eq!(apply(&mut state, &join(5, "c:2")), removed);
    assert_eq!(apply(&mut state, &Command::SetLife(id(1_000), Life::Live)), removed);
    assert_eq!(apply(&mut state, &Command::PutStore(store(Some(1_000), 5, "e:1"))), removed);
    assert_eq!(joined(apply(&mut state, &join(9, "c:2"))), 1_002);
}

#[test]
fn numbers_only_rise_and_old_terms_save_no_window() {
    let mut state = born();
    assert_eq!(apply(&mut state, &Command::AllocIds(10)), Reply::Ids(1_000, 10));
    assert_eq!(apply(&mut state, &Command::AllocIds(5)), Reply::Ids(1_010, 5));
    assert_eq!(apply(&mut state, &window(50, 3, 0)), Reply::Window(50));
    assert_eq!(apply(&mut state, &window(40, 4, 50)), Reply::Window(50));
    let late = apply(&mut state, &window(90, 3, 50));
    assert_eq!((late, state.window_until_ms), (Reply::Refused(Refused::Fenced), 50));
    assert_eq!(apply(&mut state, &Command::RaiseSafePoint(9)), Reply::SafePoint(9));
    assert_eq!(apply(&mut state, &Command::RaiseSafePoint(8)), Reply::SafePoint(9));
}

#[test]
fn garbage_is_refused_and_changes_nothing() {
    let mut state = born();
    let before = state.clone();
    let whole = birth().encode();
    let cut = (0..whole.len()).map(|end| whole[..end].to_vec());
    let odd = [vec![0xff; 40], Command::AllocIds(0).encode(), vec![]];
    for bytes in cut.chain(odd) {
        let mut changed = BTreeSet::new();
        assert!(matches!(state.apply(&bytes, &mut changed), Reply::Refused(_)));
        assert!(changed.is_empty() && state == before);
    }
}

#[test]
fn records_hold_the_whole_state() {
    let mut state = born();
    apply(&mut state, &Command::PutStore(store(None, 5, "c:1")));
    apply(&mut state, &window(50, 3, 0));
    let mut read = State::default();
    for key in state.keys() {
        read.load(&key.encode(), &state.record(key).unwrap()).unwrap();
    }
    assert_eq!(read, state);
    assert!(read.load(b"Px", b"").is_err());
}
