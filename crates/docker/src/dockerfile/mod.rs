//! A Dockerfile as the classic builder reads it: what it takes from outside its own context.
//!
//! Answers for: naming every image that a build would use (`FROM`, `COPY --from`), so that the daemon can look whose
//! it is, and refusing what the Engine would fetch as root (`ADD` of an address).
//! Must never: let a spelling through of which it is not sure what the builder makes of it.

mod growth;
mod lines;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use crate::reference::ImageRef;
use growth::Growth;
pub use growth::VARIABLE_BYTES_MAX;
use lines::{Instruction, Manner};

/// The largest Dockerfile that is read, in bytes.
pub const DOCKERFILE_BYTES_MAX: usize = 1024 * 1024;
/// The base that is no image.
const SCRATCH: &str = "scratch";

/// Why a Dockerfile is refused: a sentence. HTTP 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DockerfileRefusal(String);

impl DockerfileRefusal {
    fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// What a Dockerfile takes from outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    images: BTreeSet<ImageRef>,
    bases: BTreeSet<ImageRef>,
    after_from: Vec<usize>,
}

impl Reading {
    /// Every image it uses, bases included; each must be one that the caller may use.
    pub fn images(&self) -> impl Iterator<Item = &ImageRef> {
        self.images.iter()
    }

    /// The images that it builds on, whose `ONBUILD` triggers become part of it.
    pub fn bases(&self) -> impl Iterator<Item = &ImageRef> {
        self.bases.iter()
    }

    /// The same Dockerfile with an instruction of the daemon's own after every `FROM`.
    ///
    /// `text` is what was read; `line` is one instruction without a line end.
    #[must_use]
    pub fn with_line_after_from(&self, text: &[u8], line: &str) -> Vec<u8> {
        let mut written = Vec::with_capacity(text.len() + self.after_from.len() * (line.len() + 2));
        let mut from = 0;
        for end in &self.after_from {
            written.extend_from_slice(&text[from..*end]);
            if !written.ends_with(b"\n") {
                written.push(b'\n');
            }
            written.extend_from_slice(line.as_bytes());
            written.push(b'\n');
            from = *end;
        }
        written.extend_from_slice(&text[from..]);
        written
    }
}

/// Reads a Dockerfile. `build_args` are the client's (`--build-arg`), which may name a base.
///
/// # Errors
/// What cannot be read, what the Engine would fetch by itself, and a base that cannot be told before the build.
pub fn read(
    text: &[u8],
    build_args: &BTreeMap<String, Option<String>>,
) -> Result<Reading, DockerfileRefusal> {
    read_in_all_manners(lines::decoded(text)?, build_args)
}

/// Reads a text as the current builder does, and as others could; what any of them would use is used.
fn read_in_all_manners(
    text: &str,
    build_args: &BTreeMap<String, Option<String>>,
) -> Result<Reading, DockerfileRefusal> {
    let mut whole: Option<Reading> = None;
    for manner in Manner::all(text) {
        let mut reader = Reader::new(build_args, manner);
        for instruction in lines::instructions(text, manner)? {
            reader.take(&instruction)?;
        }
        match &mut whole {
            None => whole = Some(reader.reading),
            Some(whole) => {
                whole.images.extend(reader.reading.images);
                whole.bases.extend(reader.reading.bases);
            }
        }
    }
    Ok(whole.unwrap_or_default())
}

/// Reads the `ONBUILD` triggers of a base image, which run as if they stood after its `FROM`; answers with the images
/// that they use.
///
/// # Errors
/// As [`read`].
pub fn read_triggers<'t>(
    triggers: impl IntoIterator<Item = &'t str>,
) -> Result<Vec<ImageRef>, DockerfileRefusal> {
    let none = BTreeMap::new();
    let mut images = BTreeSet::new();
    for trigger in triggers {
        images.extend(read_in_all_manners(lines::decoded(trigger.as_bytes())?, &none)?.images);
    }
    Ok(images.into_iter().collect())
}

