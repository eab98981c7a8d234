//! One file per command: ask the door, show the answer. A command must never decide what policy decides.

mod attach;
mod borrow;
mod create;
mod deploy;
mod devcontainer;
mod doctor;
mod exempt;
mod exit;
mod greeting;
pub(crate) mod image;
mod install_links;
mod journal;
mod jupyter;
mod list;
mod logs;
mod man;
mod pause;
mod project;
mod remove;
mod rescue;
mod retire;
mod run;
mod settle;
mod setup;
mod sharing;
mod show;
mod start;
mod stats;
mod stop;
mod targets;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::args::moment::Moment;
use crate::args::{CheckCommand, Cli, Command, ContainerCommand, GpuCommand};
use crate::client::{ClientError, Door};
use crate::completion;
use crate::failure::Failure;
use crate::tui;
use crate::ui::Ui;

pub(crate) use devcontainer::{Checked, Written};
pub(crate) use image::recipe::{home, spoken};
pub(crate) use jupyter::Reachable;
pub(crate) use project::{Begun, Disk, Standing};

/// Does what was typed; returns the exit code.
pub(crate) async fn perform(cli: Cli, ui: Ui) -> Result<u8, Failure> {
    match &cli.command {
        Command::InstallLinks(args) => return install_links::perform(args, ui),
        Command::Man(args) => return man::perform(args, ui),
        Command::SshSetup(args) => return setup::ssh(args, ui).await,
        Command::UserSetup(args) => return setup::guided(args, ui).await,
        Command::Completion(args) => {
            ui.say(&completion::script(args.shell));
            return Ok(0);
        }
        // It says nothing where there is no door.
        Command::Greeting(_) => return greeting::perform(ui).await,
        _ => {}
    }
    if let Command::Doctor(args) = &cli.command {
        return Ok(doctor::perform(args, ui).await);
    }
    let door = door()?;
    match &cli.command {
        Command::Container(command) => container(&door, command, ui).await,
        Command::Image(command) => image::perform(&door, command, ui).await,
        Command::Devcontainer(command) => devcontainer::perform(&door, command, ui).await,
        Command::Project(command) => project::perform(&door, command, ui).await,
        Command::Gpu(GpuCommand::Status(args)) => show::gpu_status(&door, args, ui).await,
        Command::Gpu(GpuCommand::Release(args)) => show::gpu_release(&door, args.time, ui).await,
        Command::Check(CheckCommand::Limits(_)) => show::check_limits(&door, ui).await,
        Command::Dashboard => tui::run(&door).await,
        Command::Whoami(_) => show::whoami(&door, ui).await,
        Command::Run(args) => borrow::perform(&door, args, ui).await,
        Command::Jupyter(args) => jupyter::perform(&door, args, ui).await,
        Command::VscodeSetup => setup::vscode(&door, ui).await,
        Command::Queue(_) => show::queue(&door, ui).await,
        Command::Why(args) => show::why(&door, &args.name, ui).await,
        Command::Exempt(args) => exempt::perform(&door, args, ui).await,
        Command::Events(args) => journal::events(&door, args, ui).await,
        Command::History(args) => journal::history(&door, args, ui).await,
        Command::Share(args) => sharing::share(&door, args, ui).await,
        Command::Unshare(args) => sharing::unshare(&door, args, ui).await,
        Command::Shares(_) => sharing::shares(&door, ui).await,
        Command::Repair(args) => sharing::repair(&door, args, ui).await,
        Command::Keep(args) => show::keep(&door, &args.name, args.time, ui).await,
        Command::Greeting(_)
        | Command::SshSetup(_)
        | Command::UserSetup(_)
        | Command::Doctor(_)
        | Command::InstallLinks(_)
        | Command::Completion(_)
        | Command::Man(_) => {
            unreachable!("needs no door and was done above")
        }
    }
}

async fn container(door: &Door, command: &ContainerCommand, ui: Ui) -> Result<u8, Failure> {
    match command {
        ContainerCommand::Deploy(args) => deploy::perform(door, args, ui).await,
        ContainerCommand::Create(args) => create::perform(door, args, ui).await,
        ContainerCommand::Start(args) => start::perform(door, args, ui).await,
        ContainerCommand::Run(args) => run::perform(door, args, ui).await,
        ContainerCommand::Attach(args) => attach::perform(door, args, ui).await,
        ContainerCommand::Exit(args) => exit::perform(door, args, ui).await,
        ContainerCommand::Stop(args) => stop::perform(door, args, ui).await,
        ContainerCommand::Pause(args) => pause::pause(door, args, ui).await,
        ContainerCommand::Unpause(args) => pause::unpause(door, args, ui).await,
        ContainerCommand::Retire(args) => retire::perform(door, args, ui).await,
        ContainerCommand::Remove(args) => remove::perform(door, args, ui).await,
        ContainerCommand::List(args) => list::perform(door, args, ui).await,
        ContainerCommand::Logs(args) => logs::perform(door, args, ui).await,
        ContainerCommand::Stats(args) => stats::perform(door, args, ui).await,
    }
}

/// When a moment is, or was.
fn at(moment: Moment) -> Result<Timestamp, Failure> {
    let never = |error: jiff::Error| Failure::usage(format!("there is no such time: {error}"));
    Ok(match moment {
        Moment::At(at) => at,
        Moment::Ago(span) => {
            let span = SignedDuration::try_from(span).map_err(never)?;
            Timestamp::now().checked_sub(span).map_err(never)?
        }
        Moment::Here(civil) => civil.to_zoned(TimeZone::system()).map_err(never)?.timestamp(),
    })
}

/// The door that this environment means.
pub(crate) fn door() -> Result<Door, ClientError> {
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
