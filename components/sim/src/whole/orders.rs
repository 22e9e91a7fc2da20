//! What placement orders, carried out. Stands for `orders` of the server's node.

use multiraft::shard::Event;
use placement::scheduler::{Order, OrderStep};
use raft::{Change, Seat};
use types::{PeerRole, StoreId};

use super::glue::Asked;
use super::tally::Kind;
use super::world::World;

impl World<'_> {
    pub(crate) fn carry_order(&mut self, at: usize, order: &Order) {
        let Some(state) = self.state_of(at, order.region) else { return };
        if order.epoch != state.region.epoch {
            return self.tally.add(Kind::OrderLate, 1);
        }
        let group = order.region;
        match &order.step {
            OrderStep::TransferLeader { to } => {
                if state.region.peer(to.id).is_none() {
                    return;
                }
                self.tally.add(Kind::Transfer, 1);
                let to = to.id;
                self.ask(at, Asked::Nothing, |token| Event::Transfer { group, token, to });
            }
            OrderStep::ChangePeers { set, remove } => {
                let mut changes: Vec<(Change, Option<StoreId>)> = Vec::new();
                for peer in set {
                    let seat = match peer.role {
                        PeerRole::Voter => Seat::Voter,
                        PeerRole::Learner => Seat::Learner,
                        PeerRole::Incoming | PeerRole::Demoting => return,
                    };
                    changes.push((Change::Set(peer.id, seat), Some(peer.store)));
                }
                changes.extend(remove.iter().map(|peer| (Change::Remove(peer.id), None)));
                self.tally.add(Kind::Change, 1);
                self.ask(at, Asked::Nothing, |token| Event::Change {
                    group,
                    token,
                    since: None,
                    changes,
                });
            }
            OrderStep::Split { keys } => {
                let keys = if keys.is_empty() { self.halves(at, &state) } else { keys.clone() };
                self.ask_split(at, &state, keys);
            }
        }
    }
}
