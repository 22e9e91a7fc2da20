//! What stores may answer in place of doing what they are asked, one thing at a time.

use std::time::Duration;

use bytes::Bytes;
use client::{Client, Error, Fate, Options, ScanOptions};
use proto::errorpb::{
    self, DataIsNotReady, DiskFull, EpochNotMatch, KeyNotInRegion, MaxTimestampNotSynced,
    MismatchPeerId, NotLeader, ProposalInMergingMode, RaftEntryTooLarge, ReadIndexNotReady,
    RegionNotFound, RegionNotInitialized, ServerIsBusy, StaleCommand, StoreNotMatch,
    UndeterminedResult,
};
use tonic::Code;
use types::KeyRange;

use crate::world::{Fault, World};

fn of() -> errorpb::Error {
    errorpb::Error::default()
}

/// Every error that says that nothing was done, and is not final.
fn passing() -> Vec<errorpb::Error> {
    vec![
        errorpb::Error { not_leader: Some(NotLeader::default()), ..of() },
        errorpb::Error { epoch_not_match: Some(EpochNotMatch::default()), ..of() },
        errorpb::Error { region_not_found: Some(RegionNotFound::default()), ..of() },
        errorpb::Error { key_not_in_region: Some(KeyNotInRegion::default()), ..of() },
        errorpb::Error { store_not_match: Some(StoreNotMatch::default()), ..of() },
        errorpb::Error { stale_command: Some(StaleCommand::default()), ..of() },
        errorpb::Error { server_is_busy: Some(ServerIsBusy::default()), ..of() },
        errorpb::Error { read_index_not_ready: Some(ReadIndexNotReady::default()), ..of() },
        errorpb::Error { proposal_in_merging_mode: Some(ProposalInMergingMode::default()), ..of() },
        errorpb::Error { max_timestamp_not_synced: Some(MaxTimestampNotSynced::default()), ..of() },
        errorpb::Error { data_is_not_ready: Some(DataIsNotReady::default()), ..of() },
        errorpb::Error { region_not_initialized: Some(RegionNotInitialized::default()), ..of() },
        errorpb::Error { mismatch_peer_id: Some(MismatchPeerId::default()), ..of() },
        errorpb::Error { disk_full: Some(DiskFull::default()), ..of() },
        errorpb::Error { message: "something new".to_owned(), ..of() },
    ]
}

async fn swap(client: &Client, key: &str) -> Result<bool, Error> {
    client.compare_and_swap(key, None, "v").await.map(|swap| swap.is_swapped)
}

#[tokio::test]
async fn passing_errors_cost_an_attempt_and_nothing_else() {
    let world = World::v2(&["m"]);
    let client = world.client().await;
    for (at, error) in passing().into_iter().enumerate() {
        let key = format!("k{at}");
        let order = |command| world.fault(command, Fault::region(error.clone()));
        order("put");
        client.put(&key, "v").await.unwrap();
        order("get");
        assert_eq!(client.get(&key).await.unwrap(), Some(Bytes::from("v")), "{error:?}");
        order("scan");
        let range = KeyRange::new(key.as_bytes(), [key.as_bytes(), b"\0"].concat());
        assert_eq!(client.count(&range).await.unwrap(), 1, "{error:?}");
        order("batch_put");
        client.batch_put([(&key, "v"), (&"z".to_owned(), "v")]).await.unwrap();
        order("delete_range");
        client.delete_range(&range).await.unwrap();
        // Even what must not be done twice: it was not done.
        order("cas");
        assert_eq!(swap(&client, &key).await, Ok(true), "{error:?}");
        for (command, count) in
            [("put", 2), ("get", 2), ("scan", 2), ("batch_put", 3), ("delete_range", 2), ("cas", 2)]
        {
            let seen = world.take_seen(command);
            assert_eq!(seen.len(), count, "{command}, {error:?}: {seen:?}");
        }
    }
}

#[tokio::test]
async fn final_errors_are_told_at_once() {
    let world = World::v2(&[]);
    let client = world.client().await;
    let large = RaftEntryTooLarge { region_id: 1, entry_size: 9_000_000 };
    let large = errorpb::Error { raft_entry_too_large: Some(large), ..of() };
    world.fault("put", Fault::region(large));
    let error = client.put("a", "1").await.unwrap_err();
    assert!(matches!(&error, Error::TooLarge(why) if why.contains("9000000")), "{error}");
    assert_eq!(error.fate(), Fate::Refused);

    world.fault("put", Fault::Text("the api-version is another"));
    let error = client.put("a", "1").await.unwrap_err();
    assert_eq!(error, Error::Refused("the api-version is another".to_owned()));

    world.fault("batch_put", Fault::Text("no"));
    let error = client.batch_put([("a", "1")]).await.unwrap_err();
    assert_eq!(error, Error::Refused("no".to_owned()));

    world.fault("cas", Fault::Status(Code::PermissionDenied));
    let error = swap(&client, "a").await.unwrap_err();
    assert_eq!(error, Error::Denied("as ordered".to_owned()));

    assert_eq!(world.take_seen("put").len(), 2);
    assert_eq!(client.get("a").await.unwrap(), None);
}

