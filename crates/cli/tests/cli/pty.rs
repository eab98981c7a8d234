//! A program on a real pseudo-terminal: what is typed, and what is on the screen.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};
use nix::unistd::Pid;

use crate::support::*;

/// What stands on a screen on which this was written: as much of a terminal as a program needs that moves the cursor,
/// clears the screen and writes.
fn shown(written: &str) -> String {
    let mut screen: Vec<Vec<char>> = Vec::new();
    let (mut row, mut column) = (0, 0);
    let mut rest = written;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\u{1b}' {
            if screen.len() <= row {
                screen.resize(row + 1, Vec::new());
            }
            if screen[row].len() <= column {
                screen[row].resize(column + 1, ' ');
            }
            screen[row][column] = c;
            column += 1;
            continue;
        }
        let Some(sequence) = rest.strip_prefix('[') else { continue };
        let Some(end) = sequence.find(|c: char| c.is_ascii_alphabetic()) else { break };
        let number =
            |at: usize| sequence[..end].split(';').nth(at).and_then(|text| text.parse().ok()).unwrap_or(1);
        match &sequence[end..=end] {
            "H" => (row, column) = (number(0) - 1, number(1) - 1),
            "J" => screen.clear(),
            _ => {}
        }
        rest = &sequence[end + 1..];
    }
    screen.iter().map(|line| line.iter().collect::<String>() + "\n").collect()
}

/// A program on a terminal of its own.
pub(crate) struct Session {
    child: Child,
    links: PathBuf,
    master: File,
    slave: File,
    before: Termios,
    screen: mpsc::Receiver<Vec<u8>>,
    /// What was on the screen so far.
    pub(crate) seen: String,
}

impl Session {
    /// Starts `line` with nothing special.
    pub(crate) fn new(fake: &Fake, line: &str) -> Self {
        Self::with(fake, line, &[])
    }

    /// Starts `line` with the terminal as its controlling one, 80×24.
    pub(crate) fn with(fake: &Fake, line: &str, environment: &[(&str, &str)]) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let (master, slave) = (File::from(pty.master), File::from(pty.slave));
        let before = tcgetattr(&slave).unwrap();
        // `setsid --ctty` makes the terminal the controlling one; symbolic links give the program its names.
        let links = fresh_dir();
        let mut words = line.split_whitespace();
        let called = links.join(words.next().unwrap());
        std::os::unix::fs::symlink(program(), &called).unwrap();
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(&called).args(words);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("TERM", "vt220");
        command.env("HOME", "/home/alice").env("DOCKER_HOST", fake.host()).envs(environment.iter().copied());
        let end = || Stdio::from(slave.try_clone().unwrap());
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let (sender, screen) = mpsc::channel();
        let mut reader = master.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut bytes) {
                if sender.send(bytes[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, links, master, slave, before, screen, seen: String::new() }
    }

    /// Types keys.
    pub(crate) fn type_in(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Reads the screen until `text` has appeared.
    pub(crate) fn await_text(&mut self, text: &str) {
        while !self.seen.contains(text) {
            let more = self.screen.recv_timeout(PATIENCE);
            let more = more.unwrap_or_else(|_| panic!("{text:?} is not in {:?}", self.seen));
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
    }

    /// Reads the screen until `text` stands somewhere on it, whatever was written in which order.
    pub(crate) fn await_shown(&mut self, text: &str) {
        self.await_screen(text, true);
    }

    /// Reads the screen until `text` stands nowhere on it.
    pub(crate) fn await_gone(&mut self, text: &str) {
        self.await_screen(text, false);
    }

    fn await_screen(&mut self, text: &str, there: bool) {
        let until = Instant::now() + PATIENCE;
        while shown(&self.seen).contains(text) != there {
            let more = self.screen.recv_timeout(until.saturating_duration_since(Instant::now()));
            let more = more.unwrap_or_else(|_| panic!("{text:?} there: not {there}\n{}", shown(&self.seen)));
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
    }

    /// Whether keys go through unchanged.
    pub(crate) fn is_raw(&self) -> bool {
        !tcgetattr(&self.slave).unwrap().local_flags.intersects(LocalFlags::ICANON | LocalFlags::ISIG)
    }

    /// Waits for the end; returns the exit code and what was on the screen since `await_text`.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        assert_eq!(tcgetattr(&self.slave).unwrap(), self.before, "the terminal is as it was");
        let _ = std::fs::remove_dir_all(&self.links);
        drop(self.slave);
        drop(self.master);
        // With its last end closed the terminal is read to its end, and the reader with it.
        while let Ok(more) = self.screen.recv_timeout(PATIENCE) {
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
        (code, self.seen)
    }

    /// The program's end of the terminal.
    pub(crate) fn screen_end(&self) -> File {
        self.slave.try_clone().unwrap()
    }

    /// The program itself: `setsid` gives it its own process, which leads the terminal's session.
    pub(crate) fn leader(&self) -> Pid {
        nix::unistd::tcgetpgrp(&self.slave)
            .ok()
            .filter(|pid| pid.as_raw() > 0)
            .unwrap_or_else(|| Pid::from_raw(i32::try_from(self.child.id()).unwrap()))
    }
}
