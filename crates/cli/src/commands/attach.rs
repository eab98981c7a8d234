//! `container attach`: a shell in what runs already.

use ds01_api::{Container, ContainerState, Exit, codes};

use crate::args::AttachArgs;
use crate::client::Door;
use crate::failure::Failure;
use crate::shell;
use crate::ui::Ui;

pub(super) async fn perform(door: &Door, args: &AttachArgs, ui: Ui) -> Result<u8, Failure> {
    let container = door.container(&args.name).await?;
    can_be_entered(&container)?;
    shell::enter(door, &container, ui).await
}

/// Refuses what no shell can be opened in, with what would help.
pub(super) fn can_be_entered(container: &Container) -> Result<(), Failure> {
    let name = container.short_name();
    let failed =
        |what: &str| Failure::new(Exit::Failed, codes::CONTAINER_NOT_RUNNING, format!("{name} {what}"));
    match container.state {
        ContainerState::Running => Ok(()),
        ContainerState::Paused => {
            Err(failed("is paused").with_hint(format!("container unpause {name} lets it go on")))
        }
        ContainerState::Waiting => {
            Err(failed("still waits for a GPU").with_hint(format!("ds01 why {name} tells for which")))
        }
        ContainerState::Starting | ContainerState::Stopping => {
            Err(failed("is between running and stopped").with_hint("try again in a moment"))
        }
        ContainerState::Created | ContainerState::Stopped => {
            Err(failed("is not running")
                .with_hint(format!("container run {name} starts it and opens a shell")))
        }
    }
}
