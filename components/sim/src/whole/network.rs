//! What is under way between hosts and clients: it is late, lost, doubled, overtaken, cut off.

use multiraft::Parcel;
use types::{StoreId, Time};

use super::words::{Message, Place};
use super::world::{Happening, World};
use crate::plan::MS;

impl World<'_> {
    fn arrival(&mut self, from: Place, to: Place) -> Time {
        let mut time = Time(self.agenda.now().0 + self.rng.between(self.plan.delay));
        if !self.rng.chance(self.plan.overtakes) {
            let last = self.arrives.entry((from, to)).or_insert(Time::ZERO);
            time = time.max(*last);
            *last = time;
        }
        time
    }

    pub(crate) fn send_parcel(&mut self, at: usize, to: StoreId, parcel: &Parcel) {
        let from = self.hosts[at].node.id;
        self.say(|_| match parcel {
            Parcel::Groups(envelopes) => format!("{from} to {to}: {envelopes:?}"),
            Parcel::Snapshot(frame) => format!("{from} to {to}: {frame:?}"),
            Parcel::Liveness(_) => format!("{from} to {to}: liveness"),
        });
        let Some(to) = self.place_of(to) else { return };
        if self.cut[at][to] || self.rng.chance(self.plan.loss) {
            return;
        }
        let copies = if self.rng.chance(self.plan.twice) { 2 } else { 1 };
        for _ in 0..copies {
            let time = self.arrival(Place::Host(at), Place::Host(to));
            self.at(time, Happening::Parcel { from, to, parcel: parcel.clone() });
        }
    }

    /// The host that is a store.
    pub(crate) fn place_of(&self, store: StoreId) -> Option<usize> {
        self.hosts.iter().position(|host| host.store == Some(store))
    }

    /// Sends a message, which may be lost. What is lost of a stream breaks it.
    pub(crate) fn send(&mut self, from: Place, to: Place, message: Message) {
        self.say(|_| format!("{from:?} to {to:?}: {message:?}"));
        let is_cut = match (from, to) {
            (Place::Host(from), Place::Host(to)) => self.cut[from][to],
            _ => false,
        };
        if is_cut || self.rng.chance(self.plan.loss) {
            return self.lose(from, &message);
        }
        let time = self.arrival(from, to);
        self.at(time, Happening::Message { from, to, message: Box::new(message) });
    }

    /// A message did not arrive.
    pub(crate) fn lose(&mut self, from: Place, message: &Message) {
        if let (Place::Host(at), &Message::Reports { stream, .. }) = (from, message) {
            let life = self.hosts[at].node.life;
            let wait = self.rng.between((100, 1_500)) * MS;
            self.after(wait, Happening::Broken { at, life, stream });
        }
    }
}
