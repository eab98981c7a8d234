//! The whole screen of a terminal, lent for a while: raw keys, a second page, no cursor. It is given back as it was, however
//! the program goes on: it ends, is put into the background, or panics.

use std::io::{self, BufWriter, Stdout, Write as _, stdout};
use std::sync::{Mutex, Once, PoisonError};

use crossterm::cursor::{Hide, Show};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;

use super::model::Model;
use super::view::{self, Look, Shown};
use crate::terminal::{self, RawMode};

/// What a picture is written through: a whole one goes out at once.
const BUFFER_BYTES: usize = 32 * 1024;

/// The terminal's own settings while the screen is ours. A panic must find them, wherever it happens.
static LENT: Mutex<Option<RawMode>> = Mutex::new(None);

/// The screen. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    look: Look,
}

impl Screen {
    /// Takes the screen.
    pub(crate) fn open() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                // First of all, so that what is said is seen and stays.
                give_back();
                before(panic);
            }));
        });
        let writer = BufWriter::with_capacity(BUFFER_BYTES, stdout());
        let terminal = Terminal::new(CrosstermBackend::new(writer))?;
        let look = Look { colour: terminal::has_colour(), unicode: terminal::speaks_utf8() };
        let mut screen = Self { terminal, look };
        screen.take()?;
        Ok(screen)
    }

    /// Takes it again, whoever has had it; the next picture is drawn whole.
    pub(crate) fn take(&mut self) -> io::Result<()> {
        let mut lent = LENT.lock().unwrap_or_else(PoisonError::into_inner);
        // Restored first, so that what is found, and given back in the end, is never raw.
        let had = lent.take().is_some();
        *lent = Some(RawMode::enter()?);
        drop(lent);
        if !had {
            // Entering the second page twice would lose where the cursor was on the first.
            execute!(stdout(), EnterAlternateScreen)?;
        }
        execute!(stdout(), Hide)?;
        let (columns, rows) = terminal::output_size().unwrap_or((80, 24));
        self.terminal.resize(Rect::new(0, 0, columns, rows))
    }

    /// Draws what has changed since the last picture.
    pub(crate) fn draw(&mut self, model: &Model) -> io::Result<Shown> {
        let mut shown = Shown::default();
        let look = self.look;
        self.terminal.draw(|frame| shown = view::draw(frame, model, look))?;
        Ok(shown)
    }

    /// Stops this program as Ctrl-Z does, with the screen given back meanwhile; returns when it goes on.
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGTSTP)?;
        self.take()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the screen back, once.
fn give_back() {
    let lent = LENT.lock().unwrap_or_else(PoisonError::into_inner).take();
    if lent.is_some() {
        // A terminal that is gone cannot be restored, and need not be.
        let _ = execute!(stdout(), LeaveAlternateScreen, Show);
        let _ = stdout().flush();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;
    use std::process::{Command, Stdio};

    use nix::pty::openpty;
    use nix::sys::termios::tcgetattr;

    use super::*;

    /// Set for the test's second process: the one that panics.
    const INNER: &str = "DS01_TEST_PANICS";

    #[test]
    fn a_panic_gives_the_screen_back_before_it_is_told() {
        if std::env::var_os(INNER).is_some() {
            let _screen = Screen::open().unwrap();
            panic!("told at last");
        }
        let pty = openpty(None, None).unwrap();
        let (mut master, slave) = (File::from(pty.master), File::from(pty.slave));
        let before = tcgetattr(&slave).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        let name = "tui::screen::tests::a_panic_gives_the_screen_back_before_it_is_told";
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(INNER, "1")
            .env("TERM", "xterm")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .status()
            .unwrap();
        assert!(!status.success());
        assert_eq!(tcgetattr(&slave).unwrap(), before, "the terminal is as it was");
        drop(slave);
        let mut written = Vec::new();
        // The last reader of a terminal whose other end is closed is told EIO.
        let _ = master.read_to_end(&mut written);
        let written = String::from_utf8_lossy(&written);
        let [entered, left, told] = ["\x1b[?1049h", "\x1b[?1049l", "told at last"]
            .map(|text| written.find(text).unwrap_or_else(|| panic!("{text:?} is not in {written:?}")));
        assert!(entered < left && left < told, "{written:?}");
        assert_eq!(written.matches("\x1b[?1049l").count(), 1, "given back once: {written:?}");
    }
}
