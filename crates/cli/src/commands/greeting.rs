//! `ds01 greeting`: what somebody who has just logged in wants to know, in three lines at most. A login waits for it, so
//! it must never take long, and never complain where nobody asked.

use std::time::Duration;

use ds01_api::{ContainerList, Machine, paths};
use serde::Serialize;

use crate::client::{ClientError, Door};
use crate::failure::Failure;
use crate::render;
use crate::ui::Ui;

/// A login waits no longer than this.
const ANSWER_MAX: Duration = Duration::from_millis(300);

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Greeting {
    machine: Machine,
    #[serde(flatten)]
    list: ContainerList,
}

pub(super) async fn perform(ui: Ui) -> Result<u8, Failure> {
    if ui.json {
        // A script has asked, and is told whatever it takes.
        ui.answer(&ask().await?, |_| String::new());
        return Ok(0);
    }
    if let Ok(Ok(Greeting { machine, list })) = tokio::time::timeout(ANSWER_MAX, ask()).await {
        ui.say(&render::greeting(&machine, &list, ui.columns()));
    }
    Ok(0)
}

async fn ask() -> Result<Greeting, ClientError> {
    let door: Door = super::door()?;
    let (machine, list) = tokio::try_join!(door.get(paths::MACHINE), door.get(paths::CONTAINERS))?;
    Ok(Greeting { machine, list })
}
