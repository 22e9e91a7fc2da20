//! Raw requests as they are on the wire, where our client does not show all that an answer says:
//! checksums, refusals, versions.

use std::collections::BTreeSet;

use client::Client;
use cluster::crib::{Cluster, until};
use proto::kvrpcpb::{
    ApiVersion, Context, KeyRange, RawBatchGetRequest, RawBatchScanRequest, RawChecksumRequest,
    RawDeleteRangeRequest, RawDeleteRequest, RawGetKeyTtlRequest, RawGetRequest, RawPutRequest,
    RawScanRequest,
};
use proto::tikvpb::BatchCommandsRequest;
use proto::tikvpb::batch_commands_request::Request as BatchRequest;
use proto::tikvpb::batch_commands_request::request::Cmd;
use proto::tikvpb::batch_commands_response::response::Cmd as Answered;
use proto::tikvpb::tikv_client::TikvClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response};

use crate::options;

/// What is before each key of the keyspace `DEFAULT`, and what is behind them all.
const BEFORE: &[u8] = b"r\0\0\0";
const BEHIND: &[u8] = b"r\0\0\x01";

pub(crate) fn raw(key: &str) -> bytes::Bytes {
    [BEFORE, key.as_bytes()].concat().into()
}

/// One node, its clients, and some keys.
async fn single(test: &str) -> (Cluster, Client, TikvClient<Channel>) {
    single_with(test, &[]).await
}

/// The same with some settings.
async fn single_with(test: &str, set: &[&str]) -> (Cluster, Client, TikvClient<Channel>) {
    let mut options = options(test);
    options.stores = 1;
    options.set.push("replicas=1".to_owned());
    options.set.extend(set.iter().map(|setting| (*setting).to_owned()));
    let cluster = Cluster::start(options).await;
    let client = cluster.client().await;
    let address = format!("http://{}", cluster.node(0).address);
    let channel = Endpoint::from_shared(address).expect("an address").connect().await;
    (cluster, client, TikvClient::new(channel.expect("it listens")))
}

/// For a request to the region that has a key.
async fn context(client: &Client, key: &str) -> Context {
    let route = client.region_of(key).await.expect("an answer").expect("a region");
    Context {
        region_id: route.region.id.get(),
        region_epoch: Some(route.region.epoch.into()),
        peer: Some(route.leader.expect("it is led").into()),
        api_version: ApiVersion::V2.into(),
        ..Default::default()
    }
}

