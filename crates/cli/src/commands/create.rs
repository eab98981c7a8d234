//! `container create`: make it and leave it; nothing is held until it starts.

use super::deploy;
use crate::args::CreateArgs;
use crate::client::Door;
use crate::failure::Failure;
use crate::render;
use crate::ui::Ui;

pub(super) async fn perform(door: &Door, args: &CreateArgs, ui: Ui) -> Result<u8, Failure> {
    let request = deploy::request(&args.making)?;
    let deployed = deploy::make(door, &request, ui).await?;
    ui.answer(&deployed, render::created);
    Ok(0)
}
