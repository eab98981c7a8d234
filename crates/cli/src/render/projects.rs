//! Projects: what was begun, the list, how one stands.

use std::path::Path;

use ds01_api::{Container, ContainerState};

use super::containers::status_text;
use super::table::{Cell, Column, table};
use super::words::{bytes, count, duration};
use super::{GOOD, QUIET, TITLE, facts, next_steps, styled};
use crate::commands::{Begun, Disk, Standing, spoken};

/// How many of a directory's parts are told: the largest.
const PARTS_SHOWN: usize = 4;
/// Parts below this are not worth a word.
const PART_BYTES_MIN: u64 = 1024 * 1024;

/// `project init`.
pub(crate) fn begun(begun: &Begun) -> String {
    let name = &begun.project;
    let repository = if begun.git { "with a first commit" } else { "none" };
    let rows = [
        ("directory", spoken(Path::new(&begun.directory))),
        ("image", format!("from {}; the packages are in requirements.txt", begun.base)),
        ("git", repository.to_owned()),
    ];
    let steps = [
        (format!("cd {}", spoken(Path::new(&begun.directory))), "what is there: README.md tells"),
        (format!("project launch {name} --open"), "build its image, and a shell with a GPU"),
    ];
    format!("{} is begun.\n{}\n{}", styled(TITLE, name), facts(rows), next_steps(&steps))
}

/// `project list`.
pub(crate) fn projects(projects: &[Standing], columns: Option<u16>) -> String {
    if projects.is_empty() {
        return none();
    }
    let heads = [("PROJECT", 0), ("CONTAINER", 0), ("IMAGE", 1), ("LAST USED", 0), ("DIRECTORY", 2)]
        .map(|(title, drop)| Column { title, drop });
    let row = |project: &Standing| -> Vec<Cell> {
        vec![
            project.project.as_str().into(),
            container(project.container.as_ref()),
            project.image.as_ref().map_or("-".to_owned(), |image| bytes(image.bytes)).into(),
            last_used(project).into(),
            directory(project).unwrap_or_else(|| "-".to_owned()).into(),
        ]
    };
    table(&heads, &projects.iter().map(row).collect::<Vec<_>>(), columns)
}

/// `project status`.
pub(crate) fn project_status(projects: &[Standing]) -> String {
    if projects.is_empty() {
        return none();
    }
    let texts: Vec<String> = projects.iter().map(one).collect();
    texts.join("\n")
}

fn one(project: &Standing) -> String {
    let name = &project.project;
    let mut rows = vec![(
        "directory",
        directory(project).unwrap_or_else(|| "none: it is made with the next container".to_owned()),
    )];
    if let Some(counted) = &project.disk {
        rows.push(("disk", disk(counted)));
    }
    let built =
        |age: Option<u64>| age.map(|age| format!(", built {} ago", duration(age))).unwrap_or_default();
    rows.push((
        "image",
        project.image.as_ref().map_or_else(
            || "none of its own".to_owned(),
            |image| format!("{} ({}{})", image.name, bytes(image.bytes), built(image.age_seconds)),
        ),
    ));
    rows.push(("container", project.container.as_ref().map_or("none".to_owned(), status_text)));
    rows.push(("last used", last_used(project)));
    format!("{}\n{}", styled(TITLE, name), facts(rows))
}

fn directory(project: &Standing) -> Option<String> {
    project.directory.as_deref().map(|directory| spoken(Path::new(directory)))
}

fn none() -> String {
    let makes = [("project init my-project".to_owned(), "begins one")];
    "There are no projects in ~/workspace.\n".to_owned() + &next_steps(&makes)
}

fn container(container: Option<&Container>) -> Cell {
    let Some(container) = container else { return "-".into() };
    let style = if container.state == ContainerState::Running { GOOD } else { QUIET };
    Cell::styled(style, status_text(container))
}

fn last_used(project: &Standing) -> String {
    match project.unused_seconds {
        None => "-".to_owned(),
        Some(0..60) => "now".to_owned(),
        Some(seconds) => format!("{} ago", duration(seconds)),
    }
}

/// `12 GiB in 5103 files: data 11 GiB, models 800 MiB`.
fn disk(disk: &Disk) -> String {
    let least = if disk.complete { "" } else { "at least " };
    let mut text = format!("{least}{} in {}", bytes(disk.bytes), count(disk.files, "file"));
    let large = disk.parts.iter().filter(|part| part.bytes >= PART_BYTES_MIN).take(PARTS_SHOWN);
    let parts: Vec<String> =
        large.map(|part| format!("{} {}", shown(&part.name), bytes(part.bytes))).collect();
    if !parts.is_empty() {
        text += &format!(": {}", parts.join(", "));
    }
    text
}

/// A line that tells how far a count is.
pub(crate) fn counting(directory: &Path, disk: &Disk, columns: u16) -> String {
    let name = directory.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let line = format!("counting {name}: {}, {}", count(disk.files, "file"), bytes(disk.bytes));
    line.chars().take(usize::from(columns.saturating_sub(1))).collect()
}

/// A file's name, which can hold anything, as it can be shown.
fn shown(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
