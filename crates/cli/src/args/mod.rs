//! The command line: what can be typed, and the texts that `--help` shows. It must never read the world or act.

pub(crate) mod argv;
mod borrow;
mod container;
mod course;
mod devcontainer;
pub(crate) mod duration;
mod image;
mod install;
mod listing;
mod looking;
mod machine;
mod making;
pub(crate) mod mistake;
pub(crate) mod moment;
mod project;
mod setup;
mod sharing;
mod size;

use std::ffi::OsString;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::texts::Levels;

pub(crate) use borrow::BorrowArgs;
pub(crate) use container::{
    AttachArgs, ContainerCommand, ExitArgs, PauseArgs, RemoveArgs, RetireArgs, RunArgs, StartArgs, StopArgs,
    Targets,
};
pub(crate) use course::{ExemptArgs, KeepArgs, WhyArgs};
pub(crate) use devcontainer::{DevContainerCheckArgs, DevContainerCommand, DevContainerInitArgs};
pub(crate) use image::{ImageCommand, ImageCreateArgs, ImageDeleteArgs, ImageListArgs, ImageUpdateArgs};
pub(crate) use install::{CompletionArgs, DoctorArgs, InstallLinksArgs, ManArgs, Shell};
pub(crate) use listing::ListArgs;
pub(crate) use looking::{EventsArgs, GpuStatusArgs, HistoryArgs, LogsArgs, StatsArgs};
pub(crate) use machine::{CheckCommand, GpuCommand};
pub(crate) use making::{CreateArgs, DeployArgs, GpuArgs, MakingArgs, Patience};
pub(crate) use project::{InitArgs, LaunchArgs, ProjectCommand, ProjectType, StatusArgs};
pub(crate) use setup::{JupyterArgs, SshSetupArgs, UserSetupArgs};
pub(crate) use sharing::{RepairArgs, ShareArgs, ShareKind, UnshareArgs};

const EXAMPLES: &str = "\
Examples:
  container deploy my-project --open   a GPU container with a shell in it
  container list                       what you have running
  container retire my-project          stop, remove, free the GPU
  gpu-status                           who holds which GPU
  check-limits                         what you may use

Files in /workspace are kept; everything else goes with the container.
Every command has three spellings: `ds01 container list`, `container list`, `container-list`.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no GPU to be had, 4 not found, 5 not permitted.";

/// GPU containers on a shared machine
#[derive(Debug, Parser)]
#[command(name = "ds01", version, after_help = EXAMPLES, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Deploy, enter, stop, retire and list containers
    #[command(subcommand, arg_required_else_help = true)]
    Container(ContainerCommand),
    /// Create, update, list and delete the images of your projects
    #[command(subcommand, arg_required_else_help = true)]
    Image(ImageCommand),
    /// Begin projects, and see how they stand
    #[command(subcommand, arg_required_else_help = true)]
    Project(ProjectCommand),
    /// Dev containers of VS Code and others: a file that works here, and what is wrong with one
    #[command(subcommand, arg_required_else_help = true)]
    Devcontainer(DevContainerCommand),
    /// Look at the GPUs
    #[command(subcommand, arg_required_else_help = true)]
    Gpu(GpuCommand),
    /// Look at your limits
    #[command(subcommand, arg_required_else_help = true)]
    Check(CheckCommand),
    /// Show the machine on the whole screen: GPUs, containers, people, the line, what happens
    #[command(after_help = "\
Arrows and Tab move, ? tells the other keys, q leaves. What others do not show to you is not shown here.

Example:
  dashboard")]
    Dashboard,
    /// Say in three lines what is free and what you have running, for logins
    #[command(after_help = "\
Says nothing, and is no error, where ds01d does not answer within a third of a second.

Example, in /etc/profile.d/ds01.sh:
  case $- in *i*) ds01 greeting ;; esac")]
    Greeting(Plain),
    /// Show who you are here, and in which group
    Whoami(Plain),
    /// Borrow a GPU for one command
    #[command(after_help = "\
The command runs in a container beside: in a project's directory of the project's image and workspace; in a dev container
(ds01 devcontainer init --gpu-on-demand) of that one's image, mounts, user and variables. What was installed by hand into the
dev container is not in its image, so not there. Input, output, Ctrl-C and the exit code are the command's; when it ends, the
GPU is free.

