//! Raw requests as they are on the wire, where our client does not show all that an answer says:
//! checksums, refusals, versions.

use std::collections::BTreeSet;

use client::Client;
use cluster::crib::{Cluster, until};
use proto::kvrpcpb::{
    ApiVersion, Context, KeyRange, RawBatchGetRequest, RawChecksumRequest, RawDeleteRequest,
    RawGetKeyTtlRequest, RawGetRequest, RawPutRequest, RawScanRequest,
};
use proto::tikvpb::tikv_client::TikvClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response};

use crate::options;

/// What is before each key of the keyspace `DEFAULT`, and what is behind them all.
const BEFORE: &[u8] = b"r\0\0\0";
const BEHIND: &[u8] = b"r\0\0\x01";

fn raw(key: &str) -> bytes::Bytes {
    [BEFORE, key.as_bytes()].concat().into()
}

/// One node, its clients, and some keys.
async fn single(test: &str) -> (Cluster, Client, TikvClient<Channel>) {
    let mut options = options(test);
    options.stores = 1;
    options.set.push("replicas=1".to_owned());
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
    // A region error would be asked again and again.
    assert_eq!(answer.region_error, None);
    let error = answer.pairs.first().and_then(|pair| pair.error.clone()).expect("a refusal");
    assert!(error.abort.contains("CRIB-E2001"), "{error:?}");
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
