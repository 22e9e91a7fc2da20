//! Who leads what, as this store knows it: kept for those who ask, and told to those who wait for
//! news. What changes twice before anybody looks is told once.

use std::collections::{BTreeMap, BTreeSet};

use multiraft::{Observer, Standing};
use parking_lot::Mutex;
use tokio::sync::Notify;
use types::GroupId;

/// The standings of this store's groups.
#[derive(Default)]
pub(crate) struct Standings {
    inner: Mutex<Inner>,
    news: Notify,
}

#[derive(Default)]
struct Inner {
    current: BTreeMap<GroupId, Standing>,
    changed: BTreeSet<GroupId>,
}

impl Standings {
    /// Those of groups that this store leads.
    pub(crate) fn led(&self) -> Vec<(GroupId, Standing)> {
        let inner = self.inner.lock();
        let led = inner.current.iter().filter(|(_, standing)| standing.leads());
        led.map(|(&group, &standing)| (group, standing)).collect()
    }

    /// That of one group, if it is here.
    pub(crate) fn of(&self, group: GroupId) -> Option<Standing> {
        self.inner.lock().current.get(&group).copied()
    }

    /// Waits for news, and takes them: groups whose standing changed, and what it is now; `None`
    /// for those that are gone. For one who waits.
    pub(crate) async fn changed(&self) -> Vec<(GroupId, Option<Standing>)> {
        loop {
            let news = self.news.notified();
            {
                let mut inner = self.inner.lock();
                if !inner.changed.is_empty() {
                    let changed = std::mem::take(&mut inner.changed);
                    let current = |group| (group, inner.current.get(&group).copied());
                    return changed.into_iter().map(current).collect();
                }
            }
            news.await;
        }
    }

    fn set(&self, group: GroupId, standing: Option<Standing>) {
        let mut inner = self.inner.lock();
        match standing {
            Some(standing) => inner.current.insert(group, standing),
            None => inner.current.remove(&group),
        };
        inner.changed.insert(group);
        drop(inner);
        self.news.notify_one();
    }
}

impl Observer for Standings {
    fn standing(&self, group: GroupId, standing: Standing) {
        self.set(group, Some(standing));
    }

    fn gone(&self, group: GroupId) {
        self.set(group, None);
    }
}

#[cfg(test)]
mod tests {
    use types::{PeerId, Term};

    use super::*;

    fn standing(term: u64, leader: u64) -> Standing {
        let peer = PeerId::new(1).expect("not zero");
        Standing { peer, term: Term(term), leader: PeerId::new(leader) }
    }

    #[tokio::test]
    async fn news_are_told_once_and_as_they_are_now() {
        let standings = Standings::default();
        let group = |id| GroupId::new(id).expect("not zero");
        standings.standing(group(1), standing(1, 2));
        standings.standing(group(1), standing(2, 1));
        standings.standing(group(2), standing(1, 0));
        standings.gone(group(2));
        let news = standings.changed().await;
        assert_eq!(news, [(group(1), Some(standing(2, 1))), (group(2), None)]);
        assert_eq!(standings.led(), [(group(1), standing(2, 1))]);
        assert_eq!(standings.of(group(2)), None);
        let waits = standings.changed();
        standings.standing(group(3), standing(1, 1));
        assert_eq!(waits.await.len(), 1);
    }
}
