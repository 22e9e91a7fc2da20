//! The batched stream: many requests in a message, answers in any order and grouping.
//!
//! Requests of a stream run side by side; what is ready when a message can be sent goes into it. A
//! client that does not read its answers is not read from either: requests under way are bounded.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use proto::kvrpcpb;
use proto::tikvpb::batch_commands_request::request::Cmd as Ask;
use proto::tikvpb::batch_commands_response::Response as Answer;
use proto::tikvpb::batch_commands_response::response::Cmd as Say;
use proto::tikvpb::{BatchCommandsEmptyResponse, BatchCommandsRequest, BatchCommandsResponse};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::Raw;
use super::raw::Way;
use super::requests::Method;
use super::transactions::not_here;

/// Requests of one stream that may be under way or answered and not sent; beyond it the stream is
/// not read.
const UNDER_WAY_MAX: usize = 1_024;
/// Those of them whose answers may be large.
const LARGE_MAX: usize = 8;
/// Bytes of answers in one message, about: the last one may go beyond it. A message that is larger
/// than may be sent ends the stream, with all that is under way on it.
const ANSWER_BYTES: usize = 4 << 20;
/// Answers in one message. What is ready beyond them goes into the next: a client has something to
/// do before all that it asked for is there.
const ANSWERS_MAX: usize = 32;

type Answered = (u64, Say);
type UnderWay = FuturesUnordered<Pin<Box<dyn Future<Output = Answered> + Send>>>;

/// Serves one stream until its client ends it, or it breaks.
///
/// Requests under way go on while answers wait for a client that reads slowly: they hold places
/// that others wait for.
pub(super) async fn serve(
    raw: Arc<Raw>,
    mut requests: Streaming<BatchCommandsRequest>,
    answers: mpsc::Sender<Result<BatchCommandsResponse, Status>>,
) {
    let mut stream = Work::default();
    let (mut is_open, mut ending) = (true, None);
    loop {
        while let Some((id, ask)) = stream.next() {
            let set = match ask {
                Some(Ask::RawGet(_)) => &mut stream.gets,
                _ => &mut stream.under_way,
            };
            set.push(Box::pin(answer(Arc::clone(&raw), id, ask)));
        }
        if !is_open && stream.is_done() {
            break;
        }
        tokio::select! {
            biased;
            place = answers.reserve(), if !stream.ready.is_empty() => {
                let Ok(place) = place else { return };
                let message = stream.message();
                let is_full = message.responses.len() == ANSWERS_MAX;
                place.send(Ok(message));
                if is_full {
                    // The connection has its turn, and the message leaves.
                    tokio::task::yield_now().await;
                }
            }
            () = stream.gather(), if stream.may_gather() => {}
            message = requests.message(), if is_open && stream.has_room() => match message {
                Ok(Some(batch)) => {
                    if batch.requests.len() != batch.request_ids.len() {
                        let why = "as many request ids as requests are needed";
                        let _ = answers.send(Err(Status::invalid_argument(why))).await;
                        return;
                    }
                    let asks = batch.requests.into_iter().map(|request| request.cmd);
                    stream.waiting.extend(batch.request_ids.into_iter().zip(asks));
                }
                Ok(None) => is_open = false,
                Err(status) => {
                    // What was asked before is answered first, if anybody is there.
                    tracing::debug!(%status, "a stream of commands is not read further");
                    ending = Some(status);
                    is_open = false;
                }
            }
        }
    }
    if let Some(status) = ending {
        let _gone = answers.send(Err(status)).await;
    }
}

/// What a stream has to do.
#[derive(Default)]
struct Work {
    /// Of the last message, what is not under way yet.
    waiting: VecDeque<(u64, Option<Ask>)>,
    under_way: UnderWay,
    /// Gets under way. They are not looked at while much waits to be sent: each may bring a value.
    gets: UnderWay,
    /// Requests whose answers may be large and that wait for others like them.
    held: VecDeque<(u64, Option<Ask>)>,
    /// Those of them that are under way.
    large: usize,
    /// Answers that were not sent yet, with their bytes, about; and those together.
    ready: VecDeque<(u64, Say, usize)>,
    ready_bytes: usize,
}

impl Work {
    /// The next request to be begun, if one may be. Those that ask for much wait for their turn,
    /// and are passed by the others.
    fn next(&mut self) -> Option<(u64, Option<Ask>)> {
        if self.begun() >= UNDER_WAY_MAX || self.is_full() {
            return None;
        }
        let may_be_large = self.large < LARGE_MAX;
        if may_be_large && let Some(next) = self.held.pop_front() {
            self.large += 1;
            return Some(next);
        }
        while let Some(next) = self.waiting.pop_front() {
            let is_large = next.1.as_ref().is_some_and(asks_for_much);
            if is_large && !may_be_large {
                self.held.push_back(next);
                continue;
            }
            self.large += usize::from(is_large);
            return Some(next);
        }
        None
    }