struct Reader<'a> {
    build_args: &'a BTreeMap<String, Option<String>>,
    /// Arguments before the first `FROM`; `None`: what they are cannot be told.
    arguments: BTreeMap<String, Option<String>>,
    stages: BTreeSet<String>,
    reading: Reading,
    began: bool,
    manner: Manner,
    growth: Growth,
}

impl<'a> Reader<'a> {
    fn new(build_args: &'a BTreeMap<String, Option<String>>, manner: Manner) -> Self {
        Self {
            build_args,
            arguments: BTreeMap::new(),
            stages: BTreeSet::new(),
            reading: Reading::default(),
            began: false,
            manner,
            growth: Growth::default(),
        }
    }

    fn take(&mut self, instruction: &Instruction) -> Result<(), DockerfileRefusal> {
        self.growth.take(&instruction.name, &instruction.rest, self.build_args)?;
        match instruction.name.as_str() {
            "FROM" => {
                self.from(&instruction.rest)?;
                self.began = true;
                self.reading.after_from.push(instruction.end);
            }
            "ARG" if !self.began => self.argument(&instruction.rest),
            "ADD" => {
                refuse_heredoc(&instruction.name, &instruction.rest)?;
                self.copies_from(&instruction.rest)?;
                judge_add(&instruction.rest)?;
            }
            "COPY" => {
                refuse_heredoc(&instruction.name, &instruction.rest)?;
                self.copies_from(&instruction.rest)?;
            }
            "RUN" => refuse_heredoc(&instruction.name, &instruction.rest)?,
            // Run when somebody builds on the image, this same file included where it does so twice.
            "ONBUILD" => {
                for inner in lines::instructions(&instruction.rest, self.manner)? {
                    if inner.name == "FROM" {
                        return Err(DockerfileRefusal::new("FROM isn't allowed as an ONBUILD trigger"));
                    }
                    self.take(&inner)?;
                }
            }
            "ARG" | "CMD" | "ENTRYPOINT" | "ENV" | "EXPOSE" | "HEALTHCHECK" | "LABEL" | "MAINTAINER"
            | "SHELL" | "STOPSIGNAL" | "USER" | "VOLUME" | "WORKDIR" => {}
            // A line that is none in this manner: who reads so ends the build here, or reads it otherwise.
            _ if self.manner != Manner::CURRENT => {}
            other => {
                return Err(DockerfileRefusal::new(format!(
                    "unknown instruction in the Dockerfile: {other}"
                )));
            }
        }
        Ok(())
    }

