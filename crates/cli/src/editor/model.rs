//! The full screen of `image update`: what is on it, and what each key does. It must never draw, read keys, or write a file.

use std::collections::BTreeSet;

use ds01_api::UseCase;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::dockerfile::{Dockerfile, Installer, Package, checked, difference};

/// Rows that a page is moved by.
const PAGE_ROWS: usize = 10;

/// A Dockerfile that can be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) project: String,
    /// As people write it.
    pub(crate) path: String,
    pub(crate) text: String,
    /// `up to date`, `not built`, …
    pub(crate) state: String,
    /// Whether the image is what the Dockerfile says; `None` where that is not known.
    pub(crate) is_current: Option<bool>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing is to be done.
    Left,
    /// The Dockerfile of a project is to have this text, its present one perhaps, and its image is to be built, or not.
    Changed { project: String, text: String, build: bool },
}

/// The whole screen.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(super) all: Vec<Opened>,
    /// Packages that are offered, by purpose.
    pub(super) offered: Vec<UseCase>,
    pub(super) page: Page,
    /// What was typed to search.
    pub(super) search: String,
    /// The row of those that are shown.
    pub(super) cursor: usize,
    /// What the last key came to, if it has to be told.
    pub(super) told: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    /// Which project.
    Projects,
    /// Its packages.
    Packages(Packages),
    /// What becomes of the Dockerfile, if anything does; from which row on it is shown.
    Difference(Packages, usize),
}

/// The packages of one Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packages {
    pub(super) of: Opened,
    pub(super) entries: Vec<Entry>,
    /// By whom what is typed is installed.
    pub(super) installer: Installer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) package: Package,
    pub(super) origin: Origin,
    /// Whether the image is to have it.
    pub(super) wanted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// The Dockerfile installs it.
    Written,
    /// It was typed.
    Typed,
    /// It is known from a list, with this title.
    Known(String),
}

impl Model {
    /// Begins with a choice of these.
    pub(crate) fn new(all: Vec<Opened>, offered: Vec<UseCase>) -> Self {
        Self { all, offered, page: Page::Projects, search: String::new(), cursor: 0, told: String::new() }
    }

    /// Begins with the packages of a project; without a Dockerfile of it, with the choice.
    pub(crate) fn at(all: Vec<Opened>, offered: Vec<UseCase>, project: &str) -> Self {
        let mut model = Self::new(all, offered);
        if let Some(opened) = model.all.iter().find(|opened| opened.project == project).cloned() {
            model.turn_to(Page::Packages(Packages::of(opened, &model.offered)));
        }
        model
    }

    /// Takes a key; what comes of all, if that was the last.
    pub(crate) fn press(&mut self, key: KeyEvent) -> Option<Outcome> {
        let told = std::mem::take(&mut self.told);
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Some(Outcome::Left);
        }
        let rows = self.rows();
        match key.code {
            KeyCode::Up => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Down => self.cursor += 1,
            KeyCode::PageUp => self.cursor = self.cursor.saturating_sub(PAGE_ROWS),
            KeyCode::PageDown => self.cursor += PAGE_ROWS,
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = rows,
            KeyCode::Esc => return self.back(&told),
            _ => return self.press_on_page(key),
        }
        self.cursor = self.cursor.min(rows.saturating_sub(1));
        if let Page::Difference(_, from) = &mut self.page {
            *from = self.cursor;
        }
        None
    }

    fn press_on_page(&mut self, key: KeyEvent) -> Option<Outcome> {
        match (&mut self.page, key.code) {
            (Page::Difference(packages, _), KeyCode::Enter) => Some(packages.outcome(true)),
            (Page::Difference(packages, _), KeyCode::Char('w')) if !packages.difference().is_empty() => {
                Some(packages.outcome(false))
            }
            (Page::Difference(..), _) => None,
            (_, KeyCode::Backspace) => {
                self.search.pop();
                self.cursor = 0;
                None
            }
            (Page::Projects, KeyCode::Enter) => {
                let chosen = self.projects().get(self.cursor).map(|opened| (*opened).clone());
                if let Some(opened) = chosen {
                    self.turn_to(Page::Packages(Packages::of(opened, &self.offered)));
                }
                None
            }
            (Page::Packages(packages), KeyCode::Tab) => {
                packages.installer = match packages.installer {
                    Installer::Apt => Installer::Pip,
                    Installer::Pip | Installer::Conda => Installer::Apt,
                };
                None
            }
            (Page::Packages(_), KeyCode::Enter | KeyCode::Char(' ')) => {
                self.choose(key.code == KeyCode::Enter);
                None
            }
            (_, KeyCode::Char(c)) if !c.is_whitespace() => {
                self.search.push(c);
                self.cursor = 0;
                None
            }
            _ => None,
        }
    }

    /// Enter and space: a package is marked, a new one is put in; Enter alone goes on to the difference.
    fn choose(&mut self, goes_on: bool) {
        let search = self.search.clone();
        let cursor = self.cursor;
        let Page::Packages(packages) = &mut self.page else { return };
        let shown = packages.shown(&search);
        let at = shown.get(cursor).copied();
        let adds = at.is_none() && packages.can_add(&search);
        if adds {
            let package = Package::new(packages.installer, &search);
            // Beside what is written, above what is only known.
            let known = |entry: &Entry| matches!(entry.origin, Origin::Known(_));
            let at = packages.entries.iter().position(known).unwrap_or(packages.entries.len());
            packages.entries.insert(at, Entry { package, origin: Origin::Typed, wanted: true });
            self.search.clear();
            self.cursor = 0;
            return;
        }
        if goes_on && search.is_empty() {
            if packages.difference().is_empty() && packages.of.is_current == Some(true) {
                self.told = "nothing is changed yet: space marks, typing searches and adds".to_owned();
            } else {
                let page = Page::Difference(packages.clone(), 0);
                self.turn_to(page);
            }
            return;
        }
        match at {
            Some(at) => packages.entries[at].wanted = !packages.entries[at].wanted,
            None if !search.is_empty() => self.told = format!("{search} is not the name of a package"),
            None => {}
        }
        if goes_on {
            self.search.clear();
            self.cursor = 0;
        }
    }

    /// Esc: one step back. What was changed is dropped only by a second one.
    fn back(&mut self, told: &str) -> Option<Outcome> {
        const AGAIN: &str = "Esc again drops what you have marked";
        if !self.search.is_empty() {
            self.search.clear();
            self.cursor = 0;
            return None;
        }
        match &self.page {
            Page::Projects => return Some(Outcome::Left),
            Page::Difference(packages, _) => self.turn_to(Page::Packages(packages.clone())),
            Page::Packages(packages) if !packages.difference().is_empty() && told != AGAIN => {
                self.told = AGAIN.to_owned();
            }
            Page::Packages(_) => self.turn_to(Page::Projects),
        }
        None
    }

    fn turn_to(&mut self, page: Page) {
        self.page = page;
        self.search.clear();
        self.cursor = 0;
    }

    /// The projects that fit what was typed.
    pub(super) fn projects(&self) -> Vec<&Opened> {
        self.all.iter().filter(|opened| opened.project.contains(&self.search.to_lowercase())).collect()
    }

    /// How many rows the page has.
    fn rows(&self) -> usize {
        match &self.page {
            Page::Projects => self.projects().len(),
            Page::Packages(packages) => {
                packages.shown(&self.search).len() + usize::from(packages.can_add(&self.search))
            }
            Page::Difference(packages, _) => packages.difference().lines().count(),
        }
    }
}

