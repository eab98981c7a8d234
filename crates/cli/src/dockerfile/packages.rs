//! Which packages a Dockerfile installs, and where each is written: `RUN` with pip, conda or apt in it.

use std::ops::Range;

use super::words::{self, Word};
use super::{Dockerfile, Piece};

/// Who installs a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Installer {
    /// The distribution's.
    Apt,
    Conda,
    Pip,
}

/// A package that a Dockerfile installs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) installer: Installer,
    /// By which two spellings of the same are known.
    pub(crate) name: String,
    /// As it is written, without quotes: `torch>=2.1`.
    pub(crate) text: String,
}

/// A command that installs packages, within an instruction.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// The place of the instruction.
    pub(super) piece: usize,
    pub(super) installer: Installer,
    /// Where its packages are written, in the instruction's text.
    pub(super) packages: Vec<(Package, Range<usize>)>,
    /// From its first word to its last.
    pub(super) at: Range<usize>,
    /// Whether it installs something besides: requirements, a directory.
    pub(super) has_more: bool,
    /// The other commands of the instruction.
    pub(super) company: Company,
}

/// The commands beside one that installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    /// None, or such as mean nothing without it: `apt-get update`, the removal of its lists.
    Nothing,
    Others,
}

impl Dockerfile {
    /// Every package that the image has by its own instructions, in their order.
    pub(crate) fn packages(&self) -> Vec<Package> {
        let layers = self.layers();
        layers.into_iter().flat_map(|layer| layer.packages.into_iter().map(|(package, _)| package)).collect()
    }

    /// The commands that install something in the stages which make the image.
    pub(super) fn layers(&self) -> Vec<Layer> {
        let runs = self.own_pieces().into_iter().filter(|&at| self.pieces[at].is("RUN"));
        runs.flat_map(|at| self.layers_of(at)).collect()
    }

    fn layers_of(&self, piece: usize) -> Vec<Layer> {
        let words = words::shell(&self.pieces[piece].text, self.escape);
        let flags = words.iter().skip(1).take_while(|word| word.text.starts_with("--")).count();
        let words = words.get(1 + flags..).unwrap_or_default();
        if words.first().is_some_and(|word| word.text.starts_with('[')) {
            return Vec::new();
        }
        let commands: Vec<&[Word]> =
            words.split(|word| word.parts).filter(|command| !command.is_empty()).collect();
        let mut layers: Vec<Layer> = commands.iter().filter_map(|command| layer(piece, command)).collect();
        let strangers =
            commands.iter().any(|command| layer(piece, command).is_none() && !is_household(command));
        let company = if strangers || layers.len() > 1 { Company::Others } else { Company::Nothing };
        layers.iter_mut().for_each(|layer| layer.company = company);
        layers
    }

    /// The instructions that make the image: those of the last stage, and of the stages that it begins with.
    fn own_pieces(&self) -> Vec<usize> {
        let starts: Vec<usize> = self.all("FROM").collect();
        let stage = |at: usize| {
            let words = words::plain(&self.pieces[starts[at]].text, self.escape);
            let words: Vec<String> = words
                .into_iter()
                .skip(1)
                .map(|word| word.text)
                .filter(|word| !word.starts_with("--"))
                .collect();
            let name = words.get(2).map(|name| name.to_lowercase());
            (words.first().map(|base| base.to_lowercase()), name)
        };
        let mut own = Vec::new();
        let mut next = starts.len().checked_sub(1);
        while let Some(at) = next {
            let end = starts.get(at + 1).copied().unwrap_or(self.pieces.len());
            own.splice(0..0, starts[at]..end);
            let (base, _) = stage(at);
            next = (0..at).rev().find(|&before| stage(before).1.is_some_and(|name| Some(name) == base));
        }
        own
    }
}

impl Piece {
    pub(super) fn is(&self, instruction: &str) -> bool {
        self.instruction.as_deref() == Some(instruction)
    }
}

impl Package {
    /// A package as people name it.
    pub(crate) fn new(installer: Installer, text: &str) -> Self {
        let name = match installer {
            Installer::Apt => text.split(['=', '/', ':']).next().unwrap_or_default().to_lowercase(),
            Installer::Conda => {
                let text = text.rsplit_once("::").map_or(text, |(_, text)| text);
                text.split(['=', '<', '>', '!', ' ', '[']).next().unwrap_or_default().to_lowercase()
            }
            Installer::Pip => pip_name(text),
        };
        Self { installer, name, text: text.to_owned() }
    }
}

