//! Every raw request of the Rust client, over many regions, against a model.

use std::collections::BTreeMap;

use foreign::{Api, Cluster};
use tikv_client::RawClient;

use crate::rust::{client, plain, scan_all};

/// Keys, and where regions begin among them.
const KEYS: usize = 2_000;
const BOUNDS: [&str; 6] = ["key0250", "key0500", "key0501", "key1000", "key1500", "key1900"];

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn key(number: usize) -> Vec<u8> {
    format!("key{number:04}").into_bytes()
}

fn value(number: usize) -> Vec<u8> {
    // Any bytes, and any length, none included.
    (0..number % 97).map(|at| (number + at).to_le_bytes()[0]).collect()
}

fn within(model: &Model, start: &[u8], end: &[u8], limit: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let range = model.range(start.to_vec()..end.to_vec());
    range.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Half of the keys one by one, half at once; then some are overwritten.
async fn filled(client: &RawClient) -> Model {
    let mut model: Model = (0..KEYS).map(|number| (key(number), value(number))).collect();
    for number in (0..KEYS).step_by(2) {
        client.put(key(number), value(number)).await.unwrap();
    }
    let odd = (1..KEYS).step_by(2).map(|number| (key(number), value(number)));
    client.batch_put(odd).await.unwrap();
    for number in (0..KEYS).step_by(50) {
        client.put(key(number), "again").await.unwrap();
        model.insert(key(number), b"again".to_vec());
    }
    model
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_requests_over_many_regions_agree_with_a_model() {
    let cluster = Cluster::start(Api::V2, &[]);
    cluster.split_at(&BOUNDS);
    let client = client(&cluster).await;
    let mut model = filled(&client).await;
    reads(&client, &model).await;
    scans(&client, &model).await;
    deletes(&client, &mut model).await;
    swaps(&client).await;
    lives(&client).await;
    // A client that knows nothing sees the same.
    let later = crate::rust::client(&cluster).await;
    let all = scan_all(&later, b"key", b"kez", 10_240).await.unwrap();
    assert_eq!(all, within(&model, b"key", b"kez", usize::MAX));
}

async fn reads(client: &RawClient, model: &Model) {
    for number in (0..KEYS).step_by(7) {
        let found = client.get(key(number)).await.unwrap();
        assert_eq!(found.as_ref(), model.get(&key(number)), "key {number}");
    }
    assert_eq!(client.get("absent".to_owned()).await.unwrap(), None);
    let asked = (0..KEYS).rev().map(key).chain(["absent".into(), "key0501x".into()]);
    let mut found = plain(client.batch_get(asked).await.unwrap());
    found.sort();
    assert_eq!(found, within(model, b"", b"\xff", usize::MAX));
}

async fn scans(client: &RawClient, model: &Model) {
    // Over all bounds, between them, beginning and ending on them, and with nothing within.
    let ranges = [("key", "kez"), ("key0100", "key0200"), ("key0250", "key1500")];
    let empty = [("key0500", "key0500"), ("zzz0", "zzz9"), ("key0500a", "key0501")];
    for (start, end) in ranges.into_iter().chain(empty) {
        for limit in [1, 3, 250, 251, 10_240] {
            let expected = within(model, start.as_bytes(), end.as_bytes(), limit as usize);
            let range = start.to_owned()..end.to_owned();
            let found = plain(client.scan(range.clone(), limit).await.unwrap());
            assert_eq!(found, expected, "{start} to {end}, {limit}");
            let keys = client.scan_keys(range, limit).await.unwrap();
            let keys: Vec<Vec<u8>> = keys.into_iter().map(Into::into).collect();
            assert!(keys.iter().eq(expected.iter().map(|(key, _)| key)), "{start} to {end}");
        }
    }
    // In pages that end anywhere.
    let all = within(model, b"key", b"kez", usize::MAX);
    assert_eq!(scan_all(client, b"key", b"kez", 33).await.unwrap(), all);
    // Down, and within one region: over several, this client looks for the first of them at the
    // wrong end.
    let down =
        plain(client.scan_reverse("key1000".to_owned().."key1499".to_owned(), 100).await.unwrap());
    let mut expected = within(model, b"key1000", b"key1499", usize::MAX);
    expected.reverse();
    assert_eq!(down, expected[..100]);
    // The limit of many ranges is one for each region and range.
    let ranges = [("key0000", "key0010"), ("key0495", "key0505"), ("zzz0", "zzz9")];
    let asked = ranges.map(|(start, end)| start.to_owned()..end.to_owned());
    let found = plain(client.batch_scan(asked, 10).await.unwrap());
    let expected = ranges.map(|(start, end)| within(model, start.as_bytes(), end.as_bytes(), 10));
    assert_eq!(found, expected.concat());
}

async fn deletes(client: &RawClient, model: &mut Model) {
    for number in (0..KEYS).step_by(11) {
        client.delete(key(number)).await.unwrap();
        model.remove(&key(number));
    }
    client.delete("absent".to_owned()).await.unwrap();
    client.batch_delete((5..KEYS).step_by(13).map(key)).await.unwrap();
    (5..KEYS).step_by(13).for_each(|number| drop(model.remove(&key(number))));
    // Over two bounds, and ending within a region; then nothing.
    client.delete_range("key0240".to_owned().."key0510".to_owned()).await.unwrap();
    model.retain(|key, _| !(&b"key0240"[..].."key0510".as_bytes()).contains(&&key[..]));
    client.delete_range("key0500".to_owned().."key0500".to_owned()).await.unwrap();
    let all = scan_all(client, b"key", b"kez", 10_240).await.unwrap();
    assert_eq!(all, within(model, b"key", b"kez", usize::MAX));
}

async fn swaps(client: &RawClient) {
    let atomic = client.with_atomic_for_cas();
    let (key, is) = ("swap", |value: &str| Some(value.as_bytes().to_vec()));
    let swap = async |from: Option<&str>, to: &str| {
        let from = from.map(|from| from.as_bytes().to_vec());
        atomic.compare_and_swap(key.to_owned(), from, to.to_owned()).await.unwrap()
    };
    assert_eq!(swap(Some("one"), "two").await, (None, false));
    assert_eq!(swap(None, "one").await, (None, true));
    assert_eq!(swap(None, "two").await, (is("one"), false));
    assert_eq!(swap(Some("one"), "two").await, (is("one"), true));
    assert_eq!(swap(Some("one"), "three").await, (is("two"), false));
    assert_eq!(client.get(key.to_owned()).await.unwrap(), is("two"));
    // An empty value is a value.
    assert_eq!(swap(Some("two"), "").await, (is("two"), true));
    assert_eq!(swap(Some(""), "four").await, (is(""), true));
    atomic.delete(key.to_owned()).await.unwrap();
    assert_eq!(swap(None, "five").await, (None, true));
}

async fn lives(client: &RawClient) {
    client.put_with_ttl("long".to_owned(), "value", 3_600).await.unwrap();
    let left = client.get_key_ttl_secs("long".to_owned()).await.unwrap().unwrap();
    assert!((1..=3_600).contains(&left), "{left} s");
    client.put("ever".to_owned(), "value").await.unwrap();
    assert_eq!(client.get_key_ttl_secs("ever".to_owned()).await.unwrap(), Some(0));
    assert_eq!(client.get_key_ttl_secs("absent".to_owned()).await.unwrap(), None);
    let pairs = [("short1", "value"), ("short2", "value"), ("short3", "value")];
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    client.batch_put_with_ttl(pairs, [1, 3_600, 1]).await.unwrap();
    while client.get("short1".to_owned()).await.unwrap().is_some()
        || client.get("short3".to_owned()).await.unwrap().is_some()
    {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    // What has expired is nowhere.
    let range = || "short".to_owned().."shorz".to_owned();
    let left = plain(client.scan(range(), 10).await.unwrap());
    assert_eq!(left, [(b"short2".to_vec(), b"value".to_vec())]);
    let asked = ["short1", "short2", "short3"].map(str::to_owned);
    assert_eq!(client.batch_get(asked).await.unwrap().len(), 1);
    let atomic = client.with_atomic_for_cas();
    let swapped = atomic.compare_and_swap("short1".to_owned(), None, "new".to_owned()).await;
    assert_eq!(swapped.unwrap(), (None, true));
}
