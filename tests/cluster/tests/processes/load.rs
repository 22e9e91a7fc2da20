//! Writers, what they were told, and the comparison with what is there.
//!
//! Each attempt has a value of its own. So it can be told apart whether a value was acknowledged
//! (must be there), refused (must not be), or nobody knows (may be).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::cluster::{Cluster, GROUPS, NODES, pause, slot, until};

/// Writers of each group.
const WRITERS: u64 = 2;

pub(crate) struct Load {
    groups: Vec<Mutex<Record>>,
    /// Appended to each value.
    padding: String,
    /// What was not answered for so long is undetermined; `None`: that is a failure.
    patience: Option<Duration>,
    acknowledged: AtomicU64,
    is_over: AtomicBool,
}

#[derive(Default)]
struct Record {
    /// By slot.
    acknowledged: BTreeMap<u64, String>,
    undetermined: BTreeSet<String>,
    attempts: u64,
    leader: u64,
}

/// Ends the writers, also when the test panics.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Load {
    /// Values are filled up with so many bytes.
    pub(crate) fn new(padding: usize) -> Load {
        Load {
            groups: (0..GROUPS).map(|_| Mutex::default()).collect(),
            padding: "x".repeat(padding),
            patience: None,
            acknowledged: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// Writers that do not wait for ever for an answer.
    pub(crate) fn impatient(padding: usize, patience: Duration) -> Load {
        Load { patience: Some(patience), ..Load::new(padding) }
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Writes to all groups while `story` happens. What is on its way at its end is waited for.
    pub(crate) fn during(&self, cluster: &Cluster, story: impl FnOnce()) {
        self.is_over.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            let _end = End(&self.is_over);
            for writer in 0..GROUPS * WRITERS {
                scope.spawn(move || self.write(cluster, writer % GROUPS + 1));
            }
            story();
        });
    }

    /// Waits until so many more values were acknowledged.
    pub(crate) fn wait_more(&self, count: u64) {
        let goal = self.acknowledged() + count;
        until(&format!("{count} writes"), || (self.acknowledged() >= goal).then_some(()));
    }

    /// Waits until every group has had so many more values acknowledged.
    pub(crate) fn wait_more_everywhere(&self, count: usize) {
        let had = |group: u64| self.groups[slot(group)].lock().acknowledged.len();
        let goals: Vec<usize> = (1..=GROUPS).map(|group| had(group) + count).collect();
        until(&format!("{count} writes in every group"), || {
            (1..=GROUPS).all(|group| had(group) >= goals[slot(group)]).then_some(())
        });
    }

    fn write(&self, cluster: &Cluster, group: u64) {
        while !self.is_over.load(Ordering::Relaxed) {
            let (value, leader) = {
                let mut record = self.groups[slot(group)].lock();
                record.attempts += 1;
                let value = format!("{group}-{}-{}", record.attempts, self.padding);
                (value, record.leader.max(1))
            };
            let request = format!("put {group} {value}");
            let said = match (cluster.node(leader), self.patience) {
                (Some(node), None) => node.ask(&request),
                (Some(node), Some(patience)) => node.ask_within(&request, patience),
                // Nobody was asked.
                (None, _) => Some("refused down".to_owned()),
            };
            self.take_down(group, leader, value, said.as_deref());
        }
    }

    fn take_down(&self, group: u64, asked: u64, value: String, said: Option<&str>) {
        let next = asked % NODES + 1;
        let mut record = self.groups[slot(group)].lock();
        if let Some(index) = said.and_then(|said| said.strip_prefix("ok ")) {
            let index = index.parse().expect("a slot");
            let before = record.acknowledged.insert(index, value);
            assert_eq!(before, None, "group {group}: two values in slot {index}");
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        } else if let Some(why) = said.and_then(|said| said.strip_prefix("refused ")) {
            let hint = why.strip_prefix("leader ").and_then(|id| id.parse().ok());
            record.leader = hint.unwrap_or(next);
            drop(record);
            pause(Duration::from_millis(5));
        } else {
            assert!(matches!(said, None | Some("unknown")), "{said:?}");
            record.undetermined.insert(value);
            record.leader = next;
        }
    }

    /// Compares what is there with what was told. Returns how many values were looked for.
    pub(crate) fn verify(&self, cluster: &Cluster) -> usize {
        let counts = (1..=GROUPS).map(|group| {
            let found = cluster.list(group);
            self.verify_group(group, &found);
            self.groups[slot(group)].lock().acknowledged.len()
        });
        counts.sum()
    }

    fn verify_group(&self, group: u64, found: &[(u64, String)]) {
        let record = self.groups[slot(group)].lock();
        assert!(found.is_sorted_by(|a, b| a.0 < b.0), "group {group}: slots do not rise");
        let by_slot: BTreeMap<u64, &String> =
            found.iter().map(|(at, value)| (*at, value)).collect();
        let lost: Vec<_> = (record.acknowledged.iter())
            .filter(|(at, value)| by_slot.get(*at) != Some(value))
            .collect();
        assert!(lost.is_empty(), "group {group}: {} lost: {:?}", lost.len(), lost.first());
        let mut seen = BTreeSet::new();
        for (at, value) in found {
            assert!(seen.insert(value), "group {group}: {value} is there twice");
            let is_known = record.acknowledged.contains_key(at);
            let is_possible = is_known || record.undetermined.contains(value);
            assert!(is_possible, "group {group}: {value} in slot {at} was refused");
        }
    }
}

/// The checker is checked: histories that it must refuse.
#[test]
fn bad_histories_are_refused() {
    let told = |index: u64, value: &str| (index, value.to_owned());
    let refuses = |found: &[(u64, String)], why: &str| {
        let load = Load::new(0);
        load.take_down(1, 1, "a".to_owned(), Some("ok 5"));
        load.take_down(1, 1, "b".to_owned(), Some("ok 7"));
        load.take_down(1, 1, "refused".to_owned(), Some("refused leader 2"));
        load.take_down(1, 1, "maybe".to_owned(), Some("unknown"));
        let check = std::panic::AssertUnwindSafe(|| load.verify_group(1, found));
        let said = std::panic::catch_unwind(check).err();
        let said = said.map(|said| *said.downcast::<String>().expect("words"));
        assert!(said.as_ref().is_some_and(|said| said.contains(why)) || why.is_empty(), "{said:?}");
        assert_eq!(said.is_none(), why.is_empty(), "{said:?}");
    };
    refuses(&[told(5, "a"), told(7, "b")], "");
    refuses(&[told(5, "a"), told(6, "maybe"), told(7, "b")], "");
    refuses(&[told(5, "a")], "1 lost");
    refuses(&[told(5, "a"), told(8, "b")], "1 lost");
    refuses(&[told(5, "b"), told(7, "a")], "2 lost");
    refuses(&[told(5, "a"), told(7, "b"), told(8, "b")], "twice");
    refuses(&[told(5, "a"), told(6, "maybe"), told(7, "b"), told(8, "maybe")], "twice");
    refuses(&[told(7, "b"), told(5, "a")], "do not rise");
    refuses(&[told(5, "a"), told(6, "refused"), told(7, "b")], "was refused");
    refuses(&[told(5, "a"), told(6, "never asked"), told(7, "b")], "was refused");
}
