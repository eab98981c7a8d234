//! Images of projects: what there is, and what was made or deleted.

use ds01_api::names::Project;

use super::table::{Cell, Column, table};
use super::words::{bytes, count, duration};
use super::{BAD, CARE, GOOD, QUIET, next_steps};
use crate::commands::image::build::Made;
use crate::commands::image::delete::Deleted;
use crate::commands::image::list::{Image, Images};

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

/// `image create --no-build`.
pub(crate) fn image_drafted(project: &str) -> String {
    next_steps(&[
        (format!("image update {project} --edit"), "change it, and build"),
        (format!("image update {project} --rebuild"), "build the image"),
    ])
}

/// `image update --no-build`.
pub(crate) fn image_rewritten(project: &Project, changed: bool) -> String {
    let head = if changed {
        "The Dockerfile is written; the image is as it was.\n"
    } else {
        "Nothing was changed.\n"
    };
    head.to_owned() + &next_steps(&[(format!("image update {project} --rebuild"), "build the image")])
}

/// A difference, coloured as `git diff` does.
pub(crate) fn difference(diff: &str) -> String {
    if diff.is_empty() {
        return "Nothing is changed.\n".to_owned();
    }
    let line = |line: &str| match line.as_bytes() {
        [b'+', b'+', ..] | [b'-', b'-', ..] | [b'@', ..] => format!("{QUIET}{line}{QUIET:#}\n"),
        [b'+', ..] => format!("{GOOD}{line}{GOOD:#}\n"),
        [b'-', ..] => format!("{BAD}{line}{BAD:#}\n"),
        _ => format!("{line}\n"),
    };
    diff.lines().map(line).collect()
}

/// `image list`.
pub(crate) fn images(images: &Images, columns: Option<u16>) -> String {
    if images.images.is_empty() {
        return "You have no images.\n".to_owned()
            + &next_steps(&[("image create my-project".to_owned(), "write a Dockerfile and build it")]);
    }
    let foreign = images.images.iter().any(|image| image.project.is_none());
    let heads = [
        (if foreign { "IMAGE" } else { "PROJECT" }, 0),
        ("STATE", 0),
        ("SIZE", 0),
        ("BUILT", 2),
        ("USED BY", 1),
        ("FROM", 3),
    ]
    .map(|(title, drop)| Column { title, drop });
    let rows: Vec<Vec<Cell>> = images.images.iter().map(row).collect();
    let mut text = table(&heads, &rows, columns);
    if let Some(image) = images.images.iter().find(|image| is_behind(image)) {
        let project = image.project.as_deref().unwrap_or_default();
        text +=
            &next_steps(&[(format!("image update {project} --rebuild"), "build what its Dockerfile says")]);
    }
    text
}

fn is_behind(image: &Image) -> bool {
    image.project.is_some() && (image.built.is_none() || image.up_to_date == Some(false))
}

/// How an image stands to its Dockerfile.
pub(crate) fn image_state(image: &Image) -> &'static str {
    match (&image.built, image.up_to_date) {
        (None, _) => "not built",
        (Some(_), Some(false)) => "Dockerfile changed",
        (Some(_), Some(true)) => "up to date",
        (Some(_), None) => "built",
    }
}

fn row(image: &Image) -> Vec<Cell> {
    let state: Cell = match &image.shared_by {
        Some(owner) => format!("shared by {owner}").into(),
        None if is_behind(image) => Cell::styled(CARE, image_state(image)),
        None => image_state(image).into(),
    };
    let built = image.built.as_ref();
    let users: Vec<&str> = built
        .iter()
        .flat_map(|built| &built.containers)
        .map(|name| name.split("._.").next().unwrap_or(name))
        .collect();
    let dash = || "-".to_owned();
    vec![
        image.project.as_deref().unwrap_or(&image.image).into(),
        state,
        built.map_or_else(dash, |built| bytes(built.size_bytes)).into(),
        built.map_or_else(dash, |built| format!("{} ago", duration(built.age_seconds))).into(),
        if users.is_empty() { dash() } else { users.join(", ") }.into(),
        image.base.clone().unwrap_or_else(dash).into(),
    ]
}

/// `image delete`.
pub(crate) fn image_deleted(deleted: &Deleted) -> String {
    let mut text = format!("{} is deleted.\n", deleted.image);
    if !deleted.containers.is_empty() {
        text += &format!("  Still with what it held: {}\n", deleted.containers.join(", "));
    }
    match (&deleted.project, &deleted.dockerfile) {
        (Some(project), Some(dockerfile)) => {
            text += &format!("  {dockerfile} is kept.\n");
            text += &next_steps(&[(format!("image update {project} --rebuild"), "builds it again")]);
        }
        (Some(project), None) => {
            text += &next_steps(&[(format!("image create {project}"), "makes a new one")]);
        }
        (None, _) => {}
    }
    text
}
