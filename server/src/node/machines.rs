//! Which state machine a group has: placement's group its own, all others are regions.

use std::sync::Arc;

use kv::Regions;
use multiraft::{Corrupt, Machines, StateMachine};
use placement::StateView;
use storage::{Batch, Engine};
use types::GroupId;

/// The machines of one store.
pub(super) struct NodeMachines {
    regions: Arc<Regions>,
    placement: Arc<dyn Machines>,
}

impl NodeMachines {
    pub(super) fn new(regions: &Arc<Regions>, view: &Arc<StateView>) -> NodeMachines {
        NodeMachines { regions: Arc::clone(regions), placement: placement::machines(view) }
    }

    fn of(&self, group: GroupId) -> &dyn Machines {
        if group == placement::GROUP { &*self.placement } else { &*self.regions }
    }
}

impl Machines for NodeMachines {
    fn open(
        &self,
        group: GroupId,
        engine: &Arc<dyn Engine>,
    ) -> Result<Box<dyn StateMachine>, Corrupt> {
        self.of(group).open(group, engine)
    }

    fn destroy(&self, group: GroupId, batch: &mut Batch) {
        self.of(group).destroy(group, batch);
    }

    fn destroyed(&self, group: GroupId) {
        self.of(group).destroyed(group);
    }

    fn admit(&self, group: GroupId, header: &[u8], reserve: bool) -> bool {
        self.of(group).admit(group, header, reserve)
    }

    fn dismiss(&self, group: GroupId) {
        self.of(group).dismiss(group);
    }

    fn format(&self) -> u32 {
        self.regions.format()
    }
}
