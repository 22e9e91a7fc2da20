//! Tests of writes that go together.

use futures_util::FutureExt as _;
use kv::value::Stored;
use storage::Cf;
use types::Index;

use super::*;

const EPOCH: Epoch = Epoch { version: 3, conf_ver: 1 };

/// What was proposed: the region, and the keys of the command.
type Proposed = Arc<Mutex<Vec<(GroupId, Epoch, Vec<Bytes>)>>>;

/// Proposals end in slots 1, 2, and so on, once others have had a turn.
fn gather(command_bytes_max: usize) -> (Arc<Gather>, Proposed) {
    let proposed = Proposed::default();
    let seen = Arc::clone(&proposed);
    let propose = move |region, bytes: Bytes| -> Coming {
        let Command { epoch, action } = Command::decode(&bytes).unwrap();
        let Action::Write(mutations) = action else { panic!("{action:?}") };
        let keys = mutations.into_iter().map(|mutation| mutation.key).collect();
        let mut seen = seen.lock();
        seen.push((region, epoch, keys));
        let index = Index(seen.len() as u64);
        Box::pin(async move {
            tokio::task::yield_now().await;
            Outcome::Applied { index, reply: Bytes::new() }
        })
    };
    (Gather::new(command_bytes_max, Box::new(propose)), proposed)
}

fn region(id: u64) -> GroupId {
    GroupId::new(id).unwrap()
}

fn place(id: u64) -> Place {
    (region(id), thread::current().id())
}

fn set(key: &str, bytes: usize) -> Vec<Mutation> {
    let value = vec![b'v'; bytes];
    let stored = Stored { expires: None, value: &value }.encode().into();
    vec![Mutation { family: Cf::Default, key: key.to_owned().into(), stored }]
}

fn keys(keys: &[&str]) -> Vec<Bytes> {
    keys.iter().map(|key| key.to_string().into()).collect()
}

fn index_of(outcome: &Outcome) -> Index {
    let Outcome::Applied { index, .. } = outcome else { panic!("{outcome:?}") };
    *index
}

#[tokio::test]
async fn writes_that_come_together_go_together_and_each_is_answered() {
    let (gather, proposed) = gather(1 << 20);
    let write = |key| gather.write(region(7), EPOCH, set(key, 8));
    let (a, b, c) = tokio::join!(write("a"), write("b"), write("c"));
    assert_eq!([a, b, c].map(|outcome| index_of(&outcome)), [Index(1); 3]);
    let alone = write("d").await;
    assert_eq!(index_of(&alone), Index(2), "it waits for nobody");
    let expected = [keys(&["a", "b", "c"]), keys(&["d"])].map(|keys| (region(7), EPOCH, keys));
    assert_eq!(*proposed.lock(), expected);
    assert!(gather.gathered.lock().batches.is_empty());
}

#[tokio::test]
async fn one_key_is_not_set_twice_by_a_command() {
    let (gather, proposed) = gather(1 << 20);
    let write = |key| gather.write(region(7), EPOCH, set(key, 8));
    let (a, b, again) = tokio::join!(write("a"), write("b"), write("a"));
    assert_eq!(index_of(&a), index_of(&b));
    assert!(index_of(&again) > index_of(&a), "what came first has the earlier version");
    assert_eq!(proposed.lock().len(), 2);
}

#[tokio::test]
async fn what_is_for_other_regions_or_another_form_of_one_goes_by_itself() {
    let (gather, proposed) = gather(1 << 20);
    let split = Epoch { version: 4, ..EPOCH };
    tokio::join!(
        gather.write(region(7), EPOCH, set("a", 8)),
        gather.write(region(8), EPOCH, set("b", 8)),
        gather.write(region(7), split, set("c", 8)),
        gather.write(region(7), split, set("d", 8)),
        gather.write(region(8), EPOCH, set("e", 8)),
    );
    let mut proposed = proposed.lock().clone();
    proposed.sort_by_key(|(region, epoch, _)| (*region, epoch.version));
    let expected = [
        (region(7), EPOCH, keys(&["a"])),
        (region(7), split, keys(&["c", "d"])),
        (region(8), EPOCH, keys(&["b", "e"])),
    ];
    assert_eq!(proposed, expected);
}

