//! Some hundreds of stories; a seed that fails tells its own.

use ds01_sim::{Summary, play};

const SEEDS: u64 = 200;
/// Seeds that found something once.
const FOUND: [u64; 1] = [4427];

#[test]
fn no_story_ends_badly() {
    let mut all = Summary::default();
    for seed in (0..SEEDS).chain(FOUND) {
        match play(seed) {
            Ok(one) => {
                all.grants += one.grants;
                all.waits += one.waits;
                all.crashes += one.crashes;
                all.lost += one.lost;
            }
            Err(failure) => panic!("{failure}"),
        }
    }
    // Stories in which nothing happens would prove nothing.
    assert!(all.grants > 30 * SEEDS, "{all:?}");
    assert!(all.waits > 10 * SEEDS, "{all:?}");
    assert!(all.crashes > SEEDS && all.lost > SEEDS, "{all:?}");
}

#[test]
fn the_same_seed_tells_the_same_story() {
    assert_eq!(play(7), play(7));
}
