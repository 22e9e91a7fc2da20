//! Many tasks at once, while regions split, leaders move and connections break: each task knows
//! what its own keys must hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use client::{Client, Error, Options, ScanOptions};
use types::KeyRange;

use crate::world::{Fault, STORES, World};

const TASKS: u64 = 8;
const ROUNDS: u64 = 40;

/// Writes and reads keys that only this task writes.
async fn work(client: Client, task: u64) {
    let key = |n: u64| format!("{:02}/{task}", n % 10);
    for n in 0..ROUNDS {
        let value = format!("{n}");
        client.put(key(n), value.clone()).await.expect("a put");
        assert_eq!(client.get(key(n)).await.expect("a get"), Some(Bytes::from(value.clone())));
        let expected = Some(Bytes::from(value.clone()));
        match client.compare_and_swap(key(n), expected, format!("{n}'")).await {
            Ok(swap) => assert!(swap.is_swapped, "{swap:?}"),
            Err(Error::Undetermined(_)) => {
                client.put(key(n), format!("{n}'")).await.expect("a put");
            }
            Err(error) => panic!("{error}"),
        }
        if n % 8 == 7 {
            let keys: Vec<String> = (0..10).map(key).collect();
            let found = client.batch_get(&keys).await.expect("a batch");
            assert_eq!(found.len() as u64, (n + 1).min(10));
        }
    }
}

/// Splits, moves and breaks until it is told to stop.
async fn disturb(world: Arc<World>, stop: Arc<AtomicBool>) {
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let key = format!("{:02}/{}", turn % 10, turn % TASKS);
        match turn % 5 {
            0 if turn < 200 => world.split(&key, turn % 2 == 0),
            1 | 2 => world.lead(&key, turn % STORES + 1, turn % 3 == 0),
            3 => {
                // No faster than they happen.
                let is_quiet = world.state.lock().faults.is_empty();
                let command = match turn % 3 {
                    0 => "put",
                    1 => "get",
                    _ => "cas",
                };
                if is_quiet {
                    world.fault(command, Fault::LoseAnswer);
                }
            }
            _ => world.state.lock().tell(),
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

async fn storm(options: impl Fn(&World) -> Options) {
    let world = Arc::new(World::v2(&["05"]));
    let client = world.client_with(options(&world)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let disturbing = tokio::spawn(disturb(Arc::clone(&world), Arc::clone(&stop)));
    let tasks: Vec<_> = (0..TASKS).map(|task| tokio::spawn(work(client.clone(), task))).collect();
    for task in tasks {
        task.await.expect("an end");
    }
    stop.store(true, Ordering::Relaxed);
    disturbing.await.expect("an end");
    let all =
        client.scan(&KeyRange::default(), ScanOptions::default()).collect().await.expect("an end");
    assert_eq!(all.len() as u64, TASKS * 10);
    assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert!(all.iter().all(|(_, value)| value.ends_with(b"'")), "{all:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_in_a_storm_over_streams() {
    storm(World::options).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_in_a_storm_of_calls() {
    storm(|world| Options { batched: false, ..world.options() }).await;
}
