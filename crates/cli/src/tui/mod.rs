//! `dashboard`: the machine and its people on a whole screen.
//!
//! Three parts that know little of each other: `model` (news and keys in, commands out, no I/O), `view` (a model drawn),
//! `feed` (the door, asked). This file answers for the loop between them. It has no privilege: what the door does not show
//! to the caller is not shown here.

mod feed;
mod model;
#[cfg(test)]
pub(crate) mod sample;
mod screen;
mod view;

use crossterm::event::{Event, EventStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::StreamExt as _;

use crate::client::Door;
use crate::failure::Failure;
use crate::signals::Signals;
use crate::terminal;
use feed::Feed;
use model::{Command, Model, News};
use screen::Screen;

/// What a program ends with whose terminal has gone away.
const EXIT_HUNG_UP: u8 = 129;

/// Shows the dashboard until its user leaves; returns the exit code.
pub(crate) async fn run(door: &Door) -> Result<u8, Failure> {
    if !terminal::is_interactive() || !terminal::can_draw() {
        return Err(Failure::usage("the dashboard needs a terminal to draw on")
            .with_hint("gpu-status, container list, ds01 queue and ds01 events print what is in it, with --json for scripts"));
    }
    // A door that does not answer now is told of as by any other command.
    let first = feed::look(door, None).await?;
    let mut model = Model::new();
    model.hear(News::Seen(Box::new(first)));
    show(&mut model, &mut Feed::start(door)).await.map_err(|error| {
        Failure::new(ds01_api::Exit::Failed, "terminal", format!("the terminal cannot be drawn on: {error}"))
    })
}

async fn show(model: &mut Model, feed: &mut Feed) -> std::io::Result<u8> {
    let mut signals = Signals::new();
    let mut continued = signal(SignalKind::from_raw(nix::libc::SIGCONT))?;
    let mut screen = Screen::open()?;
    let mut keys = EventStream::new();
    let mut shown = screen.draw(model)?;
    feed.ask_uses(model.ask_next(&shown.containers, feed.uses_free()));
    loop {
        let mut wanted = None;
        tokio::select! {
            code = signals.fatal() => return Ok(code),
            // Stopped by somebody else's signal: the shell has had the terminal meanwhile.
            _ = continued.recv() => screen.take()?,
            event = keys.next() => match event {
                Some(Ok(Event::Key(key))) => wanted = model.press(key),
                // Drawing finds out the new size.
                Some(Ok(Event::Resize(..))) => {}
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(error),
                None => return Ok(EXIT_HUNG_UP),
            },
            news = feed.next() => {
                let lists = matches!(news, News::Seen(_));
                // What containers use can wait for the next picture.
                let waits = matches!(news, News::Used(..));
                model.hear(news);
                if lists {
                    feed.ask_uses(model.ask_next(&shown.containers, feed.uses_free()));
                }
                if waits {
                    continue;
                }
            }
        }
        match wanted {
            Some(Command::Leave(code)) => return Ok(code),
            Some(Command::Suspend) => screen.suspend()?,
            Some(command) => feed.perform(command),
            None => {}
        }
        shown = screen.draw(model)?;
    }
}
