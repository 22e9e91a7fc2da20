//! One input brings forth a bounded number of messages: appends within the window, and beside them
//! a few for each member. A storm of answers to answers would show here.

use raft::Body;

use super::{Seen, Verdict};

/// Messages to one member beside appends: a beat or a commit, a hand-over, an answer.
const OTHERS_MAX: usize = 3;

pub(crate) fn check(seen: &Seen<'_>) -> Verdict {
    let packets = &seen.turn.packets;
    for packet in packets {
        let to = packet.to;
        let others = (packets.iter())
            .filter(|other| other.to == to && !matches!(other.message.body, Body::Append { .. }))
            .count();
        if others > OTHERS_MAX {
            return Err(format!("{} sends {others} messages to {to} at once", seen.node.id));
        }
    }
    Ok(())
}
