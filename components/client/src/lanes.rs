//! The connections to one store. Most of the time there is one; another is opened when all that
//! are open have a lot to do.
//!
//! What goes over a connection is worked off at both ends by one task each, in the order of
//! arrival. Callers that share it fall into step: all of them wait while the store answers, and
//! then the store waits while all of them ask again. With a second connection one half asks while
//! the other is answered.
//!
//! Invariant: lanes are opened in order and never closed before the store is forgotten, so those
//! that are open are the first ones.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use parking_lot::Mutex;
use proto::tikvpb::tikv_client::TikvClient;
use tonic::transport::Channel;
use tracing::debug;

use crate::dial::dial;
use crate::options::Options;
use crate::stream::CommandStream;

/// Operations under way on each lane, from which on another is opened.
const BUSY_COUNT: usize = 32;

/// A connection.
pub(crate) struct Lane {
    client: TikvClient<Channel>,
    stream: Mutex<Option<Arc<CommandStream>>>,
    under_way: AtomicUsize,
}

/// The connections to a store.
pub(crate) struct Lanes {
    address: String,
    lanes: Box<[OnceLock<Lane>]>,
    opening: Mutex<Opening>,
}

/// What is known of the next lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    /// It may be opened.
    Idle,
    /// It is being opened.
    Dialed,
    /// It could not be opened then.
    Failed(Instant),
}

/// A lane in use by one operation.
pub(crate) struct Ride<'a>(&'a Lane);

impl Lanes {
    /// The first connection, and room for those that the options allow.
    pub(crate) fn new(address: String, first: Channel, options: &Options) -> Arc<Lanes> {
        let lanes: Box<[_]> = (0..options.connections_max).map(|_| OnceLock::new()).collect();
        let lane = Lane::new(first, options);
        let was_empty = lanes.first().is_some_and(|place| place.set(lane).is_ok());
        assert!(was_empty, "options without a connection have been refused");
        Arc::new(Lanes { address, lanes, opening: Mutex::new(Opening::Idle) })
    }

    /// Where the store is.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The lane for an operation: the first that is not busy, so that few callers share one and
    /// its messages, or else that with the least to do.
    pub(crate) fn ride(self: &Arc<Lanes>, options: &Arc<Options>) -> Ride<'_> {
        let mut least: Option<(usize, &Lane)> = None;
        for place in &self.lanes {
            let Some(lane) = place.get() else {
                self.open_another(options);
                break;
            };
            let load = lane.under_way.load(Ordering::Relaxed);
            if least.is_none_or(|(other, _)| load < other) {
                least = Some((load, lane));
            }
            if load < BUSY_COUNT {
                break;
            }
        }
        let (_, lane) = least.expect("the first lane is always open");
        lane.under_way.fetch_add(1, Ordering::Relaxed);
        Ride(lane)
    }

    /// Opens the next lane beside what goes on; nobody waits for it. If that fails, the others do.
    fn open_another(self: &Arc<Lanes>, options: &Arc<Options>) {
        {
            let mut opening = self.opening.lock();
            match *opening {
                Opening::Dialed => return,
                Opening::Failed(at) if at.elapsed() < options.attempt_timeout => return,
                Opening::Failed(_) | Opening::Idle => *opening = Opening::Dialed,
            }
        }
        let (lanes, options) = (Arc::clone(self), Arc::clone(options));
        tokio::spawn(async move {
            let dialed = dial(&lanes.address, &options).await;
            let mut opening = lanes.opening.lock();
            *opening = match dialed {
                Ok(channel) => {
                    let next = lanes.lanes.iter().find(|place| place.get().is_none());
                    let lane = Lane::new(channel, &options);
                    let is_open = next.is_some_and(|place| place.set(lane).is_ok());
                    debug_assert!(is_open, "only who dials opens a lane");
                    Opening::Idle
                }
                Err(unreached) => {
                    let why = &unreached.why;
                    debug!(store = %lanes.address, problem = %why, "no further connection");
                    Opening::Failed(Instant::now())
                }
            };
        });
    }
}

