//! Serving timestamps: take, confirm, look at the window, answer.
//!
//! All requests of a moment share one confirmation: those that come while it is under way make the
//! next batch.

use std::sync::Arc;
use std::time::Duration;

use multiraft::Outcome;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use types::{Term, Timestamp};

use super::{Driver, Unavailable, WINDOW_TICK};
use crate::GROUP;
use crate::clock::wall_ms;
use crate::state::{Command, Reply};
use crate::tso::NoTimestamp;

/// Requests that share a confirmation, at most.
const BATCH_MAX: usize = 1_024;
/// How long a window or a confirmation is waited for. Clients wait two seconds.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// Somebody wants timestamps.
pub(super) struct Ask {
    count: u32,
    answer: oneshot::Sender<Result<Timestamp, Unavailable>>,
}

impl Driver {
    /// `count` timestamps; the largest is returned, the others are just below it. They are larger
    /// than all that were answered before this was called, by whatever leader.
    ///
    /// # Errors
    /// If this node does not lead, or cannot make sure that it does; 0 or more than
    /// [`crate::tso::COUNT_MAX`] are never given.
    pub async fn timestamps(&self, count: u32) -> Result<Timestamp, Unavailable> {
        let (answer, answered) = oneshot::channel();
        let gone = |_| Unavailable::Failed("the node is stopping".to_owned());
        if !self.is_leading() {
            return Err(self.not_leader());
        }
        if self.asks.send(Ask { count, answer }).await.is_err() {
            return Err(Unavailable::Failed("the node is stopping".to_owned()));
        }
        answered.await.map_err(gone)?
    }

    pub(super) async fn serve_timestamps(self: Arc<Self>, mut asked: mpsc::Receiver<Ask>) {
        let mut batch = Vec::new();
        while asked.recv_many(&mut batch, BATCH_MAX).await > 0 {
            let mut taken = Vec::with_capacity(batch.len());
            for ask in &batch {
                taken.push(self.take(ask.count).await);
            }
            // Everything in the batch came before this read began.
            let confirmed = timeout(PATIENCE, self.handle.read(GROUP)).await;
            let is_confirmed = matches!(confirmed, Ok(Outcome::Readable(_)));
            let window = self.view.get().window_term;
            let oracle = self.oracle.lock();
            for (ask, taken) in batch.drain(..).zip(taken) {
                let answer = taken.and_then(|(at, term)| {
                    let is_ours = is_confirmed && oracle.may_answer(term, window);
                    is_ours.then_some(at).ok_or_else(|| self.not_leader())
                });
                // Whoever does not listen any more has dropped its end.
                let _ = ask.answer.send(answer);
            }
        }
    }

    async fn take(&self, count: u32) -> Result<(Timestamp, Term), Unavailable> {
        let ends = tokio::time::Instant::now() + PATIENCE;
        loop {
            let saved = self.window_saved.notified();
            match self.oracle.lock().take(wall_ms(), count) {
                Ok(taken) => return Ok(taken),
                Err(NoTimestamp::NotLeading) => return Err(self.not_leader()),
                Err(NoTimestamp::Count) => {
                    let why = format!("{count} timestamps at once are not given");
                    return Err(Unavailable::Failed(why));
                }
                Err(NoTimestamp::Window) => {}
            }
            self.window_wanted.notify_one();
            // Looked at again even if the word of it was missed.
            let _ = timeout(WINDOW_TICK, saved).await;
            if tokio::time::Instant::now() >= ends {
                let why = "the window of timestamps cannot be saved now".to_owned();
                return Err(Unavailable::Failed(why));
            }
        }
    }

    pub(super) async fn keep_window(&self) {
        loop {
            let _ = timeout(WINDOW_TICK, self.window_wanted.notified()).await;
            if let Err(why) = self.save_window().await {
                tracing::debug!(%why, "no new window of timestamps");
            }
        }
    }

    pub(super) async fn save_window(&self) -> Result<(), Unavailable> {
        let wanted = self.oracle.lock().wants(wall_ms());
        let Some(window) = wanted else { return Ok(()) };
        match self.propose(&Command::SaveWindow(window)).await? {
            Ok(Reply::Window(held)) => self.oracle.lock().saved(held, window.term),
            Ok(other) => return Err(Unavailable::odd(&other)),
            Err(refused) => {
                // A later leader has given timestamps: what is in memory is out of date.
                self.oracle.lock().clear();
                return Err(Unavailable::Failed(refused.to_string()));
            }
        }
        self.window_saved.notify_waiters();
        Ok(())
    }
}
