//! `ds01 run`: a GPU for one command, in a container beside that has the image, the workspace and the user of where it was
//! typed, and is gone when the command has ended.
//!
//! The command is the container's own process: when it ends, the GPU is free, whatever has become of us by then.

mod sibling;

use std::future::pending;
use std::io::{IsTerminal as _, stderr};

use ds01_api::{RetireRequest, Retired, Via, WhoAmI, paths};

use self::sibling::Sibling;
use super::settle::settle;
use crate::args::BorrowArgs;
use crate::carry::{End, carry};
use crate::client::{ClientError, Door};
use crate::failure::Failure;
use crate::render;
use crate::signals::Signals;
use crate::terminal;
use crate::ui::Ui;

/// Exit codes of signals have this added to their number.
const EXIT_SIGNAL_BASE: u8 = 128;

pub(super) async fn perform(door: &Door, args: &BorrowArgs, ui: Ui) -> Result<u8, Failure> {
    let interactive = terminal::is_interactive();
    let me: WhoAmI = door.get(paths::WHOAMI).await?;
    let sibling = match &me.via {
        Via::Host => Sibling::of_project(door, args, &me).await?,
        Via::Container { name } => Sibling::of_container(&door.inspect(name).await?, name, args)?,
    };
    let made = door.create(&sibling.name, &sibling.body(args, interactive)?).await?;
    for warning in made.warnings.iter().flatten() {
        ui.warn(warning);
    }
    let ended = see_through(door, &made.id, &sibling.name, args, interactive, ui).await;
    if ended.is_err() {
        // Made and perhaps not started, so nothing but us would remove it.
        let leftover = RetireRequest { name: made.id, force: true, ..RetireRequest::default() };
        let _: Result<Retired, ClientError> = door.post(paths::RETIRE, &leftover).await;
    }
    ended
}

async fn see_through(
    door: &Door,
    id: &str,
    name: &str,
    args: &BorrowArgs,
    interactive: bool,
    ui: Ui,
) -> Result<u8, Failure> {
    // Both before the start, so that not a word of it is missed.
    let line = door.attach(id).await?;
    let waited = door.wait(id).await?;
    let mut signals = Signals::new();
    let started = tokio::select! {
        biased;
        started = settle(door, id, name, args.patience.duration(), ui) => started?,
        code = signals.fatal() => {
            return Err(Failure { exit: code, ..Failure::usage("broken off before it began") });
        }
    };
    if stderr().is_terminal() && !started.units.is_empty() {
        let units: Vec<String> = started.units.iter().map(render::unit).collect();
        ui.note(&format!("GPU {} until `{}` ends", units.join(", "), args.command.join(" ")));
    }
    let passed_on = tokio::spawn(pass_on(door.clone(), id.to_owned(), signals));
    let end = carry(line, interactive, pending()).await?;
    if let End::Broken(error) = &end {
        // Nobody reads what it says any more: it is told to end, as a shell would do.
        let _ = door.kill(id, "SIGTERM").await;
        ui.note(&format!("nobody reads its output any more ({error})"));
    }
    let exit = waited.exit().await;
    passed_on.abort();
    // As the kernel does: the low eight bits.
    Ok(exit?.to_le_bytes()[0])
}

/// Passes signals on to the command; the second one of those that ask it to end is one that it cannot refuse.
async fn pass_on(door: Door, id: String, mut signals: Signals) {
    let mut asked = false;
    loop {
        let signal = match signals.fatal().await.saturating_sub(EXIT_SIGNAL_BASE) {
            _ if asked => "SIGKILL",
            1 => "SIGHUP",
            2 => "SIGINT",
            _ => "SIGTERM",
        };
        asked = true;
        let _ = door.kill(&id, signal).await;
    }
}
