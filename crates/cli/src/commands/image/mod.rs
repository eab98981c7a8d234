//! The images of projects: made from Dockerfiles, and what comes and goes with a container. Whose an image is, the door
//! decides; what stands in a Dockerfile, its author.

mod advice;
mod along;
pub(crate) mod build;
mod by_hand;
mod choice;
mod create;
pub(crate) mod delete;
pub(crate) mod list;
mod market;
mod progress;
mod questions;
pub(crate) mod recipe;
mod store;
mod update;

pub(super) use along::{Image, fetch_framework, of_its_project};
pub(super) use by_hand::{Saving, save};
pub(super) use choice::choose_image;
pub(crate) use list::{images, with_dockerfile};

use ds01_api::names::Project;
use ds01_api::{Exit, codes};

use crate::args::ImageCommand;
use crate::client::Door;
use crate::failure::Failure;
use crate::ui::Ui;

pub(super) async fn perform(door: &Door, command: &ImageCommand, ui: Ui) -> Result<u8, Failure> {
    match command {
        ImageCommand::Create(args) => create::perform(door, args, ui).await,
        ImageCommand::Update(args) => update::perform(door, args, ui).await,
        ImageCommand::List(args) => list::perform(door, args, ui).await,
        ImageCommand::Delete(args) => delete::perform(door, args, ui).await,
    }
}

/// The project that a name means, or the name that it could have.
pub(super) fn project(name: &str) -> Result<Project, Failure> {
    Project::new(name).map_err(|error| {
        let failure = Failure::new(Exit::Usage, codes::NAME_INVALID, error.to_string());
        match error.suggestion() {
            Some(name) => failure.with_hint(format!("call it {name}")),
            None => failure.with_hint("use small letters, digits and single dashes: my-project"),
        }
    })
}
