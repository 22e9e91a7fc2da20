//! What the checkers are shown after each step of a store: what it says, and how it is.

use std::collections::BTreeMap;

use multiraft::{Body, Parcel};
use raft::{Body as RaftBody, RoleStatus};
use types::StoreId;

use crate::check::Support;
use crate::world::World;

impl World<'_> {
    /// What a store says: promises among it hold from now on.
    pub(crate) fn overhear(&self, at: usize, sends: &[(StoreId, Parcel)]) {
        let node = &self.nodes[at];
        let mut checks = self.checks.lock();
        for (to, parcel) in sends {
            match parcel {
                Parcel::Groups(envelopes) => {
                    for envelope in envelopes {
                        let Body::Raft(message, _) = &envelope.body else { continue };
                        let candidate = match message.body {
                            RaftBody::VoteReply { granted: true } => envelope.to,
                            RaftBody::Vote { .. } => envelope.from,
                            _ => continue,
                        };
                        let voter = (envelope.group, envelope.from);
                        let found = checks.promises.votes(voter, message.term, candidate);
                        checks.report(found);
                    }
                }
                Parcel::Liveness(message) => {
                    let found = checks.support.says((node.id, node.life), *to, message);
                    checks.report(found);
                }
                Parcel::Snapshot(_) => {}
            }
        }
    }

    /// What is on the disk of a store.
    pub(crate) fn check_disk(&self, at: usize) {
        let node = &self.nodes[at];
        let Some(running) = &node.up else { return };
        let mut checks = self.checks.lock();
        let found = checks.births.disk(node.id, &*running.engine);
        checks.report(found);
    }

    /// How a store is.
    pub(crate) fn look(&self, at: usize) {
        let node = &self.nodes[at];
        let Some(running) = &node.up else { return };
        let mut checks = self.checks.lock();
        let mut groups = BTreeMap::new();
        for group in running.shard.groups() {
            let core = running.shard.core(group);
            groups.insert(group, core.map(|core| core.status().id));
            let Some(status) = core.map(raft::Peer::status) else { continue };
            let found = checks.promises.is((group, status.id), status.term, status.vote);
            checks.report(found);
            if status.role == RoleStatus::Leader {
                checks.leads(group, status.term, status.id);
            }
        }
        let found = checks.graves.look(node.id, &groups);
        checks.report(found);
        for other in &self.nodes {
            let Some(there) = other.up.as_ref().filter(|_| other.id != node.id) else { continue };
            for (one, its, two, its_other) in
                [(node, running, other, there), (other, there, node, running)]
            {
                if its.detector.vouches(two.id, one.clock(self.agenda.now())) {
                    let supported = its_other.detector.supports(one.id).map(|(epoch, _)| epoch);
                    let epoch = its.detector.epoch();
                    checks.report(Support::vouches((one.id, epoch), two.id, supported));
                }
            }
        }
    }
}