/// The sum of one pair, bit by bit.
fn crc64(pair: (&[u8], &[u8])) -> u64 {
    let bytes = pair.0.iter().chain(pair.1);
    !bytes.fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u64::from(*byte), |sum, _| {
            (sum >> 1) ^ if sum & 1 == 1 { 0xc96c_5795_d787_0f42 } else { 0 }
        })
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checksum_is_that_of_the_pairs_that_are_there_however_regions_are_cut() {
    let (cluster, client, mut tikv) = single("checksums").await;
    let pairs: Vec<(String, String)> =
        (0..1_200).map(|nth| (format!("sum/{nth:04}"), format!("{nth} ").repeat(40))).collect();
    client.batch_put(pairs.clone()).await.expect("puts");
    // More keys than a region keeps: they are cut meanwhile, which clients find out by errors.
    let (sum, bytes) = until("the sums of two regions or more", async || {
        let client = cluster.client().await;
        let (mut sum, mut bytes, mut count) = (0, 0, 0);
        let mut regions = BTreeSet::new();
        for (key, _) in &pairs {
            let context = context(&client, key).await;
            if !regions.insert(context.region_id) {
                continue;
            }
            let ranges = vec![KeyRange { start_key: BEFORE.into(), end_key: BEHIND.into() }];
            let request =
                RawChecksumRequest { context: Some(context), ranges, ..Default::default() };
            let answer = tikv.raw_checksum(request).await.expect("an answer").into_inner();
            assert_eq!(answer.error, "");
            if answer.region_error.is_some() {
                return None;
            }
            sum ^= answer.checksum;
            bytes += answer.total_bytes;
            count += answer.total_kvs;
        }
        // A region that is cut between two answers is in both of them.
        (regions.len() > 1 && count == 1_200).then_some((sum, bytes))
    })
    .await;
    let expected = pairs.iter().fold((0, 0), |(sum, bytes), (key, value)| {
        let key = raw(key);
        (sum ^ crc64((&key, value.as_bytes())), bytes + (key.len() + value.len()) as u64)
    });
    assert_eq!((sum, bytes), expected);
    let unknown = RawChecksumRequest {
        context: Some(context(&client, "sum/0000").await),
        algorithm: 7,
        ..Default::default()
    };
    let answer = tikv.raw_checksum(unknown).await.expect("an answer").into_inner();
    assert!(answer.error.contains("no algorithm 7"), "{answer:?}");
    cluster.assert_all_run();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batch_of_reads_that_makes_no_sense_is_refused_for_good() {
    let (_cluster, client, mut tikv) = single("refusals of batches").await;
    let context = Some(context(&client, "a").await);
    let keys = vec![raw("a"), bytes::Bytes::new()];
    let request = RawBatchGetRequest { context, keys, ..Default::default() };
    let answer = tikv.raw_batch_get(request).await.expect("an answer").into_inner();
    // Errors of pairs some clients do not look at. This one they all give to their callers.
    assert_eq!(answer.pairs, []);
    let error = answer.region_error.expect("a refusal");
    assert!(error.message.contains("CRIB-E2001"), "{error:?}");
    assert!(error.raft_entry_too_large.is_some(), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_too_large_are_refused_and_end_no_stream() {
    // All in one region, of which more than what a region of its size has.
    let (cluster, client, tikv) = single_with("large answers", &["region.check-interval=1h"]).await;
    let mut tikv = tikv.max_decoding_message_size(64 << 20);
    let keys: Vec<String> = (0..18).map(|n| format!("large/{n:02}")).collect();
    let value = bytes::Bytes::from(vec![7; 4 << 20]);
    for key in &keys {
        client.put(key.clone(), value.clone()).await.expect("it is put");
    }
    let context = Some(context(&client, "large/").await);

    // All of them together are more than a message may have; and then what is no answer at all.
    let get = |key: &String| RawGetRequest {
        context: context.clone(),
        key: raw(key),
        ..Default::default()
    };
    let all = RawBatchGetRequest {
        context: context.clone(),
        keys: keys.iter().map(|key| raw(key)).collect(),
        ..Default::default()
    };
    let mut commands: Vec<Cmd> = keys.iter().map(|key| Cmd::RawGet(get(key))).collect();
    commands.push(Cmd::RawBatchGet(all));
    let wanted = commands.len();
    let batch = BatchCommandsRequest {
        request_ids: (0..wanted as u64).collect(),
        requests: commands.into_iter().map(|cmd| BatchRequest { cmd: Some(cmd) }).collect(),
    };
    let (asks, asked) = tokio::sync::mpsc::channel(1);
    asks.send(batch).await.expect("it is asked");
    let asked = tokio_stream::wrappers::ReceiverStream::new(asked);
    let mut answers = tikv.batch_commands(asked).await.expect("a stream").into_inner();
    let (mut values, mut refused) = (0, 0);
    while values + refused < wanted {
        let message = answers.message().await.expect("a stream that goes on").expect("an answer");
        for answer in message.responses {
            match answer.cmd {
                Some(Answered::RawGet(got)) => {
                    assert_eq!(got.value, value);
                    values += 1;
                }
                Some(Answered::RawBatchGet(got)) => {
                    let error = got.region_error.expect("a refusal");
                    assert!(error.message.contains("CRIB-E2005"), "{error:?}");
                    assert!(got.pairs.is_empty() && error.raft_entry_too_large.is_some());
                    refused += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((values, refused), (keys.len(), 1));

    // Our client asks for less at a time.
    let options = client::ScanOptions { page_keys: 100, ..Default::default() };
    let mut scan = client.scan(&types::KeyRange::new("large/", "large0"), options);
    let mut found = Vec::new();
    while let Some((key, read)) = scan.next().await.expect("it is scanned") {
        assert_eq!(read, value);
        found.push(String::from_utf8(key.to_vec()).expect("text"));
    }
    assert_eq!(found, keys);
    cluster.assert_all_run();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_for_another_store_is_told_that_before_anything_else() {
    let (_cluster, client, mut tikv) = single("another store").await;
    let mut context = context(&client, "a").await;
    context.region_id = 4_711;
    let own = context.peer.as_mut().expect("a leader");
    own.store_id += 1;
    let request = RawGetRequest { context: Some(context), key: raw("a"), ..Default::default() };
    let answer = tikv.raw_get(request).await.expect("an answer").into_inner();
    let error = answer.region_error.expect("an error");
    assert!(error.store_not_match.is_some(), "{error:?}");
}

/// Region and slot of an answer, if it says them.
fn version<T>(response: &Response<T>) -> Option<(u64, u64)> {
    let text = response.metadata().get("crib-version")?.to_str().expect("it is text");
    let (region, index) = text.split_once(':').expect("two numbers");
    Some((region.parse().expect("a number"), index.parse().expect("a number")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_about_a_region_say_their_version_when_asked_to() {
    let (_cluster, client, mut tikv) = single("versions").await;
    let context = Some(context(&client, "a").await);
    let region = context.as_ref().map_or(0, |context| context.region_id);
    let key = raw("a");
    let put = RawPutRequest {
        context: context.clone(),
        key: key.clone(),
        value: "1".into(),
        ..Default::default()
    };
    let silent = tikv.raw_put(put.clone()).await.expect("an answer");
    assert_eq!(version(&silent), None, "nobody has asked");

    fn wanted<T>(message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("crib-want-version", "1".parse().expect("text"));
        request
    }
    let written = version(&tikv.raw_put(wanted(put)).await.expect("an answer"));
    let get = RawGetRequest { context: context.clone(), key: key.clone(), ..Default::default() };
    let many = RawBatchGetRequest {
        context: context.clone(),
        keys: vec![key.clone()],
        ..Default::default()
    };
    let ttl =
        RawGetKeyTtlRequest { context: context.clone(), key: key.clone(), ..Default::default() };
    let scan = RawScanRequest {
        context: context.clone(),
        start_key: BEFORE.into(),
        end_key: BEHIND.into(),
        limit: 9,
        ..Default::default()
    };
    let sum = RawChecksumRequest { context: context.clone(), ..Default::default() };
    let read = [
        version(&tikv.raw_get(wanted(get)).await.expect("an answer")),
        version(&tikv.raw_batch_get(wanted(many)).await.expect("an answer")),
        version(&tikv.raw_get_key_ttl(wanted(ttl)).await.expect("an answer")),
        version(&tikv.raw_scan(wanted(scan)).await.expect("an answer")),
        version(&tikv.raw_checksum(wanted(sum)).await.expect("an answer")),
    ];
    let delete = RawDeleteRequest { context, key, ..Default::default() };
    let deleted = version(&tikv.raw_delete(wanted(delete)).await.expect("an answer"));
    assert_eq!(written.map(|(of, _)| of), Some(region));
    assert!(read.iter().all(|read| *read >= written && *read < deleted), "{read:?} {deleted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_that_does_not_read_its_answers_holds_up_nobody_else() {
    let large = ["region.split-size=1GiB", "region.target-size=512MiB"];
    let (cluster, client, tikv) = single_with("silent reader", &large).await;
    let value = bytes::Bytes::from(vec![7; 256 << 10]);
    let keys: Vec<String> = (0..16).map(|n| format!("much/{n:02}")).collect();
    for key in &keys {
        client.put(key.clone(), value.clone()).await.expect("it is put");
    }
    let context = Some(context(&client, "much/").await);
    // Scans of 4 MiB, as many as a stream may have under way, and nobody takes the answers.
    let scan = Cmd::RawScan(RawScanRequest {
        context: context.clone(),
        start_key: raw("much/"),
        end_key: raw("much0"),
        limit: 100,
        ..Default::default()
    });
    let (asks, asked) = tokio::sync::mpsc::channel(2);
    for nth in 0..2 {
        let batch = BatchCommandsRequest {
            request_ids: (nth * 600..nth * 600 + 600).collect(),
            requests: (0..600).map(|_| BatchRequest { cmd: Some(scan.clone()) }).collect(),
        };
        asks.send(batch).await.expect("it is asked");
    }
    let asked = tokio_stream::wrappers::ReceiverStream::new(asked);
    let mut slow = tikv.max_decoding_message_size(64 << 20);
    let mut answers = slow.batch_commands(asked).await.expect("a stream").into_inner();
    answers.message().await.expect("a stream that goes on").expect("the first answer");

    let range = types::KeyRange::new("much/", "much0");
    for _ in 0..8 {
        assert_eq!(client.count(&range).await.expect("a count"), 16);
        client.put("much/00", value.clone()).await.expect("it is put");
    }
    drop((asks, answers));
    cluster.assert_all_run();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_of_one_scan_have_one_limit_together() {
    let large = ["region.split-size=1GiB", "region.target-size=512MiB"];
    let (_cluster, client, mut tikv) = single_with("ranges of a scan", &large).await;
    let value = bytes::Bytes::from(vec![7; 7 << 20]);
    for n in 0..6 {
        client.put(format!("range/{n}"), value.clone()).await.expect("it is put");
    }
    let range = |n: u32| KeyRange {
        start_key: raw(&format!("range/{n}")),
        end_key: raw(&format!("range/{}", n + 1)),
    };
    let request = RawBatchScanRequest {
        context: Some(context(&client, "range/").await),
        ranges: (0..6).map(range).collect(),
        each_limit: 1,
        ..Default::default()
    };
    let answer = tikv.raw_batch_scan(request).await.expect("an answer").into_inner();
    let error = answer.region_error.expect("a refusal");
    assert!(error.message.contains("CRIB-E2005"), "{error:?}");
    assert_eq!(answer.kvs, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn range_that_goes_on_behind_its_region_is_not_told_to_be_deleted() {
    let (cluster, client, mut tikv) = single("ranges of two regions").await;
    let pairs = (0..1_200).map(|nth| (format!("two/{nth:04}"), "x".repeat(200)));
    client.batch_put(pairs).await.expect("puts");
    let (first, last) = ("two/0000", "two/1199");
    let context = until("two regions", async || {
        let ends = (context(&client, first).await, context(&client, last).await);
        (ends.0.region_id != ends.1.region_id).then_some(ends.0)
    })
    .await;
    // So some clients ask: for all of the range in one region, and then take it for done.
    for end_key in [raw(last), bytes::Bytes::from(BEHIND)] {
        let context = Some(context.clone());
        let request =
            RawDeleteRangeRequest { context, start_key: raw(first), end_key, ..Default::default() };
        let answer = tikv.raw_delete_range(request).await.expect("an answer").into_inner();
        let error = answer.region_error.expect("a refusal");
        // Or it was cut once more meanwhile.
        assert!(error.key_not_in_region.is_some() || error.epoch_not_match.is_some(), "{error:?}");
    }
    assert_eq!(client.count(&types::KeyRange::new("two/", "two0")).await.expect("a count"), 1_200);
    cluster.assert_all_run();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scan_finds_all_that_a_region_has_also_if_that_is_much() {
    let large = ["region.split-size=64MiB", "region.target-size=32MiB"];
    let (_cluster, client, tikv) = single_with("a large scan in one region", &large).await;
    let mut tikv = tikv.max_decoding_message_size(256 << 20);
    let value = bytes::Bytes::from(vec![7; 1 << 20]);
    for nth in 0..40 {
        client.put(format!("much/{nth:02}"), value.clone()).await.expect("it is put");
    }
    // So some clients scan: from a key on, without an end, for as many as may be.
    let request = RawScanRequest {
        context: Some(context(&client, "much/00").await),
        start_key: raw("much/00"),
        end_key: BEHIND.into(),
        limit: 10_240,
        ..Default::default()
    };
    let answer = tikv.raw_scan(request).await.expect("an answer").into_inner();
    assert_eq!(answer.region_error, None);
    assert_eq!(answer.kvs.len(), 40);
    assert_eq!(client.count(&types::KeyRange::new("much/", "much0")).await.expect("a count"), 40);
}
