//! Ends that are torn off.

use crate::world::{Draw, World, damage};

const TEARS: usize = 600;

/// The ways in which the end of a file is lost.
#[derive(Clone, Copy, Debug)]
enum Tear {
    /// The file is shorter.
    Cut,
    /// The file is as long as it was, with nothing in it from here on.
    Zeroed,
    /// The same, and longer, as space is reserved in advance.
    ZeroedAndLonger,
}

const WAYS: [Tear; 3] = [Tear::Cut, Tear::Zeroed, Tear::ZeroedAndLonger];

fn tear(log: &[u8], at: usize, way: Tear) -> Vec<u8> {
    let mut torn = log[..at].to_vec();
    match way {
        Tear::Cut => {}
        Tear::Zeroed => torn.resize(log.len(), 0),
        Tear::ZeroedAndLonger => torn.resize(log.len() + 100_000, 0),
    }
    torn
}

#[test]
fn a_torn_end_after_the_witness_is_never_damage() {
    let world = World::new(120, 40);
    let mut draw = Draw(4);
    for _ in 0..TEARS {
        let at = world.witnessed + draw.below(world.log.len() as u64 - world.witnessed + 1);
        for way in WAYS {
            let audit = world.audit(&tear(&world.log, usize::try_from(at).unwrap(), way)).unwrap();
            assert_eq!(audit.logs[0].batches, world.whole_before(at) as u64, "{way:?} at {at}");
        }
    }
}

#[test]
fn a_torn_end_before_the_witness_is_always_damage() {
    let world = World::new(120, 80);
    let mut draw = Draw(5);
    for _ in 0..TEARS {
        let at = usize::try_from(draw.below(world.witnessed)).unwrap();
        for way in WAYS {
            let torn = tear(&world.log, at, way);
            // Zeros may stand where zeros were: what is left of a block, the end of a value.
            let same = torn.get(..usize::try_from(world.witnessed).unwrap())
                == world.log.get(..usize::try_from(world.witnessed).unwrap());
            assert_eq!(damage(world.audit(&torn)).is_none(), same, "{way:?} at {at}");
        }
    }
}

#[test]
fn an_engine_with_a_torn_end_opens_with_a_prefix() {
    let world = World::new(60, 20);
    let mut draw = Draw(6);
    for round in 0..24 {
        let at = world.witnessed + draw.below(world.log.len() as u64 - world.witnessed + 1);
        let torn = tear(&world.log, usize::try_from(at).unwrap(), WAYS[round % 3]);
        let engine = world.open(&torn).unwrap();
        world.assert_has(&engine, world.whole_before(at));
    }
}
