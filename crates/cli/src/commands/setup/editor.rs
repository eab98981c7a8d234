//! `ds01 vscode-setup`: what is to be done for VS Code, and what stands in its way here. It changes nothing.

use std::path::Path;

use ds01_api::{WhoAmI, paths};

use super::{host, user};
use crate::client::Door;
use crate::commands::home;
use crate::failure::Failure;
use crate::render::{CARE, GOOD, TITLE, styled};
use crate::ui::Ui;

/// Where Docker looks for its plugins, apart from the home.
const PLUGINS: [&str; 3] =
    ["/usr/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins", "/usr/local/lib/docker/cli-plugins"];

pub(crate) async fn perform(door: &Door, ui: Ui) -> Result<u8, Failure> {
    let _: WhoAmI = door.get(paths::WHOAMI).await?;
    let mut text = format!("{}\n", styled(TITLE, "On this machine"));
    let mut line = |well: bool, what: &str| {
        let sign = if well { styled(GOOD, "ok") } else { styled(CARE, "!!") };
        text += &format!("  {sign}  {what}\n");
    };
    line(true, "DS01 answers");
    match on_path("docker") {
        true => line(true, "the docker program is there, which Dev Containers calls"),
        false => {
            line(false, "there is no docker program, which Dev Containers calls: ask an admin for docker-cli")
        }
    }
    if has_buildx() {
        line(
            false,
            "docker buildx is there, and builds through it are refused here: name an image in devcontainer.json",
        );
        line(
            false,
            "rather than a Dockerfile or features (ds01 devcontainer init does), or set DOCKER_BUILDKIT=0",
        );
    }
    let (host, user) = (host(), user());
    text += &format!(
        "\n{}\n  1. In VS Code: the extensions Remote - SSH and Dev Containers\n  \
         2. Remote-SSH: Connect to Host …, then {user}@{host}; ds01 ssh-setup has the lines for ~/.ssh/config\n  \
         3. Open ~/workspace/<project>; in its terminal: ds01 devcontainer init\n  \
         4. Dev Containers: Reopen in Container\n\n\
         A dev container without a GPU is permanent. For a GPU: ds01 run -- python train.py\n",
        styled(TITLE, "On your own computer")
    );
    ui.say(&text);
    Ok(0)
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

fn has_buildx() -> bool {
    let own = home().ok().map(|home| home.join(".docker/cli-plugins"));
    let places = own.into_iter().chain(PLUGINS.iter().map(|place| Path::new(place).to_owned()));
    places.into_iter().any(|place| place.join("docker-buildx").exists())
}
