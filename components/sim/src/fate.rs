//! What becomes of something that was sent.

use raft_world::Rng;

/// What a network does. Chances are per mille.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    /// Bounds of the delay, in nanoseconds.
    pub delay: (u64, u64),
    pub loss: u64,
    pub twice: u64,
    pub overtakes: u64,
}

/// Whether, how often and how late something arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fate {
    pub is_lost: bool,
    is_doubled: bool,
    /// For each copy: its delay, and whether it overtakes what was sent before.
    copies: [(u64, bool); 2],
}

impl Fate {
    /// Draws as much for each, whatever becomes of it: what is lost on a link moves nothing that
    /// comes behind.
    pub(crate) fn draw(rng: &mut Rng, network: &Network) -> Fate {
        let is_lost = rng.chance(network.loss);
        let is_doubled = rng.chance(network.twice);
        let copies = [(); 2].map(|()| (rng.between(network.delay), rng.chance(network.overtakes)));
        Fate { is_lost, is_doubled, copies }
    }

    /// The delays of what arrives.
    pub(crate) fn arrivals(&self) -> impl Iterator<Item = (u64, bool)> + use<> {
        let count = match (self.is_lost, self.is_doubled) {
            (true, _) => 0,
            (false, is_doubled) => 1 + usize::from(is_doubled),
        };
        self.copies.into_iter().take(count)
    }
}
