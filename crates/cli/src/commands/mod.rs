//! One file per command: ask the door, show the answer. A command must never decide what policy decides.

mod attach;
mod deploy;
mod doctor;
mod install_links;
mod list;
mod retire;
mod run;
mod show;
mod start;
mod stop;

use crate::args::{CheckCommand, Cli, Command, ContainerCommand, GpuCommand};
use crate::client::{ClientError, Door};
use crate::failure::Failure;
use crate::ui::Ui;

/// Does what was typed; returns the exit code.
pub(crate) async fn perform(cli: Cli, ui: Ui) -> Result<u8, Failure> {
    if let Command::InstallLinks(args) = &cli.command {
        return install_links::perform(args, ui);
    }
    if let Command::Doctor(args) = &cli.command {
        return Ok(doctor::perform(args, ui).await);
    }
    let door = door()?;
    match &cli.command {
        Command::Container(ContainerCommand::Deploy(args)) => deploy::perform(&door, args, ui).await,
        Command::Container(ContainerCommand::Run(args)) => run::perform(&door, args, ui).await,
        Command::Container(ContainerCommand::Attach(args)) => attach::perform(&door, args, ui).await,
        Command::Container(ContainerCommand::Stop(args)) => stop::perform(&door, args, ui).await,
        Command::Container(ContainerCommand::Retire(args)) => retire::perform(&door, args, ui).await,
        Command::Container(ContainerCommand::List(args)) => list::perform(&door, args, ui).await,
        Command::Gpu(GpuCommand::Status(_)) => show::gpu_status(&door, ui).await,
        Command::Gpu(GpuCommand::Release(args)) => show::gpu_release(&door, args.time, ui).await,
        Command::Check(CheckCommand::Limits(_)) => show::check_limits(&door, ui).await,
        Command::Whoami(_) => show::whoami(&door, ui).await,
        Command::Queue(_) => show::queue(&door, ui).await,
        Command::Why(args) => show::why(&door, &args.name, ui).await,
        Command::Doctor(_) | Command::InstallLinks(_) => unreachable!("needs no door and was done above"),
    }
}

fn door() -> Result<Door, ClientError> {
    let host = std::env::var_os("DOCKER_HOST");
    Door::find(host.as_ref().map(|host| host.to_string_lossy()).as_deref())
}

/// Does `act` for every name; goes on after a failure, tells each, and ends as the first one did.
async fn for_each<T>(
    names: &[String],
    ui: Ui,
    mut act: impl AsyncFnMut(&str) -> Result<T, Failure>,
) -> (Vec<T>, u8) {
    let mut done = Vec::new();
    let mut exit = 0;
    for name in names {
        match act(name).await {
            Ok(result) => done.push(result),
            Err(failure) => {
                ui.failure(&failure);
                exit = if exit == 0 { failure.exit } else { exit };
            }
        }
    }
    (done, exit)
}
