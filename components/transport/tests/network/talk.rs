//! Stores that are what they say: everything arrives, in order, also after a break.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use multiraft::{
    Body, Entry, Envelope, Liveness, Parcel, Payload, SnapshotBody, SnapshotChunk, SnapshotFrame,
};
use raft::{Message, Stamp};
use transport::{Config, Network, StartError};
use types::{ClusterId, EntryId, Index, Term};

use crate::fake::{FakeStore, VERSION, hello};
use crate::world::{Book, Node, PATIENCE, Told, envelope, groups, number, quick, store};

fn frame(nth: u64, bytes: usize) -> Parcel {
    let Envelope { group, from, to, .. } = envelope(0);
    let data = Bytes::from(vec![u8::try_from(nth % 251).unwrap(); bytes]);
    let body = SnapshotBody::Chunk(SnapshotChunk { nth, data, crc: 1, is_last: false });
    Parcel::Snapshot(SnapshotFrame { group, from, to, session: 1, body })
}

fn append(bytes: usize) -> Parcel {
    let prev = EntryId::new(Term(2), Index(4));
    let command = Payload::Command(Bytes::from(vec![7; bytes]));
    let entries: Vec<Entry> = (5..8)
        .map(|index| Entry { id: EntryId::new(Term(3), Index(index)), payload: command.clone() })
        .collect();
    let body = raft::Body::Append { prev, last: Index(7), commit: Index(3), stamp: Stamp(9) };
    let body = Body::Raft(Message { term: Term(3), body }, entries);
    Parcel::Groups(vec![Envelope { body, ..envelope(0) }])
}

fn liveness(epoch: u64) -> Parcel {
    let (sent_at, supports, at_least, echo) = (5, 1, 1, 4);
    Parcel::Liveness(Liveness { epoch, sent_at, supports, at_least, echo, ..Liveness::default() })
}

#[test]
fn two_stores_exchange_parcels_of_each_kind() {
    let book = Arc::new(Book::default());
    let (one, two) = (Node::start(1, &book), Node::start(2, &book));
    for (from, at, to) in [(&one, 1, &two), (&two, 2, &one)] {
        let id = 3 - at;
        for parcel in [append(3), append(5 << 20), liveness(1), frame(0, 1 << 20), groups([1])] {
            from.send(id, parcel.clone());
            assert_eq!(to.next(), Told::Delivered(at, parcel));
        }
    }
}

#[test]
fn three_stores_hear_all_messages_and_frames_in_order() {
    all_is_heard_in_order(1);
}

#[test]
fn three_stores_with_several_threads_hear_all_messages_and_frames_in_order() {
    all_is_heard_in_order(3);
}

fn all_is_heard_in_order(threads: usize) {
    const MESSAGES: u64 = 5_000;
    const FRAMES: u64 = 50;
    let book = Arc::new(Book::default());
    let nodes = [1, 2, 3].map(|id| {
        let mut node = Node::bind(id, Config { threads, ..quick() }, &book);
        node.serve();
        node
    });
    for nth in 0..MESSAGES {
        for (at, node) in (1..).zip(&nodes) {
            for to in (1..=3).filter(|&to| to != at) {
                node.send(to, groups([nth]));
                if nth < FRAMES {
                    node.send(to, frame(nth, 10_000));
                }
            }
        }
    }
    for node in &nodes {
        let mut heard = [(0, 0); 4];
        let done = |heard: &[(u64, u64); 4]| {
            heard.iter().filter(|&&seen| seen == (MESSAGES, FRAMES)).count() == 2
        };
        while !done(&heard) {
            let Told::Delivered(from, parcel) = node.next() else { panic!("lost") };
            let (messages, frames) = &mut heard[usize::try_from(from).unwrap()];
            match parcel {
                Parcel::Groups(envelopes) => {
                    for envelope in &envelopes {
                        assert_eq!(number(envelope), *messages, "from {from}");
                        *messages += 1;
                    }
                }
                parcel => {
                    assert_eq!(parcel, frame(*frames, 10_000), "from {from}");
                    *frames += 1;
                }
            }
        }
    }
}

#[test]
fn store_restarted_at_another_port_is_found_again() {
    let book = Arc::new(Book::default());
    let one = Node::start(1, &book);
    let two = Node::start(2, &book);
    one.reach(&two, 2);
    let before = two.network.address();
    // The port stays taken by a process that is no store.
    two.network.shutdown();
    assert_eq!(one.next(), Told::Lost(2), "a break is told");
    let squatter = TcpListener::bind(before);
    let two = Node::start(2, &book);
    one.reach(&two, 2);
    two.reach(&one, 1);
    assert_eq!(one.problem(2), None);
    drop(squatter);
}

#[test]
fn store_that_goes_is_unreached_since_then_once_there_is_something_to_say_to_it() {
    let book = Arc::new(Book::default());
    let (one, two) = (Node::start(1, &book), Node::start(2, &book));
    one.reach(&two, 2);
    two.network.shutdown();
    assert_eq!(one.next(), Told::Lost(2));
    let gone = Instant::now();
    let traffic = one.network.traffic();
    assert_eq!(traffic.unreached(), [], "nobody wanted anything of it");
    let found = loop {
        assert!(gone.elapsed() < PATIENCE, "it is not noticed");
        one.send(2, groups([1]));
        if let Some(found) = traffic.unreached().pop() {
            break found;
        }
        std::thread::yield_now();
    };
    assert!(found.store == store(2) && found.why.contains("refused"), "{found:?}");
    let (before, found) = (gone.elapsed(), traffic.unreached().pop().expect("it stays away"));
    assert!(found.span >= before, "{found:?}: counted from the last attempt");
    let two = Node::start(2, &book);
    one.reach(&two, 2);
    assert_eq!(traffic.unreached(), []);
}

