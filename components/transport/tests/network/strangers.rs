//! Whoever is not what it should be gets nothing, hurts nobody, and is told why.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use multiraft::wire;
use proto::crib::raft::v1;
use transport::Config;

use crate::fake::{FakeDialer, FakeStore, VERSION, hello};
use crate::world::{Book, Node, PATIENCE, Told, groups, quick};

#[test]
fn dialer_whose_hello_does_not_fit_refused_with_the_reason() {
    let book = Arc::new(Book::default());
    let one = Node::start(1, &book);
    let parcel = || wire::bundle(groups([66]));
    let mut with_parcel = hello(VERSION, 8, 2, 1);
    with_parcel.envelopes = parcel().envelopes;
    for (first, reason) in [
        (parcel(), "the first message is no hello"),
        (v1::Bundle::default(), "the first message is no hello"),
        (hello(1, 7, 2, 1), "protocol version 1, this store speaks 3"),
        (hello(VERSION, 8, 2, 1), "hello from another cluster"),
        (with_parcel, "hello from another cluster"),
        (hello(VERSION, 0, 2, 1), "hello from another cluster"),
        (hello(VERSION, 7, 2, 3), "hello to store 3, this is s1"),
        (hello(VERSION, 7, 0, 1), "hello from store 0, which names nobody"),
        (hello(VERSION, 7, 1, 1), "hello from s1, which is this store"),
    ] {
        let mut stranger = FakeDialer::dial(one.network.address(), first);
        assert_eq!(stranger.answer(), Err(reason.to_owned()));
    }
    // Had anything been delivered, it would come before this.
    let two = Node::start(2, &book);
    two.send(1, groups([1]));
    assert_eq!(one.next(), Told::Delivered(2, groups([1])));
}

#[test]
fn stores_that_have_an_agreed_setting_otherwise_do_not_talk() {
    let book = Arc::new(Book::default());
    let start = |id, timeout: &str| {
        let agreed = vec![("timeout".to_owned(), timeout.to_owned())];
        let mut node = Node::bind(id, Config { agreed, ..quick() }, &book);
        node.serve();
        node
    };
    let (one, two, three) = (start(1, "1s"), start(2, "2s"), start(3, "1s"));
    two.send(1, groups([66]));
    assert_eq!(two.next(), Told::Lost(1));
    let problem = two.problem(1).unwrap_or_default();
    let why = r#"s2 has timeout \"2s\", s1 \"1s\": all need the same"#;
    assert!(problem.contains(why), "{problem}");
    // Had anything been delivered, it would come before this.
    three.send(1, groups([1]));
    assert_eq!(one.next(), Told::Delivered(3, groups([1])));
}

#[test]
fn process_whose_answer_does_not_fit_is_handed_nothing() {
    let book = Arc::new(Book::default());
    for (answer, reason) in [
        (v1::Bundle::default(), "the first message is no hello"),
        (hello(VERSION, 8, 2, 1), "hello from another cluster"),
        (hello(VERSION, 7, 3, 1), "s3 answers at the address of s2"),
        (hello(VERSION, 7, 2, 3), "hello to store 3, this is s1"),
        (hello(9, 7, 2, 1), "protocol version 9, this store speaks 3"),
    ] {
        let one = Node::start(1, &book);
        let squatter = FakeStore::start(answer);
        book.write(2, squatter.address);
        one.send(2, groups([66]));
        assert_eq!(one.next(), Told::Lost(2));
        let problem = one.problem(2);
        assert_eq!(problem, Some(format!("s2 at {}: {reason}", squatter.address)));
        one.network.shutdown();
        let Ok(first) = squatter.heard.recv_timeout(PATIENCE) else { panic!("it was not dialed") };
        assert_eq!(first, hello(VERSION, 7, 1, 2));
        for more in squatter.heard.try_iter() {
            assert_eq!(more, hello(VERSION, 7, 1, 2), "it was handed a parcel");
        }
    }
}

#[test]
fn store_at_the_address_of_another_is_handed_nothing() {
    let book = Arc::new(Book::default());
    let (one, three) = (Node::start(1, &book), Node::start(3, &book));
    book.write(2, three.network.address());
    one.send(2, groups([66]));
    assert_eq!(one.next(), Told::Lost(2));
    let problem = one.problem(2).unwrap();
    assert!(problem.contains("hello to store 2, this is s3"), "{problem}");
    one.send(3, groups([1]));
    assert_eq!(three.next(), Told::Delivered(1, groups([1])));
    book.write(2, "no address");
    one.send(2, groups([66]));
    let two = Node::start(2, &book);
    one.reach(&two, 2);
}

#[test]
fn bytes_that_are_no_protocol_hurt_nobody() {
    let book = Arc::new(Book::default());
    let (one, two) = (Node::start(1, &book), Node::start(2, &book));
    one.reach(&two, 2);
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 300], &[0; 300]] {
        let mut stranger = TcpStream::connect(two.network.address()).unwrap();
        stranger.write_all(garbage).unwrap();
        stranger.set_read_timeout(Some(PATIENCE)).unwrap();
        // It is closed; how is not said.
        let _ = stranger.read_to_end(&mut Vec::new());
    }
    one.send(2, groups([1_000_000]));
    assert_eq!(two.numbers_until(1_000_000).last(), Some(&1_000_000));
    assert!(one.told.try_recv().is_err(), "the good stream broke");
}

#[test]
fn stream_that_carries_nonsense_closed_with_the_reason_others_go_on() {
    let book = Arc::new(Book::default());
    let (one, two) = (Node::start(1, &book), Node::start(2, &book));
    one.reach(&two, 2);
    let mut nobody = wire::bundle(groups([1]));
    nobody.envelopes[0].group = 0;
    let frame = v1::SnapshotFrame {
        group: 1,
        from_peer: 1,
        to_peer: 2,
        session: 1,
        body: Some(v1::snapshot_frame::Body::Accept(1)),
    };
    let frame = v1::Bundle { snapshot: Some(frame), ..v1::Bundle::default() };
    for (nonsense, reason) in [
        (nobody, "Envelope.group is 0, which names nobody"),
        (hello(VERSION, 7, 3, 2), "Bundle.hello must not be here"),
        (frame, "a parcel on the wrong stream"),
    ] {
        let mut stranger = FakeDialer::dial(two.network.address(), hello(VERSION, 7, 3, 2));
        assert_eq!(stranger.answer(), Ok(Some(hello(VERSION, 7, 2, 3))));
        stranger.say(nonsense);
        assert_eq!(stranger.answer(), Err(reason.to_owned()));
    }
    one.send(2, groups([1_000_000]));
    assert_eq!(two.numbers_until(1_000_000).last(), Some(&1_000_000));
    assert!(one.told.try_recv().is_err(), "the good stream broke");
}
