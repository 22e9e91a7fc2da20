//! Values: random bytes, so that nothing on the way can pack them.
//!
//! All are cut from one pool, so that a caller spends its time on calling.

use bytes::Bytes;

use crate::dice::Dice;

/// Bytes of the pool beyond those of one value: so many values there are.
const POOL_BYTES: usize = 1 << 16;

/// Where values are cut from.
#[derive(Clone, Debug)]
pub struct Values {
    pool: Bytes,
    value_bytes: usize,
}

impl Values {
    /// Values of so many bytes each.
    #[must_use]
    pub fn new(value_bytes: usize, seed: u64) -> Values {
        let mut dice = Dice::new(seed, u64::MAX);
        let mut pool = Vec::with_capacity(POOL_BYTES + value_bytes + 8);
        while pool.len() < POOL_BYTES + value_bytes {
            pool.extend_from_slice(&dice.any().to_le_bytes());
        }
        Values { pool: pool.into(), value_bytes }
    }

    /// Any of them.
    pub fn any(&self, dice: &mut Dice) -> Bytes {
        let at = usize::try_from(dice.below(POOL_BYTES as u64)).expect("within the pool");
        self.pool.slice(at..at + self.value_bytes)
    }

    /// Bytes of each.
    #[must_use]
    pub fn value_bytes(&self) -> usize {
        self.value_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_size_and_differ() {
        let mut dice = Dice::new(1, 0);
        for size in [0, 1, 256, 1 << 20] {
            let values = Values::new(size, 1);
            assert_eq!(values.any(&mut dice).len(), size);
        }
        let values = Values::new(256, 1);
        assert_ne!(values.any(&mut dice), values.any(&mut dice));
    }
}
