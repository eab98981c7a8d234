//! `container start`: in the background, through the line. Starting what runs is no error.

use ds01_api::{ContainerState, Exit, UnitRef, codes};
use serde::Serialize;

use super::settle::settle;
use super::{for_each, targets};
use crate::args::StartArgs;
use crate::client::Door;
use crate::failure::Failure;
use crate::render;
use crate::ui::Ui;

pub(super) async fn perform(door: &Door, args: &StartArgs, ui: Ui) -> Result<u8, Failure> {
    let names = targets::names(door, &args.targets, targets::is_at_rest).await?;
    let (started, exit) = for_each(&names, ui, async |name| {
        let container = door.container(name).await?;
        let short = container.short_name();
        if container.state == ContainerState::Paused {
            let paused = format!("{short} is paused: it runs, and stands still");
            return Err(Failure::new(Exit::Failed, codes::CONTAINER_RUNNING, paused)
                .with_hint(format!("container unpause {short} lets it go on")));
        }
        let started = settle(door, &container.id, short, args.patience.duration(), ui).await?;
        if !ui.json {
            ui.say(&render::started(short, &started.units, started.already));
        }
        Ok(StartedReport { name: container.name, started: !started.already, units: started.units })
    })
    .await;
    if ui.json {
        ui.answer(&Report { started }, |_| String::new());
    } else if names.is_empty() {
        ui.say("There is nothing to start.\n");
    }
    Ok(exit)
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    started: Vec<StartedReport>,
}

#[derive(Debug, Serialize)]
struct StartedReport {
    name: String,
    /// Whether it did not run before.
    started: bool,
    units: Vec<UnitRef>,
}
