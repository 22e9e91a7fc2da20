//! Connections to stores, opened when they are first needed, and opened anew after a failure, at
//! the address that placement then knows.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use proto::metapb::StoreState;
use proto::tikvpb::batch_commands_request::request::Cmd;
use tokio::time;
use types::StoreId;

use crate::backoff::{Attempt, Budget, Setback};
use crate::command::{Answer, Command};
use crate::dial::{address, dial};
use crate::error::Result;
use crate::lanes::{Lanes, Ride};
use crate::options::Options;
use crate::placement::Placement;
use crate::stream::Lost;
use crate::verdict::{self, Lesson, Verdict};

/// A command with more goes in a call of its own: were it too large for the store, the stream would
/// end, and with it every other command on it.
const SHARED_BYTES_MAX: usize = 1 << 20;

/// The stores that are known.
pub(crate) struct Stores {
    options: Arc<Options>,
    by_id: Mutex<HashMap<StoreId, Arc<Slot>>>,
}

/// The place of a connection. Locked while one is opened, so that one is opened.
type Slot = tokio::sync::Mutex<Option<Arc<Store>>>;

/// A store that was reached.
pub(crate) struct Store {
    lanes: Arc<Lanes>,
    /// It was found to serve no stream.
    is_streamless: AtomicBool,
}

impl Stores {
    pub(crate) fn new(options: Arc<Options>) -> Stores {
        Stores { options, by_id: Mutex::default() }
    }

    /// The connection to a store.
    ///
    /// # Errors
    /// Only what is final; that it could not be reached is a setback.
    pub(crate) async fn get(
        &self,
        id: StoreId,
        placement: &Placement,
        budget: &mut Budget,
    ) -> Result<Attempt<Arc<Store>>> {
        let slot = Arc::clone(self.by_id.lock().entry(id).or_default());
        if let Ok(place) = slot.try_lock()
            && let Some(store) = &*place
        {
            return Ok(Ok(Arc::clone(store)));
        }
        // Large, and rare.
        Box::pin(self.connect(id, &slot, placement, budget)).await
    }

    async fn connect(
        &self,
        id: StoreId,
        slot: &Slot,
        placement: &Placement,
        budget: &mut Budget,
    ) -> Result<Attempt<Arc<Store>>> {
        let most = budget.attempt(self.options.attempt_timeout);
        let Ok(mut place) = time::timeout(most, slot.lock()).await else {
            return Ok(Err(Setback::harmless(format!("store {id} is not connected yet"))));
        };
        if let Some(store) = &*place {
            return Ok(Ok(Arc::clone(store)));
        }
        let Some(found) = placement.store(id, budget).await? else {
            return Ok(Err(Setback::harmless(format!("placement knows no store {id}"))));
        };
        if found.state() == StoreState::Tombstone {
            return Ok(Err(Setback::harmless(format!("store {id} has left the cluster"))));
        }
        let address = address(&found.address).to_owned();
        let most = budget.attempt(self.options.connect_timeout);
        let Ok(dialed) = time::timeout(most, dial(&address, &self.options)).await else {
            let why = format!("store {id} at {address}: no connection within {most:?}");
            return Ok(Err(Setback::harmless(why)));
        };
        match dialed {
            Ok(channel) => {
                let store = Arc::new(Store {
                    lanes: Lanes::new(address, channel, &self.options),
                    is_streamless: AtomicBool::new(!self.options.batched),
                });
                *place = Some(Arc::clone(&store));
                Ok(Ok(store))
            }
            Err(unreached) => {
                let why = unreached.why;
                Ok(Err(Setback::harmless(format!("store {id} at {address}: {why}"))))
            }
        }
    }

    /// A connection broke, or leads to another store: forget all of them and open another. What is
    /// under way on the others ends as it would have.
    pub(crate) fn lose(&self, id: StoreId, store: &Arc<Store>) {
        let Some(slot) = self.by_id.lock().get(&id).cloned() else { return };
        // Whoever has the slot opens a connection, or takes the one that is there and will find out
        // as well: nobody waits for that.
        let Ok(mut place) = slot.try_lock() else { return };
        if place.as_ref().is_some_and(|known| Arc::ptr_eq(known, store)) {
            *place = None;
        }
    }
}

impl Store {
    /// Sends a command and waits for its answer.
    ///
    /// # Errors
    /// None came; what that means, as a verdict.
    pub(crate) async fn send(
        &self,
        command: Command,
        budget: &Budget,
        options: &Arc<Options>,
    ) -> std::result::Result<Answer, Verdict> {
        let most = budget.attempt(options.attempt_timeout);
        if most.is_zero() {
            // It was not sent, and that is nobody's fault but time's.
            let setback = Setback::harmless("no time was left for it".to_owned());
            return Err(Verdict::Again(setback, Lesson::Nothing));
        }
        let ride = self.lanes.ride(options);
        let answered = match command {
            Command::Shared(shared) if self.is_for_stream(&shared) => {
                time::timeout(most, pin!(self.share(&ride, shared, options))).await
            }
            command => time::timeout(most, pin!(call(&ride, command, options))).await,
        };
        // Not a reason to doubt the connection: if it is broken, it tells by itself.
        let silent = |_elapsed| {
            let why = format!("store at {}: no answer within {most:?}", self.lanes.address());
            Verdict::Again(Setback::unknown(why), Lesson::Peer)
        };
        answered.map_err(silent)?
    }

    fn is_for_stream(&self, command: &Cmd) -> bool {
        !self.is_streamless.load(Ordering::Relaxed) && command.encoded_len() <= SHARED_BYTES_MAX
    }

    async fn share(
        &self,
        ride: &Ride<'_>,
        command: Cmd,
        options: &Options,
    ) -> std::result::Result<Answer, Verdict> {
        let stream = ride.stream(options);
        let why = match stream.submit(command.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(Lost::Unserved) => {
                self.is_streamless.store(true, Ordering::Relaxed);
                return Box::pin(call(ride, Command::Shared(command), options)).await;
            }
            Err(Lost::Unsent(why)) => Setback::harmless(why),
            Err(Lost::Unknown(why)) => Setback::unknown(why),
        };
        let setback =
            Setback { why: format!("store at {}: {}", self.lanes.address(), why.why), ..why };
        Err(Verdict::Again(setback, Lesson::Store))
    }
}

async fn call(
    ride: &Ride<'_>,
    command: Command,
    options: &Options,
) -> std::result::Result<Answer, Verdict> {
    let mut client = ride.client();
    let answer = command.call(&mut client, options.attempt_timeout).await;
    answer.map_err(|status| verdict::of_status(&status))
}

#[cfg(test)]
mod tests {
    use proto::kvrpcpb::RawGetRequest;
    use tonic::transport::Endpoint;

    use super::*;
    use crate::backoff::Kind;

    #[tokio::test]
    async fn what_has_no_time_left_is_not_sent_and_nobody_is_doubted_for_it() {
        let options = Arc::new(Options { budget: time::Duration::ZERO, ..Options::default() });
        let address = "127.0.0.1:1".to_owned();
        let channel = Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
        let lanes = Lanes::new(address, channel, &options);
        let store = Store { lanes, is_streamless: AtomicBool::new(false) };
        let command = Command::Shared(Cmd::RawGet(RawGetRequest::default()));
        let budget = Budget::new(&options, Kind::Once);
        let Err(Verdict::Again(setback, lesson)) = store.send(command, &budget, &options).await
        else {
            panic!("nobody is there")
        };
        assert_eq!((setback.is_unknown, lesson), (false, Lesson::Nothing));
    }
}
