//! What a key does. It must never do it: what is to be done is a command, and somebody else's.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{Command, Message, Mode, Model, Pane, Target};
use crate::args::duration;

/// How long a container is kept where nothing else is typed.
const KEEP_DEFAULT: &str = "2h";
/// The longest filter or time that can be typed.
const TYPED_MAX: usize = 40;
/// No text that stands over the lists is longer.
const SCROLL_MAX: u16 = 60;
/// Rows that Page Up and Page Down go.
const PAGE: isize = 10;
/// What Ctrl-C ends a program with.
const EXIT_INTERRUPTED: u8 = 130;

impl Model {
    /// Takes a key in; what is to be done for it.
    pub(crate) fn press(&mut self, key: KeyEvent) -> Option<Command> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Some(Command::Leave(EXIT_INTERRUPTED)),
                KeyCode::Char('z') => Some(Command::Suspend),
                KeyCode::Char('l') => Some(Command::Refresh),
                _ => None,
            };
        }
        self.message = None;
        match self.mode {
            Mode::Look => self.look(key.code),
            Mode::Filter => self.type_filter(key.code),
            Mode::Keep { .. } => self.type_keep(key.code),
            Mode::Stop { .. } => self.answer_stop(key.code),
            Mode::Why { .. } | Mode::Help { .. } => {
                self.read(key.code);
                None
            }
        }
    }

    fn look(&mut self, key: KeyCode) -> Option<Command> {
        match key {
            KeyCode::Char('q') => return Some(Command::Leave(0)),
            KeyCode::Esc => {
                self.filter.clear();
                self.settle_cursors();
            }
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::PageUp => self.step(-PAGE),
            KeyCode::PageDown => self.step(PAGE),
            KeyCode::Home | KeyCode::Char('g') => self.step(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.step(isize::MAX),
            KeyCode::Tab | KeyCode::Right | KeyCode::Char('l') => self.turn(1),
            KeyCode::BackTab | KeyCode::Left | KeyCode::Char('h') => self.turn(Pane::ALL.len() - 1),
            KeyCode::Char('s') => {
                self.sort = self.sort.next();
                self.settle_cursors();
            }
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Char('?') => self.mode = Mode::Help { scroll: 0 },
            KeyCode::Char('r') => return Some(Command::Refresh),
            KeyCode::Char('w') | KeyCode::Enter => {
                let target = self.aim(false)?;
                let id = target.id.clone();
                self.mode = Mode::Why { target, answer: None, scroll: 0 };
                return Some(Command::Why { id });
            }
            KeyCode::Char('K') => {
                let target = self.aim(true)?;
                self.mode = Mode::Keep { target, text: KEEP_DEFAULT.to_owned() };
            }
            KeyCode::Char('x') => {
                let target = self.aim(true)?;
                self.mode = Mode::Stop { target };
            }
            _ => {}
        }
        None
    }

    /// Goes so many lists further.
    fn turn(&mut self, by: usize) {
        self.pane = Pane::ALL[(self.pane.at() + by) % Pane::ALL.len()];
        if Pane::BELOW.contains(&self.pane) {
            self.below = self.pane;
        }
    }

    /// The container that is meant; says so where there is none, or none that is the caller's to change.
    fn aim(&mut self, own: bool) -> Option<Target> {
        let found = self.target().map(|container| (Target::from(container), container.mine));
        let text = match found {
            Some((target, mine)) if mine || !own => return Some(target),
            Some((target, _)) => {
                format!("{} is not yours: only your own are kept and stopped here", target.name)
            }
            None => {
                "no container of yours here: Tab goes to the containers, the arrows to one of them".to_owned()
            }
        };
        self.message = Some(Message { text, bad: true });
        None
    }

    fn type_filter(&mut self, key: KeyCode) -> Option<Command> {
        match key {
            KeyCode::Enter => self.mode = Mode::Look,
            KeyCode::Esc => {
                self.filter.clear();
                self.mode = Mode::Look;
            }
            key => typed(&mut self.filter, key),
        }
        self.settle_cursors();
        None
    }

    fn type_keep(&mut self, key: KeyCode) -> Option<Command> {
        let Mode::Keep { target, text } = &mut self.mode else { return None };
        match key {
            KeyCode::Esc => self.mode = Mode::Look,
            KeyCode::Enter => match duration::parse(text) {
                Ok(time) => {
                    let Target { id, name } = target.clone();
                    self.mode = Mode::Look;
                    return Some(Command::Keep { id, name, seconds: time.as_secs() });
                }
                Err(mistake) => self.message = Some(Message { text: mistake, bad: true }),
            },
            key => typed(text, key),
        }
        None
    }

    fn answer_stop(&mut self, key: KeyCode) -> Option<Command> {
        let Mode::Stop { target } = std::mem::replace(&mut self.mode, Mode::Look) else { return None };
        // Only a clear yes: what is stopped here has run for days.
        matches!(key, KeyCode::Char('y' | 'Y')).then(|| Command::Stop { id: target.id, name: target.name })
    }

    /// Scrolls what stands over the lists, or closes it.
    fn read(&mut self, key: KeyCode) {
        let (Mode::Why { scroll, .. } | Mode::Help { scroll }) = &mut self.mode else { return };
        match key {
            KeyCode::Up | KeyCode::Char('k') => *scroll = scroll.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => *scroll = (*scroll + 1).min(SCROLL_MAX),
            _ => self.mode = Mode::Look,
        }
    }
}

/// Types a character, or takes the last one back.
fn typed(text: &mut String, key: KeyCode) {
    match key {
        KeyCode::Char(c) if text.chars().count() < TYPED_MAX && !c.is_control() => text.push(c),
        KeyCode::Backspace => drop(text.pop()),
        _ => {}
    }
}
