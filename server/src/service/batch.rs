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
use super::requests::Method;
use super::transactions::not_here;

/// Requests of one stream that may be under way; beyond it the stream is not read.
const UNDER_WAY_MAX: usize = 1_024;
/// Bytes of answers in one message, about: the last one may go beyond it. A message that is larger
/// than may be sent ends the stream, with all that is under way on it.
const ANSWER_BYTES: usize = 4 << 20;
/// Answers in one message. What is ready beyond them goes into the next: a client has something to
/// do before all that it asked for is there.
const ANSWERS_MAX: usize = 32;

type Answered = (u64, Say);
type UnderWay = FuturesUnordered<Pin<Box<dyn Future<Output = Answered> + Send>>>;

/// Serves one stream until its client ends it, or it breaks.
pub(super) async fn serve(
    raw: Arc<Raw>,
    mut requests: Streaming<BatchCommandsRequest>,
    answers: mpsc::Sender<Result<BatchCommandsResponse, Status>>,
) {
    let mut under_way: UnderWay = FuturesUnordered::new();
    // Of the last message, what is not under way yet.
    let mut waiting = VecDeque::new();
    let (mut is_open, mut ending) = (true, None);
    while is_open || !under_way.is_empty() || !waiting.is_empty() {
        while under_way.len() < UNDER_WAY_MAX
            && let Some((id, ask)) = waiting.pop_front()
        {
            under_way.push(Box::pin(answer(Arc::clone(&raw), id, ask)));
        }
        tokio::select! {
            biased;
            Some(first) = under_way.next(), if !under_way.is_empty() => {
                let message = gather(first, &mut under_way).await;
                let is_full = message.responses.len() == ANSWERS_MAX;
                if answers.send(Ok(message)).await.is_err() {
                    return;
                }
                if is_full {
                    // The connection has its turn, and the message leaves.
                    tokio::task::yield_now().await;
                }
            }
            message = requests.message(), if is_open && under_way.len() < UNDER_WAY_MAX => {
                match message {
                    Ok(Some(batch)) => {
                        if batch.requests.len() != batch.request_ids.len() {
                            let why = "as many request ids as requests are needed";
                            let _ = answers.send(Err(Status::invalid_argument(why))).await;
                            return;
                        }
                        let asks = batch.requests.into_iter().map(|request| request.cmd);
                        waiting.extend(batch.request_ids.into_iter().zip(asks));
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
    }
    if let Some(status) = ending {
        let _gone = answers.send(Err(status)).await;
    }
}

/// Answers that are ready, in one message.
async fn gather(first: Answered, under_way: &mut UnderWay) -> BatchCommandsResponse {
    let mut message = BatchCommandsResponse::default();
    let mut bytes = push(&mut message, first);
    std::future::poll_fn(|context| {
        while message.responses.len() < ANSWERS_MAX && bytes < ANSWER_BYTES {
            match under_way.poll_next_unpin(context) {
                Poll::Ready(Some(next)) => bytes += push(&mut message, next),
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        Poll::Ready(())
    })
    .await;
    message
}

/// Returns how many bytes it adds, about.
fn push(message: &mut BatchCommandsResponse, (id, say): Answered) -> usize {
    let bytes = say.encoded_len();
    message.request_ids.push(id);
    message.responses.push(Answer { cmd: Some(say) });
    bytes
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
            Say::RawScan(raw.timed(Method::RawScan, pin!(raw.scan(request))).await.0)
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

    #[tokio::test]
    async fn answers_that_are_ready_go_in_messages_that_are_not_too_large() {
        let mut under_way: UnderWay = FuturesUnordered::new();
        for id in 0..ANSWERS_MAX as u64 + 3 {
            let say = Say::Empty(BatchCommandsEmptyResponse::default());
            under_way.push(Box::pin(async move { (id, say) }));
        }
        let mut told = Vec::new();
        while let Some(first) = under_way.next().await {
            let message = gather(first, &mut under_way).await;
            assert_eq!(message.responses.len(), message.request_ids.len());
            told.push(message.responses.len());
        }
        assert_eq!(told, [ANSWERS_MAX, 3]);
    }

    #[tokio::test]
    async fn message_of_large_answers_has_few() {
        let mut under_way: UnderWay = FuturesUnordered::new();
        for id in 0..5 {
            let value = vec![7; ANSWER_BYTES / 2].into();
            let say = Say::RawGet(kvrpcpb::RawGetResponse { value, ..Default::default() });
            under_way.push(Box::pin(async move { (id, say) }));
        }
        let mut told = Vec::new();
        while let Some(first) = under_way.next().await {
            told.push(gather(first, &mut under_way).await.responses.len());
        }
        assert_eq!(told, [2, 2, 1]);
    }

    #[test]
    fn request_under_way_is_small() {
        let size = size_of_answer(answer);
        assert!(size <= 3_072, "{size} bytes for each of {UNDER_WAY_MAX} of a stream");
    }
}
