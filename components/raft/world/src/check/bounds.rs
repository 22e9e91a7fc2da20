//! The positions of a log are in order: base ≤ applied ≤ commit ≤ last, and what the core takes for
//! stable is what the disk holds.

use super::{Seen, Verdict};

pub(crate) fn check(seen: &Seen<'_>) -> Verdict {
    let Some(status) = seen.status() else { return Ok(()) };
    let node = seen.node;
    let (log, applied) = (status.log, node.app.applied.index);
    let (base, stable, last) = (log.base().index, log.stable(), log.last());
    let is_ordered = base <= applied
        && applied <= status.commit
        && status.commit <= last.index
        && stable <= last.index
        && status.reported == applied;
    if !is_ordered {
        return Err(format!(
            "{}: base {base}, applied {applied}, reported {}, commit {}, stable {stable}, {last}",
            node.id, status.reported, status.commit
        ));
    }
    if node.log.last() != last || node.log.base != log.base() {
        return Err(format!("{}: core and host disagree about the log", node.id));
    }
    let image = &node.disk.image.log;
    if !log.is_installing() && stable > image.base.index && image.term(stable) != log.term(stable) {
        return Err(format!("{}: {stable} is taken for durable and is not", node.id));
    }
    Ok(())
}
