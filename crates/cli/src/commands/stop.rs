//! `container stop`: end it and keep it. Stopping what has stopped is no error.

use ds01_api::{Container, ContainerState, UnitRef};
use serde::Serialize;

use super::{for_each, targets};
use crate::args::StopArgs;
use crate::client::Door;
use crate::failure::Failure;
use crate::render;
use crate::ui::Ui;

pub(super) async fn perform(door: &Door, args: &StopArgs, ui: Ui) -> Result<u8, Failure> {
    let names = targets::names(door, &args.targets, targets::is_under_way).await?;
    let (stopped, exit) = for_each(&names, ui, async |name| {
        let stopped = stop(door, name, args.timeout).await?;
        if !ui.json {
            ui.say(&render::stopped(&stopped.container, &stopped.released, stopped.was_alive));
        }
        Ok(stopped)
    })
    .await;
    if ui.json {
        let stopped = stopped.into_iter().map(Stopped::report).collect();
        ui.answer(&Report { stopped }, |_| String::new());
    } else if names.is_empty() {
        ui.say("There is nothing to stop.\n");
    }
    Ok(exit)
}

struct Stopped {
    container: Container,
    released: Vec<UnitRef>,
    was_alive: bool,
}

impl Stopped {
    fn report(self) -> StoppedReport {
        StoppedReport { name: self.container.name, stopped: self.was_alive, released: self.released }
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    stopped: Vec<StoppedReport>,
}

#[derive(Debug, Serialize)]
struct StoppedReport {
    name: String,
    /// Whether it ran before.
    stopped: bool,
    released: Vec<UnitRef>,
}

async fn stop(door: &Door, name: &str, timeout: Option<u32>) -> Result<Stopped, Failure> {
    let container = door.container(name).await?;
    let idle = targets::is_at_rest(container.state);
    if !idle {
        door.stop(&container.id, timeout).await?;
    }
    let was_alive = !idle && container.state != ContainerState::Waiting;
    let released = if was_alive { container.units.clone() } else { Vec::new() };
    Ok(Stopped { container, released, was_alive })
}
