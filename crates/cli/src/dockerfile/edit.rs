//! Packages put into a Dockerfile and taken out, with the smallest change that does it.
//!
//! What is added stands in layers of its own, behind all others: a build takes those from the one before. Taken out again,
//! the text is what it was.

use std::ops::Range;

use ds01_api::is_package;

use super::packages::{Company, Installer, Layer, Package};
use super::{Dockerfile, words};

/// Above the layer of packages that were added.
const ADDED: &str = "# Added later, and apart: a build takes all above from the one before.";
/// The same, of the distribution's packages.
const ADDED_SYSTEM: &str = "# Packages of the distribution that were added later.";
/// Above the packages that a new Dockerfile is asked for by name.
pub(super) const PROJECTS: &str = "# Packages of this project";
/// The same, of the distribution's packages.
pub(super) const SYSTEM: &str = "# Packages of the distribution";
/// How lines go on.
const INDENT: &str = "    ";

/// What became of a package that was to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Added {
    New,
    /// It was there in this version, or whichever.
    Instead(String),
    /// It is there just so.
    Already,
}

/// Why a package cannot be written down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a package")]
pub(crate) struct PackageNameError(String);

/// Makes sure that a word is a package and nothing that a shell or an installer would take for more.
pub(crate) fn checked(text: &str) -> Result<&str, PackageNameError> {
    if is_package(text) { Ok(text) } else { Err(PackageNameError(text.to_owned())) }
}

impl Dockerfile {
    /// Puts a package in, by pip or apt.
    pub(crate) fn add(&mut self, installer: Installer, text: &str) -> Added {
        let package = Package::new(installer, text);
        let layers = self.layers();
        let same = |(there, _): &&(Package, Range<usize>)| there.name == package.name;
        let of_kind = |layer: &&Layer| (layer.installer == Installer::Apt) == (installer == Installer::Apt);
        for layer in layers.iter().filter(of_kind) {
            let Some((there, at)) = layer.packages.iter().find(same) else { continue };
            // Asked for without a version, whichever is there will do.
            let any_version = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
            if there.text == text || any_version {
                return Added::Already;
            }
            let old = there.text.clone();
            self.pieces[layer.piece].text.replace_range(at.clone(), &quoted(text));
            return Added::Instead(old);
        }
        let title = title(installer);
        let extended = layers.iter().rev().find(|layer| {
            layer.installer == installer && self.has_title(layer.piece, title) && !layer.packages.is_empty()
        });
        match extended.and_then(|layer| layer.packages.last().map(|(_, last)| (layer.piece, last.end))) {
            Some((piece, end)) => {
                let next = format!(" {}\n{INDENT}{}", self.escape, quoted(text));
                self.pieces[piece].text.insert_str(end, &next);
            }
            None => {
                let place = self.place_for(installer, &layers);
                self.insert(place, &[title.to_owned(), self.install(installer, &[text])]);
            }
        }
        Added::New
    }

    /// Takes a package out; whether it was there.
    pub(crate) fn remove(&mut self, installer: Installer, name: &str) -> bool {
        let of_kind = |layer: &Layer| (layer.installer == Installer::Apt) == (installer == Installer::Apt);
        let mut found = false;
        // One at a time: what was written behind it moves.
        while let Some((layer, at)) = self.layers().into_iter().filter(of_kind).find_map(|layer| {
            let wanted = Package::new(layer.installer, name).name;
            let at = layer.packages.iter().position(|(package, _)| package.name == wanted)?;
            Some((layer, at))
        }) {
            self.take_out(&layer, at);
            found = true;
        }
        found
    }

    /// Has a build install what a file of the workspace names.
    pub(crate) fn add_requirements(&mut self, file: &str) -> Added {
        let installed = self.pieces.iter().any(|piece| {
            piece.is("COPY")
                && words::plain(&piece.text, self.escape)
                    .iter()
                    .any(|word| word.text.trim_start_matches("./") == file)
        });
        if installed {
            return Added::Already;
        }
        let layers = self.layers();
        let place = self.place_for(Installer::Pip, &layers);
        let lines = requirements(file);
        self.insert(place, &lines);
        Added::New
    }

    /// The instruction that installs packages.
    fn install(&self, installer: Installer, packages: &[&str]) -> String {
        install(installer, packages, self.escape)
    }

    fn has_title(&self, piece: usize, title: &str) -> bool {
        piece.checked_sub(1).is_some_and(|above| self.pieces[above].text.trim_end() == title)
    }

    /// Behind which instruction something new is put: the last that runs something, so that a build has all of those from
    /// the one before; but before what was added later by pip, if the new one is of the distribution.
    fn place_for(&self, installer: Installer, layers: &[Layer]) -> usize {
        let added = |layer: &&Layer| self.has_title(layer.piece, title(Installer::Pip));
        let before =
            layers.iter().find(added).filter(|_| installer == Installer::Apt).map(|layer| layer.piece);
        let from = self.last_from().unwrap_or(0);
        let behind = self.all("RUN").filter(|&at| at > from && before.is_none_or(|end| at < end)).max();
        // Settings that follow directly hold for what is new as well.
        let settings = |behind: usize| {
            let stays = |at: &usize| {
                let name = self.pieces[*at].instruction.as_deref();
                matches!(name, None | Some("ARG" | "ENV" | "LABEL" | "SHELL" | "MAINTAINER"))
            };
            let following = (behind + 1..self.pieces.len()).take_while(stays);
            following.filter(|&at| self.pieces[at].instruction.is_some()).last().unwrap_or(behind)
        };
        let first = self.last_from().map_or(0, settings);
        let place = behind.map_or(first, settings).max(first);
        // Only root can install what is the distribution's.
        let user = (first..=place).find(|&at| installer == Installer::Apt && self.pieces[at].is("USER"));
        user.map_or(place, |user| user.saturating_sub(1))
    }

