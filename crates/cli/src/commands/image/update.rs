//! `image update`: a project's Dockerfile changed, and its image built anew.

use super::build::{self, When};
use crate::args::ImageUpdateArgs;
use crate::client::Door;
use crate::failure::Failure;
use crate::render;
use crate::ui::Ui;

pub(super) async fn perform(door: &Door, args: &ImageUpdateArgs, ui: Ui) -> Result<u8, Failure> {
    let project = super::project(&args.name)?;
    let when = match (args.rebuild, args.no_cache) {
        (_, true) => When::Anew,
        (true, false) => When::Always,
        (false, false) => When::Needed,
    };
    let made = build::ensure(door, &project, when, ui).await?;
    ui.answer(&made, render::image_made);
    Ok(0)
}
