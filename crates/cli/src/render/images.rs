//! Images of projects: what was made of them.

use super::words::{bytes, count, duration};
use super::{GOOD, next_steps};
use crate::commands::image::build::Made;

/// An image that is what its Dockerfile says.
pub(crate) fn image_made(made: &Made) -> String {
    let Made { project, image, build, .. } = made;
    let Some(built) = build else {
        return format!("{image} is up to date.\n");
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a build")]
    let seconds = built.seconds.round() as u64;
    let cached = match built.cached {
        0 => String::new(),
        cached => format!(", {cached} from earlier builds"),
    };
    let steps = count(built.steps as u64, "step");
    let head = format!(
        "{GOOD}built{GOOD:#} {image} in {}: {}, {steps}{cached}\n",
        duration(seconds),
        bytes(built.size_bytes)
    );
    head + &next_steps(&[(
        format!("container deploy {project} --open"),
        "a container of it, with a shell in it",
    )])
}