    /// `FROM [--platform=P] IMAGE [AS STAGE]`
    fn from(&mut self, rest: &str) -> Result<(), DockerfileRefusal> {
        let words: Vec<&str> = rest.split_whitespace().skip_while(|word| word.starts_with("--")).collect();
        let (name, stage) = match words.as_slice() {
            [name] => (*name, None),
            [name, between, stage] if between.eq_ignore_ascii_case("as") => {
                (*name, Some(stage.to_lowercase()))
            }
            _ => {
                return Err(DockerfileRefusal::new(
                    "FROM takes an image, and AS with the name of the stage: FROM IMAGE [AS NAME]",
                ));
            }
        };
        let value = |key: &str| self.value(key);
        let name = words::expanded(name, &value).ok_or_else(|| {
            DockerfileRefusal::new(format!(
                "FROM {name} cannot be read before the build; write the image's name out, or use ${{VARIABLE}} with \
                 an ARG before the first FROM"
            ))
        })?;
        let known = self.stages.contains(&name.to_lowercase());
        if name != SCRATCH && !known {
            let image = ImageRef::parse(&name).map_err(|wrong| DockerfileRefusal::new(wrong.to_string()))?;
            self.reading.bases.insert(image.clone());
            self.reading.images.insert(image);
        }
        if let Some(stage) = stage {
            let mut letters = stage.chars();
            let good = letters.next().is_some_and(|first| first.is_ascii_lowercase())
                && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c));
            if !good {
                return Err(DockerfileRefusal::new(format!("invalid name for build stage: {stage}")));
            }
            self.stages.insert(stage);
        }
        Ok(())
    }

    /// What a variable of a `FROM` is: the client's value, else the default of its `ARG`. The outer `None`: it cannot
    /// be told.
    fn value(&self, key: &str) -> Option<Option<String>> {
        match (self.arguments.get(key), self.build_args.get(key)) {
            // Not declared before the first FROM: the builder takes it for empty.
            (None, _) => Some(None),
            (Some(_), Some(Some(given))) => Some(Some(given.clone())),
            (Some(default), _) => default.clone().map(Some),
        }
    }

    /// `ARG NAME[=DEFAULT]…` before the first `FROM`.
    fn argument(&mut self, rest: &str) {
        for word in words::split(rest) {
            let (key, default) = word.split_once('=').unwrap_or((&word, ""));
            let value = |key: &str| self.value(key);
            let default = words::expanded(default, &value);
            self.arguments.insert(key.to_owned(), default);
        }
    }

    /// `--from=` of `COPY` and `ADD`: a stage, or an image.
    fn copies_from(&mut self, rest: &str) -> Result<(), DockerfileRefusal> {
        for flag in rest.split_whitespace().take_while(|word| word.starts_with("--")) {
            if flag.contains(['"', '\'', '\\', '`', '$']) {
                return Err(DockerfileRefusal::new(format!(
                    "the option {flag} cannot be read before the build; write it without quotes and variables"
                )));
            }
            let Some(name) = flag.strip_prefix("--from=") else { continue };
            let is_stage =
                name.bytes().all(|b| b.is_ascii_digit()) || self.stages.contains(&name.to_lowercase());
            if name.is_empty() || is_stage {
                continue;
            }
            let image = ImageRef::parse(name).map_err(|wrong| DockerfileRefusal::new(wrong.to_string()))?;
            self.reading.images.insert(image);
        }
        Ok(())
    }
}

/// Newer builders read lines of their own behind `<<WORD`, older ones do not.
fn refuse_heredoc(name: &str, rest: &str) -> Result<(), DockerfileRefusal> {
    let is_heredoc = |word: &str| {
        let word = word.trim_start_matches(|c: char| c.is_ascii_digit());
        word.strip_prefix("<<").is_some_and(|end| !end.is_empty() && !end.starts_with('<'))
    };
    match rest.split_whitespace().any(is_heredoc) {
        false => Ok(()),
        true => Err(DockerfileRefusal::new(format!(
            "{name} with a here-document needs BuildKit, which is switched off here; put the lines into a file, or \
             join them with && and a backslash"
        ))),
    }
}

/// `ADD` fetches addresses as root on the host's own network; everything else it does, `COPY` and `RUN` do as well.
fn judge_add(rest: &str) -> Result<(), DockerfileRefusal> {
    let sources: String = rest
        .split_whitespace()
        .skip_while(|word| word.starts_with("--"))
        .flat_map(|word| [word, " "])
        .collect();
    let in_json = sources.starts_with('[');
    let unclear = sources.contains(['$', '\\', '`']) || (!in_json && sources.contains(['"', '\'']));
    if unclear {
        return Err(DockerfileRefusal::new(
            "ADD with variables, quotes or backslashes cannot be read before the build; use COPY, which takes them",
        ));
    }
    let lower = sources.to_ascii_lowercase();
    if ["://", "git@"].iter().any(|sign| lower.contains(sign)) {
        return Err(DockerfileRefusal::new(
            "ADD of an address is refused, because the Engine would fetch it as root. Fetch it in the build: RUN wget \
             ADDRESS, or download it first and COPY it",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
