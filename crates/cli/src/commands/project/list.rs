//! `project list`: every project in a line.

use serde::Serialize;

use super::known::{self, Standing};
use crate::client::Door;
use crate::failure::Failure;
use crate::render;
use crate::ui::Ui;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct List {
    projects: Vec<Standing>,
}

pub(super) async fn perform(door: &Door, ui: Ui) -> Result<u8, Failure> {
    let list = List { projects: known::all(door).await? };
    ui.answer(&list, |list| render::projects(&list.projects, ui.columns()));
    Ok(0)
}
