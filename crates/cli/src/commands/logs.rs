//! `container logs`: what a container's own command has written, byte for byte. Leaving it leaves the container alone.

use std::io::{self, IsTerminal as _, stderr};

use crate::args::LogsArgs;
use crate::args::moment::Moment;
use crate::client::{ClientError, Door, LogsWanted};
use crate::failure::Failure;
use crate::frames::Outputs;
use crate::signals::Signals;
use crate::ui::Ui;
use ds01_api::{Container, Exit};

pub(super) async fn perform(door: &Door, args: &LogsArgs, ui: Ui) -> Result<u8, Failure> {
    let wanted = LogsWanted {
        follow: args.follow,
        tail: args.tail.clone(),
        since: args.since.map(unix).transpose()?,
        until: args.until.map(unix).transpose()?,
        timestamps: args.timestamps,
    };
    let mut signals = Signals::new();
    tokio::select! {
        shown = show(door, &args.name, &wanted, ui) => shown.map(|()| 0),
        code = signals.fatal() => Ok(code),
    }
}

async fn show(door: &Door, name: &str, wanted: &LogsWanted, ui: Ui) -> Result<(), Failure> {
    let container = door.container(name).await?;
    let mut log = door.logs(&container, wanted).await?;
    let mut outputs = Outputs::new(log.raw);
    loop {
        let piece = log.next().await.map_err(|error| broken_off(&error, &container))?;
        let Some(piece) = piece else { break };
        match outputs.pass(&piece) {
            Ok(()) => {}
            // `| head` has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => {
                return Err(Failure::new(Exit::Failed, "logs.unwritten", format!("cannot write: {error}")));
            }
        }
    }
    let everything = wanted.since.is_none() && wanted.until.is_none() && wanted.tail != "0";
    if everything && !outputs.wrote() && stderr().is_terminal() {
        let name = container.short_name();
        ui.note(&format!(
            "the command that {name} was started with has written nothing; what programs write that you start in a \
             shell, they write to that shell"
        ));
    }
    Ok(())
}

fn broken_off(error: &ClientError, container: &Container) -> Failure {
    Failure::new(Exit::Failed, error.code(), format!("the log broke off: {error}")).with_hint(format!(
        "container logs {} --since 1m shows the last minute again",
        container.short_name()
    ))
}

/// A moment as Docker's query has it.
fn unix(moment: Moment) -> Result<String, Failure> {
    let at = super::at(moment)?;
    Ok(format!("{}.{:09}", at.as_second(), at.subsec_nanosecond()))
}
