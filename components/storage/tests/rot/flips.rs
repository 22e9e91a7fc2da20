//! Bits that flip.

use crate::world::{Draw, World, damage};

const FLIPS: usize = 1200;

fn flip(log: &mut [u8], bit: u64) {
    log[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
}

#[test]
fn a_flip_in_what_was_witnessed_is_always_damage() {
    let world = World::new(120, 120);
    let mut draw = Draw(1);
    let mut log = world.log.clone();
    for _ in 0..FLIPS {
        let bit = draw.below(world.witnessed * 8);
        flip(&mut log, bit);
        let found = damage(world.audit(&log)).expect("damage");
        assert!(found.offset <= bit / 8, "{found}");
        flip(&mut log, bit);
    }
    assert_eq!(damage(world.audit(&log)), None);
}

#[test]
fn a_flip_after_the_witness_is_damage_up_to_the_last_record() {
    let world = World::new(120, 40);
    let mut draw = Draw(2);
    let mut log = world.log.clone();
    let mut seen_as_torn = 0;
    for _ in 0..FLIPS {
        let bit = world.witnessed * 8 + draw.below((log.len() as u64 - world.witnessed) * 8);
        flip(&mut log, bit);
        match world.audit(&log) {
            Err(_) => {}
            Ok(audit) => {
                // Either nothing that is read changed, or it is the last record of the log, which
                // nothing follows by which it could be told from a torn end.
                let torn = audit.logs[0].torn_at;
                let lost = torn.map_or(0, |at| world.writes.len() - world.whole_before(at));
                assert!(lost <= 1, "{lost} writes lost by bit {bit}");
                seen_as_torn += lost;
            }
        }
        flip(&mut log, bit);
    }
    assert!(seen_as_torn < FLIPS / 20, "{seen_as_torn}");
}

#[test]
fn an_engine_with_a_flip_does_not_open_or_has_everything() {
    let world = World::new(60, 30);
    let mut draw = Draw(3);
    for _ in 0..24 {
        let mut log = world.log.clone();
        let bit = draw.below(log.len() as u64 * 8);
        flip(&mut log, bit);
        let is_last = bit / 8 >= world.writes[world.writes.len() - 2].end;
        if let Ok(engine) = world.open(&log) {
            assert!(is_last, "bit {bit}");
            world.assert_has(&engine, world.writes.len() - 1);
        }
    }
    world.assert_has(&world.open(&world.log).unwrap(), world.writes.len());
}