#[tokio::test]
async fn commands_are_bounded_and_what_is_larger_goes_alone() {
    let most = 4_096;
    let (gather, proposed) = gather(most);
    let names: Vec<String> = (0..100).map(|n| format!("{n:03}")).collect();
    let small = names.iter().map(|key| gather.write(region(7), EPOCH, set(key, 100)));
    let small = futures_util::future::join_all(small);
    let large = gather.write(region(7), EPOCH, set("large", most - 100));
    let (small, large, _) =
        tokio::join!(small, large, gather.write(region(7), EPOCH, set("last", 8)));
    assert_eq!(small.iter().map(index_of).collect::<HashSet<_>>().len(), 7, "15 in each");
    assert!(small.iter().all(|outcome| index_of(outcome) != index_of(&large)));
    let counts: Vec<usize> = proposed.lock().iter().map(|(_, _, keys)| keys.len()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 102, "{counts:?}");
    assert_eq!(counts.iter().filter(|&&count| count == 1).count(), 1, "{counts:?}");
}

#[tokio::test]
async fn caller_that_goes_away_takes_nobody_along() {
    let (gather, proposed) = gather(1 << 20);
    let mut first = Box::pin(gather.write(region(7), EPOCH, set("a", 8)));
    assert!((&mut first).now_or_never().is_none());
    let second = gather.write(region(7), EPOCH, set("b", 8));
    let (outcome, ()) = tokio::join!(second, async { drop(first) });
    assert_eq!(index_of(&outcome), Index(1));
    assert_eq!(*proposed.lock(), [(region(7), EPOCH, keys(&["a", "b"]))]);
}

#[tokio::test]
async fn batch_without_a_turn_is_waited_for_by_nobody() {
    let (gather, proposed) = gather(1 << 20);
    let (waiting, outcome) = oneshot::channel();
    let (full, turn) = gather.enter(place(7), EPOCH, (set("a", 8), 8), waiting);
    assert!(full.is_none());
    drop(turn);
    assert!(outcome.now_or_never().is_some_and(|outcome| outcome.is_err()));
    let next = gather.write(region(7), EPOCH, set("b", 8)).await;
    assert_eq!(index_of(&next), Index(1));
    assert_eq!(*proposed.lock(), [(region(7), EPOCH, keys(&["b"]))]);
}

#[tokio::test]
async fn turn_that_is_over_leaves_the_next_batch_alone() {
    let (gather, _) = gather(1 << 20);
    let enter = |key| {
        let (waiting, outcome) = oneshot::channel();
        let (_, turn) = gather.enter(place(7), EPOCH, (set(key, 8), 8), waiting);
        (turn.expect("it is new"), outcome)
    };
    let (first, _) = enter("a");
    assert!(first.batch().is_some());
    let (second, _) = enter("b");
    drop(first);
    assert!(second.batch().is_some());
}

#[tokio::test]
async fn who_is_ready_by_the_time_of_the_turn_joins() {
    let (gather, proposed) = gather(1 << 20);
    let (first, second) = (Arc::clone(&gather), gather);
    let first = tokio::spawn(async move { first.write(region(7), EPOCH, set("a", 8)).await });
    let second = tokio::spawn(async move {
        // Ready only behind the turn of the first.
        tokio::spawn(async move { second.write(region(7), EPOCH, set("b", 8)).await }).await
    });
    let second = second.await.unwrap().unwrap();
    assert_eq!(index_of(&first.await.unwrap()), index_of(&second));
    assert_eq!(proposed.lock().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn callers_on_several_threads_are_answered_each_by_its_own_command() {
    let (gather, proposed) = gather(4_096);
    let callers = (0..32).map(|caller| {
        let gather = Arc::clone(&gather);
        tokio::spawn(async move {
            let mut slots = Vec::new();
            for nth in 0..50 {
                let key = format!("{caller}/{nth}");
                let outcome = gather.write(region(7 + nth % 2), EPOCH, set(&key, 8)).await;
                slots.push((index_of(&outcome), key));
            }
            slots
        })
    });
    let mut answered = 0;
    for slots in futures_util::future::join_all(callers).await {
        for (slot, key) in slots.unwrap() {
            let (_, _, keys) = &proposed.lock()[usize::try_from(slot.0).unwrap() - 1];
            assert!(keys.contains(&Bytes::from(key)), "slot {slot:?}");
            answered += 1;
        }
    }
    assert_eq!(answered, 32 * 50);
    assert_eq!(proposed.lock().iter().map(|(_, _, keys)| keys.len()).sum::<usize>(), answered);
    assert!(gather.gathered.lock().batches.is_empty());
}

#[tokio::test]
async fn large_request_does_not_send_those_away_who_gather() {
    let (gather, proposed) = gather(1 << 20);
    let write = |key, bytes| gather.write(region(7), EPOCH, set(key, bytes));
    let (a, large, b) = tokio::join!(write("a", 8), write("large", COMMAND_BYTES), write("b", 8));
    assert_eq!(index_of(&a), index_of(&b));
    assert_ne!(index_of(&a), index_of(&large));
    assert_eq!(proposed.lock().len(), 2);
}
