//! Setting oneself up: ssh, VS Code, and the way from the first login to the first GPU container.

mod editor;
mod guide;
mod ssh;

pub(super) use editor::perform as vscode;
pub(super) use guide::perform as guided;
pub(super) use ssh::perform as ssh;

use std::io;
use std::path::Path;

use ds01_api::{Exit, codes};

use super::spoken;
use crate::failure::Failure;

/// What this machine is called.
pub(super) fn host() -> String {
    let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok());
    host.unwrap_or_else(|| "the-server".to_owned())
}

/// The name of whoever calls.
fn user() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    user.map_or_else(|| nix::unistd::getuid().to_string(), |user| user.name)
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, codes::INTERNAL, format!("{}: {error}", spoken(path)))
}