/// What leaves it open whether a command was done.
fn lost() -> Vec<Fault> {
    let undetermined = UndeterminedResult { message: "it led".to_owned() };
    vec![
        Fault::LoseAnswer,
        Fault::Status(Code::Unavailable),
        Fault::region(errorpb::Error { undetermined_result: Some(undetermined), ..of() }),
    ]
}

#[tokio::test]
async fn writes_of_unknown_fate_are_done_again_but_swaps_are_not() {
    for batched in [true, false] {
        let world = World::v2(&["m"]);
        let client = world.client_with(Options { batched, ..world.options() }).await;
        for (at, fault) in lost().into_iter().enumerate() {
            let key = format!("k{at}");
            world.fault("put", fault.clone());
            client.put(&key, "v").await.unwrap();
            assert_eq!(world.take_seen("put").len(), 2, "{fault:?}");
            world.fault("get", fault.clone());
            assert_eq!(client.get(&key).await.unwrap(), Some(Bytes::from("v")), "{fault:?}");
            world.fault("batch_delete", fault.clone());
            client.batch_delete([&key]).await.unwrap();
            world.fault("delete_range", fault.clone());
            client.delete_range(&KeyRange::new("k", "l")).await.unwrap();
            world.fault("cas", fault.clone());
            let error = swap(&client, &key).await.unwrap_err();
            assert!(matches!(error, Error::Undetermined(_)), "{fault:?}: {error}");
            assert_eq!(error.fate(), Fate::Unknown);
            assert_eq!(world.take_seen("cas").len(), 1, "{fault:?}");
            // One of them was done all the same.
            let was_done = matches!(fault, Fault::LoseAnswer);
            assert_eq!(client.get(&key).await.unwrap().is_some(), was_done, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn refusal_after_an_answer_was_lost_does_not_say_that_nothing_happened() {
    let world = World::v2(&["m"]);
    let client = world.client().await;
    for command in ["put", "batch_put", "delete_range"] {
        world.fault(command, Fault::LoseAnswer);
        world.fault(command, Fault::Text("no more"));
    }
    let put = client.put("a", "1").await.unwrap_err();
    let batch = client.batch_put([("b", "1")]).await.unwrap_err();
    let range = client.delete_range(&KeyRange::new("x", "z")).await.unwrap_err();
    for error in [put, batch, range] {
        assert!(matches!(&error, Error::Undetermined(why) if why.contains("no more")), "{error}");
    }
    assert_eq!(client.count(&KeyRange::default()).await.unwrap(), 2);
}

#[tokio::test]
async fn range_of_which_a_beginning_is_removed_is_not_told_to_be_as_it_was() {
    let world = World::v2(&["m"]);
    let client = world.client().await;
    client.batch_put([("a", "1"), ("z", "1")]).await.unwrap();
    // The first region does it; only then is there one that does not.
    world.fault("delete_range", Fault::Split("t"));
    world.fault("delete_range", Fault::Text("no more"));
    let error = client.delete_range(&KeyRange::new("a", "zz")).await.unwrap_err();
    assert!(matches!(&error, Error::Undetermined(why) if why.contains("no more")), "{error}");
    assert_eq!(client.count(&KeyRange::default()).await.unwrap(), 1);
    // What was not begun is as it was.
    world.fault("delete_range", Fault::Text("no more"));
    let error = client.delete_range(&KeyRange::new("a", "zz")).await.unwrap_err();
    assert!(matches!(&error, Error::Refused(_)), "{error}");
}

#[tokio::test]
async fn writes_are_not_done_again_if_that_is_not_wanted() {
    let world = World::v2(&[]);
    let client = world.client_with(Options { resend_writes: false, ..world.options() }).await;
    for fault in lost() {
        world.fault("put", fault.clone());
        let error = client.put("a", "v").await.unwrap_err();
        assert!(matches!(error, Error::Undetermined(_)), "{fault:?}: {error}");
        world.fault("get", fault);
        client.get("a").await.unwrap();
    }
    // What surely was not done is done again.
    world.fault("put", Fault::region(passing().remove(0)));
    client.put("a", "v").await.unwrap();
}

#[tokio::test]
async fn broken_stream_fails_all_that_is_on_it_and_is_opened_anew() {
    let world = World::v2(&[]);
    let client = world.client().await;
    for round in 0..20 {
        // Which of them it is, is left open; all others on the stream are done again.
        world.fault("put", Fault::LoseAnswer);
        world.fault("put", Fault::Status(Code::Internal));
        let puts: Vec<_> = (0..50)
            .map(|n| {
                let client = client.clone();
                tokio::spawn(async move { client.put(format!("k{n}"), format!("{round}")).await })
            })
            .collect();
        for put in puts {
            put.await.unwrap().unwrap();
        }
        let options = ScanOptions::default();
        let found = client.scan(&KeyRange::default(), options).collect().await.unwrap();
        assert_eq!(found.len(), 50);
        assert!(found.iter().all(|(_, value)| *value == format!("{round}")), "{found:?}");
    }
}

#[tokio::test]
async fn used_up_budget_says_what_happened_and_whether_it_may_have() {
    let world = World::v2(&[]);
    let budget = Duration::from_secs(2);
    let attempt_timeout = Duration::from_millis(200);
    let options = Options { attempt_timeout, budget, ..world.options() };
    let client = world.client_with(options).await;
    let always = |command, fault: &Fault| {
        for _ in 0..1_000 {
            world.fault(command, fault.clone());
        }
    };
    // It asks for more time than there is.
    let busy = errorpb::Error {
        message: "too much to do".to_owned(),
        server_is_busy: Some(ServerIsBusy { reason: String::new(), backoff_ms: 9_000 }),
        ..of()
    };
    let timeout = Error::Timeout { budget, last: "too much to do".to_owned() };
    assert_eq!(timeout.fate(), Fate::Retry);
    for command in ["put", "get", "cas", "batch_put", "scan"] {
        always(command, &Fault::region(busy.clone()));
    }
    assert_eq!(client.put("a", "v").await, Err(timeout.clone()));
    assert_eq!(client.get("a").await, Err(timeout.clone()));
    assert_eq!(swap(&client, "a").await, Err(timeout.clone()));
    assert_eq!(client.batch_put([("a", "v")]).await, Err(timeout.clone()));
    assert_eq!(client.count(&KeyRange::default()).await, Err(timeout));

    world.state.lock().faults.clear();
    for command in ["put", "get", "cas", "batch_put"] {
        always(command, &Fault::Silence);
    }
    let put = client.put("a", "v").await.unwrap_err();
    assert!(matches!(put, Error::Undetermined(_)), "{put}");
    let batch = client.batch_put([("a", "v")]).await.unwrap_err();
    assert!(matches!(batch, Error::Undetermined(_)), "{batch}");
    let swapped = swap(&client, "a").await.unwrap_err();
    assert!(matches!(swapped, Error::Undetermined(_)), "{swapped}");
    let get = client.get("a").await.unwrap_err();
    assert!(matches!(get, Error::Timeout { .. }), "{get}");

    // One answer that was lost, and then only refusals: it may have been done.
    world.state.lock().faults.clear();
    world.fault("put", Fault::LoseAnswer);
    always("put", &Fault::region(busy));
    let put = client.put("a", "v").await.unwrap_err();
    assert!(matches!(put, Error::Undetermined(_)), "{put}");
}

#[tokio::test]
async fn batch_of_which_one_part_is_unknown_and_another_refused_is_of_unknown_fate() {
    let world = World::v2(&["m"]);
    let options = Options { batched: false, ..world.options() };
    let client = world.client_with(options).await;
    world.fault("batch_put", Fault::LoseAnswer);
    world.fault("batch_put", Fault::Text("no"));
    let put = client.batch_put([("a", "v"), ("z", "v")]).await.unwrap_err();
    assert!(matches!(&put, Error::Undetermined(why) if why.contains("no")), "{put}");
    // Where nothing can have been done by what is unknown, the refusal is all that there is to say.
    world.fault("batch_get", Fault::LoseAnswer);
    world.fault("batch_get", Fault::Status(Code::InvalidArgument));
    let get = client.batch_get(["a", "z"]).await.unwrap_err();
    assert!(matches!(get, Error::Refused(_)), "{get}");
}

#[tokio::test]
async fn batch_of_which_the_answer_is_too_large_is_asked_for_in_parts() {
    let world = World::v2(&[]);
    let client = world.client().await;
    let keys = ["a", "b", "c", "d", "e"];
    client.batch_put(keys.map(|key| (key, "v"))).await.unwrap();
    let too_long = || {
        Fault::region(errorpb::Error {
            message: "CRIB-E2005: the answer is too long".to_owned(),
            raft_entry_too_large: Some(Default::default()),
            ..of()
        })
    };
    world.fault("batch_get", too_long());
    assert_eq!(client.batch_get(keys).await.unwrap().len(), 5);
    // All, and then no more than half of them at a time.
    let mut asked: Vec<usize> = world.take_seen("batch_get").iter().map(|of| of.keys).collect();
    asked.sort_unstable();
    assert_eq!(asked, [1, 2, 2, 5]);
    // A single one that does not fit is told.
    world.fault("batch_get", too_long());
    let error = client.batch_get(["a"]).await.unwrap_err();
    assert!(matches!(&error, Error::Refused(why) if why.contains("E2005")), "{error}");
}
