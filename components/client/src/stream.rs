//! Many commands on one stream to a store.
//!
//! ```text
//!  submit ─► queue ─► Outgoing: bundles what waits ══► store
//!     ▲                  │ enters in pending
//!     └── pending ◄── reader: takes answers by number ◄══
//! ```
//!
//! A bundle is whatever has come together while the one before it was written, and while all who
//! were ready on the runtime had a turn: alone, a command goes at once; under load they share a
//! message, and its costs.
//!
//! When the stream ends, whatever was bundled is of unknown fate, and whatever still waited was not
//! sent. The stream is not repaired: a new one is opened by whoever needs it next.
//!
//! Invariant: a number is pending from when it is bundled until it is answered, its caller has
//! gone, or the stream has ended; never longer.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use proto::tikvpb::batch_commands_request::Request;
use proto::tikvpb::batch_commands_request::request::Cmd;
use proto::tikvpb::tikv_client::TikvClient;
use proto::tikvpb::{BatchCommandsRequest, BatchCommandsResponse};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_stream::Stream;
use tonic::Code;
use tonic::transport::Channel;
use tracing::debug;

use crate::command::{Answer, answer_of};
use crate::verdict::describe;

/// Commands in a bundle.
const BUNDLE_COUNT_MAX: usize = 128;
/// Bytes in a bundle, about; one command may have more.
const BUNDLE_BYTES_MAX: usize = 1 << 20;

/// How a command on the stream failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It was not sent.
    Unsent(String),
    /// It was sent, and no answer came.
    Unknown(String),
    /// It was not sent: the store does not serve such streams.
    Unserved,
}

/// A stream to one store.
pub(crate) struct CommandStream {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Queued>,
    numbers: AtomicU64,
}

struct Shared {
    /// Commands under way, queued ones included.
    slots: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pending: HashMap<u64, oneshot::Sender<Result<Answer, Lost>>>,
    /// Why the stream has ended.
    ended: Option<Ended>,
}

#[derive(Clone)]
enum Ended {
    Broken(String),
    Unserved,
}

struct Queued {
    number: u64,
    command: Cmd,
    answer: oneshot::Sender<Result<Answer, Lost>>,
}

impl CommandStream {
    /// Opens a stream. It may turn out later that the store does not serve it.
    pub(crate) fn open(client: TikvClient<Channel>, pending_max: usize) -> CommandStream {
        let (queue, queued) = mpsc::channel(pending_max);
        let shared =
            Arc::new(Shared { slots: Semaphore::new(pending_max), state: Mutex::default() });
        let outgoing = Outgoing { shared: Arc::clone(&shared), queued, first: None };
        tokio::spawn(run(client, outgoing, Arc::clone(&shared)));
        CommandStream { shared, queue, numbers: AtomicU64::new(1) }
    }

    /// Whether it can still be used.
    pub(crate) fn is_open(&self) -> bool {
        self.shared.state.lock().ended.is_none()
    }

    /// Sends a command and waits for its answer, for ever if need be. If the caller stops waiting,
    /// the command is not sent, or its answer is dropped.
    pub(crate) async fn submit(&self, command: Cmd) -> Result<Answer, Lost> {
        let Ok(_slot) = self.shared.slots.acquire().await else {
            return Err(self.shared.ending(Lost::Unsent));
        };
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        if self.queue.send(Queued { number, command, answer }).await.is_err() {
            return Err(self.shared.ending(Lost::Unsent));
        }
        let mut waiter = Waiter { shared: &self.shared, number, answered };
        match (&mut waiter.answered).await {
            Ok(result) => result,
            Err(_dropped) => Err(self.shared.ending(Lost::Unknown)),
        }
    }
}

/// Waits for an answer. When it is dropped, the number is not pending any more: before that is
/// checked, the other half sees that it is closed, so that it does not become pending later.
struct Waiter<'a> {
    shared: &'a Shared,
    number: u64,
    answered: oneshot::Receiver<Result<Answer, Lost>>,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.answered.close();
        self.shared.state.lock().pending.remove(&self.number);
    }
}

impl Shared {
    /// The end of the stream, for a command that was in the given state.
    fn ending(&self, as_lost: fn(String) -> Lost) -> Lost {
        match self.state.lock().ended.clone() {
            Some(Ended::Unserved) => Lost::Unserved,
            Some(Ended::Broken(why)) => as_lost(why),
            None => as_lost("the stream to the store was closed".to_owned()),
        }
    }

    /// Ends the stream, once; whatever is pending fails.
    fn end(&self, ended: Ended) {
        let pending = {
            let mut state = self.state.lock();
            state.ended.get_or_insert(ended);
            std::mem::take(&mut state.pending)
        };
        self.slots.close();
        let mut pending: Vec<_> = pending.into_iter().collect();
        pending.sort_unstable_by_key(|&(number, _)| number);
        for (_, answer) in pending {
            // One whose caller is gone has nobody to tell.
            let _gone = answer.send(Err(self.ending(Lost::Unknown)));
        }
    }

    fn take(&self, number: u64) -> Option<oneshot::Sender<Result<Answer, Lost>>> {
        self.state.lock().pending.remove(&number)
    }
}

/// What is sent, made as the connection takes it.
struct Outgoing {
    shared: Arc<Shared>,
    queued: mpsc::Receiver<Queued>,
    /// The first of the next bundle, while others that are ready have their turn.
    first: Option<Queued>,
}

