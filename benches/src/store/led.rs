//! Who leads each group, as the stores tell it by themselves: whoever waits for leaders asks
//! nobody, and takes no time from those that elect them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use multiraft::{Observer, Standing};
use types::GroupId;

use super::cluster::slot;

/// Groups that can be watched.
const GROUPS_MAX: usize = 200_000;
/// No store.
const NOBODY: u8 = u8::MAX;

/// Of all groups, which store leads.
#[derive(Clone)]
pub struct Led {
    by: Arc<[AtomicU8]>,
}

/// What one store tells.
struct Watcher {
    led: Led,
    nth: u8,
}

impl Default for Led {
    /// Nobody leads anything yet.
    fn default() -> Led {
        Led { by: (0..GROUPS_MAX).map(|_| AtomicU8::new(NOBODY)).collect() }
    }
}

impl Led {
    /// For the store of this place.
    pub fn watcher(&self, nth: usize) -> Arc<dyn Observer> {
        Arc::new(Watcher { led: self.clone(), nth: u8::try_from(nth).expect("few stores") })
    }

    /// A store is gone, and with it all that it led.
    pub fn forget(&self, nth: usize) {
        let gone = u8::try_from(nth).expect("few stores");
        self.by.iter().for_each(|by| leaves(by, gone));
    }

    /// Whether each of the first groups is led, as far as was told.
    pub fn has_all(&self, groups: u64) -> bool {
        let first = &self.by[..usize::try_from(groups).expect("few")];
        first.iter().all(|by| by.load(Ordering::Relaxed) != NOBODY)
    }
}

fn leaves(by: &AtomicU8, nth: u8) {
    // Another that leads by now stays.
    let _ = by.compare_exchange(nth, NOBODY, Ordering::Relaxed, Ordering::Relaxed);
}

impl Observer for Watcher {
    fn standing(&self, group: GroupId, standing: Standing) {
        let by = &self.led.by[slot(group.get())];
        if standing.leads() {
            by.store(self.nth, Ordering::Relaxed);
        } else {
            leaves(by, self.nth);
        }
    }

    fn gone(&self, group: GroupId) {
        leaves(&self.led.by[slot(group.get())], self.nth);
    }
}

#[cfg(test)]
mod tests {
    use types::{PeerId, Term};

    use super::*;

    #[test]
    fn who_leads_is_known_until_it_tells_otherwise_or_is_gone() {
        let led = Led::default();
        let group = GroupId::new(1).expect("not zero");
        let (one, two) = (led.watcher(0), led.watcher(1));
        let tells = |of: &Arc<dyn Observer>, leads: bool| {
            let peer = PeerId::new(1).expect("not zero");
            of.standing(group, Standing { peer, term: Term(1), leader: leads.then_some(peer) });
        };
        assert!(!led.has_all(1) && led.has_all(0));
        tells(&one, true);
        assert!(led.has_all(1) && !led.has_all(2));
        tells(&one, false);
        assert!(!led.has_all(1));
        tells(&one, true);
        tells(&two, true);
        // Late news of the old one.
        tells(&one, false);
        led.forget(0);
        assert!(led.has_all(1));
        led.forget(1);
        assert!(!led.has_all(1));
        tells(&two, true);
        two.gone(group);
        assert!(!led.has_all(1));
    }
}
