//! A thousand stories; a seed that fails tells its own.

use std::thread;

use sim::{Failure, Summary, play};

const SEEDS: u64 = 1000;
/// Seeds that found something once.
const FOUND: [u64; 10] = [0, 3, 97, 1075, 1262, 1666, 4427, 57, 4205, 5755];

/// Plays them on as many processors as there are.
fn play_all(seeds: &[u64]) -> Result<Summary, Box<Failure>> {
    let share = seeds.len().div_ceil(thread::available_parallelism().map_or(1, usize::from));
    let play_some = |seeds: &[u64]| -> Result<Summary, Box<Failure>> {
        seeds.iter().try_fold(Summary::default(), |mut all, seed| {
            all.add(&play(*seed)?);
            Ok(all)
        })
    };
    thread::scope(|scope| {
        let players: Vec<_> = seeds.chunks(share).map(|some| scope.spawn(move || play_some(some))).collect();
        players.into_iter().try_fold(Summary::default(), |mut all, player| {
            all.add(&player.join().expect("a story ends well or badly, but it ends")?);
            Ok(all)
        })
    })
}

#[test]
fn no_story_ends_badly() {
    let seeds: Vec<u64> = (0..SEEDS).chain(FOUND).collect();
    let all = play_all(&seeds).unwrap_or_else(|failure| panic!("{failure}"));
    // Stories in which nothing happens would prove nothing.
    let each = |number: u64, of_ten: u64| assert!(number * 10 > of_ten * SEEDS, "{all:?}");
    each(all.grants, 120);
    each(all.waits, 100);
    each(all.crashes, 15);
    each(all.lost, 10);
    each(all.batches, 30);
    each(all.warnings, 40);
    each(all.stops, 13);
    each(all.spared, 5);
}

#[test]
fn the_same_seed_tells_the_same_story() {
    assert_eq!(play(7), play(7));
}