    /// Puts lines behind an instruction, with an empty line between.
    fn insert(&mut self, behind: usize, lines: &[String]) {
        let at = (behind + 1).min(self.pieces.len());
        let mut text: Vec<String> = vec!["\n".to_owned()];
        text.extend(lines.iter().map(|line| format!("{line}\n")));
        if let Some(last) = self.pieces.get_mut(behind).filter(|last| !last.text.ends_with('\n')) {
            // The file ends here, and without a line's end: so it does afterwards.
            last.text.push('\n');
            if let Some(end) = text.last_mut() {
                end.pop();
            }
        }
        let pieces = text.into_iter().flat_map(|text| Self::parse(&text).pieces);
        self.pieces.splice(at..at, pieces.collect::<Vec<_>>());
    }

    /// Takes one package of a layer out, and the layer with it if nothing is left of it.
    fn take_out(&mut self, layer: &Layer, at: usize) {
        let piece = &mut self.pieces[layer.piece];
        if layer.packages.len() > 1 || layer.has_more {
            let range = with_its_line(&piece.text, &layer.packages[at].1);
            piece.text.replace_range(range, "");
        } else if layer.company == Company::Others {
            let range = with_its_joint(&piece.text, self.escape, &layer.at);
            piece.text.replace_range(range, "");
        } else {
            self.drop_piece(layer.piece);
        }
    }

    /// Removes an instruction, with the title that we gave it and the empty line above that.
    fn drop_piece(&mut self, at: usize) {
        let ended = self.pieces[at].text.ends_with('\n');
        let mut first = at;
        if [ADDED, ADDED_SYSTEM, PROJECTS, SYSTEM].iter().any(|title| self.has_title(at, title)) {
            first -= 1;
            first -= usize::from(first > 0 && self.pieces[first - 1].text.trim().is_empty());
        }
        self.pieces.drain(first..=at);
        if let Some(last) = first.checked_sub(1).filter(|_| !ended && first == self.pieces.len()) {
            let text = &mut self.pieces[last].text;
            text.truncate(text.trim_end_matches(['\n', '\r']).len());
        }
    }
}

fn title(installer: Installer) -> &'static str {
    if installer == Installer::Apt { ADDED_SYSTEM } else { ADDED }
}

/// An instruction that installs packages, one a line: so a change is one line in a difference.
pub(super) fn install(installer: Installer, packages: &[&str], escape: char) -> String {
    let list: String =
        packages.iter().map(|package| format!(" {escape}\n{INDENT}{}", quoted(package))).collect();
    match installer {
        Installer::Pip => format!("RUN pip install --no-cache-dir{list}"),
        Installer::Conda => format!("RUN conda install --yes{list}"),
        Installer::Apt => format!(
            "RUN apt-get update {escape}\n && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends{list} \
             {escape}\n && rm -rf /var/lib/apt/lists/*"
        ),
    }
}

/// The instructions that install what a file names.
pub(super) fn requirements(file: &str) -> [String; 2] {
    let name = file.rsplit('/').next().unwrap_or(file);
    [format!("COPY {file} /tmp/{name}"), format!("RUN pip install --no-cache-dir -r /tmp/{name}")]
}

/// A package as a shell takes it for one word.
fn quoted(text: &str) -> String {
    if text.contains(['<', '>', '[', ']', '*', '!', '~', '#']) {
        format!("\"{text}\"")
    } else {
        text.to_owned()
    }
}

/// A package and what stands between it and the word before. Where a comment stands between, only its own line goes, if it
/// has one: the comment may be about the packages below.
fn with_its_line(text: &str, at: &Range<usize>) -> Range<usize> {
    let before = text[..at.start].trim_end_matches(|c: char| c.is_whitespace());
    let line = before.rfind('\n').map_or(0, |end| end + 1);
    if text[line..before.len()].trim_start().starts_with('#') {
        let end = text[at.end..].find('\n').map(|end| at.end + end + 1);
        let rest = end.map_or("", |end| text[at.end..end].trim());
        // The line goes on, so another word follows.
        if let Some(end) = end.filter(|_| matches!(rest, "\\" | "`")) {
            let own_line = text[..at.start].rfind('\n').map_or(0, |end| end + 1);
            return own_line..end;
        }
    }
    let word_end = last_word_end(text, at.start);
    word_end..at.end
}

/// Where the last word before `at` ends: comments, blanks and the characters that join lines are none.
fn last_word_end(text: &str, at: usize) -> usize {
    let mut end = at;
    loop {
        let before = text[..end].trim_end();
        let line = before.rfind('\n').map_or(0, |newline| newline + 1);
        let this = &text[line..before.len()];
        if this.trim_start().starts_with('#') {
            end = line;
        } else if let Some(joined) = before.strip_suffix(['\\', '`']) {
            end = joined.len();
        } else {
            return before.len();
        }
    }
}

/// A command and the `&&` that joins it to another.
fn with_its_joint(text: &str, escape: char, at: &Range<usize>) -> Range<usize> {
    let words = words::shell(text, escape);
    let next = words.iter().find(|word| word.at.start >= at.end);
    let before = words.iter().rev().find(|word| word.at.end <= at.start);
    match (before.filter(|word| word.parts), next.filter(|word| word.parts)) {
        (Some(joint), _) => last_word_end(text, joint.at.start)..at.end,
        (None, Some(joint)) => {
            let behind = words.iter().find(|word| word.at.start >= joint.at.end);
            at.start..behind.map_or(joint.at.end, |word| word.at.start)
        }
        (None, None) => at.clone(),
    }
}
