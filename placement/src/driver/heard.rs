//! What stores say of themselves, and of each other.
//!
//! A store may be well for placement and out of reach for others: its settings differ from theirs,
//! or a link between two of them is down. Only they can tell. What they say counts where the other
//! is heard here, and has been for long enough that they would have reached it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proto::crib::placement::v1;
use types::{StoreId, Time};

use super::Lead;
use crate::scheduler::{SchedulerConfig, StoreInfo};

/// How long stores have to reach each other before that is a problem. What heartbeats say is as old
/// as they are.
const PATIENCE: Duration = Duration::from_secs(3);
/// Most that a store may say of others, and most characters of a reason.
const UNREACHED_MAX: usize = 64;
const WHY_MAX: usize = 400;

/// What was heard of a store.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) at: Time,
    /// Since when it has been heard without a break, in this life.
    since: Time,
    pub(crate) life: u64,
    pub(crate) stats: v1::StoreStats,
    /// Whom it does not reach, as it says.
    pub(crate) unreached: Arc<[v1::Unreached]>,
}

impl Heard {
    /// A heartbeat that came now.
    pub(crate) fn new(now: Time, of: v1::StoreHeartbeatRequest) -> Heard {
        let bounded = |mut of: v1::Unreached| {
            if let Some((end, _)) = of.why.char_indices().nth(WHY_MAX) {
                of.why.truncate(end);
            }
            of
        };
        Heard {
            at: now,
            since: now,
            life: of.life,
            stats: of.stats.unwrap_or_default(),
            unreached: of.unreached.into_iter().take(UNREACHED_MAX).map(bounded).collect(),
        }
    }

    /// The same after what was heard before; a silence as long as `break_after` is a break.
    pub(super) fn after(self, old: Option<&Heard>, break_after: Duration) -> Heard {
        let goes_on = |old: &&Heard| old.life == self.life && self.at.since(old.at) < break_after;
        Heard { since: old.filter(goes_on).map_or(self.at, |old| old.since), ..self }
    }
}

impl Lead {
    /// The stores that are heard here and do not reach each other: who says so, and of whom.
    pub(crate) fn unreached(&self) -> Vec<(StoreId, v1::Unreached)> {
        unreached(&self.stores(), &self.heard.read(), &self.config)
    }
}

fn unreached(
    stores: &BTreeMap<StoreId, StoreInfo>,
    heard: &BTreeMap<StoreId, Heard>,
    config: &SchedulerConfig,
) -> Vec<(StoreId, v1::Unreached)> {
    let present = |id: StoreId| {
        let is_alive = stores.get(&id).is_some_and(|of| of.is_alive(config));
        heard.get(&id).filter(|_| is_alive)
    };
    let mut found = Vec::new();
    for &id in heard.keys() {
        let Some(says) = present(id) else { continue };
        for of in says.unreached.iter().filter(|of| of.seconds >= PATIENCE.as_secs()) {
            let other = StoreId::new(of.store_id).and_then(present);
            if other.is_some_and(|other| says.at >= other.since.after(PATIENCE)) {
                found.push((id, of.clone()));
            }
        }
    }
    found
}

/// In words for an operator.
pub(crate) fn told((id, of): &(StoreId, v1::Unreached)) -> String {
    let v1::Unreached { store_id, seconds, why } = of;
    format!("store {} has not reached store {store_id} for {seconds} s: {why}", id.get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::StoreState;

    fn id(id: u64) -> StoreId {
        StoreId::new(id).expect("not zero")
    }

    fn at(secs: u64) -> Time {
        Time::ZERO.after(Duration::from_secs(secs))
    }

    fn beat(secs: u64, life: u64, of: &[(u64, u64)]) -> Heard {
        let unreached = of.iter().map(|&(store_id, seconds)| v1::Unreached {
            store_id,
            seconds,
            why: "no way".to_owned(),
        });
        let request = v1::StoreHeartbeatRequest {
            life,
            unreached: unreached.collect(),
            ..v1::StoreHeartbeatRequest::default()
        };
        Heard::new(at(secs), request)
    }

    fn info(of: u64, state: StoreState, silent: u64) -> (StoreId, StoreInfo) {
        let silent = Duration::from_secs(silent);
        (id(of), StoreInfo { silent, ..StoreInfo::new(id(of), state) })
    }

    fn config() -> SchedulerConfig {
        SchedulerConfig { silent_after: SILENT, ..SchedulerConfig::default() }
    }

    const SILENT: Duration = Duration::from_secs(20);

    /// What is found if store 1 says at 100 s that it has not reached store 2 for so long.
    fn found(seconds: u64, two: Heard, state: StoreState, silent: u64) -> Vec<String> {
        let stores = [info(1, StoreState::Up, 0), info(2, state, silent)].into();
        let heard = [(id(1), beat(100, 1, &[(2, seconds), (3, 50)])), (id(2), two)].into();
        unreached(&stores, &heard, &config()).iter().map(told).collect()
    }

    #[test]
    fn stores_that_are_heard_and_do_not_reach_each_other_are_named() {
        let said = "store 1 has not reached store 2 for 3 s: no way";
        assert_eq!(found(3, beat(97, 1, &[]), StoreState::Up, 0), [said]);
        assert_eq!(found(3, beat(97, 1, &[]), StoreState::Draining, 19), [said]);
        // Not yet; only just back; silent here as well; removed.
        for (seconds, since, state, silent) in [
            (2, 97, StoreState::Up, 0),
            (9, 98, StoreState::Up, 0),
            (9, 60, StoreState::Draining, 20),
            (9, 60, StoreState::Removed, 0),
        ] {
            let none = found(seconds, beat(since, 1, &[]), state, silent);
            assert_eq!(none, Vec::<String>::new(), "{seconds} {since} {state} {silent}");
        }
    }

    #[test]
    fn what_a_store_that_fell_silent_said_counts_no_more() {
        let stores = [info(1, StoreState::Disconnected, 20), info(2, StoreState::Up, 0)].into();
        let heard = [(id(1), beat(100, 1, &[(2, 9)])), (id(2), beat(9, 1, &[]))].into();
        assert_eq!(unreached(&stores, &heard, &config()), []);
    }

    #[test]
    fn store_is_heard_since_its_last_break_or_start() {
        let first = beat(10, 1, &[]);
        let next = beat(29, 1, &[]).after(Some(&first), SILENT);
        assert_eq!(next.since, at(10));
        assert_eq!(beat(49, 1, &[]).after(Some(&next), SILENT).since, at(49), "a break");
        assert_eq!(beat(30, 2, &[]).after(Some(&next), SILENT).since, at(30), "a start");
        assert_eq!(beat(30, 1, &[]).after(None, SILENT).since, at(30));
    }

    #[test]
    fn what_a_store_says_of_others_is_bounded() {
        let says = v1::Unreached { store_id: 2, seconds: 9, why: "ä".repeat(WHY_MAX + 1) };
        let unreached = vec![says; UNREACHED_MAX + 1];
        let request = v1::StoreHeartbeatRequest { unreached, ..Default::default() };
        let heard = Heard::new(at(1), request);
        assert_eq!(heard.unreached.len(), UNREACHED_MAX);
        assert_eq!(heard.unreached[0].why.chars().count(), WHY_MAX);
    }
}
