//! `container run`: a shell in the project's container, whatever that takes.

use ds01_api::{ContainerState, names};

use super::settle::settle;
use super::{attach, deploy};
use crate::args::RunArgs;
use crate::client::Door;
use crate::failure::Failure;
use crate::shell;
use crate::ui::Ui;

pub(super) async fn perform(door: &Door, args: &RunArgs, ui: Ui) -> Result<u8, Failure> {
    let container = match door.container(&args.name).await {
        Ok(container) => container,
        Err(error) if error.is_not_found() && names::Project::new(&args.name).is_ok() => {
            let failure = Failure::from(error);
            return match ui.ask(&format!("There is no container {}. Deploy one with a GPU?", args.name)) {
                Some(true) => deploy::open(door, &args.name, &args.patience, ui).await,
                Some(false) => Err(failure),
                None => Err(failure.with_hint(format!("container deploy {} makes one", args.name))),
            };
        }
        Err(error) => return Err(error.into()),
    };
    let container = match container.state {
        ContainerState::Running | ContainerState::Paused => container,
        _ => {
            settle(door, &container.id, container.short_name(), args.patience.duration(), ui).await?;
            door.container(&container.id).await?
        }
    };
    attach::can_be_entered(&container)?;
    shell::enter(door, &container, ui).await
}