impl Packages {
    fn of(of: Opened, offered: &[UseCase]) -> Self {
        let written = Dockerfile::parse(&of.text).packages();
        let mut seen: BTreeSet<(bool, String)> = BTreeSet::new();
        let mut entries = Vec::new();
        let mut add = |package: Package, origin: Origin| {
            let key = (package.installer == Installer::Apt, package.name.clone());
            if seen.insert(key) {
                entries.push(Entry { package, wanted: origin == Origin::Written, origin });
            }
        };
        written.into_iter().for_each(|package| add(package, Origin::Written));
        for use_case in offered {
            for (installer, packages) in
                [(Installer::Pip, &use_case.packages), (Installer::Apt, &use_case.system)]
            {
                for text in packages {
                    add(Package::new(installer, text), Origin::Known(use_case.title.clone()));
                }
            }
        }
        Self { of, entries, installer: Installer::Pip }
    }

    /// The places of the entries that fit what was typed.
    pub(super) fn shown(&self, search: &str) -> Vec<usize> {
        let search = search.to_lowercase();
        let fits = |entry: &Entry| entry.package.text.to_lowercase().contains(&search);
        (0..self.entries.len()).filter(|&at| fits(&self.entries[at])).collect()
    }

    /// Whether what was typed is a package that is not in the list.
    pub(super) fn can_add(&self, search: &str) -> bool {
        let Ok(text) = checked(search) else { return false };
        let package = Package::new(self.installer, text);
        !self.entries.iter().any(|entry| {
            entry.package.text == package.text
                || (entry.package.name == package.name && entry.package.text.len() == package.name.len())
        })
    }

    /// How many are to be put in and taken out.
    pub(super) fn counts(&self) -> (usize, usize) {
        let added = self.entries.iter().filter(|entry| entry.wanted && entry.origin != Origin::Written);
        let removed = self.entries.iter().filter(|entry| !entry.wanted && entry.origin == Origin::Written);
        (added.count(), removed.count())
    }

    /// The Dockerfile as it is to be.
    fn text(&self) -> String {
        let mut dockerfile = Dockerfile::parse(&self.of.text);
        for entry in self.entries.iter().filter(|entry| !entry.wanted && entry.origin == Origin::Written) {
            dockerfile.remove(entry.package.installer, &entry.package.text);
        }
        for entry in self.entries.iter().filter(|entry| entry.wanted && entry.origin != Origin::Written) {
            dockerfile.add(entry.package.installer, &entry.package.text);
        }
        dockerfile.to_string()
    }

    /// What becomes of it.
    pub(super) fn difference(&self) -> String {
        difference(&self.of.path, &self.of.text, &self.text())
    }

    fn outcome(&self, build: bool) -> Outcome {
        Outcome::Changed { project: self.of.project.clone(), text: self.text(), build }
    }
}
