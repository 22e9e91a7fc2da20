//! Showing a drain to the checkers.
//!
//! They expect one drain after each input. Here a drain may follow any number of inputs, and so
//! hold as many answers; the checker of bounded work would take those for a storm. It is shown them
//! in portions, at most one for each input: if they do not fit, there *is* a storm, and it is shown
//! that.

use std::collections::BTreeMap;

use raft::Body;
use raft_world::{Packet, Turn};
use types::PeerId;

/// What one input may bring forth for one other node beside appends, as `check/bounded_work.rs`
/// has it.
const ANSWERS_MAX: usize = 3;

/// The turn in portions; all but the packets is in the first.
pub(crate) fn portions(turn: Turn, inputs: usize) -> Vec<Turn> {
    let Turn { packets, .. } = &turn;
    let mut answers: BTreeMap<PeerId, usize> = BTreeMap::new();
    let mut portion_of = |packet: &Packet| {
        if matches!(packet.message.body, Body::Append { .. }) {
            return 0;
        }
        let earlier = answers.entry(packet.to).or_default();
        *earlier += 1;
        ((*earlier - 1) / ANSWERS_MAX).min(inputs.saturating_sub(1))
    };
    let mut portions: Vec<Vec<Packet>> = vec![Vec::new()];
    for packet in packets {
        let nth = portion_of(packet);
        if nth == portions.len() {
            portions.push(Vec::new());
        }
        portions[nth].push(packet.clone());
    }
    let mut portions = portions.into_iter();
    let first = Turn { packets: portions.next().unwrap_or_default(), ..turn };
    let rest = portions.map(|packets| Turn { packets, ..Turn::default() });
    std::iter::once(first).chain(rest).collect()
}