Examples:
  ds01 run -- python src/train.py --epochs 20
  ds01 run --wait 2h -- python src/train.py
  ds01 run --gpu-memory 30g --data ~/datasets/imagenet -- timeout 8h python src/train.py
  ds01 run --project my-thesis -- nvidia-smi")]
    Run(BorrowArgs),
    /// Start Jupyter in a project's container, and tell how to reach it
    #[command(after_help = "\
The container has to run (project launch). One that runs already is told of again. It is reached through ssh: the command for
your own computer is printed, and the page with its token.

Examples:
  ds01 jupyter my-thesis
  ds01 jupyter my-thesis --port 9999
  ds01 jupyter my-thesis --stop")]
    Jupyter(JupyterArgs),
    /// From the first login to the first GPU container, step by step
    #[command(after_help = "\
Each step is a command: it is shown, explained, and can be passed over. Nothing that is there already is replaced.

Examples:
  user-setup
  user-setup --project my-thesis --yes")]
    UserSetup(UserSetupArgs),
    /// Make a key for ssh, and print what your own computer needs
    #[command(after_help = "\
A key that is there stays; no line of a file is changed.

Examples:
  ssh-setup
  ssh-setup --authorize 'ssh-ed25519 AAAA… me@laptop'")]
    SshSetup(SshSetupArgs),
    /// Tell how VS Code is connected, and what stands in its way here
    VscodeSetup,
    /// Show who waits for a GPU
    Queue(Explained),
    /// Explain why a container is as it is
    #[command(after_help = "Example:\n  ds01 why my-project")]
    Why(WhyArgs),
    /// Keep a container that does not use its GPU from being stopped, for a while
    #[command(after_help = "\
Without it a GPU container is stopped when its GPU has been idle for too long (check-limits); you are warned before.
`touch ~/workspace/my-project/.keep-alive` does the same for a day. The maximum run time is not changed.

Examples:
  ds01 keep my-project --for 2h
  ds01 keep my-project --for 0s     take it back")]
    Keep(KeepArgs),
    /// Let a container, or all of a person's, run on until a day, for a reason (administrators)
    #[command(after_help = "\
Until then DS01 stops it neither for an idle GPU nor at the end of its run time; its owner is warned before that day. It is
shown by `ds01 why`, and kept in `ds01 events`.

Examples:
  ds01 exempt thesis._.alice --until 2026-12-01 --reason 'deadline on Friday'
  ds01 exempt --user alice --until 2026-12-01 --reason 'measures for the paper'
  ds01 exempt --list
  ds01 exempt --remove --user alice")]
    Exempt(ExemptArgs),
    /// Show what happened to your containers and their GPUs: granted, warned, stopped, released
    #[command(after_help = "\
Administrators see what happened to everybody's, and to the GPUs themselves. Lines are kept for 30 days.

Examples:
  ds01 events                 the last day
  ds01 events -f              from now on, until Ctrl-C
  ds01 events --since 2h --json")]
    Events(EventsArgs),
    /// Show who held which GPU from when to when, and how that ended
    #[command(after_help = "\
Yours; of others you see who held which GPU and when. Administrators see all. It is kept for 90 days.

Examples:
  ds01 history
  ds01 history my-project --since 30d
  ds01 history --all")]
    History(HistoryArgs),
    /// Let others use an image or a volume of yours
    #[command(after_help = "\
They see it, start containers with it and build on it; it stays yours to change and remove. A volume can be read, with
--write also written to.

Examples:
  ds01 share image ds01-alice/thesis --with bob
  ds01 share volume datasets --with bob,carol
  ds01 share volume results --with bob --write")]
    Share(ShareArgs),
    /// Take back what you share
    #[command(after_help = "\
Containers that run with it go on; they do not start again.

Examples:
  ds01 unshare volume datasets --with bob
  ds01 unshare image ds01-alice/thesis     from everybody who had it")]
    Unshare(UnshareArgs),
    /// Show what you share, and what is shared with you
    Shares(Plain),
    /// Get files back that a container has given to other users
    #[command(after_help = "\
