//! `container exit`: typed on the host, it tells how a container is left. It changes nothing.

use crate::args::ExitArgs;
use crate::client::Door;
use crate::failure::Failure;
use crate::render;
use crate::ui::Ui;

pub(super) async fn perform(door: &Door, args: &ExitArgs, ui: Ui) -> Result<u8, Failure> {
    let container = match &args.name {
        Some(name) => Some(door.container(name).await?),
        None => None,
    };
    ui.say(&render::exit(container.as_ref()));
    Ok(0)
}
