//! DS01's own parts: the door and who answers there, the hinge, the ledger, the runtime and its settings, the clients.

use std::path::{Path, PathBuf};

use ds01_api::{Machine, WhoAmI, paths};

use super::super::facts::{Engine, Own, Running, RuntimeSettings, RuntimeValues, because};
use super::super::finding::{Seen, Unseen};
use super::engine::peer;
use super::{Look, files, program};
use crate::client::{ClientError, Door};
use crate::failure::Failure;

/// The settings of `ds01-runtime` where there are none beside it.
const SETTINGS: &str = "/etc/ds01/runtime.json";
/// Why nothing is known of `ds01-runtime`.
const NO_RUNTIME: &str = "the Engine has no runtime of DS01";
/// Plugins that bring BuildKit to every user's `docker`.
const PLUGINS: [&str; 2] = ["docker-buildx", "docker-compose"];
const PLUGIN_PLACES: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

pub(super) async fn look(look: &Look, engine: &Engine) -> Own {
    let configured = &look.paths;
    let door = Door::at(&configured.door);
    let answers: Result<WhoAmI, ClientError> = door.get(paths::WHOAMI).await;
    let machine: Result<Machine, ClientError> = door.get(paths::MACHINE).await;
    let runtime =
        engine.runtime.as_ref().map_err(Clone::clone).map(|found| found.as_ref().map(|p| p.path.clone()));
    Own {
        version: env!("CARGO_PKG_VERSION"),
        file: configured.file.as_deref().map_or(Ok(None), files::way),
        door: files::way(&configured.door),
        answers: answers.map(drop).map_err(in_words),
        machine: machine.map_err(|_| Unseen::Because("ds01d does not answer".to_owned())),
        daemon: running(look).await,
        hinge: files::way(&configured.hinge),
        receipts: files::way(&configured.receipts),
        ledger: files::way(&configured.ledger),
        runtime_version: version(runtime.clone()).await,
        runtime_settings: runtime.and_then(|path| match path {
            Some(path) => Ok(settings_beside(look, Some(&path))),
            None => because(NO_RUNTIME),
        }),
        buildkit_clients: buildkit_clients(look),
        buildkit_is_off: buildkit_is_off(look),
    }
}

fn in_words(error: ClientError) -> String {
    Failure::from(error).error.message
}

/// The version of the process behind the door: its own program is asked, which may not be the installed one any more.
async fn running(look: &Look) -> Seen<Running> {
    if !look.is_root {
        return Err(Unseen::NeedsRoot);
    }
    let Some((pid, uid)) = peer(&look.paths.door) else { return because("ds01d does not answer") };
    if uid != 0 {
        return because(format!("what answers at the door is not root's, but of the user id {uid}"));
    }
    let is_replaced = std::fs::read_link(format!("/proc/{pid}/exe"))
        .is_ok_and(|path| path.to_string_lossy().ends_with(" (deleted)"));
    let said = program::output_of_process(pid, &["--version".as_ref()]).await?;
    match said.strip_prefix("ds01d ") {
        Some(version) => Ok(Running { version: version.trim().to_owned(), is_replaced }),
        None => because("systemd answers in its place: it has not been asked for anything yet"),
    }
}

async fn version(runtime: Seen<Option<PathBuf>>) -> Seen<String> {
    let Some(path) = runtime? else { return because(NO_RUNTIME) };
    let said = program::output(&path, &["--ds01-version".as_ref()]).await?;
    match said.strip_prefix("ds01-runtime ") {
        Some(version) => Ok(version.trim().to_owned()),
        None => because(format!("{} does not tell", path.display())),
    }
}

/// What `ds01-runtime` would take: the file beside it, else the system's.
pub(super) fn settings_beside(look: &Look, program: Option<&Path>) -> RuntimeSettings {
    let beside = program.map(|path| {
        let mut path = path.to_owned();
        path.as_mut_os_string().push(".json");
        path
    });
    for path in beside.into_iter().chain([PathBuf::from(SETTINGS)]) {
        let at = look.root.at(&path);
        let values = match look.root.read(&path) {
            Ok(None) => continue,
            Ok(Some(text)) => serde_json::from_str(&text).map_err(|error| error.to_string()),
            Err(Unseen::Because(why)) => Err(why),
            Err(Unseen::NeedsRoot) => Err("only root may read it".to_owned()),
        };
        return RuntimeSettings { is_unsafe: files::is_writable(&at), file: Some(at), values };
    }
    RuntimeSettings { file: None, is_unsafe: false, values: Ok(RuntimeValues::default()) }
}

fn buildkit_clients(look: &Look) -> Vec<PathBuf> {
    let plugins = PLUGIN_PLACES.into_iter().flat_map(|place| PLUGINS.map(|name| Path::new(place).join(name)));
    plugins.map(|path| look.root.at(path)).filter(|path| path.exists()).collect()
}

fn buildkit_is_off(look: &Look) -> bool {
    let profiles = look.root.list("/etc/profile.d").into_iter();
    let files = profiles.chain(["/etc/environment", "/etc/profile"].map(PathBuf::from));
    let says_so = |text: String| {
        text.lines().map(|line| line.trim().trim_start_matches("export ")).any(|line| {
            line.strip_prefix("DOCKER_BUILDKIT=").is_some_and(|value| value.trim_matches(['"', '\'']) == "0")
        })
    };
    files.filter_map(|path| look.root.text(path)).any(says_so)
}
