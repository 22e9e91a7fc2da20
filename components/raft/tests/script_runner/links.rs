//! The network: one queue for each direction of each pair. Nothing moves by itself.
//!
//! A cut link loses what is sent over it from then on; what is under way stays and can still be
//! delivered, late. A held link keeps what it has. A crash leaves packets under way alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use raft_world::Packet;
use types::PeerId;

use crate::script_runner::story;

/// One direction.
pub(crate) type Link = (PeerId, PeerId);

#[derive(Default)]
pub(crate) struct Links {
    queues: BTreeMap<Link, VecDeque<Packet>>,
    cut: BTreeSet<Link>,
    /// Kept back: this kind of message, or all.
    held: BTreeSet<(Link, Option<String>)>,
}

/// Which packets of a link a command means.
#[derive(Clone, Default)]
pub(crate) struct Pick {
    /// Only this kind of message.
    pub kind: Option<String>,
    /// Only the nth of them, from 1.
    pub nth: Option<usize>,
    /// At most so many.
    pub count: Option<usize>,
}

impl Links {
    pub(crate) fn is_cut(&self, link: Link) -> bool {
        self.cut.contains(&link)
    }

    pub(crate) fn push(&mut self, packet: Packet) {
        self.queues.entry((packet.from, packet.to)).or_default().push_back(packet);
    }

    pub(crate) fn cut(&mut self, link: Link) {
        self.cut.insert(link);
    }

    pub(crate) fn heal(&mut self, link: Link) {
        self.cut.remove(&link);
    }

    pub(crate) fn hold(&mut self, link: Link, kind: Option<String>) {
        self.held.insert((link, kind));
    }

    pub(crate) fn release(&mut self, link: Link) {
        self.held.retain(|(held, _)| *held != link);
    }

    /// Links with something on them, in order.
    pub(crate) fn busy(&self) -> Vec<Link> {
        self.queues.iter().filter(|(_, queue)| !queue.is_empty()).map(|(link, _)| *link).collect()
    }

    /// What is under way on a link, oldest first.
    pub(crate) fn under_way(&self, link: Link) -> impl Iterator<Item = &Packet> {
        self.queues.get(&link).into_iter().flatten()
    }

    /// Copies of the chosen packets.
    pub(crate) fn copies(&self, link: Link, pick: &Pick) -> Vec<Packet> {
        let queue: Vec<&Packet> = self.under_way(link).collect();
        pick.places(queue.iter().copied()).into_iter().map(|at| queue[at].clone()).collect()
    }

    /// Takes the chosen packets off a link. Held ones stay unless `by_hand`.
    pub(crate) fn take(&mut self, link: Link, pick: &Pick, by_hand: bool) -> Vec<Packet> {
        let Some(queue) = self.queues.get_mut(&link) else { return Vec::new() };
        let mut places = pick.places(queue.iter());
        if !by_hand {
            places.retain(|&at| {
                let kind = story::kind(&queue[at].message.body);
                !self.held.iter().any(|(held, only)| {
                    *held == link && only.as_deref().is_none_or(|only| only == kind)
                })
            });
        }
        let taken = places.iter().map(|&at| queue[at].clone()).collect();
        for at in places.into_iter().rev() {
            queue.remove(at);
        }
        taken
    }

    /// The newest packet of a link overtakes all others.
    pub(crate) fn reorder(&mut self, link: Link) {
        if let Some(queue) = self.queues.get_mut(&link)
            && let Some(newest) = queue.pop_back()
        {
            queue.push_front(newest);
        }
    }
}

impl Pick {
    /// Places in a queue, rising.
    fn places<'a>(&self, queue: impl Iterator<Item = &'a Packet>) -> Vec<usize> {
        let fits = |packet: &Packet| {
            self.kind.as_deref().is_none_or(|kind| kind == story::kind(&packet.message.body))
        };
        let places = queue.enumerate().filter(|(_, packet)| fits(packet)).map(|(at, _)| at);
        match self.nth {
            Some(nth) => places.skip(nth - 1).take(1).collect(),
            None => places.take(self.count.unwrap_or(usize::MAX)).collect(),
        }
    }
}
