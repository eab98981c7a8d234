//! `container pause` and `container unpause`. Doing either twice is no error.

use ds01_api::{ContainerState, Exit, UnitRef, codes};
use serde::Serialize;

use super::{for_each, targets};
use crate::args::PauseArgs;
use crate::client::Door;
use crate::failure::Failure;
use crate::render;
use crate::ui::Ui;

pub(super) async fn pause(door: &Door, args: &PauseArgs, ui: Ui) -> Result<u8, Failure> {
    let (paused, exit) = turn(door, args, true, ui).await?;
    if ui.json {
        ui.answer(&Paused { paused }, |_| String::new());
    }
    Ok(exit)
}

pub(super) async fn unpause(door: &Door, args: &PauseArgs, ui: Ui) -> Result<u8, Failure> {
    let (unpaused, exit) = turn(door, args, false, ui).await?;
    if ui.json {
        ui.answer(&Unpaused { unpaused }, |_| String::new());
    }
    Ok(exit)
}

/// What `container pause --json` prints.
#[derive(Debug, Serialize)]
struct Paused {
    paused: Vec<Turned>,
}

/// What `container unpause --json` prints.
#[derive(Debug, Serialize)]
struct Unpaused {
    unpaused: Vec<Turned>,
}

#[derive(Debug, Serialize)]
struct Turned {
    name: String,
    /// Whether that changed anything.
    changed: bool,
    /// What it holds, paused or not.
    units: Vec<UnitRef>,
}

async fn turn(door: &Door, args: &PauseArgs, pause: bool, ui: Ui) -> Result<(Vec<Turned>, u8), Failure> {
    let (from, into) = match pause {
        true => (ContainerState::Running, ContainerState::Paused),
        false => (ContainerState::Paused, ContainerState::Running),
    };
    let names = targets::names(door, &args.targets, |state| state == from).await?;
    let done = for_each(&names, ui, async |name| {
        let container = door.container(name).await?;
        let short = container.short_name();
        let already = container.state == into;
        if !already && container.state != from {
            let failure =
                Failure::new(Exit::Failed, codes::CONTAINER_NOT_RUNNING, format!("{short} is not running"));
            return Err(failure.with_hint(format!("container start {short} starts it")));
        }
        if !already {
            door.pause(&container.id, pause).await?;
        }
        if !ui.json {
            let tell = if pause { render::paused } else { render::unpaused };
            ui.say(&tell(&container, already));
        }
        Ok(Turned { name: container.name, changed: !already, units: container.units })
    })
    .await;
    if names.is_empty() && !ui.json {
        ui.say(&format!("There is nothing to {}.\n", if pause { "pause" } else { "unpause" }));
    }
    Ok(done)
}
