//! What stores say of themselves, and of each other.
//!
//! A store may be well for placement and out of reach for others: its settings differ from theirs,
//! or a link between two of them is down. Only they can tell. What they say counts where the other
//! is heard here, and has been for long enough that they would have reached it.

use std::collections::BTreeMap;
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
/// Most lines about that on one screen.
const LINES_MAX: usize = 8;

/// What a store says of itself in a heartbeat, beside where it is.
pub(crate) struct Said {
    pub(crate) address: String,
    pub(crate) life: u64,
    pub(crate) stats: v1::StoreStats,
    pub(crate) unreached: Vec<v1::Unreached>,
}

/// What was heard of a store.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) at: Time,
    /// Where it says that it is.
    address: String,
    /// Since when it has been heard without a break, in this life.
    since: Time,
    pub(crate) life: u64,
    pub(crate) stats: v1::StoreStats,
    /// Whom it does not reach, as it says.
    unreached: Vec<v1::Unreached>,
}

impl Heard {
    /// A heartbeat that came now.
    pub(crate) fn new(now: Time, of: Said) -> Heard {
        // It came over a wire, perhaps from a stranger, and goes to somebody's terminal.
        let shown = |c: char| if c.is_control() { ' ' } else { c };
        let bounded = |of: v1::Unreached| v1::Unreached {
            why: of.why.chars().map(shown).take(WHY_MAX).collect(),
            ..of
        };
        Heard {
            at: now,
            address: of.address,
            since: now,
            life: of.life,
            stats: of.stats,
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
    /// Whether a store, known at this address, is there as far as it is heard. One that was not
    /// heard yet may speak as soon as it knows of this leader.
    pub(super) fn is_at(&self, store: StoreId, address: &str) -> bool {
        let (now, silent_after) = (self.clock.now(), self.config().silent_after);
        match self.heard.read().get(&store) {
            Some(heard) => heard.address == address && now.since(heard.at) < silent_after,
            None => now.since(self.since) < silent_after,
        }
    }

    /// The stores that are heard here and do not reach each other: who says so, and of whom.
    pub(crate) fn unreached(&self) -> Vec<(StoreId, v1::Unreached)> {
        unreached(&self.stores(), &self.heard.read(), &self.config())
    }
}

pub(super) fn unreached(
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
            let Some(other) = StoreId::new(of.store_id).and_then(present) else { continue };
            let begun = Time(says.at.0.saturating_sub(of.seconds.saturating_mul(1_000_000_000)));
            // It has been back for long enough, and lived on when it was not reached any more.
            if says.at >= other.since.after(PATIENCE) && other.at >= begun.after(PATIENCE) {
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

/// The same for one screen: a line for each store that is not reached, and not too many.
pub(crate) fn summary(all: &[(StoreId, v1::Unreached)]) -> Vec<String> {
    let mut by_other: BTreeMap<u64, Vec<&(StoreId, v1::Unreached)>> = BTreeMap::new();
    for one in all {
        by_other.entry(one.1.store_id).or_default().push(one);
    }
    let more = by_other.len().saturating_sub(LINES_MAX);
    let line = |(other, by): (&u64, &Vec<&(StoreId, v1::Unreached)>)| match by.len() - 1 {
        0 => told(by[0]),
        rest => format!("{}; nor have {rest} others reached store {other}", told(by[0])),
    };
    let mut lines: Vec<String> = by_other.iter().take(LINES_MAX).map(line).collect();
    if more > 0 {
        lines.push(format!("{more} further stores are not reached by some"));
    }
    lines
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
        let (stats, unreached) = (v1::StoreStats::default(), unreached.collect());
        Heard::new(at(secs), Said { address: "a:1".to_owned(), life, stats, unreached })
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

    /// Heard since then, and for the last time then.
    fn lived(since: u64, last: u64) -> Heard {
        Heard { since: at(since), ..beat(last, 1, &[]) }
    }

    #[test]
    fn stores_that_are_heard_and_do_not_reach_each_other_are_named() {
        let said =
            |seconds: u64| format!("store 1 has not reached store 2 for {seconds} s: no way");
        assert_eq!(found(3, lived(97, 100), StoreState::Up, 0), [said(3)]);
        assert_eq!(found(9, lived(97, 94), StoreState::Draining, 19), [said(9)]);
        // Not yet; only just back; silent here as well, by then or since then; removed.
        for (seconds, (since, last), state, silent) in [
            (2, (97, 100), StoreState::Up, 0),
            (9, (98, 100), StoreState::Up, 0),
            (9, (60, 100), StoreState::Draining, 20),
            (9, (60, 93), StoreState::Up, 7),
            (9, (60, 100), StoreState::Removed, 0),
        ] {
            let none = found(seconds, lived(since, last), state, silent);
            assert_eq!(none, Vec::<String>::new(), "{seconds} {since} {last} {state} {silent}");
        }
    }

    #[test]
    fn screen_has_a_line_for_each_store_and_not_too_many() {
        let says = |by: u64, store_id| {
            (id(by), v1::Unreached { store_id, seconds: 9, why: "no way".to_owned() })
        };
        let two = [says(1, 7), says(2, 7), says(3, 7), says(7, 1)];
        let line = "store 7 has not reached store 1 for 9 s: no way";
        let lines = summary(&two);
        assert_eq!(lines[0], line);
        assert!(lines.len() == 2 && lines[1].ends_with("; nor have 2 others reached store 7"));
        let many: Vec<_> = (1..=20).map(|other| says(99, other)).collect();
        let lines = summary(&many);
        assert_eq!(lines.len(), LINES_MAX + 1);
        assert_eq!(lines[LINES_MAX], "12 further stores are not reached by some");
        assert_eq!(summary(&[]), Vec::<String>::new());
    }

    #[test]
    fn what_a_store_that_fell_silent_said_counts_no_more() {
        let stores = [info(1, StoreState::Disconnected, 20), info(2, StoreState::Up, 0)].into();
        let heard = [(id(1), beat(100, 1, &[(2, 9)])), (id(2), lived(9, 100))].into();
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
        let why = format!("\n{}", "ä".repeat(WHY_MAX));
        let says = v1::Unreached { store_id: 2, seconds: 9, why };
        let unreached = vec![says; UNREACHED_MAX + 1];
        let (address, stats) = ("a:1".to_owned(), v1::StoreStats::default());
        let heard = Heard::new(at(1), Said { address, life: 1, stats, unreached });
        assert_eq!(heard.unreached.len(), UNREACHED_MAX);
        let why = &heard.unreached[0].why;
        assert!(why.chars().count() == WHY_MAX && why.starts_with(" ä"), "{why}");
    }
}
