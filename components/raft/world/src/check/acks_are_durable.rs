//! Nobody promises what a crash could take back: what is acknowledged is in the sender's durable
//! log, a granted vote is stored, and a leader speaks only with its own vote stored (thesis §3.8).

use raft::Body;

use super::{Seen, Verdict};

pub(crate) fn check(seen: &Seen<'_>) -> Verdict {
    let (node, image) = (seen.node, &seen.node.disk.image);
    for packet in &seen.turn.packets {
        let term = packet.message.term;
        let stored = (image.term, image.vote);
        match packet.message.body {
            Body::Ack { matched, .. } => {
                let log = &image.log;
                // While a snapshot is being installed the host's log begins behind what the disk
                // still has; being covered by a snapshot, that is committed and the same.
                let is_covered = matched <= node.log.base.index && matched <= log.last().index;
                let holds = matched <= log.base.index
                    || is_covered
                    || log.term(matched) == node.log.term(matched);
                if image.term != term || !holds {
                    return Err(format!(
                        "{} acks {matched} in term {term}, stored: {} in term {}",
                        node.id,
                        log.last(),
                        image.term
                    ));
                }
            }
            Body::VoteReply { granted: true } if stored != (term, Some(packet.to)) => {
                return Err(format!("{} votes for {}, stored {stored:?}", node.id, packet.to));
            }
            Body::Vote { .. } | Body::Append { .. } | Body::Beat { .. }
                if stored != (term, Some(node.id)) =>
            {
                return Err(format!("{} acts in term {term}, stored {stored:?}", node.id));
            }
            _ => {}
        }
    }
    Ok(())
}
