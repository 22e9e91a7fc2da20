//! Writes of many requests in one command.
//!
//! What a write costs beside its bytes - an entry in three logs, turns of four threads on three
//! stores, an answer that is waited for - is the same for one key and for a hundred. Requests that
//! arrive together on a thread are taken together: the first for a region lets everybody who is
//! ready there have a turn, and proposes what there is then. So nobody waits for company: a request
//! that comes alone goes alone, and the busier a store is, the more share.
//!
//! All requests of a command end in the same slot, and the slot is the version that each is
//! answered with. No two of them set the same key: a version names one write of a key.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::thread::{self, ThreadId};

use bytes::Bytes;
use kv::command::{Action, Command, Mutation};
use multiraft::Outcome;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use types::{Epoch, GroupId};

/// Bytes of a command after which it takes no further requests; a larger one goes alone.
const COMMAND_BYTES: usize = 64 << 10;
/// What a key costs in a command beside its bytes and those of its value, at most.
const MUTATION_OVERHEAD: usize = 32;

/// An outcome to come.
pub(super) type Coming = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Proposes a command to a region.
pub(super) type Propose = Box<dyn Fn(GroupId, Bytes) -> Coming + Send + Sync>;

/// Those who have not been proposed yet.
pub(crate) struct Gather {
    propose: Propose,
    /// Bytes of a command of several requests.
    bytes_max: usize,
    gathered: Mutex<Gathered>,
}

/// A batch is for one region, and for those on the thread that is to propose it: others might wait
/// for what that thread does meanwhile.
type Place = (GroupId, ThreadId);

#[derive(Default)]
struct Gathered {
    batches: HashMap<Place, Batch>,
    next: u64,
}

/// Writes of one region that go together.
struct Batch {
    /// Its name: a batch that was full went before its turn, and another has its place.
    number: u64,
    epoch: Epoch,
    mutations: Vec<Mutation>,
    keys: HashSet<Bytes>,
    bytes: usize,
    waiting: Vec<oneshot::Sender<Outcome>>,
}

/// The right to propose a batch. One that is dropped takes its batch along: those who wait do not
/// wait for ever.
struct Turn {
    gather: Arc<Gather>,
    place: Place,
    number: u64,
}

impl Gather {
    /// Gathers for regions whose commands have `command_bytes_max` bytes at most.
    pub(super) fn new(command_bytes_max: usize, propose: Propose) -> Arc<Gather> {
        let bytes_max = COMMAND_BYTES.min(command_bytes_max / 2);
        Arc::new(Gather { propose, bytes_max, gathered: Mutex::default() })
    }

    /// Writes to a region as it was with this epoch, which has all of the keys. What was begun goes
    /// on if nobody waits for it any more.
    pub(super) async fn write(
        self: &Arc<Self>,
        region: GroupId,
        epoch: Epoch,
        mutations: Vec<Mutation>,
    ) -> Outcome {
        let bytes = bytes_of(&mutations);
        if bytes > self.bytes_max {
            return (self.propose)(region, encode(epoch, mutations)).await;
        }
        let (waiting, outcome) = oneshot::channel();
        let place = (region, thread::current().id());
        let (full, turn) = self.enter(place, epoch, (mutations, bytes), waiting);
        if let Some(batch) = full {
            tokio::spawn(Arc::clone(self).carry_out(region, batch));
        }
        if let Some(turn) = turn {
            tokio::spawn(turn.take());
        }
        // Without an answer the runtime that had its turn is gone, as at the end of the process.
        outcome.await.unwrap_or(Outcome::Undetermined)
    }

    /// Takes its place in a batch. What has to go first for it, and whose turn it is if it is new.
    fn enter(
        self: &Arc<Self>,
        place: Place,
        epoch: Epoch,
        (mutations, bytes): (Vec<Mutation>, usize),
        waiting: oneshot::Sender<Outcome>,
    ) -> (Option<Batch>, Option<Turn>) {
        let gathered = &mut *self.gathered.lock();
        if let Some(batch) = gathered.batches.get_mut(&place)
            && batch.epoch == epoch
            && batch.bytes + bytes <= self.bytes_max
            && !mutations.iter().any(|mutation| batch.keys.contains(&mutation.key))
        {
            batch.add((mutations, bytes), waiting);
            return (None, None);
        }
        let number = gathered.next;
        gathered.next += 1;
        let mut batch = Batch {
            number,
            epoch,
            mutations: Vec::new(),
            keys: HashSet::new(),
            bytes: 0,
            waiting: Vec::new(),
        };
        batch.add((mutations, bytes), waiting);
        let turn = Turn { gather: Arc::clone(self), place, number };
        (gathered.batches.insert(place, batch), Some(turn))
    }

    async fn carry_out(self: Arc<Self>, region: GroupId, batch: Batch) {
        let (command, waiting) = batch.encode();
        let outcome = (self.propose)(region, command).await;
        for waiting in waiting {
            // Whoever does not wait any more has dropped its end.
            let _ = waiting.send(outcome.clone());
        }
    }
}

impl Batch {
    fn add(
        &mut self,
        (mutations, bytes): (Vec<Mutation>, usize),
        waiting: oneshot::Sender<Outcome>,
    ) {
        self.bytes += bytes;
        self.keys.extend(mutations.iter().map(|mutation| mutation.key.clone()));
        self.mutations.extend(mutations);
        self.waiting.push(waiting);
    }

    /// The command, and who waits for it: nothing else is kept until it is applied.
    fn encode(self) -> (Bytes, Vec<oneshot::Sender<Outcome>>) {
        (encode(self.epoch, self.mutations), self.waiting)
    }
}

fn encode(epoch: Epoch, mutations: Vec<Mutation>) -> Bytes {
    Command { epoch, action: Action::Write(mutations) }.encode()
}

fn bytes_of(mutations: &[Mutation]) -> usize {
    let bytes = |mutation: &Mutation| mutation.key.len() + mutation.stored.len();
    mutations.iter().map(|mutation| bytes(mutation) + MUTATION_OVERHEAD).sum()
}

impl Turn {
    /// Proposes the batch when everybody who is ready had a turn.
    async fn take(self) {
        tokio::task::yield_now().await;
        if let Some(batch) = self.batch() {
            Arc::clone(&self.gather).carry_out(self.place.0, batch).await;
        }
    }

    /// The batch, if it has not gone before.
    fn batch(&self) -> Option<Batch> {
        let batches = &mut self.gather.gathered.lock().batches;
        let is_ours = batches.get(&self.place)?.number == self.number;
        is_ours.then(|| batches.remove(&self.place)).flatten()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.batch());
    }
}

#[cfg(test)]
mod tests;