/// `Scikit_Learn[alldeps]>=1.2` is `scikit-learn`; an address or a path is itself.
fn pip_name(text: &str) -> String {
    if text.contains(['/', '\\']) && !text.contains('@') || text.contains("+http") {
        return text.to_owned();
    }
    let name = text.split(['[', '=', '<', '>', '!', '~', ';', '@', ' ']).next().unwrap_or_default();
    let mut plain = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        match c {
            '-' | '_' | '.' if plain.ends_with('-') => {}
            '-' | '_' | '.' => plain.push('-'),
            c => plain.push(c),
        }
    }
    plain
}

/// A command as one that installs.
fn layer(piece: usize, command: &[Word]) -> Option<Layer> {
    let (installer, arguments) = installs(command)?;
    let mut packages = Vec::new();
    let mut has_more = false;
    let mut words = command[arguments..].iter();
    while let Some(word) = words.next() {
        let text = word.text.as_str();
        if text.starts_with('-') {
            if takes_value(installer, text) {
                has_more |= matches!(text, "-r" | "--requirement" | "-e" | "--editable" | "--file");
                words.next();
            }
            has_more |=
                ["--requirement=", "--editable=", "--file="].iter().any(|flag| text.starts_with(flag));
            continue;
        }
        let redirects = text.starts_with(['>', '<'])
            || text.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with('>');
        if redirects {
            continue;
        }
        // What the shell makes of it is not known here.
        if text.contains(['$', '`', '(', ')', '{', '}']) || text.is_empty() {
            has_more = true;
            continue;
        }
        packages.push((Package::new(installer, text), word.at.clone()));
    }
    let at = command.first()?.at.start..command.last()?.at.end;
    Some(Layer { piece, installer, packages, at, has_more, company: Company::Nothing })
}

/// Which installer a command runs, and where its arguments begin.
fn installs(command: &[Word]) -> Option<(Installer, usize)> {
    let is_before = |word: &Word| {
        matches!(word.text.as_str(), "sudo" | "exec" | "time" | "then" | "(" | "{")
            || word.text.split_once('=').is_some_and(|(name, _)| {
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            })
    };
    let before = command.iter().take_while(|word| is_before(word)).count();
    let words: Vec<&str> = command[before..].iter().map(|word| word.text.as_str()).collect();
    let program = words.first()?.rsplit('/').next()?;
    let versioned = |name: &str| {
        program.strip_prefix(name).is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
    };
    let (installer, skipped) = match words.as_slice() {
        [_, "-m", "pip", ..] if versioned("python") => (Installer::Pip, 3),
        ["uv", "pip", ..] => (Installer::Pip, 2),
        _ if versioned("pip") => (Installer::Pip, 1),
        _ if matches!(program, "conda" | "mamba" | "micromamba") => (Installer::Conda, 1),
        _ if matches!(program, "apt-get" | "apt") => (Installer::Apt, 1),
        _ => return None,
    };
    let flags = words[skipped..].iter().take_while(|word| word.starts_with('-')).count();
    (*words.get(skipped + flags)? == "install").then_some((installer, before + skipped + flags + 1))
}

/// Whether a flag's value is the next word.
fn takes_value(installer: Installer, flag: &str) -> bool {
    let known: &[&str] = match installer {
        Installer::Pip => &[
            "-r",
            "--requirement",
            "-c",
            "--constraint",
            "-e",
            "--editable",
            "-i",
            "--index-url",
            "--extra-index-url",
            "-f",
            "--find-links",
            "-t",
            "--target",
            "--platform",
            "--python-version",
            "--trusted-host",
            "--timeout",
            "--retries",
            "--prefix",
            "--root",
            "--no-binary",
            "--only-binary",
            "--progress-bar",
            "--proxy",
            "--cache-dir",
            "--upgrade-strategy",
            "--index-strategy",
            "--python",
        ],
        Installer::Conda => &["-c", "--channel", "-n", "--name", "-p", "--prefix", "--file"],
        Installer::Apt => &["-o", "--option", "-t", "--target-release", "-c", "--config-file"],
    };
    known.contains(&flag)
}

/// Commands that are there for the sake of one that installs.
fn is_household(command: &[Word]) -> bool {
    let words: Vec<&str> = command.iter().map(|word| word.text.as_str()).collect();
    match words.as_slice() {
        ["apt-get" | "apt", rest @ ..] => {
            rest.iter().any(|word| matches!(*word, "update" | "clean" | "autoclean" | "autoremove"))
        }
        ["conda" | "mamba" | "micromamba", "clean", ..] | ["pip" | "pip3", "cache", "purge"] => true,
        ["rm", flags, paths @ ..] => {
            flags.starts_with('-')
                && !paths.is_empty()
                && paths.iter().all(|path| path.starts_with("/var/lib/apt/lists"))
        }
        _ => false,
    }
}
