//! The history of a run is legal: each key by itself, in the order in which its writes were
//! applied.

use std::collections::BTreeMap;

use types::Index;

use super::broken;
use super::history::{At, Did, Effect, End, History, Op, Set};
use crate::check::Violation;

const LEGAL: &str = "operations are linearizable";
const LOST: &str = "nothing acknowledged is lost";
const REFUSED: &str = "nothing refused is done";

/// One key in the course of time.
struct Key<'a> {
    name: &'a [u8],
    /// What it has from each place on, and the place behind; the first is before everything.
    states: Vec<(At, Option<u64>)>,
}

/// What is done to a key: when it began and ended, and at which place it stands.
struct Deed<'a> {
    op: &'a Op,
    begun: u64,
    ended: Option<u64>,
    kind: Kind,
}

enum Kind {
    At(At),
    Read(Option<u64>),
}

impl History {
    /// Checks all of it, and what the keys have in the end.
    pub(crate) fn check(&self, last: &BTreeMap<Vec<u8>, u64>) -> Result<(), Violation> {
        let empty = BTreeMap::new();
        let by_value = self.by_value()?;
        let deeds = self.deeds(&by_value)?;
        let mut names: Vec<&Vec<u8>> = deeds.keys().copied().collect();
        names.extend(self.log.keys().filter(|name| !deeds.contains_key(name)));
        for name in names {
            let log = self.log.get(name).unwrap_or(&empty);
            let key = Key { name, states: states(name, log)? };
            key.check(deeds.get(name).map_or(&[][..], |deeds| deeds))?;
            let (is, should) = (last.get(name).copied(), key.states.last().and_then(|s| s.1));
            if is != should {
                let what = format!("{} has {is:?}, not {should:?}", told(name));
                return broken(LOST, what);
            }
        }
        Ok(())
    }

    /// Where every value was written, or compared in vain. What was told as refused is asked again
    /// with the same value: it must not have been done already.
    fn by_value(&self) -> Result<BTreeMap<u64, At>, Violation> {
        let mut found = BTreeMap::new();
        for (&at, effect) in self.log.values().flat_map(|places| places.iter()) {
            let Some(value) = effect.named else { continue };
            if let Some(before) = found.insert(value, at) {
                let what = format!("value {value} is applied at {before:?} and at {at:?}");
                return broken(REFUSED, what);
            }
        }
        Ok(found)
    }

    fn deeds<'a>(
        &'a self,
        by_value: &BTreeMap<u64, At>,
    ) -> Result<BTreeMap<&'a Vec<u8>, Vec<Deed<'a>>>, Violation> {
        let mut deeds: BTreeMap<&Vec<u8>, Vec<Deed<'_>>> = BTreeMap::new();
        for op in &self.ops {
            let (begun, ended) = (op.begun, op.end.as_ref().map(|(at, _)| *at));
            let mut add = |key: &'a Vec<u8>, kind| {
                deeds.entry(key).or_default().push(Deed { op, begun, ended, kind });
            };
            let end = op.end.as_ref().map(|(_, end)| end);
            let (keys, value): (&[Vec<u8>], _) = match &op.did {
                Did::Put { key, value } | Did::Cas { key, value, .. } => {
                    (std::slice::from_ref(key), Some(*value))
                }
                Did::Delete { key } => (std::slice::from_ref(key), None),
                Did::DeleteRange { keys } | Did::Read { keys } => (keys, None),
            };
            let applied = value.and_then(|value| by_value.get(&value).copied());
            match end {
                Some(End::Refused) if applied.is_some() => {
                    return broken(REFUSED, format!("{op:?} was applied at {applied:?}"));
                }
                Some(End::Refused) => {}
                Some(End::Read(found)) => {
                    keys.iter().for_each(|key| add(key, Kind::Read(found.get(key).copied())));
                }
                Some(End::Done(group, index) | End::Cas { at: (group, index), .. }) => {
                    let Some(&at) = self.slots.get(&(*group, *index)) else {
                        return broken(LOST, format!("{op:?} was applied nowhere"));
                    };
                    if value.is_some() && applied != Some(at) {
                        return broken(LOST, format!("{op:?} was applied at {applied:?}"));
                    }
                    self.matches(op, at)?;
                    keys.iter().for_each(|key| add(key, Kind::At(at)));
                }
                // What nobody knows the end of has a place if it was applied.
                None => {
                    if let Some(at) = applied {
                        keys.iter().for_each(|key| add(key, Kind::At(at)));
                    }
                }
            }
        }
        Ok(deeds)
    }

    /// The answer is that of its slot.
    fn matches(&self, op: &Op, at: At) -> Result<(), Violation> {
        if let Did::Delete { key } = &op.did {
            let effect = self.log.get(key).and_then(|places| places.get(&at));
            return match effect.map(|effect| effect.set) {
                Some(Set::To(None)) => Ok(()),
                other => broken(LOST, format!("{op:?} was applied as {other:?}")),
            };
        }
        let (Did::Cas { key, .. }, Some((_, End::Cas { succeeded, previous, .. }))) =
            (&op.did, &op.end)
        else {
            return Ok(());
        };
        let effect = self.log.get(key).and_then(|places| places.get(&at));
        match effect.map(|effect| effect.set) {
            Some(Set::Cas { succeeded: set, previous: was, .. })
                if set == *succeeded && was == *previous =>
            {
                Ok(())
            }
            other => broken(LEGAL, format!("{op:?} was applied as {other:?}")),
        }
    }
}

