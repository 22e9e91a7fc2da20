//! What happens in every example: a node is killed under the writers, the others go on, it returns.

use std::path::Path;

use multiraft::Machines;
use types::GroupId;

use crate::cluster::{Cluster, GROUPS, NODES, Node};
use crate::failed::Failed;

/// The node that is killed.
const KILLED: u64 = 2;

/// An example. Two type parameters: what makes its machines, and what is compared between nodes.
pub struct Story<M, S> {
    /// Its name, in front of every line that is printed.
    pub name: &'static str,
    /// Makes machines, for a node with this directory.
    pub machines: fn(&Path) -> M,
    /// What is done with each group, all at once, when everything is well.
    pub before: fn(&Cluster<M>, GroupId) -> Result<(), Failed>,
    /// What is done with each group while a node is killed, and once it is gone.
    pub during: fn(&Cluster<M>, GroupId) -> Result<(), Failed>,
    /// The state of a group on a node.
    pub state: fn(&Node<M>, GroupId) -> Option<S>,
}

impl<M: Machines + 'static, S: PartialEq> Story<M, S> {
    /// Lets it happen, and prints a line for each stage. At the end all nodes run, and are equal.
    ///
    /// # Errors
    /// If something is not as it should be.
    pub fn tell(&self) -> Result<Cluster<M>, Failed> {
        let name = self.name;
        let cluster = Cluster::start(self.machines)?;
        println!("{name}: {NODES} nodes, {GROUPS} groups");
        cluster.in_all_groups(|group| (self.before)(&cluster, group))?;
        println!("{name}: written to and read, all groups at once");
        cluster.in_all_groups(|group| {
            if group.get() == GROUPS {
                cluster.kill(KILLED)?;
                println!("{name}: node {KILLED} killed under the writers");
            }
            (self.during)(&cluster, group)
        })?;
        let behind = cluster.needing_snapshot(KILLED);
        println!("{name}: the others went on, {behind} groups too far for anything but a snapshot");
        cluster.restart(KILLED)?;
        cluster.wait_equal(self.state)?;
        println!("{name}: node {KILLED} is back, every group has the same state on all nodes");
        Ok(cluster)
    }
}
