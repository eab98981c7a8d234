//! `container retire`: end it, remove it, free its GPU; say what is still there.

use std::collections::BTreeMap;
use std::time::Duration;

use ds01_api::{RetireRequest, Retired, paths};
use serde::Serialize;

use super::image::{self, Image, Saving};
use super::{for_each, rescue, targets};
use crate::args::RetireArgs;
use crate::client::{ACT_MAX, Door};
use crate::failure::Failure;
use crate::render;
use crate::ui::Ui;

pub(super) async fn perform(door: &Door, args: &RetireArgs, ui: Ui) -> Result<u8, Failure> {
    let names = targets::names(door, &args.targets, |_| true).await?;
    let mut stuck = 0;
    let mut saved = BTreeMap::new();
    let mut rescued = BTreeMap::new();
    let (retired, exit) = for_each(&names, ui, async |name| {
        // Before anything is ended: what could not be saved would be lost.
        let packages = match saving(args.save_packages, ui) {
            Some(saving) => image::save(door, name, saving, ui).await?,
            None => Vec::new(),
        };
        if !packages.is_empty() {
            saved.insert(name.to_owned(), packages);
        }
        if let Some(saving) = saving(args.save_files, ui)
            && let Some(directory) = rescue::rescue(door, name, saving, ui).await?
        {
            rescued.insert(name.to_owned(), directory);
        }
        Ok(retire(door, name, args).await?.told(ui, render::retired, &mut stuck))
    })
    .await;
    if ui.json {
        ui.answer(&Report { retired, saved, rescued }, |_| String::new());
    } else if names.is_empty() {
        ui.say("There is nothing to retire.\n");
    }
    Ok(if exit == 0 { stuck } else { exit })
}

/// A container that is no more, and what became of its image.
pub(super) struct Gone {
    pub(super) retired: Retired,
    pub(super) image: Image,
}

impl Gone {
    /// Tells of it. An image that stayed although it was to go is a failure, and the container is gone all the same:
    /// `stuck` becomes what the command ends with.
    pub(super) fn told(mut self, ui: Ui, text: fn(&Retired, bool) -> String, stuck: &mut u8) -> Retired {
        let image_gone = matches!(self.image, Image::Gone);
        if !ui.json {
            ui.say(&text(&self.retired, image_gone));
        }
        if image_gone {
            self.retired.image = None;
        }
        if let Image::Stuck(failure) = &self.image {
            ui.failure(failure);
            *stuck = failure.exit;
        }
        self.retired
    }
}

fn saving(wanted: bool, ui: Ui) -> Option<Saving> {
    match wanted {
        true => Some(Saving::Always),
        // Only where somebody can answer is there something to look for.
        false => ui.can_ask().then_some(Saving::Ask),
    }
}

async fn retire(door: &Door, name: &str, args: &RetireArgs) -> Result<Gone, Failure> {
    let image = image::of_its_project(door, name, args.images).await?;
    let request = RetireRequest {
        name: name.to_owned(),
        force: args.force,
        grace_seconds: args.timeout,
        ..RetireRequest::default()
    };
    let limit = ACT_MAX + Duration::from_secs(args.timeout.unwrap_or(0).into());
    let retired: Retired = door.post_within(paths::RETIRE, &request, limit).await?;
    Ok(Gone { image: Image::remove(door, image).await, retired })
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    retired: Vec<Retired>,
    /// Packages that were written into Dockerfiles, by the name that was typed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    saved: BTreeMap<String, Vec<String>>,
    /// Where files are that lay outside /workspace, by the name that was typed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    rescued: BTreeMap<String, String>,
}
