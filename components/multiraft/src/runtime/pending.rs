//! Callers that wait for an outcome.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use slab::Slab;

use crate::outcome::{Outcome, Refusal};
use crate::shard::Token;

/// What a request costs beyond its command, in bytes, for the limit on requests under way.
const REQUEST_OVERHEAD: usize = 256;

/// An outcome that is to come: await it, or wait for it. There is exactly one; a store that stops
/// makes it undetermined. Dropping it does not take back what was asked.
#[derive(Debug)]
#[must_use = "what was asked may be refused"]
pub struct Pending(oneshot::Receiver<Outcome>);

/// A [`Pending`] that is awaited.
#[derive(Debug)]
pub struct Awaited(oneshot::AsyncReceiver<Outcome>);

impl Pending {
    /// Waits on this thread.
    #[must_use]
    pub fn wait(self) -> Outcome {
        self.0.recv().unwrap_or(Outcome::Undetermined)
    }

    /// Waits on this thread for no longer than `patience`.
    ///
    /// # Errors
    /// What is still to come, if nothing came.
    pub fn wait_for(self, patience: Duration) -> Result<Outcome, Pending> {
        match self.0.recv_timeout(patience) {
            Ok(outcome) => Ok(outcome),
            Err(oneshot::RecvTimeoutError::Timeout) => Err(self),
            Err(oneshot::RecvTimeoutError::Disconnected) => Ok(Outcome::Undetermined),
        }
    }
}

impl IntoFuture for Pending {
    type Output = Outcome;
    type IntoFuture = Awaited;

    fn into_future(self) -> Awaited {
        Awaited(self.0.into_future())
    }
}

impl Future for Awaited {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        Pin::new(&mut self.0).poll(cx).map(|outcome| outcome.unwrap_or(Outcome::Undetermined))
    }
}

/// One who waits, and the bytes of what it asked for.
type Waiter = (Option<oneshot::Sender<Outcome>>, usize);

/// Those who wait for one worker. Invariant: every sender in it is used once, then it is out.
pub(crate) struct Waiters {
    /// `None` once nobody is answered any more.
    slab: Mutex<Option<Slab<Waiter>>>,
    /// Bytes of requests under way on the whole store.
    bytes: Arc<AtomicUsize>,
    bytes_max: usize,
}

impl Waiters {
    pub(crate) fn new(bytes: Arc<AtomicUsize>, bytes_max: usize) -> Waiters {
        Waiters { slab: Mutex::new(Some(Slab::new())), bytes, bytes_max }
    }

    /// A caller begins to wait for a request of so many bytes.
    ///
    /// # Errors
    /// An outcome at once, if too much is under way.
    pub(crate) fn enter(&self, bytes: usize) -> Result<(Token, Pending), Pending> {
        let (sender, receiver) = oneshot::channel();
        let bytes = bytes + REQUEST_OVERHEAD;
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.bytes_max && before > 0 {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            let busy = Refusal::Busy("requests of the store are under way");
            return Err(answered(sender, receiver, Outcome::Refused(busy)));
        }
        match &mut *self.slab.lock() {
            Some(slab) => {
                let key = slab.insert((Some(sender), bytes));
                Ok((Token(key as u64), Pending(receiver)))
            }
            None => Err(answered(sender, receiver, Outcome::Refused(Refusal::Stopping))),
        }
    }

    /// Callers are answered. Who hears of it finds its bytes free.
    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = (Token, Outcome)>) {
        let answers = answers.into_iter();
        let mut ready = Vec::with_capacity(answers.size_hint().0);
        let mut freed = 0;
        {
            let mut guard = self.slab.lock();
            let Some(slab) = &mut *guard else { return };
            for (token, outcome) in answers {
                let key = usize::try_from(token.0).expect("tokens are keys of this slab");
                let (sender, bytes) = slab.try_remove(key).expect("a token is answered once");
                freed += bytes;
                ready.extend(sender.map(|sender| (sender, outcome)));
            }
        }
        self.bytes.fetch_sub(freed, Ordering::Relaxed);
        for (sender, outcome) in ready {
            // Whoever does not listen any more has dropped its end.
            let _ = sender.send(outcome);
        }
    }

    /// All who wait are told that nobody knows. What comes for them later is for nobody.
    pub(crate) fn give_up(&self) {
        for (_, (sender, _)) in self.slab.lock().iter_mut().flat_map(Slab::iter_mut) {
            let _ = sender.take().map(|sender| sender.send(Outcome::Undetermined));
        }
    }

    /// Nobody is answered any more: all who wait are told that nobody knows.
    pub(crate) fn abandon(&self) {
        self.give_up();
        *self.slab.lock() = None;
    }
}

fn answered(
    sender: oneshot::Sender<Outcome>,
    receiver: oneshot::Receiver<Outcome>,
    outcome: Outcome,
) -> Pending {
    sender.send(outcome).expect("the receiver is here");
    Pending(receiver)
}

/// An outcome that is there already.
pub(crate) fn refused(why: Refusal) -> Pending {
    let (sender, receiver) = oneshot::channel();
    answered(sender, receiver, Outcome::Refused(why))
}