#[test]
fn store_that_speaks_from_another_disk_is_not_heard_and_is_told_so() {
    let book = Arc::new(Book::default());
    book.know(2, 7);
    let one = Node::start(1, &book);
    let mut two = Node::bind(2, Config { disk: 8, ..quick() }, &book);
    two.serve();
    let start = Instant::now();
    // Whoever dials.
    let is_refused = |traffic: &transport::Traffic| {
        traffic.unreached().iter().any(|found| found.why.contains("s2 is known by disk 7"))
    };
    let (mine, theirs) = (one.network.traffic(), two.network.traffic());
    while !is_refused(&mine) || !is_refused(&theirs) {
        assert!(start.elapsed() < PATIENCE, "they talk");
        one.send(2, groups([1]));
        two.send(1, groups([2]));
        std::thread::yield_now();
    }
    let told = book.disowned.lock().clone();
    let why = "s2 is known by disk 7";
    assert!(told.iter().all(|(by, said)| *by == store(1) && said.contains(why)), "{told:?}");
    assert!(!told.is_empty(), "it does not know why");
    for node in [&one, &two] {
        assert!(node.told.try_iter().all(|told| !matches!(told, Told::Delivered(..))));
    }
    book.know(2, 8);
    one.reach(&two, 2);
    two.reach(&one, 1);
}

#[test]
fn store_that_cannot_be_noted_down_is_not_heard_and_that_is_not_held_against_it() {
    let book = Arc::new(Book::default());
    book.know(2, 0);
    let one = Node::start(1, &book);
    let mut two = Node::bind(2, Config { disk: 8, ..quick() }, &book);
    two.serve();
    let start = Instant::now();
    let traffic = two.network.traffic();
    while !traffic.unreached().iter().any(|found| found.why.contains("there is no room")) {
        assert!(start.elapsed() < PATIENCE, "they talk");
        two.send(1, groups([1]));
        std::thread::yield_now();
    }
    assert_eq!(*book.disowned.lock(), []);
    book.know(2, 8);
    two.reach(&one, 1);
}

#[test]
fn overflow_drops_the_oldest_and_is_told_once() {
    let book = Arc::new(Book::default());
    let mut one = Node::bind(1, Config { queue_count_max: 100, ..quick() }, &book);
    let two = Node::start(2, &book);
    for nth in 0..1_000 {
        one.send(2, groups([nth]));
        one.send(2, liveness(nth));
    }
    one.serve();
    assert_eq!(one.next(), Told::Lost(2));
    assert_eq!(two.next(), Told::Delivered(1, liveness(999)), "only the newest is kept");
    assert_eq!(two.numbers_until(999), (900..1_000).collect::<Vec<_>>());
    // Everything that was to be told is before this.
    two.reach(&one, 1);
    assert!(one.told.try_iter().all(|told| told != Told::Lost(2)), "it was told twice");
}

#[test]
fn snapshots_that_are_not_taken_delay_no_message() {
    let book = Arc::new(Book::default());
    let one = Node::start(1, &book);
    let slow = FakeStore::start(hello(VERSION, 7, 2, 1));
    book.write(2, slow.address);
    // More than flow control lets go, and more than the queue holds.
    for nth in 0..100 {
        one.send(2, frame(nth, 1 << 20));
    }
    assert_eq!(one.next(), Told::Lost(2), "the queue of snapshots is full");
    for nth in 0..1_000 {
        one.send(2, groups([nth]));
        loop {
            let bundle = slow.heard.recv_timeout(PATIENCE).expect("a message waits");
            assert!(bundle.snapshot.is_none());
            if !bundle.envelopes.is_empty() {
                break;
            }
        }
    }
}

#[test]
fn parcels_to_itself_or_after_shutdown_are_dropped() {
    let book = Arc::new(Book::default());
    let one = Node::start(1, &book);
    one.send(1, groups([1]));
    let transport = one.network.transport();
    one.network.shutdown();
    transport.send(store(2), groups([1]));
    // The network holds the inbox no longer: its end of the channel is gone.
    assert_eq!(one.told.iter().count(), 0);
}

fn refusal(config: Config) -> String {
    let identity = (ClusterId::new(7).unwrap(), store(1));
    match Network::bind(config, identity, Arc::new(Book::default())) {
        Ok(_) => "started".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn address_that_is_taken_or_none_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    assert_eq!(
        refusal(Config { listen: listen.clone(), ..quick() }),
        format!("cannot listen on {listen}: another process does")
    );
    let none = refusal(Config { listen: "nonsense".to_owned(), ..quick() });
    assert!(none.starts_with("cannot listen on nonsense: "), "{none}");
    let config = Config { stores_max: 0, queue_count_max: 0, ..quick() };
    assert_eq!(
        refusal(config),
        "settings of the network are out of bounds; queue-count-max must be more than zero; \
         stores-max must be more than zero"
    );
    let identity = (ClusterId::new(7).unwrap(), store(1));
    let config = Config { listen, ..quick() };
    let bound = Network::bind(config, identity, Arc::new(Book::default()));
    assert!(matches!(bound, Err(StartError::Listen { .. })));
}
