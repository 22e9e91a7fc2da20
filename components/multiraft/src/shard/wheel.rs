//! Deadlines of many groups: a wheel of coarse slots, and a map for what is far away.
//!
//! Timers are rounded up to the width of a slot, so that those of many groups fall together: one
//! bundle carries the beats of all of them. A group is in the wheel at most once; moving its
//! deadline leaves the old entry behind, which is passed over when its slot comes up.

use std::collections::BTreeMap;
use std::time::Duration;

use types::{GroupId, Time};

/// Width of a slot.
const SLOT: Duration = Duration::from_millis(10);
/// Slots of the wheel.
const SLOTS: u64 = 512;

/// When which group is to be woken. Invariant: everything in `slots` lies in `turn..turn + SLOTS`.
#[derive(Debug)]
pub(crate) struct Wheel {
    slots: Vec<Vec<GroupId>>,
    /// Number of the next slot to come up, counted from the beginning of time.
    turn: u64,
    /// Entries in slots.
    near: usize,
    far: BTreeMap<u64, Vec<GroupId>>,
}

impl Wheel {
    pub(crate) fn new(now: Time) -> Wheel {
        let slots = (0..SLOTS).map(|_| Vec::new()).collect();
        Wheel { slots, turn: number(now), near: 0, far: BTreeMap::new() }
    }

    /// The instant at which a deadline is served.
    pub(crate) fn rounded(deadline: Time) -> Time {
        Time(number(deadline).saturating_mul(nanos(SLOT)))
    }

    /// Wakes the group at [`Wheel::rounded`] of the deadline, or at once if that has passed.
    pub(crate) fn arm(&mut self, group: GroupId, deadline: Time) {
        let slot = number(deadline).max(self.turn);
        if slot < self.turn + SLOTS {
            self.slots[index(slot)].push(group);
            self.near += 1;
        } else {
            self.far.entry(slot).or_default().push(group);
        }
    }

    /// When something is due next, if anything is.
    pub(crate) fn next(&self) -> Option<Time> {
        let near = (self.near > 0)
            .then(|| {
                (self.turn..self.turn + SLOTS).find(|&slot| !self.slots[index(slot)].is_empty())
            })
            .flatten();
        let far = self.far.keys().next().copied();
        let slot = match (near, far) {
            (Some(near), Some(far)) => near.min(far),
            (near, far) => near.or(far)?,
        };
        Some(Time(slot.saturating_mul(nanos(SLOT))))
    }

    /// Takes out the groups that are due.
    pub(crate) fn take_due(&mut self, now: Time, due: &mut Vec<GroupId>) {
        let passed = now.0 / nanos(SLOT);
        while self.turn <= passed {
            if self.near == 0 {
                // Nothing near: jump.
                let far = self.far.keys().next().copied().unwrap_or(u64::MAX);
                self.turn = far.min(passed + 1).max(self.turn);
                if self.turn > passed {
                    break;
                }
            }
            if let Some(groups) = self.far.remove(&self.turn) {
                due.extend(groups);
            }
            let slot = &mut self.slots[index(self.turn)];
            self.near -= slot.len();
            due.append(slot);
            self.turn += 1;
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).expect("a slot is short")
}

/// Slot of an instant, rounded up.
fn number(at: Time) -> u64 {
    at.0.div_ceil(nanos(SLOT))
}

fn index(slot: u64) -> usize {
    usize::try_from(slot % SLOTS).expect("few slots")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(id: u64) -> GroupId {
        GroupId::new(id).unwrap()
    }

    fn at(ms: u64) -> Time {
        Time(ms * 1_000_000)
    }

    #[test]
    fn groups_come_due_in_order_of_time_near_and_far() {
        let mut wheel = Wheel::new(at(1_000));
        wheel.arm(group(1), at(1_015));
        wheel.arm(group(2), at(60_000));
        wheel.arm(group(3), at(500));
        assert_eq!(wheel.next(), Some(at(1_000)));
        let mut due = Vec::new();
        wheel.take_due(at(1_000), &mut due);
        assert_eq!(due, [group(3)]);
        wheel.take_due(at(1_019), &mut due);
        assert_eq!(due, [group(3)]);
        wheel.take_due(at(1_020), &mut due);
        assert_eq!(due, [group(3), group(1)]);
        assert_eq!(wheel.next(), Some(at(60_000)));
        wheel.take_due(at(59_999), &mut due);
        wheel.arm(group(4), at(61_000));
        wheel.take_due(at(70_000), &mut due);
        assert_eq!(due, [group(3), group(1), group(2), group(4)]);
        assert_eq!(wheel.next(), None);
    }
}
