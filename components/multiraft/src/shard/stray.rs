//! Replicas that nobody knows of: they ask whether they are members, and go if they are not.
//!
//! A newcomer is given a snapshot as soon as the membership that takes it in is appended. Should
//! that entry be overwritten, no membership that was committed has ever had the newcomer: nobody
//! tells it that it was removed, and nobody sends it anything.
//!
//! ```text
//!   replica   nothing it has applied says that it is a member, for a while
//!                 ─► Inquiry to every peer that it knows of, again and again
//!   leader    a member asks: it will hear of it, nothing is said
//!             a stranger asks: a change that takes it out, and changes nobody else
//!                 ─► committed and applied in the same term ─► Removed ─► a tombstone
//! ```
//!
//! Why that is proof. The change is appended after the question was asked, by a leader whose log
//! does not have the newcomer, and is committed in that leader's term. So it led after the question
//! was asked; an entry of an earlier term that it does not have is never committed; and the
//! newcomer came into being before it asked. What was asked for against the membership before (an
//! order that is late, and names the same newcomer) is for another membership than the one in force
//! from now on, so that its owner refuses it. What somebody merely remembers of the group proves
//! nothing: a snapshot may be older than the seat of who got it.
//!
//! Not here: an empty peer that has met nobody but one that leads no more. It asks that one, and
//! stays, with nothing but its name, until that leads again.

use std::time::Duration;

use raft::{Change, Input};
use types::{GroupId, Index, PeerId, StoreId, Term, Time};

use super::Shard;
use crate::message::{Body, Envelope};

/// How long nothing may say that a replica is a member before it asks, and between two questions.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// Strangers that a leader remembers; those beyond ask again.
const STRANGERS_MAX: usize = 8;

/// A peer that asked its leader, and is no member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stranger {
    peer: PeerId,
    store: StoreId,
    /// The term in which it was asked: what a later leadership knows is found out anew.
    term: Term,
    /// The membership in force when it was asked.
    since: Index,
}

impl Shard {
    /// Asks those that a stray replica knows of, when it is time.
    pub(super) fn ask_whether_member(&mut self, now: Time, id: GroupId) {
        let group = self.groups.get_mut(&id).expect("looked up by the caller");
        if !group.seated.is_stray() {
            group.asks_at = None;
            return;
        }
        let is_due = group.asks_at.is_some_and(|due| due <= now);
        if is_due || group.asks_at.is_none() {
            group.asks_at = Some(now.after(ASK_EVERY));
        }
        if is_due {
            let known = group.homes.clone();
            self.inquire(id, &known);
        }
    }

    /// Asks these peers, if the replica here is a stray.
    pub(super) fn inquire(&mut self, id: GroupId, peers: &[(PeerId, StoreId)]) {
        let Some(group) = self.groups.get(&id) else { return };
        if !group.is_live() || !group.seated.is_stray() {
            return;
        }
        let own = group.peer();
        for &(peer, store) in peers.iter().filter(|(peer, _)| *peer != own) {
            let envelope = Envelope { group: id, from: own, to: peer, body: Body::Inquiry };
            self.pending.send(store, envelope);
        }
    }

    /// A peer asks whether it is a member.
    pub(super) fn on_inquiry(&mut self, now: Time, from: StoreId, envelope: &Envelope) {
        let Envelope { group: id, from: peer, .. } = *envelope;
        let Some(group) = self.groups.get_mut(&id) else { return };
        // Whoever leads may answer, also as a later peer than the one that was known.
        if !group.is_live() || !group.leads() {
            return;
        }
        let status = group.core.status();
        let ((since, membership), term) = (status.membership, status.term);
        if membership.get(peer).is_some() {
            return;
        }
        let is_known = |known: &Stranger| known.peer == peer && known.term == term;
        if group.strangers.iter().any(is_known) {
            return self.answer_strangers(id);
        }
        let change = Input::Change(&[Change::Remove(peer)]);
        if let Err(why) = self.step(now, id, change) {
            // It asks again.
            tracing::debug!(group = %id, stranger = %peer, %why, "not looked into now");
            return;
        }
        tracing::info!(group = %id, stranger = %peer, store = %from, "a stranger is taken out");
        let group = self.groups.get_mut(&id).expect("it was just stepped");
        if group.strangers.len() >= STRANGERS_MAX {
            group.strangers.remove(0);
        }
        group.strangers.push(Stranger { peer, store: from, term, since });
    }

    /// Tells strangers that they are none, once that is certain.
    pub(super) fn answer_strangers(&mut self, id: GroupId) {
        let Shard { groups, pending, .. } = self;
        let Some(group) = groups.get_mut(&id).filter(|group| !group.strangers.is_empty()) else {
            return;
        };
        let status = group.core.status();
        let (own, term, leads) = (status.id, status.term, group.leads());
        let membership = status.membership.1;
        // Of another leadership; or somebody has taken it in since.
        let is_over = |of: &Stranger| of.term != term || membership.get(of.peer).is_some();
        group.strangers.retain(|stranger| leads && !is_over(stranger));
        let Some(applied) = group.seated.get() else { return };
        if applied.roster.membership().is_joint() {
            return;
        }
        for stranger in group.strangers.iter().filter(|stranger| applied.index > stranger.since) {
            let &Stranger { peer, store, .. } = stranger;
            let body = Body::Removed(applied.index);
            pending.send(store, Envelope { group: id, from: own, to: peer, body });
        }
    }
}
