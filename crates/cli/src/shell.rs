//! A shell in a container, until it ends; and what becomes of the container then. It must never stop the container.

use std::time::Duration;

use ds01_api::Container;

use crate::carry::{End, carry};
use crate::client::{ClientError, Door, ExecHandle};
use crate::failure::Failure;
use crate::signals::Signals;
use crate::terminal;
use crate::ui::Ui;

/// How often a question about a shell that only just ended is asked again, and how long in between.
const SETTLE_TRIES: u32 = 20;
const SETTLE_PAUSE: Duration = Duration::from_millis(25);

/// Opens a shell in `container` and stays until it ends; returns its exit code.
pub(crate) async fn enter(door: &Door, container: &Container, ui: Ui) -> Result<u8, Failure> {
    let interactive = terminal::is_interactive();
    let term = std::env::var("TERM").unwrap_or_else(|_| "xterm".to_owned());
    let session = door.shell(container, interactive.then_some(term.as_str())).await?;
    let handle = session.handle();
    let mut signals = Signals::new();
    let end = carry(session.line, interactive, async { signals.fatal().await }).await?;
    let code = match end {
        End::Signal(code) => return Ok(code),
        End::Stream => settled_exit(&handle).await,
        End::Broken(error) => Err(ClientError::broken(error)),
    };
    if interactive {
        farewell(door, container, ui).await;
    }
    Ok(code?)
}

/// The exit code of a shell whose output has ended.
async fn settled_exit(handle: &ExecHandle) -> Result<u8, ClientError> {
    for _ in 0..SETTLE_TRIES {
        let exit = handle.exit().await?;
        if let (false, Some(code)) = (exit.running, exit.exit_code) {
            // As the kernel does: the low eight bits.
            return Ok(code.to_le_bytes()[0]);
        }
        tokio::time::sleep(SETTLE_PAUSE).await;
    }
    // It runs on without us; that was the user's doing.
    Ok(0)
}

/// Says what becomes of the container now that nobody looks at it.
async fn farewell(door: &Door, container: &Container, ui: Ui) {
    let name = container.short_name();
    match door.container(&container.id).await {
        Ok(now) if now.state.is_alive() && !now.units.is_empty() => {
            ui.note(&format!("{name} keeps running and keeps its GPU; container retire {name} frees it"));
        }
        Ok(now) if now.state.is_alive() => {
            ui.note(&format!("{name} keeps running; container stop {name} stops it"));
        }
        Ok(_) => ui.note(&format!("{name} is not running any more; container run {name} starts it again")),
        Err(error) if error.is_not_found() => {
            let kept = if container.workspace.is_some() { "; your files in /workspace are kept" } else { "" };
            ui.note(&format!("{name} is gone{kept}"));
        }
        Err(_) => {}
    }
}