    /// Requests that were begun and whose answers were not sent.
    fn begun(&self) -> usize {
        self.under_way.len() + self.gets.len() + self.ready.len()
    }

    /// Whether enough waits to be sent.
    fn is_full(&self) -> bool {
        self.ready_bytes >= ANSWER_BYTES
    }

    fn has_room(&self) -> bool {
        self.waiting.is_empty() && self.begun() + self.held.len() < UNDER_WAY_MAX
    }

    fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.held.is_empty() && self.begun() == 0
    }

    fn may_gather(&self) -> bool {
        !self.under_way.is_empty() || !self.gets.is_empty() && !self.is_full()
    }

    /// Takes in answers that are ready, as many as a message has; waits for the first.
    async fn gather(&mut self) {
        let mut is_any = false;
        std::future::poll_fn(|context| {
            loop {
                if is_any && self.ready.len() >= ANSWERS_MAX {
                    return Poll::Ready(());
                }
                let mut next = self.under_way.poll_next_unpin(context);
                if !matches!(next, Poll::Ready(Some(_))) && !self.is_full() {
                    next = self.gets.poll_next_unpin(context);
                }
                match next {
                    Poll::Ready(Some(answered)) => {
                        self.keep(answered);
                        is_any = true;
                    }
                    Poll::Ready(None) | Poll::Pending if is_any => return Poll::Ready(()),
                    Poll::Ready(None) | Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
    }

    fn keep(&mut self, (id, say): Answered) {
        let is_large = matches!(say, Say::RawScan(_) | Say::RawBatchScan(_) | Say::RawBatchGet(_));
        self.large -= usize::from(is_large);
        let bytes = say.encoded_len();
        self.ready_bytes += bytes;
        self.ready.push_back((id, say, bytes));
    }

    /// The next message: what is ready, within its bounds.
    fn message(&mut self) -> BatchCommandsResponse {
        let mut message = BatchCommandsResponse::default();
        let mut sum = 0;
        while message.responses.len() < ANSWERS_MAX
            && sum < ANSWER_BYTES
            && let Some((id, say, bytes)) = self.ready.pop_front()
        {
            sum += bytes;
            message.request_ids.push(id);
            message.responses.push(Answer { cmd: Some(say) });
        }
        self.ready_bytes -= sum;
        message
    }
}

fn asks_for_much(ask: &Ask) -> bool {
    matches!(ask, Ask::RawScan(_) | Ask::RawBatchScan(_) | Ask::RawBatchGet(_))
}

async fn answer(raw: Arc<Raw>, id: u64, ask: Option<Ask>) -> Answered {
    let say = match ask {
        Some(Ask::RawGet(request)) => {
            Say::RawGet(raw.timed(Method::RawGet, pin!(raw.get(request))).await.0)
        }
        Some(Ask::RawBatchGet(request)) => {
            Say::RawBatchGet(raw.timed(Method::RawBatchGet, pin!(raw.batch_get(request))).await.0)
        }
        Some(Ask::RawPut(request)) => {
            Say::RawPut(raw.timed(Method::RawPut, pin!(raw.put(request))).await.0)
        }
        Some(Ask::RawBatchPut(request)) => {
            Say::RawBatchPut(raw.timed(Method::RawBatchPut, pin!(raw.batch_put(request))).await.0)
        }
        Some(Ask::RawDelete(request)) => {
            Say::RawDelete(raw.timed(Method::RawDelete, pin!(raw.delete(request))).await.0)
        }
        Some(Ask::RawBatchDelete(request)) => Say::RawBatchDelete(
            raw.timed(Method::RawBatchDelete, pin!(raw.batch_delete(request))).await.0,
        ),
        Some(Ask::RawScan(request)) => {
            Say::RawScan(raw.timed(Method::RawScan, pin!(raw.scan(request, Way::Batched))).await.0)
        }
        Some(Ask::RawBatchScan(request)) => Say::RawBatchScan(
            raw.timed(Method::RawBatchScan, pin!(raw.batch_scan(request))).await.0,
        ),
        Some(Ask::RawDeleteRange(request)) => Say::RawDeleteRange(
            raw.timed(Method::RawDeleteRange, pin!(raw.delete_range(request))).await.0,
        ),
        Some(Ask::Empty(request)) => {
            Say::Empty(BatchCommandsEmptyResponse { test_id: request.test_id })
        }
        Some(Ask::GetHealthFeedback(_)) => {
            Say::GetHealthFeedback(kvrpcpb::GetHealthFeedbackResponse::default())
        }
        Some(other) => not_here(other),
        // A command of a later client: an answer of no kind, rather than none.
        None => Say::Empty(BatchCommandsEmptyResponse::default()),
    };
    (id, say)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_answer<F>(_: impl Fn(Arc<Raw>, u64, Option<Ask>) -> F) -> usize {
        size_of::<F>()
    }

    /// Requests under way that are answered so at once.
    fn work(says: impl IntoIterator<Item = Say>) -> Work {
        let mut work = Work::default();
        for (id, say) in (0..).zip(says) {
            work.large += usize::from(matches!(say, Say::RawScan(_)));
            let set = match say {
                Say::RawGet(_) => &mut work.gets,
                _ => &mut work.under_way,
            };
            set.push(Box::pin(async move { (id, say) }));
        }
        work
    }

    /// How many answers each message has.
    async fn told(mut work: Work) -> Vec<usize> {
        let mut told = Vec::new();
        while work.may_gather() {
            work.gather().await;
            while !work.ready.is_empty() {
                let message = work.message();
                assert_eq!(message.responses.len(), message.request_ids.len());
                told.push(message.responses.len());
            }
        }
        assert!(work.is_done() && work.ready_bytes == 0 && work.large == 0);
        told
    }

    fn value(bytes: usize) -> Say {
        let value = vec![7; bytes].into();
        Say::RawGet(kvrpcpb::RawGetResponse { value, ..Default::default() })
    }

    #[tokio::test]
    async fn answers_that_are_ready_go_in_messages_that_are_not_too_large() {
        let empty = || Say::Empty(BatchCommandsEmptyResponse::default());
        let many = work((0..ANSWERS_MAX + 3).map(|_| empty()));
        assert_eq!(told(many).await, [ANSWERS_MAX, 3]);
        let large = work((0..5).map(|_| value(ANSWER_BYTES / 2)));
        assert_eq!(told(large).await, [2, 2, 1]);
    }

    #[tokio::test]
    async fn values_are_not_looked_at_while_much_waits_to_be_sent() {
        let done = || Say::RawPut(kvrpcpb::RawPutResponse::default());
        let both = (0..9).map(|_| value(ANSWER_BYTES)).chain((0..3).map(|_| done()));
        let mut work = work(both);
        work.gather().await;
        assert_eq!((work.ready.len(), work.gets.len(), work.under_way.len()), (4, 8, 0));
        assert!(!work.may_gather() && work.next().is_none());
        while !work.ready.is_empty() {
            let _sent = work.message();
        }
        assert!(work.may_gather());
    }

    #[tokio::test]
    async fn requests_of_a_stream_are_begun_within_bounds() {
        let get = || Some(Ask::RawGet(kvrpcpb::RawGetRequest::default()));
        let scan = || Some(Ask::RawScan(kvrpcpb::RawScanRequest::default()));
        let mut work = Work::default();
        work.waiting.extend((0..UNDER_WAY_MAX as u64 + 1).map(|id| (id, get())));
        let mut begun = 0;
        while work.next().is_some() {
            work_begins(&mut work.under_way);
            begun += 1;
        }
        assert_eq!(begun, UNDER_WAY_MAX);
        assert!(!work.has_room());

        // Of large ones few, however many there are; the others pass them.
        let mut work = Work::default();
        work.waiting.extend((0..LARGE_MAX as u64 + 2).map(|id| (id, scan())));
        work.waiting.push_back((99, get()));
        let mut begun = Vec::new();
        while let Some((id, _)) = work.next() {
            work_begins(&mut work.under_way);
            begun.push(id);
        }
        assert_eq!((begun.len(), begun.last(), work.held.len()), (LARGE_MAX + 1, Some(&99), 2));
        let say = Say::RawScan(kvrpcpb::RawScanResponse::default());
        work.keep((0, say));
        assert!(work.next().is_some() && work.next().is_none(), "one has ended");
    }

    fn work_begins(under_way: &mut UnderWay) {
        under_way.push(Box::pin(std::future::pending()));
    }

    #[test]
    fn request_under_way_is_small() {
        let size = size_of_answer(answer);
        assert!(size <= 3_072, "{size} bytes for each of {UNDER_WAY_MAX} of a stream");
    }
}
