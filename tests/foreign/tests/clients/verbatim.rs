//! The Rust client without keyspaces: keys are what they are, and so are the bounds of regions.

use foreign::{Api, Cluster};

use crate::rust::{client, plain, scan_all};

const KEYS: usize = 600;

fn key(number: usize) -> Vec<u8> {
    format!("k{number:03}").into_bytes()
}

/// The last region is one in which nothing of these tests ends: this client, when it has reached
/// the end of that one, begins again with the first.
const BOUNDS: [&str; 4] = ["k100", "k\\x32\\x30\\x30", "k555", "z"];

#[tokio::test(flavor = "multi_thread")]
async fn keys_as_they_are_over_many_regions() {
    let cluster = Cluster::start(Api::V1, &[]);
    let client = client(&cluster).await;
    client.put("k100".to_owned(), "before there were several regions").await.unwrap();
    cluster.split_at(&BOUNDS);
    let mut all: Vec<_> = (0..KEYS).map(|number| (key(number), key(number))).collect();
    client.batch_put(all.clone()).await.unwrap();
    // Bytes that would be something else in another encoding.
    for odd in [&b"\0"[..], b"\xff", b"k\xff\xff", b"k100\0\0\0\0"] {
        client.put(odd.to_vec(), odd.to_vec()).await.unwrap();
        assert_eq!(client.get(odd.to_vec()).await.unwrap().as_deref(), Some(odd));
        client.delete(odd.to_vec()).await.unwrap();
    }
    assert_eq!(scan_all(&client, b"k", b"l", 10_240).await.unwrap(), all);
    assert_eq!(scan_all(&client, b"k", b"l", 77).await.unwrap(), all);
    let asked: Vec<Vec<u8>> = (0..KEYS + 10).map(key).collect();
    let mut found = plain(client.batch_get(asked).await.unwrap());
    found.sort();
    assert_eq!(found, all);
    let atomic = client.with_atomic_for_cas();
    let swapped = atomic.compare_and_swap(key(5), key(5), "new").await.unwrap();
    assert_eq!(swapped, (Some(key(5)), true));
    client.delete_range(key(5)..key(250)).await.unwrap();
    client.batch_delete((550..560).map(key)).await.unwrap();
    client.delete(key(599)).await.unwrap();
    let is_left = |number: usize| !(5..250).contains(&number) && !(550..560).contains(&number);
    all = (0..KEYS - 1).filter(|&number| is_left(number)).map(|n| (key(n), key(n))).collect();
    assert_eq!(scan_all(&client, b"k", b"l", 10_240).await.unwrap(), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_as_they_are_may_expire_where_the_cluster_says_so() {
    let cluster = Cluster::start(Api::V1Ttl, &[]);
    let client = client(&cluster).await;
    client.put_with_ttl("long".to_owned(), "value", 3_600).await.unwrap();
    let left = client.get_key_ttl_secs("long".to_owned()).await.unwrap().unwrap();
    assert!((1..=3_600).contains(&left), "{left} s");
    client.put_with_ttl("short".to_owned(), "value", 1).await.unwrap();
    while client.get("short".to_owned()).await.unwrap().is_some() {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(client.get("long".to_owned()).await.unwrap().as_deref(), Some(&b"value"[..]));
}

/// Refused in words, not with silence and not as if it were done.
#[tokio::test(flavor = "multi_thread")]
async fn lives_are_refused_where_values_do_not_expire() {
    let cluster = Cluster::start(Api::V1, &[]);
    let client = client(&cluster).await;
    let refused =
        client.put_with_ttl("short".to_owned(), "value", 1).await.unwrap_err().to_string();
    assert!(refused.contains("CRIB-E2001"), "{refused}");
    assert_eq!(client.get("short".to_owned()).await.unwrap(), None);
}
