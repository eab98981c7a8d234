//! A picture drawn again and again in the same place, until Ctrl-C. It must never ask for anything itself.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::failure::Failure;
use crate::render::{BAD, QUIET, styled};
use crate::signals::Signals;
use crate::terminal;
use crate::ui::Ui;

/// Shows what `picture` draws for so many columns, every so many seconds; returns the exit code of whoever ended it.
///
/// Where nothing can be drawn it is printed once, and that is an error. The first picture that fails ends it. A later one
/// is told of in its place: `ds01d` may be restarting.
pub(crate) async fn watch(
    seconds: u64,
    ui: Ui,
    mut picture: impl AsyncFnMut(Option<u16>) -> Result<String, Failure>,
) -> Result<u8, Failure> {
    if terminal::output_size().is_none() || !terminal::can_draw() {
        ui.say(&picture(ui.columns()).await?);
        return Err(Failure::usage("--watch needs a terminal to draw on: this was printed once")
            .with_hint("in a script, ask again in a loop, without --watch"));
    }
    let mut signals = Signals::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(seconds));
    // A slow answer makes the next one later, not two at once.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut drawn = false;
    let footer = format!("{QUIET}every {seconds} s; Ctrl-C ends it{QUIET:#}");
    loop {
        let next = async {
            ticks.tick().await;
            // Asked anew each time: the window may have changed.
            picture(terminal::output_size().map(|(columns, _)| columns)).await
        };
        let seen = tokio::select! {
            code = signals.fatal() => return Ok(code),
            seen = next => seen,
        };
        let text = match seen {
            Ok(text) => text,
            Err(failure) if !drawn => return Err(failure),
            Err(failure) => format!("{} {}\n", styled(BAD, "error:"), failure.error.message),
        };
        let (_, rows) = terminal::output_size().unwrap_or((80, 24));
        let clear = if drawn { "" } else { "\x1b[2J" };
        ui.draw(clear, &format!("{text}{footer}"), |text| frame(text, rows));
        drawn = true;
    }
}

/// The picture from the screen's upper left corner on, over whatever stood there, in at most so many rows. Its last line
/// is always seen.
fn frame(text: &str, rows: u16) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let footer = lines.pop().unwrap_or_default();
    // The last row stays free for the cursor, the one above is the footer's.
    let room = usize::from(rows).saturating_sub(2).max(1);
    let shown = if lines.len() > room { room.saturating_sub(1) } else { lines.len() };
    let mut frame = String::from("\x1b[H");
    for line in &lines[..shown] {
        frame += &format!("{line}\x1b[K\n");
    }
    if shown < lines.len() {
        frame += &format!("… {} lines more\x1b[K\n", lines.len() - shown);
    }
    frame + footer + "\x1b[K\n\x1b[J"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_stays_on_the_screen() {
        assert_eq!(frame("a\nb\nend", 24), "\x1b[Ha\x1b[K\nb\x1b[K\nend\x1b[K\n\x1b[J");
        assert_eq!(
            frame("a\nb\nc\nd\nend", 5),
            "\x1b[Ha\x1b[K\nb\x1b[K\n… 2 lines more\x1b[K\nend\x1b[K\n\x1b[J"
        );
        assert_eq!(frame("a\nb\nc\nend", 5).matches('\n').count(), 4, "it fits as it is");
    }
}
