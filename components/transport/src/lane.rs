//! One way to one store: a queue, and the stream that empties it while there is one.
//!
//! ```text
//! at rest ──put──► dialing ──Hello both ways──► open ──break──► waiting ──► at rest
//!                     └────────failure────────────────────────────┘
//! ```
//!
//! A stream pulls: it takes from the queue when the connection can take more, so there is no second
//! buffer, and what waits meanwhile goes out as one bundle. Flow control bounds what is under way.
//!
//! Invariant: of the streams made for a lane only the newest takes from its queue, and only while
//! it is open.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use multiraft::Parcel;
use parking_lot::Mutex;
use proto::crib::raft::v1;
use tokio::sync::Notify;
use tokio_stream::Stream;
use types::StoreId;

use crate::queue::{Bounds, Queue};

/// What a lane carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Messages of groups, and liveness.
    Messages,
    /// Frames of snapshots.
    Snapshots,
}

/// A lane. Shared by its senders, its task and its stream.
pub(crate) struct Lane {
    pub(crate) to: StoreId,
    pub(crate) kind: Kind,
    state: Mutex<State>,
    /// Something was lost that nobody has been told of.
    lost: Notify,
    /// The other store was heard of: it is worth dialing again at once.
    hurry: Notify,
}

struct State {
    queue: Queue,
    /// Number of the newest stream.
    stream: u64,
    is_open: bool,
    /// Something was lost, and since then the lane has neither been opened nor emptied.
    is_losing: bool,
    /// Who waits for something to take: the open stream, or else the lane's task.
    waiter: Option<Waker>,
    /// Why the other store is not reached, until it is.
    problem: Option<Problem>,
}

/// Why the other store is not reached.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// When it was reached for the last time, or tried for the first.
    pub(crate) since: Instant,
    /// When that last failed; `None` if it was not tried since the stream broke.
    pub(crate) failed: Option<Instant>,
    pub(crate) why: String,
}

impl Lane {
    pub(crate) fn new(to: StoreId, kind: Kind, bounds: Bounds) -> Lane {
        let state = State {
            queue: Queue::new(bounds),
            stream: 0,
            is_open: false,
            is_losing: false,
            waiter: None,
            problem: None,
        };
        Lane { to, kind, state: Mutex::new(state), lost: Notify::new(), hurry: Notify::new() }
    }

    /// Adds a parcel; from any thread.
    pub(crate) fn put(&self, parcel: Parcel) {
        let mut state = self.state.lock();
        let began = !state.queue.put(parcel) && !state.is_losing;
        state.is_losing |= began;
        let waiter = if state.queue.is_empty() { None } else { state.waiter.take() };
        drop(state);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
        if began {
            self.lost.notify_one();
        }
    }

    /// How much was dropped, as it could not wait.
    pub(crate) fn dropped(&self) -> u64 {
        self.state.lock().queue.dropped
    }

    /// Waits until there is something to send.
    pub(crate) async fn filled(&self) {
        poll_fn(|context| {
            let mut state = self.state.lock();
            if !state.queue.is_empty() {
                return Poll::Ready(());
            }
            state.waiter = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// A stream that says `hello`, and nothing else before [`Lane::open`].
    pub(crate) fn outgoing(self: &Arc<Lane>, hello: v1::Bundle) -> Outgoing {
        let mut state = self.state.lock();
        state.stream += 1;
        Outgoing { lane: Arc::clone(self), nth: state.stream, hello: Some(hello) }
    }

    /// The other end is who it should be: the newest stream may take from the queue.
    pub(crate) fn open(&self) {
        let mut state = self.state.lock();
        state.is_open = true;
        state.is_losing = false;
        state.problem = None;
        let waiter = state.waiter.take();
        drop(state);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// The stream ended, or could not be made. What waited is as old as that, and goes too: its
    /// groups are told and start anew.
    pub(crate) fn broke(&self, why: String) {
        let mut state = self.state.lock();
        let now = Instant::now();
        // While a store stays away, that is said once; a stream that broke is news each time.
        let was_open = state.is_open;
        let is_news = was_open || !state.is_losing;
        state.stream += 1;
        state.is_open = false;
        state.is_losing = true;
        state.queue.clear();
        let since = state.problem.as_ref().map_or(now, |problem| problem.since);
        state.problem = Some(Problem { since, failed: (!was_open).then_some(now), why });
        let waiter = state.waiter.take();
        drop(state);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
        if is_news {
            self.lost.notify_one();
        }
    }

    /// Waits until something was lost that nobody has been told of.
    pub(crate) async fn lost(&self) {
        self.lost.notified().await;
    }

    /// Ends the wait between two attempts, if there is one.
    pub(crate) fn hurry(&self) {
        self.hurry.notify_waiters();
    }

    /// Waits until it is worth dialing again.
    pub(crate) async fn hurried(&self) {
        self.hurry.notified().await;
    }

    /// Why the other store was not reached last; `None` if it was, or was never dialed.
    pub(crate) fn problem(&self) -> Option<Problem> {
        self.state.lock().problem.clone()
    }
}

/// The request side of a stream.
pub(crate) struct Outgoing {
    lane: Arc<Lane>,
    nth: u64,
    hello: Option<v1::Bundle>,
}

impl Stream for Outgoing {
    type Item = v1::Bundle;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<v1::Bundle>> {
        if let Some(hello) = self.hello.take() {
            return Poll::Ready(Some(hello));
        }
        let mut state = self.lane.state.lock();
        if state.stream != self.nth {
            return Poll::Ready(None);
        }
        if state.is_open
            && let Some(bundle) = state.queue.take()
        {
            if state.queue.is_empty() {
                state.is_losing = false;
            }
            return Poll::Ready(Some(bundle));
        }
        state.waiter = Some(context.waker().clone());
        Poll::Pending
    }
}
