//! `ds01 jupyter`: Jupyter in a project's container, and how to reach it. One that runs already is told of again.
//!
//! It listens on the container's own address, which only the server itself reaches; the token keeps others out.

use std::time::Duration;

use ds01_api::names::Project;
use ds01_api::{Container, Exit, codes};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{attach, setup};
use crate::args::JupyterArgs;
use crate::client::Door;
use crate::failure::Failure;
use crate::project::{of_directory, workspace};
use crate::render;
use crate::terminal;
use crate::ui::Ui;

/// Prints the first of the programs that is there; ends with 127 where none is.
const FIND: &str = "for program in jupyter-lab jupyter-notebook jupyter-server; do \
                    command -v $program && exit 0; done; exit 127";
/// Where it says what it does, in the container.
const LOG: &str = "/tmp/ds01-jupyter.log";
/// How long it may take to begin: a first start compiles what it is made of.
const BEGIN_TIME_MAX: Duration = Duration::from_secs(90);
/// How often it is looked whether it has begun.
const LOOK_PAUSE: Duration = Duration::from_millis(300);
/// Bytes of a token, before they are spelled.
const TOKEN_BYTES: usize = 24;
/// Lines of its log that a failure shows.
const LOG_LINES_SHOWN: usize = 12;

/// A server as `jupyter server list --json` has it.
#[derive(Debug, Clone, Deserialize)]
struct Listed {
    port: u16,
    #[serde(default)]
    token: String,
    #[serde(default)]
    base_url: String,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Reachable {
    /// The project, or the container's name.
    pub(crate) name: String,
    /// The page, at the other end of the tunnel.
    pub(crate) url: String,
    /// The page, on the server itself.
    pub(crate) url_on_server: String,
    /// What makes the tunnel, on one's own computer.
    pub(crate) tunnel: String,
    /// Whether it ran before.
    pub(crate) already: bool,
}

pub(super) async fn perform(door: &Door, args: &JupyterArgs, ui: Ui) -> Result<u8, Failure> {
    let name = named(args)?;
    let container = door.container(&name).await.map_err(|error| {
        let absent = error.is_not_found();
        let failure = Failure::from(error);
        if absent {
            failure.with_hint(format!("project launch {name} starts one; then ds01 jupyter {name}"))
        } else {
            failure
        }
    })?;
    attach::can_be_entered(&container)?;
    let running = list(door, &container).await?;
    if args.stop {
        return stop(door, &container, &running, ui).await;
    }
    let (listed, already) = match running.into_iter().next() {
        Some(listed) => (listed, true),
        None => (start(door, &container, args.port, ui).await?, false),
    };
    let address = address(door, &container).await?;
    ui.answer(&reachable(&container, &listed, &address, args.port, already), render::jupyter);
    Ok(0)
}

fn named(args: &JupyterArgs) -> Result<String, Failure> {
    if let Some(name) = &args.name {
        return Ok(name.clone());
    }
    let here = std::env::current_dir().ok();
    let project = here.and_then(|here| of_directory(&here, &workspace().ok()?));
    project.as_ref().map(Project::to_string).ok_or_else(|| {
        Failure::usage("you are in no project's directory").with_hint("name one: ds01 jupyter my-project")
    })
}

/// The servers that run in a container.
async fn list(door: &Door, container: &Container) -> Result<Vec<Listed>, Failure> {
    // Where there is no Jupyter, none runs.
    let words = ["/bin/sh", "-c", "command -v jupyter >/dev/null && exec jupyter server list --json"];
    let said = door.run_in(&container.id, &words).await?;
    Ok(said.out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// Starts one and stays until it answers.
async fn start(door: &Door, container: &Container, port: u16, ui: Ui) -> Result<Listed, Failure> {
    let name = container.short_name();
    let found = door.run_in(&container.id, &["/bin/sh", "-c", FIND]).await?;
    let program = found.out.lines().next().filter(|_| found.code == Some(0)).ok_or_else(|| {
        Failure::new(
            Exit::NotFound,
            "jupyter.not-found",
            format!("there is no Jupyter in the image of {name}"),
        )
        .with_hint(format!(
            "write jupyterlab into ~/workspace/{name}/requirements.txt, then project launch {name} --force"
        ))
    })?;
    let directory = if container.workspace.is_some() { "/workspace" } else { "/" };
    let begin = format!(
        "cd {directory} && exec \"$0\" --no-browser --ip=0.0.0.0 --port={port} >{LOG} 2>&1 </dev/null"
    );
    let environment = [format!("JUPYTER_TOKEN={}", token()?)];
    door.run_detached(&container.id, &["/bin/sh", "-c", &begin, program], &environment).await?;
    let columns = terminal::error_columns().filter(|_| !ui.json);
    if columns.is_some() {
        ui.passing("Jupyter begins …");
    }
    let begun = await_it(door, container).await;
    if columns.is_some() {
        ui.passing("");
    }
    begun
}

async fn await_it(door: &Door, container: &Container) -> Result<Listed, Failure> {
    let until = Instant::now() + BEGIN_TIME_MAX;
    loop {
        if let Some(listed) = list(door, container).await?.into_iter().next() {
            return Ok(listed);
        }
        // Brackets, so that what looks does not find itself.
        let runs = ["/bin/sh", "-c", "grep -qs [j]upyter /proc/[0-9]*/cmdline"];
        let runs = door.run_in(&container.id, &runs).await?.code == Some(0);
        if !runs || Instant::now() > until {
            return Err(failed(door, container).await);
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

async fn failed(door: &Door, container: &Container) -> Failure {
    let log = door.run_in(&container.id, &["tail", "-n", &LOG_LINES_SHOWN.to_string(), LOG]).await;
    let log = log.map(|said| said.out).unwrap_or_default();
    let lines: String = log.lines().map(|line| format!("\n  | {line}")).collect();
    let name = container.short_name();
    Failure::new(Exit::Failed, "jupyter.failed", format!("Jupyter has not begun in {name}{lines}"))
        .with_hint(format!("what it said: container attach {name}, then cat {LOG}"))
}

async fn stop(door: &Door, container: &Container, running: &[Listed], ui: Ui) -> Result<u8, Failure> {
    for listed in running {
        let said =
            door.run_in(&container.id, &["jupyter", "server", "stop", &listed.port.to_string()]).await?;
        if said.code != Some(0) {
            let line = said.err.lines().next().unwrap_or("it says nothing").to_owned();
            return Err(Failure::new(
                Exit::Failed,
                "jupyter.failed",
                format!("Jupyter did not stop: {line}"),
            ));
        }
    }
    let stopped = running.len();
    ui.answer(&serde_json::json!({ "stopped": stopped }), |_| match stopped {
        0 => "No Jupyter runs there.\n".to_owned(),
        _ => "Jupyter is stopped; the container goes on.\n".to_owned(),
    });
    Ok(0)
}

/// Where a container is reached from the server.
async fn address(door: &Door, container: &Container) -> Result<String, Failure> {
    let inspected = door.inspect(&container.id).await?;
    let networks = inspected["NetworkSettings"]["Networks"].as_object();
    let mut addresses =
        networks.into_iter().flatten().filter_map(|(_, network)| network["IPAddress"].as_str());
    addresses.find(|address| !address.is_empty()).map(str::to_owned).ok_or_else(|| {
        let message =
            format!("{} has no network of its own, so nothing in it can be reached", container.short_name());
        Failure::new(Exit::Failed, codes::INTERNAL, message).with_hint("docker inspect shows its networks")
    })
}

fn reachable(container: &Container, listed: &Listed, address: &str, port: u16, already: bool) -> Reachable {
    let host = setup::host();
    let page = |host: &str, port: u16| {
        let base = if listed.base_url.is_empty() { "/" } else { &listed.base_url };
        format!("http://{host}:{port}{base}?token={}", listed.token)
    };
    Reachable {
        name: container.short_name().to_owned(),
        url: page("127.0.0.1", port),
        url_on_server: page(address, listed.port),
        tunnel: format!("ssh -N -L {port}:{address}:{} {}@{host}", listed.port, container.owner),
        already,
    }
}

/// A token that nobody guesses.
fn token() -> Result<String, Failure> {
    let mut bytes = [0; TOKEN_BYTES];
    let read = std::fs::File::open("/dev/urandom")
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes));
    read.map_err(|error| Failure::new(Exit::Failed, codes::INTERNAL, format!("/dev/urandom: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_differ() {
        let (one, other) = (token().unwrap(), token().unwrap());
        assert!(one.len() == 2 * TOKEN_BYTES && one != other, "{one} {other}");
    }
}
