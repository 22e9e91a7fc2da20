//! Streams of questions: one answer for each, in order, until leadership ends.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::driver::{Driver, Lead};

/// Answers that wait for a client that does not read.
const ANSWERS_MAX: usize = 64;

/// A stream of answers.
pub(super) type Answers<T> = ReceiverStream<Result<T, Status>>;

/// Answers each question of a stream with `answer`, in order.
pub(super) fn answer_each<Q, A, F>(
    driver: Arc<Driver>,
    lead: &Lead,
    mut questions: Streaming<Q>,
    answer: impl Fn(Q) -> F + Send + Sync + 'static,
) -> Answers<A>
where
    Q: Send + 'static,
    A: Send + 'static,
    F: Future<Output = Result<A, Status>> + Send,
{
    let (answers, stream) = mpsc::channel(ANSWERS_MAX);
    let mut over = lead.over();
    tokio::spawn(async move {
        let serve = async {
            while let Ok(Some(question)) = questions.message().await {
                let answered = answer(question).await;
                let is_last = answered.is_err();
                if answers.send(answered).await.is_err() || is_last {
                    return;
                }
            }
        };
        tokio::select! {
            () = serve => {}
            _ = over.wait_for(|over| *over) => {
                // A client that does not read sees the end all the same.
                let _ = answers.try_send(Err(driver.not_leader().into()));
            }
        }
    });
    ReceiverStream::new(stream)
}