impl Outgoing {
    /// Adds a command, unless its caller is gone. Fails if the stream has ended meanwhile.
    fn add(&self, bundle: &mut BatchCommandsRequest, queued: Queued) -> usize {
        let Queued { number, command, answer } = queued;
        let mut state = self.shared.state.lock();
        if answer.is_closed() {
            return 0;
        }
        if state.ended.is_some() {
            drop(state);
            let _gone = answer.send(Err(self.shared.ending(Lost::Unsent)));
            return 0;
        }
        state.pending.insert(number, answer);
        drop(state);
        let bytes = command.encoded_len();
        bundle.requests.push(Request { cmd: Some(command) });
        bundle.request_ids.push(number);
        bytes
    }
}

impl Stream for Outgoing {
    type Item = BatchCommandsRequest;

    fn poll_next(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let Some(first) = this.first.take() else {
                this.first = ready!(this.queued.poll_recv(ctx));
                if this.first.is_none() {
                    return Poll::Ready(None);
                }
                // A runtime may run whoever is woken next, before others that are ready: each
                // command would go alone. Who wakes itself comes behind them all.
                ctx.waker().wake_by_ref();
                return Poll::Pending;
            };
            let mut bundle = BatchCommandsRequest::default();
            let mut bytes = this.add(&mut bundle, first);
            while bundle.requests.len() < BUNDLE_COUNT_MAX && bytes < BUNDLE_BYTES_MAX {
                let Ok(queued) = this.queued.try_recv() else { break };
                bytes += this.add(&mut bundle, queued);
            }
            if !bundle.requests.is_empty() {
                return Poll::Ready(Some(bundle));
            }
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.queued.close();
        while let Some(queued) = self.first.take().or_else(|| self.queued.try_recv().ok()) {
            let _gone = queued.answer.send(Err(self.shared.ending(Lost::Unsent)));
        }
    }
}

/// Reads answers until the stream ends.
async fn run(mut client: TikvClient<Channel>, outgoing: Outgoing, shared: Arc<Shared>) {
    let ended = match client.batch_commands(outgoing).await {
        Ok(response) => read(response.into_inner(), &shared).await,
        Err(status) if status.code() == Code::Unimplemented => Ended::Unserved,
        Err(status) => Ended::Broken(describe(&status)),
    };
    if let Ended::Broken(why) = &ended {
        debug!(problem = %why, "stream of commands ended");
    }
    shared.end(ended);
}

async fn read(mut answers: tonic::Streaming<BatchCommandsResponse>, shared: &Shared) -> Ended {
    loop {
        match answers.message().await {
            Ok(Some(bundle)) => {
                let BatchCommandsResponse { responses, request_ids, .. } = bundle;
                if responses.len() != request_ids.len() {
                    return Ended::Broken("answers without numbers".to_owned());
                }
                for (response, number) in responses.into_iter().zip(request_ids) {
                    // One that is not pending has been given up.
                    let Some(caller) = shared.take(number) else { continue };
                    let unfit = || Lost::Unknown("an answer to something else".to_owned());
                    let _gone = caller.send(answer_of(response).ok_or_else(unfit));
                }
            }
            Ok(None) => return Ended::Broken("the store closed the stream".to_owned()),
            // Some servers say so only where the first answer would be.
            Err(status) if status.code() == Code::Unimplemented => return Ended::Unserved,
            Err(status) => return Ended::Broken(describe(&status)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::kvrpcpb::RawGetRequest;
    use tokio_stream::StreamExt as _;

    use super::*;

    fn outgoing() -> (mpsc::Sender<Queued>, Outgoing) {
        let (queue, queued) = mpsc::channel(8);
        let shared = Arc::new(Shared { slots: Semaphore::new(8), state: Mutex::default() });
        (queue, Outgoing { shared, queued, first: None })
    }

    /// A command, and where its answer comes.
    fn command(number: u64) -> (Queued, oneshot::Receiver<Result<Answer, Lost>>) {
        let (answer, answered) = oneshot::channel();
        (Queued { number, command: Cmd::RawGet(RawGetRequest::default()), answer }, answered)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn who_is_ready_shares_a_message_also_where_the_woken_run_next() {
        let (queue, mut outgoing) = outgoing();
        let (queued, _answers): (Vec<_>, Vec<_>) = (1..=4).map(command).unzip();
        let bundled = tokio::spawn(async move { (outgoing.next().await, outgoing) });
        let callers = tokio::spawn(async move {
            // The only thread is here until all of them are ready; then the first wakes the stream.
            for queued in queued {
                let queue = queue.clone();
                tokio::spawn(async move { queue.send(queued).await });
            }
        });
        callers.await.expect("it ended");
        let (bundle, _outgoing) = bundled.await.expect("it ended");
        let mut numbers = bundle.expect("a message").request_ids;
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn first_of_a_bundle_that_is_never_sent_is_told_so() {
        let (queue, mut outgoing) = outgoing();
        let (queued, answered) = command(1);
        queue.send(queued).await.expect("it is open");
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut outgoing).poll_next(&mut context).is_pending());
        drop(outgoing);
        assert!(matches!(answered.await, Ok(Err(Lost::Unsent(_)))));
    }
}
