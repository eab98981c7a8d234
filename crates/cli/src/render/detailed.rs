//! `container list --detailed`: everything that is known of each container.

use ds01_api::{Container, ContainerList};

use super::containers::{hidden, none, status_text, stop_text, units};
use super::template::{id, kind};
use super::words::duration;
use super::{TITLE, facts, styled};

/// One block each; `whole` leaves ids as long as they are.
pub(crate) fn detailed(list: &ContainerList, whole: bool) -> String {
    if list.containers.is_empty() {
        return none(list.hidden);
    }
    let blocks: Vec<String> = list.containers.iter().map(|container| block(container, whole)).collect();
    blocks.join("\n") + &hidden(list.hidden)
}

fn block(container: &Container, whole: bool) -> String {
    let mut rows = vec![("id", id(container, whole).to_owned())];
    rows.extend(container.project.clone().map(|project| ("project", project)));
    rows.extend((!container.mine).then(|| ("user", container.owner.clone())));
    rows.push(("status", status_text(container)));
    rows.extend((!container.units.is_empty()).then(|| ("GPU", units(&container.units))));
    rows.extend(container.stop.as_ref().map(|stop| ("stops", stop_text(stop))));
    rows.push(("asks for", container.want.clone().unwrap_or_else(|| "no GPU".to_owned())));
    rows.extend(container.waiting.as_ref().map(|place| ("waits", place.reason.clone())));
    rows.push(("image", container.image.clone()));
    rows.extend(container.workspace.as_ref().map(|path| ("workspace", format!("{path} → /workspace"))));
    rows.push(("made by", kind(container.kind).to_owned()));
    rows.push(("created", format!("{} ago", duration(container.age_seconds))));
    format!("{}\n{}", styled(TITLE, &container.name), facts(rows))
}
