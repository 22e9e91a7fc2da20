//! Who leads each group, as the stores tell it by themselves: whoever waits for leaders asks
//! nobody, and takes no time from those that elect them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use multiraft::{Observer, Standing};
use parking_lot::{Condvar, Mutex};
use types::GroupId;

/// Of all groups that are led, by which store.
#[derive(Clone, Default)]
pub struct Led {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    told: Mutex<Told>,
    /// As many are led as somebody waits for.
    enough: Condvar,
}

#[derive(Default)]
struct Told {
    by: HashMap<GroupId, usize>,
    wanted: usize,
}

/// What one store tells.
struct Watcher {
    led: Led,
    nth: usize,
}

impl Led {
    /// For the store of this place.
    pub fn watcher(&self, nth: usize) -> Arc<dyn Observer> {
        Arc::new(Watcher { led: self.clone(), nth })
    }

    /// A store is gone, and with it all that it led.
    pub fn forget(&self, nth: usize) {
        self.shared.told.lock().by.retain(|_, by| *by != nth);
    }

    /// Waits until so many groups are led, and no longer than that; whether they are.
    pub fn wait(&self, groups: usize, patience: Duration) -> bool {
        let mut told = self.shared.told.lock();
        told.wanted = groups;
        let is_less = |told: &mut Told| told.by.len() < told.wanted;
        !self.shared.enough.wait_while_for(&mut told, is_less, patience).timed_out()
    }
}

impl Watcher {
    /// Another that leads by now stays.
    fn leaves(&self, group: GroupId) {
        let mut told = self.led.shared.told.lock();
        if told.by.get(&group) == Some(&self.nth) {
            told.by.remove(&group);
        }
    }
}

impl Observer for Watcher {
    fn standing(&self, group: GroupId, standing: Standing) {
        if !standing.leads() {
            return self.leaves(group);
        }
        let mut told = self.led.shared.told.lock();
        told.by.insert(group, self.nth);
        // Not with each of many: whoever waits would be woken for nothing.
        if told.by.len() == told.wanted {
            self.led.shared.enough.notify_all();
        }
    }

    fn gone(&self, group: GroupId) {
        self.leaves(group);
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
        let has = |groups| led.wait(groups, Duration::ZERO);
        assert!(!has(1) && has(0));
        tells(&one, true);
        assert!(has(1) && !has(2));
        tells(&one, false);
        assert!(!has(1));
        tells(&one, true);
        tells(&two, true);
        // Late news of the old one.
        tells(&one, false);
        led.forget(0);
        assert!(has(1));
        led.forget(1);
        assert!(!has(1));
        tells(&two, true);
        two.gone(group);
        assert!(!has(1));
        let waits = std::thread::spawn({
            let led = led.clone();
            move || led.wait(1, Duration::from_secs(60))
        });
        tells(&one, true);
        assert!(waits.join().expect("it ends"));
    }
}
