//! Which containers a command is for: those that were named, or with `--all` every own one that it concerns.

use ds01_api::{Container, ContainerList, ContainerState, paths};

use crate::args::Targets;
use crate::client::Door;
use crate::failure::Failure;

/// Names for [`super::for_each`].
pub(super) async fn names(
    door: &Door,
    targets: &Targets,
    concerns: impl Fn(ContainerState) -> bool,
) -> Result<Vec<String>, Failure> {
    if !targets.all {
        return Ok(targets.names.clone());
    }
    let list: ContainerList = door.get(&format!("{}?all=1", paths::CONTAINERS)).await?;
    // An administrator is shown everybody's; "all" is never other people's.
    let own = |container: &Container| container.mine && concerns(container.state);
    Ok(list.containers.into_iter().filter(own).map(|container| container.id).collect())
}

/// Whether there are processes in a container, or somebody waits for that.
pub(super) fn is_under_way(state: ContainerState) -> bool {
    !is_at_rest(state)
}

/// Whether a container stands there and nothing comes of it by itself.
pub(super) fn is_at_rest(state: ContainerState) -> bool {
    matches!(state, ContainerState::Created | ContainerState::Stopped)
}
