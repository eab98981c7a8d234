//! Containers: the list, and what became of a deploy, a stop, a retirement.

use ds01_api::{
    Container, ContainerList, ContainerState, Deployed, Retired, Stop, StopCause, UnitRef, names,
};

use super::table::{Cell, Column, table};
use super::words::{count, duration, mib};
use super::{CARE, GOOD, QUIET, TITLE, facts, next_steps, styled};

/// Terminals narrower than this get one name per container.
const COMPACT_COLUMNS: u16 = 72;

/// `container list`.
pub(crate) fn list(list: &ContainerList, columns: Option<u16>) -> String {
    if list.containers.is_empty() {
        return none(list.hidden);
    }
    let others = list.containers.iter().any(|container| !container.mine);
    // Where there is little room one name has to do: the one to type.
    let compact = columns.is_some_and(|columns| columns < COMPACT_COLUMNS);
    let mut heads = vec![Column { title: "NAME", drop: 0 }];
    heads.extend((!compact).then_some(Column { title: "PROJECT", drop: 0 }));
    heads.extend(others.then_some(Column { title: "USER", drop: 0 }));
    heads.extend(
        [("STATUS", 0), ("GPU", 0), ("IMAGE", 1), ("CREATED", 2)].map(|(title, drop)| Column { title, drop }),
    );
    let stops = list.containers.iter().any(|container| is_near(container).is_some());
    heads.extend(stops.then_some(Column { title: "STOPS", drop: 0 }));
    let rows: Vec<Vec<Cell>> = list
        .containers
        .iter()
        .map(|container| {
            let name = if compact { container.short_name() } else { &container.name };
            let mut row: Vec<Cell> = vec![name.into()];
            row.extend((!compact).then(|| container.project.as_deref().unwrap_or("-").into()));
            row.extend(others.then(|| container.owner.as_str().into()));
            row.extend([status(container), gpus(container).into(), container.image.as_str().into()]);
            row.push(format!("{} ago", duration(container.age_seconds)).into());
            row.extend(stops.then(|| stop_cell(container)));
            row
        })
        .collect();
    table(&heads, &rows, columns) + &hidden(list.hidden)
}

/// Stops that are nearer than this are told in the list: as long before, their owners are warned.
const NEAR_SECONDS: u64 = 15 * 60;

fn is_near(container: &Container) -> Option<&Stop> {
    container.stop.as_ref().filter(|stop| stop.in_seconds <= NEAR_SECONDS)
}

fn stop_cell(container: &Container) -> Cell {
    is_near(container).map_or_else(|| "-".into(), |stop| Cell::styled(CARE, stop_text(stop)))
}

/// When it is to be stopped, and why.
pub(super) fn stop_text(stop: &Stop) -> String {
    let cause = match stop.cause {
        StopCause::Idle => "idle",
        StopCause::Runtime => "run time",
    };
    let when =
        if stop.in_seconds == 0 { "now".to_owned() } else { format!("in {}", duration(stop.in_seconds)) };
    if stop.enforced { format!("{when}, {cause}") } else { format!("({when}, {cause}: only observed)") }
}

/// What is shown where there is nothing to list.
pub(super) fn none(hidden_count: u32) -> String {
    if hidden_count > 0 {
        return "No container is running.\n".to_owned() + &hidden(hidden_count);
    }
    let makes = [("container deploy my-project --open".to_owned(), "makes one")];
    "There are no containers.\n".to_owned() + &next_steps(&makes)
}

pub(super) fn hidden(hidden: u32) -> String {
    if hidden == 0 {
        return String::new();
    }
    let what = count(hidden.into(), "stopped container");
    format!("{QUIET}and {what}: container list --all{QUIET:#}\n")
}

fn status(container: &Container) -> Cell {
    let style = match container.state {
        ContainerState::Running => GOOD,
        ContainerState::Created | ContainerState::Stopped => QUIET,
        _ => CARE,
    };
    Cell::styled(style, status_text(container))
}

/// What a container does, and since when.
pub(crate) fn status_text(container: &Container) -> String {
    let since = container.state_seconds.map(|seconds| format!(" {}", duration(seconds))).unwrap_or_default();
    let word = state_word(container.state);
    match (container.state, &container.waiting, container.exit_code) {
        (ContainerState::Waiting, Some(place), _) => format!("{word}, {} of {}", place.position, place.of),
        (ContainerState::Starting | ContainerState::Stopping | ContainerState::Created, ..) => {
            word.to_owned()
        }
        (ContainerState::Stopped, _, Some(code)) => format!("{word} ({code}){since}"),
        _ => format!("{word}{since}"),
    }
}

