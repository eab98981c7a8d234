//! `ds01 user-setup`: from the first login to the first GPU container, step by step. Every step is a command that can be typed;
//! it is shown, explained, and can be passed over.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use ds01_api::Exit;

use super::failed;
use crate::args::{self, UserSetupArgs};
use crate::commands::{home, image, perform as perform_line, spoken};
use crate::failure::Failure;
use crate::project::Place;
use crate::prompts;
use crate::render::{QUIET, TITLE, TYPED, styled};
use crate::ui::Ui;

/// A step of the way.
struct Step {
    title: &'static str,
    why: &'static str,
    act: Act,
    /// Whether it only looks: then nobody is asked.
    looks: bool,
}

enum Act {
    /// A command line of our own.
    Line(Vec<String>),
    /// A line more in a file, if it is not there.
    Append(PathBuf, &'static str),
}

impl Act {
    fn shown(&self) -> String {
        match self {
            Self::Line(words) => words.join(" "),
            Self::Append(file, line) => format!("echo '{line}' >>{}", spoken(file)),
        }
    }
}

pub(crate) async fn perform(args: &UserSetupArgs, ui: Ui) -> Result<u8, Failure> {
    let steps = steps(args)?;
    let ask = !args.yes && !args.dry_run && prompts::can_ask();
    let act = args.yes || ask;
    let count = steps.len();
    let mut worst = 0;
    for (at, step) in steps.iter().enumerate() {
        ui.say(&format!(
            "\n{}  {QUIET}{} of {count}{QUIET:#}\n{}\n",
            styled(TITLE, step.title),
            at + 1,
            step.why
        ));
        ui.say(&format!("  {}\n", styled(TYPED, &step.act.shown())));
        if !act || (ask && !step.looks && !goes_on()?) {
            continue;
        }
        // A step that fails has said why; those behind it may still be of use.
        let exit = match take(&step.act, ui).await {
            Ok(exit) => exit,
            Err(failure) if failure.exit == Exit::Interrupted.code() => return Err(failure),
            Err(failure) => {
                ui.failure(&failure);
                failure.exit
            }
        };
        worst = if worst == 0 { exit } else { worst };
    }
    if act {
        ui.say(&format!(
            "\nThat is all. {} opens a shell with a GPU; {} frees it; ds01 --help has the rest.\n",
            styled(TYPED, &format!("container attach {}", args.project)),
            styled(TYPED, &format!("container retire {}", args.project)),
        ));
    } else if !args.dry_run {
        ui.note("nothing was done: on a terminal each step is asked for, and --yes does them all");
    }
    Ok(worst)
}

fn goes_on() -> Result<bool, Failure> {
    prompts::confirm("Do it?", true).map_err(|mut failure| {
        if failure.exit == Exit::Interrupted.code() {
            failure.error.message = "broken off; what was done stays".to_owned();
            return failure.with_hint("ds01 user-setup goes on: what is there already is left alone");
        }
        failure
    })
}

fn steps(args: &UserSetupArgs) -> Result<Vec<Step>, Failure> {
    let project = image::project(&args.project)?;
    let line = |words: &str| Act::Line(words.split(' ').map(str::to_owned).collect());
    let mut steps = vec![
        Step {
            title: "Who you are, and what you may use",
            why: "Your group decides how many GPUs you may have at a time, and when an idle one goes back to the others.",
            act: line("check-limits"),
            looks: true,
        },
        Step {
            title: "A key for ssh",
            why: "For git on this machine, and to log in without a password. A key that is there stays.",
            act: line("ds01 ssh-setup"),
            looks: false,
        },
    ];
    if let Some((file, words)) = completion()? {
        steps.push(Step {
            title: "Tab completes commands and names",
            why: "From the next login on.",
            act: Act::Append(file, words),
            looks: false,
        });
    }
    if !Place::of(&project)?.directory.exists() {
        let base = args.base.as_ref().map(|base| format!(" --base {base}")).unwrap_or_default();
        steps.push(Step {
            title: "A project",
            why: "A directory in ~/workspace, with a Dockerfile that says what its image has. What is in it stays.",
            act: line(&format!("project init {project} --quick{base}")),
            looks: false,
        });
    }
    steps.push(Step {
        title: "Its container, with a GPU",
        why: "The image is built, which takes some minutes the first time; then the container starts, or waits for a GPU.",
        act: line(&format!("project launch {project}")),
        looks: false,
    });
    Ok(steps)
}

/// The file in which a shell looks at its start, and the line in it that makes Tab work; none where it is there already.
fn completion() -> Result<Option<(PathBuf, &'static str)>, Failure> {
    let shell = std::env::var("SHELL").unwrap_or_default();
    let (file, line) = match shell.rsplit('/').next() {
        Some("bash") => (".bashrc", "source <(ds01 completion bash)"),
        Some("zsh") => (".zshrc", "source <(ds01 completion zsh)"),
        _ => return Ok(None),
    };
    let file = home()?.join(file);
    let there = fs::read_to_string(&file).unwrap_or_default();
    Ok((!there.contains("ds01 completion")).then_some((file, line)))
}

async fn take(act: &Act, ui: Ui) -> Result<u8, Failure> {
    match act {
        Act::Line(words) => {
            let words = words.iter().map(OsString::from);
            let cli = args::parse(words).map_err(|error| Failure::usage(error.to_string()))?;
            // A command that calls commands: its size is known only behind a pointer.
            Box::pin(perform_line(cli, ui)).await
        }
        Act::Append(file, line) => {
            let there = fs::read_to_string(file).unwrap_or_default();
            let end = if there.is_empty() || there.ends_with('\n') { "" } else { "\n" };
            let opened = fs::OpenOptions::new().append(true).create(true).open(file);
            let written = opened.and_then(|mut opened| opened.write_all(format!("{end}{line}\n").as_bytes()));
            written.map_err(|error| failed(file, &error))?;
            Ok(0)
        }
    }
}