/// What a key has from each place on.
fn states(name: &[u8], log: &BTreeMap<At, Effect>) -> Result<Vec<(At, Option<u64>)>, Violation> {
    let mut states: Vec<(At, Option<u64>)> = vec![((0, Index(0)), None)];
    for (&at, effect) in log {
        let now = states.last().and_then(|state| state.1);
        let new = match effect.set {
            Set::To(value) => value,
            Set::Cas { value, expected, succeeded, previous } => {
                if previous != now || succeeded != (previous == expected) {
                    let slot = effect.slot;
                    let what =
                        format!("{} has {now:?}, slot {slot:?} sees {previous:?}", told(name));
                    return broken(LEGAL, what);
                }
                if succeeded { Some(value) } else { now }
            }
        };
        states.push((at, new));
    }
    Ok(states)
}

impl Key<'_> {
    /// No operation stands before one that had ended when it began, and reads tell what is there.
    fn check(&self, deeds: &[Deed<'_>]) -> Result<(), Violation> {
        // By beginning and end, in the order in which they happened.
        let begins = deeds.iter().enumerate().map(|(nth, deed)| (deed.begun, nth, true));
        let ends =
            deeds.iter().enumerate().filter_map(|(nth, deed)| Some((deed.ended?, nth, false)));
        let mut events: Vec<(u64, usize, bool)> = begins.chain(ends).collect();
        events.sort_unstable();
        let mut places: BTreeMap<usize, At> = BTreeMap::new();
        let mut floor = (0, Index(0));
        for (_, nth, is_begin) in events {
            if is_begin {
                let at = self.place(&deeds[nth], floor)?;
                places.insert(nth, at);
            } else {
                floor = floor.max(places[&nth]);
            }
        }
        Ok(())
    }

    /// The first place at which something can stand that began when this was done already.
    fn place(&self, deed: &Deed<'_>, floor: At) -> Result<At, Violation> {
        match deed.kind {
            Kind::At(at) if at > floor => Ok(at),
            Kind::At(at) => {
                let what =
                    format!("{}: {:?} at {at:?}, behind {floor:?}", told(self.name), deed.op);
                broken(LEGAL, what)
            }
            Kind::Read(value) => {
                let from = self.states.partition_point(|(at, _)| *at <= floor).saturating_sub(1);
                let found = self.states[from..].iter().find(|(_, is)| *is == value);
                let Some((at, _)) = found else {
                    let what = format!(
                        "{}: client {} read {value:?}; from {floor:?} on it has {:?}",
                        told(self.name),
                        deed.op.client,
                        &self.states[from..]
                    );
                    return broken(LEGAL, what);
                };
                Ok((*at).max(floor))
            }
        }
    }
}

fn told(key: &[u8]) -> String {
    String::from_utf8_lossy(key).trim_matches('\0').to_owned()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kv::Reply;
    use kv::command::{Action, Mutation};
    use kv::value::Stored;
    use storage::Cf;
    use types::GroupId;

    use super::*;

    const KEY: &[u8] = b"k";

    fn group() -> GroupId {
        GroupId::new(1).expect("not zero")
    }

    fn applied(history: &mut History, slot: u64, value: Option<u64>) {
        let mutation = match value {
            Some(value) => {
                let value = value.to_be_bytes();
                let stored = Stored { expires: None, value: &value };
                Mutation::put(Cf::Default, KEY.to_vec(), stored)
            }
            None => {
                Mutation { family: Cf::Default, key: Bytes::from_static(KEY), stored: Bytes::new() }
            }
        };
        let action = Action::Write(vec![mutation]);
        history.applied((group(), 1, Index(slot)), &action, &Reply::Done, None);
    }

    fn put(history: &mut History, value: u64, slots: &[u64]) {
        let op = history.begin(1, Did::Put { key: KEY.to_vec(), value });
        slots.iter().for_each(|&slot| applied(history, slot, Some(value)));
        let last = *slots.last().expect("somewhere");
        history.end(op, End::Done(group(), Index(last)));
    }

    fn last(value: u64) -> BTreeMap<Vec<u8>, u64> {
        BTreeMap::from([(KEY.to_vec(), value)])
    }

    #[test]
    fn write_that_was_told_as_refused_and_done_is_not_done_again_unseen() {
        let mut history = History::default();
        put(&mut history, 5, &[10]);
        put(&mut history, 7, &[11]);
        assert!(history.check(&last(7)).is_ok());
        let mut history = History::default();
        put(&mut history, 5, &[10, 12]);
        put(&mut history, 7, &[11]);
        let found = history.check(&last(5)).expect_err("it was done twice");
        assert_eq!(found.check, REFUSED);
    }

    #[test]
    fn delete_that_is_acknowledged_is_in_its_slot() {
        let mut history = History::default();
        put(&mut history, 5, &[10]);
        let op = history.begin(1, Did::Delete { key: KEY.to_vec() });
        applied(&mut history, 11, None);
        history.end(op, End::Done(group(), Index(11)));
        assert!(history.check(&BTreeMap::new()).is_ok());
        let mut history = History::default();
        put(&mut history, 5, &[10]);
        let op = history.begin(1, Did::Delete { key: KEY.to_vec() });
        history.end(op, End::Done(group(), Index(10)));
        let found = history.check(&last(5)).expect_err("it was applied nowhere");
        assert_eq!(found.check, LOST);
    }
}