/// What a container does, in a word.
pub(crate) fn state_word(state: ContainerState) -> &'static str {
    match state {
        ContainerState::Created => "created",
        ContainerState::Waiting => "waiting",
        ContainerState::Starting => "starting",
        ContainerState::Running => "running",
        ContainerState::Paused => "paused",
        ContainerState::Stopping => "stopping",
        ContainerState::Stopped => "stopped",
    }
}

/// What it holds, or in brackets what it asks for.
pub(crate) fn gpus(container: &Container) -> String {
    if container.units.is_empty() {
        return container.want.as_ref().map_or_else(|| "-".to_owned(), |want| format!("({want})"));
    }
    let units: Vec<String> = container
        .units
        .iter()
        .map(|unit| match &unit.profile {
            Some(profile) => format!("{} {profile}", unit.address),
            None => unit.address.clone(),
        })
        .collect();
    units.join(", ")
}

/// A unit in a sentence: `0:1 (A100-SXM4-80GB 2g.20gb, 20 GiB)`.
pub(crate) fn unit(unit: &UnitRef) -> String {
    let model = unit.model.strip_prefix("NVIDIA ").unwrap_or(&unit.model);
    let slice = unit.profile.as_ref().map(|profile| format!(" {profile}")).unwrap_or_default();
    format!("{} ({model}{slice}, {})", unit.address, mib(unit.memory_mib))
}

/// Units in a sentence.
pub(super) fn units(list: &[UnitRef]) -> String {
    list.iter().map(unit).collect::<Vec<_>>().join(", ")
}

/// `container deploy`: what was done, or would be, and what to type next.
pub(crate) fn deployed(deployed: &Deployed, held: &[UnitRef], already: bool) -> String {
    let project = &deployed.project;
    let headline = match (deployed.dry_run, deployed.reused, deployed.replaced) {
        (true, true, _) if deployed.state.is_alive() => {
            format!("{project} is running: nothing would be done.")
        }
        (true, true, _) => format!("{project} is there: it would be started again."),
        (true, _, true) => format!("{project} would be removed and made anew."),
        (true, ..) => format!("{project} would be made and started."),
        (false, true, _) if already => format!("{project} was running already."),
        (false, true, _) => format!("{project} is running again."),
        (false, _, true) => format!("{project} is running; the old container is gone."),
        (false, ..) => format!("{project} is running."),
    };
    let mut text = format!("{}\n{}", styled(TITLE, &headline), made_of(deployed, held));
    if deployed.dry_run {
        text += "Nothing was changed.\n";
    } else {
        let frees = if deployed.gpus == 0 { "stop and remove" } else { "stop, remove, free the GPU" };
        text += "\n";
        text += &next_steps(&[
            (format!("container attach {project}"), "open a shell in it"),
            (format!("container retire {project}"), frees),
        ]);
    }
    text
}

/// `container create`: what is there now, or would be, and what to type next.
pub(crate) fn created(deployed: &Deployed) -> String {
    let project = &deployed.project;
    let runs = if deployed.state.is_alive() { "running" } else { "not running" };
    let headline = match (deployed.dry_run, deployed.reused, deployed.replaced) {
        (true, true, _) => format!("{project} is there and {runs}: nothing would be done."),
        (true, _, true) => format!("{project} would be removed and made anew, and not started."),
        (true, ..) => format!("{project} would be made, and not started."),
        (false, true, _) => format!("{project} was there already and is {runs}."),
        (false, _, true) => format!("{project} is made and not started; the old container is gone."),
        (false, ..) => format!("{project} is made and not started."),
    };
    let mut text = format!("{}\n{}", styled(TITLE, &headline), made_of(deployed, &[]));
    if deployed.dry_run {
        return text + "Nothing was changed.\n";
    }
    text += "\n";
    text + &if deployed.state.is_alive() {
        next_steps(&[(format!("container attach {project}"), "open a shell in it")])
    } else {
        next_steps(&[
            (format!("container start {project}"), "start it in the background"),
            (format!("container run {project}"), "start it and open a shell in it"),
        ])
    }
}

