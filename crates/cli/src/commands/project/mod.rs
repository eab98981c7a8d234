//! The `project` commands: directories in `~/workspace`, and what belongs to them.

mod disk;
mod init;
mod known;
mod launch;
mod list;
mod make;
mod status;

use crate::args::ProjectCommand;
use crate::client::Door;
use crate::failure::Failure;
use crate::ui::Ui;

pub(crate) use disk::Disk;
pub(crate) use init::Begun;
pub(crate) use known::Standing;

/// The code for a project whose directory is there already.
const EXISTS: &str = "project.exists";
/// The code for a project that has neither a directory nor a container.
const NOT_FOUND: &str = "project.not-found";

pub(super) async fn perform(door: &Door, command: &ProjectCommand, ui: Ui) -> Result<u8, Failure> {
    match command {
        ProjectCommand::Init(args) => init::perform(door, args, ui).await,
        ProjectCommand::Launch(args) => launch::perform(door, args, ui).await,
        ProjectCommand::List(_) => list::perform(door, ui).await,
        ProjectCommand::Status(args) => status::perform(door, args, ui).await,
    }
}
