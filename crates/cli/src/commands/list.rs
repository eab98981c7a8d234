//! `container list`: what the caller has.

use ds01_api::{ContainerList, paths};

use crate::args::ListArgs;
use crate::client::Door;
use crate::failure::Failure;
use crate::render;
use crate::ui::Ui;

pub(super) async fn perform(door: &Door, args: &ListArgs, ui: Ui) -> Result<u8, Failure> {
    let all = if args.all { "?all=1" } else { "" };
    let list: ContainerList = door.get(&format!("{}{all}", paths::CONTAINERS)).await?;
    ui.answer(&list, |list| render::list(list, ui.columns()));
    Ok(0)
}