/// What a container is made of, a line each.
fn made_of(deployed: &Deployed, held: &[UnitRef]) -> String {
    let gpu = match (deployed.gpus, held) {
        (0, _) => "none".to_owned(),
        (asked, []) => format!("{asked}, chosen at the start"),
        (_, held) => units(held),
    };
    let mut workspace = format!("{} → /workspace", deployed.workspace);
    if deployed.workspace_created {
        workspace += if deployed.dry_run { " (would be made)" } else { " (made just now)" };
    }
    let mut rows = vec![("image", deployed.image.clone()), ("GPU", gpu), ("workspace", workspace)];
    rows.extend(
        deployed.data.iter().map(|data| ("data", format!("{} → {}, read-only", data.source, data.target))),
    );
    rows.extend(deployed.outlook.iter().map(|outlook| ("now", outlook.clone())));
    facts(rows)
}

/// `container stop`: one container; `freed` is what it held.
pub(crate) fn stopped(container: &Container, freed: &[UnitRef], was_alive: bool) -> String {
    let name = container.short_name();
    if !was_alive {
        return match container.state {
            ContainerState::Waiting => format!("{name} does not wait any more.\n"),
            _ => format!("{name} was not running.\n"),
        };
    }
    let gpu = match freed {
        [] => String::new(),
        freed => format!("; GPU {} is free for others", units(freed)),
    };
    let headline = format!("{name} is stopped{gpu}.");
    let steps = [
        (format!("container start {name}"), "start it again"),
        (format!("container retire {name}"), "remove it, too"),
    ];
    format!("{}\n{}", styled(TITLE, &headline), next_steps(&steps))
}

/// `container retire`: one container; `image_gone` if its image went with it.
pub(crate) fn retired(retired: &Retired, image_gone: bool) -> String {
    let name = retired.project.as_deref().unwrap_or(&retired.name);
    let done = if retired.stopped { "stopped and removed" } else { "removed" };
    let gpu = match retired.released.as_slice() {
        [] => String::new(),
        released => format!("; GPU {} is free", units(released)),
    };
    let mut text = format!("{}\n", styled(TITLE, &format!("{name} is {done}{gpu}.")));
    let kept = if image_gone { "gone" } else { "safe" };
    let safe = [
        retired.workspace.as_ref().map(|path| ("safe", format!("{path} (your files)"))),
        retired.image.as_ref().map(|image| (kept, format!("{image} (the image)"))),
    ];
    text += &facts(safe.into_iter().flatten());
    if let (Some(project), false) = (&retired.project, image_gone) {
        text += &next_steps(&[(again(project, retired), "makes it again")]);
    }
    text
}

/// The deploy that makes a container of the same project, image and workspace.
fn again(project: &str, retired: &Retired) -> String {
    let mut command = format!("container deploy {project}");
    let below = retired.workspace.as_deref().and_then(|path| path.rsplit_once("/workspace/"));
    let source = below.map_or(project, |(_, name)| name);
    let source = if names::Project::new(source).is_ok() { source } else { project };
    if source != project {
        command += &format!(" --project {source}");
    }
    // A project's own image needs no naming: `ds01-<user>/<project>:latest`.
    let own = |image: &&String| image.starts_with("ds01-") && image.ends_with(&format!("/{source}:latest"));
    match &retired.image {
        Some(image) if !own(&image) => command + &format!(" --image {image}"),
        _ => command,
    }
}

/// `container remove`: one container, in a line.
pub(crate) fn removed(retired: &Retired, image_gone: bool) -> String {
    let name = retired.project.as_deref().unwrap_or(&retired.name);
    let done = if retired.stopped { "killed and removed" } else { "removed" };
    let gpu = match retired.released.as_slice() {
        [] => String::new(),
        released => format!("; GPU {} is free", units(released)),
    };
    let image = match (&retired.image, image_gone) {
        (Some(image), true) => format!(", and so is its image {image}"),
        _ => String::new(),
    };
    let kept = retired.workspace.as_ref().map(|path| format!("; {path} is kept")).unwrap_or_default();
    format!("{name} is {done}{image}{gpu}{kept}.\n")
}

#[cfg(test)]
#[path = "containers_tests.rs"]
pub(super) mod tests;
