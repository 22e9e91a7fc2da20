//! While a leader's lease holds nobody else holds one, and nothing is committed without it: a read
//! from its state is linearizable (thesis §6.4.1).

use types::PeerId;

use super::{Seen, Verdict};

pub(crate) fn check(seen: &Seen<'_>) -> Verdict {
    let mut holder: Option<PeerId> = None;
    for (at, node) in seen.nodes.iter().enumerate() {
        let Some(peer) = &node.peer else { continue };
        if peer.lease((seen.clock)(at)).is_none() {
            continue;
        }
        if let Some(other) = holder {
            return Err(format!("{other} and {} both hold one", node.id));
        }
        holder = Some(node.id);
        let commit = peer.status().commit;
        if commit < seen.committed {
            return Err(format!(
                "{} holds one and knows {commit} to be committed, {} is",
                node.id, seen.committed
            ));
        }
    }
    Ok(())
}
