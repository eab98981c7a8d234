//! Inputs that look like real ones: one seed, changed a little, sometimes with a part of another.
//!
//! They must never depend on anything but the generator and the seeds, so that a run can be had again.

mod json;
mod line;
mod plain;
mod tape;

use fastrand::Rng;

use crate::targets::Shape;

/// The longest input that is made, in bytes: what is longer is refused for its length, which tells nothing new.
const BYTES_MAX: usize = 64 * 1024;

/// A new input from one of the pool.
#[must_use]
pub fn mutate(shape: Shape, rng: &mut Rng, pool: &[Vec<u8>]) -> Vec<u8> {
    let one = rng.choice(pool).map_or(&[][..], Vec::as_slice);
    let other = rng.choice(pool).map_or(&[][..], Vec::as_slice);
    let mut made = match shape {
        Shape::Json => json::mutated(rng, one, other),
        Shape::Line => line::mutated(rng, one, other),
        Shape::Text => plain::mutated(rng, one, other),
        Shape::Tar => tape::mutated(rng, one, other),
    };
    made.truncate(BYTES_MAX);
    made
}
