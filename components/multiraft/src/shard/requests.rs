//! What callers on this store ask of their groups.

use bytes::Bytes;
use raft::{Change, Input, Placed, ReadToken};
use types::{EntryId, GroupId, Index, StoreId, Time};

use super::Shard;
use super::drain::refusal;
use super::event::Token;
use crate::entry::{Entry, Payload};
use crate::outcome::{Outcome, Refusal};

impl Shard {
    pub(super) fn propose(
        &mut self,
        now: Time,
        id: GroupId,
        token: Token,
        (command, spawns): (Bytes, bool),
    ) {
        let limit = self.config.command_bytes_max;
        if command.len() > limit {
            return self.refuse(token, Refusal::TooLarge { bytes: command.len(), limit });
        }
        if !self.is_live(id) {
            return self.refuse(token, Refusal::NoGroup(id));
        }
        let payload = Payload::Command(command);
        match self.step(now, id, Input::Propose { count: 1, bytes: payload.bytes() }) {
            Ok(Placed::Payloads(range)) => {
                let group = self.groups.get_mut(&id).expect("it was just stepped");
                let entry_id = EntryId::new(group.core.status().term, range.start);
                group.displace(entry_id.index);
                group.log.push(Entry { id: entry_id, payload });
                group.proposals.push_back((entry_id, token));
                if spawns {
                    group.fence = Some(entry_id);
                }
            }
            Ok(placed) => unreachable!("a proposal is placed or refused, not {placed:?}"),
            Err(why) => {
                let why = refusal(&self.groups[&id], why);
                self.refuse(token, why);
            }
        }
    }

    /// With a lease, what is committed now is all that was answered before; without, the core asks
    /// a majority, one round for all reads of a drain.
    pub(super) fn read(&mut self, now: Time, id: GroupId, token: Token) {
        if !self.is_live(id) {
            return self.refuse(token, Refusal::NoGroup(id));
        }
        let group = self.groups.get_mut(&id).expect("it lives");
        if group.core.lease(now).is_some() {
            let commit: Index = group.core.status().commit;
            if commit <= group.applied {
                self.pending.replies.push((token, Outcome::Readable(commit)));
            } else {
                group.reads.push((commit, token));
            }
            return;
        }
        if let Err(why) = self.step(now, id, Input::Read(ReadToken(token.0))) {
            let why = refusal(&self.groups[&id], why);
            return self.refuse(token, why);
        }
        self.groups.get_mut(&id).expect("it lives").asked.insert(token);
    }

    /// A newcomer's store is learnt before the membership is appended, since the entry says it.
    pub(super) fn change(
        &mut self,
        now: Time,
        (id, since): (GroupId, Option<Index>),
        token: Token,
        changes: &[(Change, Option<StoreId>)],
    ) {
        if !self.is_live(id) {
            return self.refuse(token, Refusal::NoGroup(id));
        }
        let group = self.groups.get_mut(&id).expect("it lives");
        let (in_force, _) = group.core.status().membership;
        // Who does not lead may not know of the newest: it says so, and not this.
        if group.leads() && since.is_some_and(|since| since != in_force) {
            return self.refuse(token, Refusal::Changed(in_force));
        }
        group.expect_newcomers(changes.len());
        for &(change, store) in changes {
            let Change::Set(peer, _) = change else { continue };
            if group.seated.removed().iter().any(|gone| gone.peer == peer) {
                return self
                    .refuse(token, Refusal::Invalid("the peer was removed: ids are not reused"));
            }
            let home = group.home(peer);
            let membership = group.core.status().membership.1;
            let is_member = membership.get(peer).is_some();
            // A store where a later one was would take its messages for late ones, for ever.
            if !is_member && membership.iter().any(|member| member.id > peer) {
                let why = "ids of peers rise: a later one is a member";
                return self.refuse(token, Refusal::Invalid(why));
            }
            match (store, home) {
                (None, None) => {
                    return self.refuse(token, Refusal::Invalid("a newcomer comes with its store"));
                }
                (Some(store), Some(home)) if is_member && store != home => {
                    return self.refuse(token, Refusal::Invalid("a peer does not move"));
                }
                _ => {}
            }
            let target = store.or(home).expect("one of them is there");
            // Also one that leaves with the same change: the message of a later peer ends it there,
            // and the change may never be committed.
            if group.peers_on(target).any(|other| other != peer) {
                return self.refuse(token, Refusal::Invalid("another peer lives on that store"));
            }
            group.learn_home(peer, target);
        }
        let changes: Vec<Change> = changes.iter().map(|&(change, _)| change).collect();
        if let Some(peer) = self.groups[&id].core.stalled_by(now, &changes) {
            return self.refuse(token, Refusal::OutOfReach(peer));
        }
        self.ask(now, id, token, Input::Change(&changes));
    }

    /// Something that goes on by itself once the core has taken it.
    pub(super) fn ask(&mut self, now: Time, id: GroupId, token: Token, input: Input<'_>) {
        if !self.is_live(id) {
            return self.refuse(token, Refusal::NoGroup(id));
        }
        match self.step(now, id, input) {
            Ok(_) => self.pending.replies.push((token, Outcome::Done)),
            Err(why) => {
                let why = refusal(&self.groups[&id], why);
                self.refuse(token, why);
            }
        }
    }

    pub(super) fn look(&mut self, now: Time, id: GroupId, token: Token) {
        match self.groups.get(&id) {
            Some(group) if group.is_live() => {
                let status = Box::new(group.status(now));
                self.pending.replies.push((token, Outcome::Status(status)));
            }
            _ => self.refuse(token, Refusal::NoGroup(id)),
        }
    }

    pub(super) fn is_live(&self, id: GroupId) -> bool {
        self.groups.get(&id).is_some_and(|group| group.is_live())
    }
}
