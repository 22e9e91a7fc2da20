//! Stands for what a node does about replicas that may be nobody's: it asks placement whom their
//! regions have. The question and its answer take no time here, and are lost where links are cut.

use multiraft::shard::Event;
use types::{GroupId, PeerId, StoreId};

use super::faults::Link;
use super::world::World;

impl World<'_> {
    /// Looks for strays; one that was there the last time too asks those whom placement names.
    pub(crate) fn look_for_strays(&mut self, at: usize) {
        let Some(glue) = &mut self.hosts[at].glue else { return };
        let now = glue.regions.strays();
        let before = std::mem::replace(&mut glue.strays, now.clone());
        for &group in now.intersection(&before) {
            let Some(peers) = self.peers_by_placement(at, group) else { continue };
            self.with(at, None, |node, clock, _| {
                node.shard.handle(clock, Event::Inquire { group, peers });
                Ok(())
            });
        }
    }

    /// Whom a region has, as whoever the store takes for placement's leader says.
    fn peers_by_placement(&mut self, at: usize, id: GroupId) -> Option<Vec<(PeerId, StoreId)>> {
        let leader = self.hosts[at].toward;
        let is_open = |from: usize, to: usize| self.links[from][to] != Link::Cut;
        if !is_open(at, leader) || !is_open(leader, at) {
            return None;
        }
        let lead = self.member(leader)?.lead.as_ref()?;
        let region = &lead.table.by_id(id)?.report.region;
        Some(region.peers.iter().map(|peer| (peer.id, peer.store)).collect())
    }
}
