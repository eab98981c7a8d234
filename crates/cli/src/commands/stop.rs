//! `container stop`: end it and keep it. Stopping what has stopped is no error.

use ds01_api::{Container, ContainerState, UnitRef};
use serde::Serialize;

use super::for_each;
use crate::args::StopArgs;
use crate::client::Door;
use crate::failure::Failure;
use crate::render;
use crate::ui::Ui;

pub(super) async fn perform(door: &Door, args: &StopArgs, ui: Ui) -> Result<u8, Failure> {
    let (stopped, exit) = for_each(&args.names, ui, async |name| {
        let stopped = stop(door, name).await?;
        if !ui.json {
            ui.say(&render::stopped(&stopped.container, &stopped.released, stopped.was_alive));
        }
        Ok(stopped)
    })
    .await;
    if ui.json {
        let stopped = stopped.into_iter().map(Stopped::report).collect();
        ui.answer(&Report { stopped }, |_| String::new());
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

async fn stop(door: &Door, name: &str) -> Result<Stopped, Failure> {
    let container = door.container(name).await?;
    let idle = matches!(container.state, ContainerState::Created | ContainerState::Stopped);
    if !idle {
        door.stop(&container.id).await?;
    }
    let was_alive = !idle && container.state != ContainerState::Waiting;
    let released = if was_alive { container.units.clone() } else { Vec::new() };
    Ok(Stopped { container, released, was_alive })
}
