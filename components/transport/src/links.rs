//! The other stores: two lanes to each that something was sent to.
//!
//! Before the network is served, parcels wait; after it has stopped, they are dropped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use multiraft::{Parcel, Transport};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tracing::debug;
use types::StoreId;

use crate::config::Config;
use crate::dial::Dialer;
use crate::lane::{Kind, Lane, Problem};
use crate::queue::Bounds;

/// A store that is not reached, though there is something to send to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// Which.
    pub store: StoreId,
    /// Since when: when it was reached for the last time, or tried for the first.
    pub span: Duration,
    /// Why, in words for an operator.
    pub why: String,
}

/// Where a store's parcels go.
pub(crate) struct Links {
    own: StoreId,
    stores_max: usize,
    messages: Bounds,
    snapshots: Bounds,
    /// How long a failure to reach a store counts: longer than any time between two.
    forget_after: Duration,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    /// Invariant: at most `stores_max`; its lanes have tasks exactly while the phase is `Serving`.
    by_store: BTreeMap<StoreId, Link>,
}

enum Phase {
    Bound,
    Serving(Handle, Arc<Dialer>),
    Stopped,
}

#[derive(Clone)]
struct Link {
    messages: Arc<Lane>,
    snapshots: Arc<Lane>,
}

impl Links {
    pub(crate) fn new(own: StoreId, config: &Config) -> Links {
        let state = State { phase: Phase::Bound, by_store: BTreeMap::new() };
        // Dialing, the first answer and the hello have their bounds, and a little more.
        let attempt = config.handshake_timeout.saturating_mul(5);
        Links {
            own,
            stores_max: config.stores_max,
            messages: Bounds::of_messages(config),
            snapshots: Bounds::of_snapshots(config),
            forget_after: attempt.saturating_add(config.backoff_max),
            state: Mutex::new(state),
        }
    }

    /// From now on lanes have tasks.
    pub(crate) fn serve(&self, runtime: &Handle, dialer: Arc<Dialer>) {
        let mut state = self.state.lock();
        for link in state.by_store.values() {
            link.start(runtime, &dialer);
        }
        state.phase = Phase::Serving(runtime.clone(), dialer);
    }

    /// Drops what waits, and whatever is sent from now on.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        let phase = std::mem::replace(&mut state.phase, Phase::Stopped);
        let links = std::mem::take(&mut state.by_store);
        drop(state);
        // The last owner of the inbox may be among these, and may send on its way out.
        drop((phase, links));
    }

    /// A store was heard of: it is dialed again at once, if it is to be dialed at all.
    pub(crate) fn hurry(&self, store: StoreId) {
        if let Some(link) = self.state.lock().by_store.get(&store) {
            link.messages.hurry();
            link.snapshots.hurry();
        }
    }

    /// The stores that are not reached though there is something to send, by what becomes of
    /// messages: snapshots go the same way, and too rarely to tell. One that nothing is sent to any
    /// more is nobody's problem.
    pub(crate) fn unreached(&self) -> Vec<Unreached> {
        let state = self.state.lock();
        let is_current = |at: &Instant| at.elapsed() < self.forget_after;
        let found = state.by_store.iter().filter_map(|(&store, link)| {
            let Problem { since, failed, why } = link.messages.problem()?;
            failed.filter(is_current)?;
            Some(Unreached { store, span: since.elapsed(), why })
        });
        found.collect()
    }

    /// Messages and frames that were dropped, as they could not wait.
    pub(crate) fn dropped(&self) -> u64 {
        let state = self.state.lock();
        let lanes = state.by_store.values().flat_map(|link| [&link.messages, &link.snapshots]);
        lanes.map(|lane| lane.dropped()).sum()
    }

    fn lane(&self, to: StoreId, kind: Kind) -> Option<Arc<Lane>> {
        let mut state = self.state.lock();
        let State { phase, by_store } = &mut *state;
        if let Some(link) = by_store.get(&to) {
            return Some(Arc::clone(link.lane(kind)));
        }
        if to == self.own || by_store.len() >= self.stores_max || matches!(phase, Phase::Stopped) {
            return None;
        }
        let link = Link {
            messages: Arc::new(Lane::new(to, Kind::Messages, self.messages)),
            snapshots: Arc::new(Lane::new(to, Kind::Snapshots, self.snapshots)),
        };
        if let Phase::Serving(runtime, dialer) = phase {
            link.start(runtime, dialer);
        }
        let lane = Arc::clone(link.lane(kind));
        by_store.insert(to, link);
        Some(lane)
    }
}

impl Transport for Links {
    fn send(&self, to: StoreId, parcel: Parcel) {
        let kind = match parcel {
            Parcel::Groups(_) | Parcel::Liveness(_) => Kind::Messages,
            Parcel::Snapshot(_) => Kind::Snapshots,
        };
        match self.lane(to, kind) {
            Some(lane) => lane.put(parcel),
            None => debug!(store = %to, "parcel dropped: no such store is dialed"),
        }
    }
}

impl Link {
    fn lane(&self, kind: Kind) -> &Arc<Lane> {
        match kind {
            Kind::Messages => &self.messages,
            Kind::Snapshots => &self.snapshots,
        }
    }

    fn start(&self, runtime: &Handle, dialer: &Arc<Dialer>) {
        for lane in [&self.messages, &self.snapshots] {
            runtime.spawn(Arc::clone(dialer).run(Arc::clone(lane)));
            runtime.spawn(Arc::clone(dialer).tell_lost(Arc::clone(lane)));
        }
    }
}