`chown 33` in a container makes a file 100033's on this machine, a number of your own that only root may change. This makes
all such files below PATH yours again. Other people's files, links and other disks are left alone.

Examples:
  ds01 repair ~/workspace/my-project
  ds01 repair ~/workspace --dry-run")]
    Repair(RepairArgs),
    /// Look whether this machine is set up as DS01 needs it
    #[command(after_help = "\
Changes nothing. Root sees everything, others what they may. Exit code 1 if there is a problem; warnings are none.

Examples:
  sudo ds01 doctor
  sudo ds01 doctor -q      only what is wrong, with what helps")]
    Doctor(DoctorArgs),
    /// Make the commands `container`, `container-deploy`, `gpu-status`, …
    #[command(after_help = "\
Links that are there already stay as they are; a file of another program is never replaced.

Example:
  sudo ds01 install-links /usr/local/bin")]
    InstallLinks(InstallLinksArgs),
    /// Print what makes Tab complete commands, flags and the names of your containers
    #[command(after_help = "\
For yourself, in ~/.bashrc, ~/.zshrc (after compinit) or ~/.config/fish/config.fish:
  source <(ds01 completion bash)
  source <(ds01 completion zsh)
  ds01 completion fish | source

For everybody: docs/admin/install.md")]
    Completion(CompletionArgs),
    /// Write the manual: a page for every command
    #[command(after_help = "\
A page of another program is never replaced.

Example:
  sudo ds01 man /usr/local/share/man/man1
  man container-deploy")]
    Man(ManArgs),
}

/// A command that only shows something.
#[derive(Debug, Args)]
pub(crate) struct Plain {
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

/// A command that only shows something, and has a text about it.
#[derive(Debug, Args)]
pub(crate) struct Explained {
    #[command(flatten)]
    pub(crate) plain: Plain,
    #[command(flatten)]
    pub(crate) levels: Levels,
}

/// Reads a command line in any of its spellings.
pub(crate) fn parse(argv: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let argv::Argv { words, by_program } = argv::normalise(argv);
    // Whoever typed `container deploy` finds that in the usage line, not a `ds01` that he did not type.
    let matches = if by_program {
        Cli::command().try_get_matches_from(words)?
    } else {
        Cli::command().multicall(true).try_get_matches_from(words.into_iter().skip(1))?
    };
    Cli::from_arg_matches(&matches)
}

/// The names of the command that a command line leads to, whatever alias was typed: `container list`.
pub(crate) fn path_of(words: &[OsString]) -> String {
    let mut command = &Cli::command();
    let mut path = Vec::new();
    for word in words.iter().skip(1) {
        let Some(next) = word.to_str().and_then(|word| command.find_subcommand(word)) else { break };
        path.push(next.get_name());
        command = next;
    }
    path.join(" ")
}

/// Whether a word names a group of commands.
pub(crate) fn is_group(word: &str) -> bool {
    Cli::command().find_subcommand(word).is_some_and(clap::Command::has_subcommands)
}

/// What `--help` says of a command, with its colours.
pub(crate) fn help(path: &str) -> String {
    let words = ["ds01"].into_iter().chain(path.split(' ')).chain(["--help"]);
    parse(words.map(OsString::from)).map_or_else(|help| help.render().ansi().to_string(), |_| String::new())
}

impl Cli {
    /// Whether every line that is written is to be JSON.
    pub(crate) fn wants_json(&self) -> bool {
        match &self.command {
            Command::Container(command) => match command {
                ContainerCommand::Deploy(DeployArgs { making, .. })
                | ContainerCommand::Create(CreateArgs { making }) => making.json,
                ContainerCommand::Start(args) => args.json,
                ContainerCommand::Stop(args) => args.json,
                ContainerCommand::Pause(args) | ContainerCommand::Unpause(args) => args.json,
                ContainerCommand::Retire(args) => args.json,
                ContainerCommand::Remove(args) => args.json,
                ContainerCommand::List(args) => args.json,
                ContainerCommand::Stats(args) => args.json,
                ContainerCommand::Run(_)
                | ContainerCommand::Attach(_)
                | ContainerCommand::Exit(_)
                | ContainerCommand::Logs(_) => false,
            },
            Command::Image(command) => match command {
                ImageCommand::Create(args) => args.json,
                ImageCommand::Update(args) => args.json,
                ImageCommand::List(args) => args.json,
                ImageCommand::Delete(args) => args.json,
            },
            Command::Project(command) => match command {
                ProjectCommand::Init(args) => args.json,
                ProjectCommand::Launch(args) => args.deploy.making.json,
                ProjectCommand::List(plain) => plain.json,
                ProjectCommand::Status(args) => args.json,
            },
            Command::Devcontainer(command) => match command {
                DevContainerCommand::Init(args) => args.json,
                DevContainerCommand::Check(args) => args.json,
                DevContainerCommand::Prepare => false,
            },
            Command::Gpu(GpuCommand::Status(args)) => args.json,
            Command::Check(CheckCommand::Limits(args)) => args.plain.json,
            Command::Gpu(GpuCommand::Release(args)) => args.json,
            Command::Whoami(plain) | Command::Greeting(plain) => plain.json,
            Command::Queue(args) => args.plain.json,
            Command::Why(args) => args.json,
            Command::Exempt(args) => args.json,
            Command::Events(args) => args.json,
            Command::History(args) => args.json,
            Command::Keep(args) => args.json,
            Command::Share(args) => args.json,
            Command::Unshare(args) => args.json,
            Command::Shares(plain) => plain.json,
            Command::Repair(args) => args.json,
            Command::Doctor(args) => args.json,
            Command::Jupyter(args) => args.json,
            Command::Dashboard
            | Command::UserSetup(_)
            | Command::SshSetup(_)
            | Command::VscodeSetup
            | Command::Run(_)
            | Command::InstallLinks(_)
            | Command::Completion(_)
            | Command::Man(_) => false,
        }
    }
}

#[cfg(test)]
mod documents_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Cli, clap::Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_link_leads_to_a_command_with_help() {
        for name in argv::link_names() {
            let help = read(&format!("{name} --help")).unwrap_err();
            assert_eq!(help.kind(), clap::error::ErrorKind::DisplayHelp, "{name}");
            let usage = help.to_string().lines().find(|line| line.starts_with("Usage:")).unwrap().to_owned();
            let spoken = name.replace('-', " ").replace(" ls", " list");
            let spoken = spoken.replace("image rm", "image delete").replace(" rm", " remove");
            let said = [&spoken, &name].iter().any(|typed| usage.starts_with(&format!("Usage: {typed}")));
            assert!(said, "{usage}");
        }
    }

