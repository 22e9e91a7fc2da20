//! Commands that bring groups into being: callers propose them, and use what comes of them.

use multiraft::shard::{Beginning, Event};
use multiraft::{Roster, Spawn};
use types::{EntryId, GroupId, Index, PeerId, StoreId, Term};

use crate::check::What;
use crate::dice::Stream;
use crate::report::Count;
use crate::world::World;

/// The first id of a group that a command brings into being.
const FIRST: u64 = 1_001;
/// Most such groups of a run.
const MOST: u64 = 8;
/// Where they begin.
const BEGIN: EntryId = EntryId::new(Term(5), Index(5));
/// Callers hear of a new group's command more often than of its first peer.
const CAMPAIGNS: u64 = 700;

/// A group that a command brings into being, if it is ever applied.
pub(crate) struct Child {
    group: GroupId,
    parent: GroupId,
    members: Vec<(PeerId, StoreId)>,
    command: Vec<u8>,
}

/// The group that a command brings into being, and its first members.
pub(crate) fn parsed(command: &[u8]) -> Option<(GroupId, Vec<(PeerId, StoreId)>)> {
    let mut words = std::str::from_utf8(command).ok()?.split(' ');
    if words.nth(1)? != "spawn" {
        return None;
    }
    let child = words.next()?.parse().ok().and_then(GroupId::new)?;
    let member = |word: &str| {
        let (peer, store) = word.split_once('@')?;
        Some((PeerId::new(peer.parse().ok()?)?, StoreId::new(store.parse().ok()?)?))
    };
    Some((child, words.map(member).collect::<Option<_>>()?))
}

/// How the group begins on a store; `None` if none of its peers is there.
pub(crate) fn spawn(
    child: GroupId,
    members: &[(PeerId, StoreId)],
    store: StoreId,
) -> Option<Spawn> {
    let (peer, _) = *members.iter().find(|(_, home)| *home == store)?;
    let roster = Roster::of_voters(members).expect("callers name each peer once");
    Some(Spawn { group: child, beginning: Beginning { peer, at: BEGIN, roster } })
}

impl World<'_> {
    /// A command parts a group: the new one has a voter wherever the parent has.
    pub(crate) fn propose_spawn(&mut self, at: usize, parent: GroupId) {
        let Some(node) = &self.nodes[at].up else { return };
        let Some(core) = node.shard.core(parent) else { return };
        let membership = core.status().membership.1;
        if membership.is_joint() || self.callers.children.len() as u64 >= MOST {
            return;
        }
        let voters = membership.iter().filter(|member| membership.is_voter(member.id));
        let mut stores: Vec<StoreId> =
            voters.filter_map(|member| self.callers.homes.get(&member.id).copied()).collect();
        stores.sort_unstable();
        stores.dedup();
        if stores.is_empty() {
            return;
        }
        let id = FIRST + self.callers.children.len() as u64;
        let group = GroupId::new(id).expect("not zero");
        let members: Vec<(PeerId, StoreId)> =
            stores.into_iter().map(|store| (self.callers.new_peer(store), store)).collect();
        let nth = self.callers.new_command();
        let mut command = format!("{}:{nth} spawn {id}", parent.get());
        for (peer, store) in &members {
            command += &format!(" {}@{}", peer.get(), store.get());
        }
        let command = command.into_bytes();
        self.callers.children.push(Child { group, parent, members, command: command.clone() });
        self.report.add(Count::Spawn, 1);
        let bytes = bytes::Bytes::from(command.clone());
        self.ask(at, parent, What::Command(command), |token| Event::Propose {
            group: parent,
            token,
            command: bytes,
            spawns: true,
        });
    }

    /// Groups that have come into being are used as others are.
    pub(crate) fn hear_of_children(&mut self) {
        let news = self.checks.lock().births.take_news();
        for (store, group) in news {
            let child = self.callers.children.iter().find(|child| child.group == group);
            let members = child.expect("callers brought it about").members.clone();
            self.say(|_| format!("{group} has come into being on {store}"));
            self.callers.groups.insert(group, members);
            self.report.add(Count::Child, 1);
            let at = self.nodes.iter().position(|node| node.id == store).expect("it is there");
            if self.dice.of(Stream::Spawns).chance(CAMPAIGNS) {
                self.ask(at, group, What::Other, |token| Event::Campaign { group, token });
            }
        }
    }

    /// Whether a group may end: what it brings into being must not end with it before it is in most
    /// places.
    pub(crate) fn may_retire(&self, group: GroupId) -> bool {
        let checks = self.checks.lock();
        (self.callers.children.iter()).filter(|child| child.parent == group).all(|child| {
            checks.states.is_refused(&child.command)
                || checks.states.last_acknowledged(child.group) > Index(0)
        })
    }
}
