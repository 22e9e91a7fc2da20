//! What is under way between hosts and clients: it is late, lost, doubled, overtaken, cut off.

use multiraft::{Body, Envelope, Parcel};
use types::{Index, StoreId, Time};

use super::bugs::Planted;
use super::faults::Link;
use super::words::{Message, Place};
use super::world::{Happening, World};
use crate::dice::Stream;
use crate::fate::Fate;
use crate::plan::MS;

impl World<'_> {
    /// What becomes of something that is sent now.
    fn fate(&mut self, from: Place, to: Place) -> Fate {
        let end = |place| match place {
            Place::Host(at) => at,
            Place::Client(client) => self.hosts.len() + client,
        };
        let link = Stream::Link(end(from), end(to));
        Fate::draw(self.dice.of(link), &self.plan.network())
    }

    /// When it arrives.
    fn arrival(&mut self, from: Place, to: Place, (delay, overtakes): (u64, bool)) -> Time {
        let mut time = Time(self.agenda.now().0 + delay);
        if !overtakes {
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
        let parcel = &self.without_inquiries(at, to, parcel);
        let Some(to) = self.place_of(to) else { return };
        let fate = self.fate(Place::Host(at), Place::Host(to));
        let is_lost = match self.links[at][to] {
            Link::Open => false,
            Link::Hushed => matches!(parcel, Parcel::Groups(_)),
            Link::Cut => true,
        };
        if is_lost {
            return;
        }
        let from = (from, self.hosts[at].times);
        for copy in fate.arrivals() {
            let time = self.arrival(Place::Host(at), Place::Host(to), copy);
            self.at(time, Happening::Parcel { from, to, parcel: parcel.clone() });
        }
    }

    /// What a planted bug leaves of a parcel.
    fn without_inquiries(&mut self, at: usize, to: StoreId, parcel: &Parcel) -> Parcel {
        let answers = match self.bug {
            Some(Planted::InquiryUnheard) => false,
            Some(Planted::StrangerBelieved) => true,
            _ => return parcel.clone(),
        };
        let Parcel::Groups(mut envelopes) = parcel.clone() else { return parcel.clone() };
        for asks in envelopes.extract_if(.., |one| one.body == Body::Inquiry) {
            let Envelope { group, from, to: peer, .. } = asks;
            let body = Body::Removed(Index(1));
            let told = Parcel::Groups(vec![Envelope { group, from: peer, to: from, body }]);
            if answers {
                let from = (to, self.hosts[at].times);
                self.after(MS, Happening::Parcel { from, to: at, parcel: told });
            }
        }
        Parcel::Groups(envelopes)
    }

    /// The host that is a store.
    pub(crate) fn place_of(&self, store: StoreId) -> Option<usize> {
        self.hosts.iter().position(|host| host.store == Some(store))
    }

    /// Sends a message, which may be lost. What is lost of a stream breaks it.
    pub(crate) fn send(&mut self, from: Place, to: Place, message: Message) {
        self.say(|_| format!("{from:?} to {to:?}: {message:?}"));
        let is_cut = match (from, to) {
            (Place::Host(from), Place::Host(to)) => self.links[from][to] == Link::Cut,
            _ => false,
        };
        // A stream of messages repeats nothing.
        let copy = self.fate(from, to).arrivals().next().filter(|_| !is_cut);
        let Some(copy) = copy else { return self.lose(from, &message) };
        let time = self.arrival(from, to, copy);
        self.at(time, Happening::Message { from, to, message: Box::new(message) });
    }

    /// A message did not arrive.
    pub(crate) fn lose(&mut self, from: Place, message: &Message) {
        if let (Place::Host(at), &Message::Reports { stream, .. }) = (from, message) {
            let life = self.hosts[at].node.life;
            let wait = self.dice.of(Stream::Breaks).between((100, 1_500)) * MS;
            self.after(wait, Happening::Broken { at, life, stream });
        }
    }
}