    #[test]
    fn usage_begins_as_it_was_typed() {
        let usage = |line: &str| {
            read(line).unwrap_err().to_string().lines().find(|l| l.contains("Usage:")).unwrap().to_owned()
        };
        assert_eq!(usage("ds01 container retire"), "Usage: ds01 container retire <NAME>...");
        assert_eq!(usage("container-retire"), "Usage: container retire <NAME>...");
    }

    #[test]
    fn flags_that_exclude_each_other() {
        for line in [
            "container deploy p --open --background",
            "container deploy p --open --json",
            "container deploy p --cpu-only --gpus 2",
            "container deploy p --wait 3m --no-wait",
            "container deploy",
            "container retire",
            "container deploy p --gpus many",
            "container deploy p --wait soon",
            "container deploy p --image x --framework pytorch",
            "container create p --open",
            "container start",
            "container start p --all",
            "container stop p --timeout 3601",
            "container stop p --timeout soon",
            "container retire p --timeout 5 --force",
            "container remove",
            "container list --quiet --json",
            "container list --format {{.Nmae}}",
            "container list --format {{.Name",
            "container list --filter colour=red",
            "container list --filter running",
            "container list --watch=0",
            "container list --watch --json",
        ] {
            assert_eq!(read(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn patience() {
        let patience = |line: &str| match read(line).unwrap().command {
            Command::Container(ContainerCommand::Deploy(args)) => args.patience.duration(),
            other => panic!("{other:?}"),
        };
        assert_eq!(patience("container deploy p"), None);
        assert_eq!(patience("container-deploy p --wait 2h").map(|wait| wait.as_secs()), Some(7200));
        assert_eq!(patience("ds01 container deploy p --no-wait").map(|wait| wait.as_secs()), Some(0));
    }
}
