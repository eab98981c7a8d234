//! Names that can be typed: containers and images, of the door, and projects, of the door and of the workspace. What the door does not
//! tell in a moment is not offered.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use ds01_api::names::Project;
use ds01_api::{Container, ContainerList, ContainerState, paths};

use crate::client::Door;
use crate::commands::{door, image};
use crate::render;

/// How long a Tab may take to ask the door.
const ASK_TIME_MAX: Duration = Duration::from_millis(300);

/// The command line with names to offer, but for those that are typed already.
pub(super) fn offered(command: Command, typed: &[OsString]) -> Command {
    let name = command.get_name().to_owned();
    command.mut_args(|arg| with_names(arg, &name, typed)).mut_subcommands(|sub| offered(sub, typed))
}

fn with_names(arg: Arg, command: &str, typed: &[OsString]) -> Arg {
    match (arg.get_id().as_str(), command) {
        ("project", _) | ("name", "deploy" | "create" | "launch") => {
            arg.add(ArgValueCandidates::new(projects))
        }
        ("name", "update") => arg.add(ArgValueCandidates::new(images)),
        ("names", "delete") => {
            let typed = typed.to_vec();
            let rest = move || {
                let is_typed =
                    |candidate: &CompletionCandidate| typed.iter().any(|word| word == candidate.get_value());
                images().into_iter().filter(|candidate| !is_typed(candidate)).collect()
            };
            arg.add(ArgValueCandidates::new(rest))
        }
        ("name" | "names", _) => {
            let (command, typed) = (command.to_owned(), typed.to_vec());
            arg.add(ArgValueCandidates::new(move || containers(&command, &typed)))
        }
        _ => arg,
    }
}

/// The containers of which a command can make something.
fn containers(command: &str, typed: &[OsString]) -> Vec<CompletionCandidate> {
    let fits = |container: &&Container| match command {
        "attach" | "stats" | "pause" => container.state == ContainerState::Running,
        "unpause" => container.state == ContainerState::Paused,
        "stop" => !matches!(container.state, ContainerState::Created | ContainerState::Stopped),
        "start" => !container.state.is_alive(),
        _ => true,
    };
    let candidate = |container: &Container| {
        let state = render::status_text(container);
        CompletionCandidate::new(container.short_name()).help(Some(state.into()))
    };
    let all = asked();
    let is_typed = |container: &&Container| typed.iter().any(|word| word == container.short_name());
    all.iter().filter(fits).filter(|container| !is_typed(container)).map(candidate).collect()
}

/// The projects that have a container or a directory.
fn projects() -> Vec<CompletionCandidate> {
    let home = std::env::var_os("HOME").unwrap_or_default();
    let directories = std::fs::read_dir(Path::new(&home).join("workspace")).into_iter().flatten().flatten();
    let mut found: BTreeMap<String, String> = directories
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| Project::new(name).is_ok())
        .map(|name| (name, "a directory in ~/workspace".to_owned()))
        .collect();
    found.extend(asked().iter().filter(|container| container.mine).filter_map(|container| {
        container.project.clone().map(|project| (project, render::status_text(container)))
    }));
    let candidate =
        |(project, what): (String, String)| CompletionCandidate::new(project).help(Some(what.into()));
    found.into_iter().map(candidate).collect()
}

/// The projects that have an image or a Dockerfile.
fn images() -> Vec<CompletionCandidate> {
    let listed = ask(async |door| image::images(&door, false).await.ok());
    let mut found: BTreeMap<String, String> =
        image::with_dockerfile().into_iter().map(|project| (project, "not built".to_owned())).collect();
    for image in listed.unwrap_or_default() {
        if let (Some(project), Some(built)) = (image.project, image.built) {
            found.insert(project, render::words::bytes(built.size_bytes));
        }
    }
    let candidate =
        |(project, what): (String, String)| CompletionCandidate::new(project).help(Some(what.into()));
    found.into_iter().map(candidate).collect()
}

/// The caller's containers.
fn asked() -> Vec<Container> {
    let path = format!("{}?all=1", paths::CONTAINERS);
    let list = ask(async |door| door.get::<ContainerList>(&path).await.ok());
    list.map(|list| list.containers).unwrap_or_default()
}

/// What the door answers; nothing where it is slow, away, or not ours.
fn ask<T>(question: impl AsyncFnOnce(Door) -> Option<T>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let answer = runtime.block_on(async {
        let door = door().ok()?;
        tokio::time::timeout(ASK_TIME_MAX, question(door)).await.ok()?
    });
    runtime.shutdown_background();
    answer
}
