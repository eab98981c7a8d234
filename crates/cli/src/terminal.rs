//! The user's terminal: is there one, how large is it, and raw mode that always ends. It must never read or write it.

use std::io::{IsTerminal as _, stderr, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

/// Whether a person sits at both ends: keys can be read and the screen can be written.
pub(crate) fn is_interactive() -> bool {
    stdin().is_terminal() && stdout().is_terminal()
}

/// Columns and rows of the terminal behind `fd`, if it is one and knows.
pub(crate) fn size_of(fd: BorrowedFd<'_>) -> Option<(u16, u16)> {
    let (width, height) = terminal_size::terminal_size_of(fd)?;
    (width.0 > 0 && height.0 > 0).then_some((width.0, height.0))
}

/// The columns to lay text out for on standard output; `None` for a pipe, where lines are as long as they are.
pub(crate) fn output_columns() -> Option<u16> {
    stdout().is_terminal().then(|| size_of(stdout().as_fd()).map_or(80, |(columns, _)| columns))
}

/// Columns and rows of the terminal behind standard output; `None` for a pipe.
pub(crate) fn output_size() -> Option<(u16, u16)> {
    stdout().is_terminal().then(|| size_of(stdout().as_fd()).unwrap_or((80, 24)))
}

/// Whether the terminal can put its cursor where it is told to.
pub(crate) fn can_draw() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term != "dumb" && !term.is_empty())
}

/// Whether text is read as UTF-8 here, as the environment's locale has it.
pub(crate) fn speaks_utf8() -> bool {
    let variables = ["LC_ALL", "LC_CTYPE", "LANG"];
    let locale = variables.into_iter().filter_map(std::env::var_os).find(|value| !value.is_empty());
    is_utf8(&locale.unwrap_or_default().to_string_lossy())
}

/// Whether a locale's characters are those of Unicode: `de_DE.UTF-8`, `C.utf8`.
fn is_utf8(locale: &str) -> bool {
    let codeset = locale.split_once('.').map_or("", |(_, codeset)| codeset);
    let codeset = codeset.split('@').next().unwrap_or_default();
    codeset.eq_ignore_ascii_case("utf-8") || codeset.eq_ignore_ascii_case("utf8")
}

/// Whether standard output takes colours, and nobody refuses them (`NO_COLOR`).
pub(crate) fn has_colour() -> bool {
    anstream::AutoStream::choice(&stdout()) != anstream::ColorChoice::Never
}

/// The columns of the terminal behind standard error; `None` for a pipe.
pub(crate) fn error_columns() -> Option<u16> {
    stderr().is_terminal().then(|| size_of(stderr().as_fd()).map_or(80, |(columns, _)| columns))
}

/// Standard input in raw mode, until this is dropped.
#[derive(Debug)]
pub(crate) struct RawMode {
    input: OwnedFd,
    before: Termios,
}

impl RawMode {
    /// Every key goes to the shell, Ctrl-C included.
    pub(crate) fn enter() -> nix::Result<Self> {
        let input = stdin().as_fd().try_clone_to_owned().map_err(|_| nix::Error::last())?;
        let before = tcgetattr(&input)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&input, SetArg::TCSANOW, &raw)?;
        Ok(Self { input, before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // The terminal may be gone by now; then there is nothing to restore.
        let _ = tcsetattr(&self.input, SetArg::TCSANOW, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locales() {
        for (locale, utf8) in [
            ("C.UTF-8", true),
            ("de_DE.utf8@euro", true),
            ("C", false),
            ("", false),
            ("de_DE.ISO-8859-1", false),
        ] {
            assert_eq!(is_utf8(locale), utf8, "{locale}");
        }
    }
}