impl Lane {
    fn new(channel: Channel, options: &Options) -> Lane {
        let client = TikvClient::new(channel).max_decoding_message_size(options.answer_bytes_max);
        Lane { client, stream: Mutex::default(), under_way: AtomicUsize::new(0) }
    }
}

impl Ride<'_> {
    /// For a call of its own.
    pub(crate) fn client(&self) -> TikvClient<Channel> {
        self.0.client.clone()
    }

    /// The stream of the lane, opened anew if it has ended.
    pub(crate) fn stream(&self, options: &Options) -> Arc<CommandStream> {
        let mut place = self.0.stream.lock();
        if let Some(stream) = place.as_ref().filter(|stream| stream.is_open()) {
            return Arc::clone(stream);
        }
        let stream = Arc::new(CommandStream::open(self.client(), options.pending_max));
        *place = Some(Arc::clone(&stream));
        stream
    }
}

impl Drop for Ride<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::task::yield_now;

    use super::*;

    /// Lanes to somebody who takes connections and says nothing.
    async fn lanes(connections_max: usize) -> (TcpListener, Arc<Lanes>, Arc<Options>) {
        let options = Arc::new(Options { connections_max, ..Options::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        let first = dial(&address, &options).await.expect("it connects");
        let _connected = listener.accept().await.expect("a connection");
        (listener, Lanes::new(address, first, &options), options)
    }

    fn open(lanes: &Lanes) -> usize {
        lanes.lanes.iter().filter(|place| place.get().is_some()).count()
    }

    /// Which lane it is.
    fn number(lanes: &Lanes, ride: &Ride<'_>) -> usize {
        let is_it = |place: &OnceLock<Lane>| place.get().is_some_and(|it| std::ptr::eq(it, ride.0));
        lanes.lanes.iter().position(is_it).expect("it is one of them")
    }

    #[tokio::test]
    async fn another_connection_is_opened_when_all_are_busy_and_left_alone_when_they_are_not() {
        let (listener, lanes, options) = lanes(3).await;
        let mut rides: Vec<_> = (0..BUSY_COUNT).map(|_| lanes.ride(&options)).collect();
        assert_eq!(*lanes.opening.lock(), Opening::Idle);
        // Nobody waits for the second one.
        rides.extend((0..8).map(|_| lanes.ride(&options)));
        assert!(rides.iter().all(|ride| number(&lanes, ride) == 0));
        let _second = listener.accept().await.expect("a connection");
        while open(&lanes) < 2 {
            yield_now().await;
        }
        rides.extend((0..BUSY_COUNT).map(|_| lanes.ride(&options)));
        assert!(rides[BUSY_COUNT + 8..].iter().all(|ride| number(&lanes, ride) == 1));
        // The one with less to do.
        assert_eq!(number(&lanes, &lanes.ride(&options)), 1);
        let _third = listener.accept().await.expect("a connection");
        while open(&lanes) < 3 {
            yield_now().await;
        }
        rides.extend((0..9 * BUSY_COUNT).map(|_| lanes.ride(&options)));
        assert_eq!(*lanes.opening.lock(), Opening::Idle, "there is no room for a fourth");
        drop(rides);
        assert_eq!(number(&lanes, &lanes.ride(&options)), 0);
    }

    #[tokio::test]
    async fn operations_go_on_when_no_further_connection_opens() {
        let (listener, lanes, options) = lanes(2).await;
        drop(listener);
        let mut rides: Vec<_> = (0..=BUSY_COUNT).map(|_| lanes.ride(&options)).collect();
        while *lanes.opening.lock() == Opening::Dialed {
            yield_now().await;
        }
        assert!(matches!(*lanes.opening.lock(), Opening::Failed(_)));
        rides.push(lanes.ride(&options));
        assert!(matches!(*lanes.opening.lock(), Opening::Failed(_)), "not again at once");
        assert!(rides.iter().all(|ride| number(&lanes, ride) == 0));
    }
}
