//! What `image create` asks on a terminal: only what no flag says. Ctrl-C or Esc at any question ends it; nothing has been
//! made by then.

use std::fmt;
use std::io::{IsTerminal as _, stderr};

use ds01_api::{ApiError, Exit};
use inquire::validator::Validation;
use inquire::{Confirm, InquireError, MultiSelect, Select, Text};

use super::create::{Wish, named_use_cases};
use super::market::{Base, Market};
use super::store::Requirements;
use super::{project, recipe};
use crate::args::ImageCreateArgs;
use crate::catalogue::use_cases;
use crate::dockerfile::checked;
use crate::failure::Failure;
use crate::render;
use crate::terminal;

/// Entries of a list that are seen at once.
const PAGE: usize = 12;

/// Whether somebody sits there who can be asked.
pub(super) fn can_ask() -> bool {
    terminal::is_interactive() && stderr().is_terminal() && terminal::can_draw()
}

/// Asks what the flags leave open, and shows what would be written.
pub(super) fn ask(args: &ImageCreateArgs, market: &Market) -> Result<Wish, Failure> {
    let project = match &args.name {
        Some(name) => project(name)?,
        None => project(&name()?)?,
    };
    let base = match (&args.framework, &args.base, &args.python) {
        (None, None, None) => base(market)?,
        _ => market.base(args)?,
    };
    let use_cases = match args.use_case.as_slice() {
        [] => named_use_cases(&purposes()?)?,
        keys => named_use_cases(keys)?,
    };
    let packages = match args.packages.as_slice() {
        [] => several("Python packages besides:", "names with blanks between; none is fine")?,
        given => given.to_vec(),
    };
    let system = match args.system.as_slice() {
        [] => several("Packages of the distribution:", "ffmpeg git; none is fine")?,
        given => given.to_vec(),
    };
    let named = args.requirements.clone();
    let there = recipe::workspace(&project)?.join("requirements.txt");
    let file = match named {
        None if there.is_file() => {
            let question = format!("Install what {} names?", recipe::spoken(&there));
            answer(Confirm::new(&question).with_default(true).prompt())?.then_some(there)
        }
        named => named,
    };
    let requirements = file.map(|file| Requirements::of(&project, &file)).transpose()?;
    let wish = Wish { project, base, use_cases, packages, system, requirements };
    let text: String = wish.draft().text().lines().map(|line| format!("  {line}\n")).collect();
    let question = if args.no_build { "Write it?" } else { "Write it and build?" };
    if !answer(Confirm::new(&format!("\n{text}\n{question}")).with_default(true).prompt())? {
        return Err(nothing_made());
    }
    Ok(wish)
}

fn name() -> Result<String, Failure> {
    let valid = |name: &str| {
        Ok(match project(name) {
            Ok(_) => Validation::Valid,
            Err(failure) => {
                let hint = failure.error.hint.map(|hint| format!(": {hint}")).unwrap_or_default();
                Validation::Invalid(format!("{}{hint}", failure.error.message).into())
            }
        })
    };
    // Whoever stands in a project's directory means that project.
    let workspace = recipe::home().ok().map(|home| home.join("workspace"));
    let here = std::env::current_dir().ok();
    let here = here.and_then(|here| {
        let below = here.strip_prefix(workspace?).ok()?.components().next()?;
        below.as_os_str().to_str().map(str::to_owned)
    });
    let asked = Text::new("Project:").with_help_message("small letters, digits and -").with_validator(valid);
    answer(match &here {
        Some(here) => asked.with_default(here).prompt(),
        None => asked.prompt(),
    })
}

/// An entry of a list, with what is told of it.
struct Entry<T>(T, String);

impl<T> fmt::Display for Entry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.1)
    }
}

fn base(market: &Market) -> Result<Base, Failure> {
    let mut entries: Vec<Entry<Option<&str>>> = Vec::new();
    for choice in &market.choices {
        let here = choice.best(|image| market.is_here(image)).is_some_and(|image| market.is_here(image));
        let here = if here { " · here" } else { "" };
        entries.push(Entry(Some(&choice.name), format!("{}{here}", choice.name)));
    }
    entries.push(Entry(None, "another image".to_owned()));
    let usual = market.usual().map(|usual| usual.name.as_str());
    let first = entries.iter().position(|entry| entry.0 == usual).unwrap_or(0);
    let asked = Select::new("Framework:", entries).with_page_size(PAGE).with_starting_cursor(first);
    let Entry(name, _) = answer(asked.with_help_message("type to search").prompt())?;
    match name {
        Some(name) => version(market, name),
        None => {
            let image = answer(Text::new("Image:").with_help_message("as docker run takes it").prompt())?;
            Ok(Base { image: image.trim().to_owned(), called: String::new() })
        }
    }
}

fn version(market: &Market, name: &str) -> Result<Base, Failure> {
    let usual = market.of(name, None)?;
    let choice = market.choices.iter().find(|choice| choice.name == name);
    let versions = choice.map(|choice| choice.versions.as_slice()).unwrap_or_default();
    if versions.len() < 2 {
        return Ok(usual);
    }
    let entry = |(version, image): &(String, String)| {
        let here = if market.is_here(image) { " · here" } else { "" };
        Entry(version.clone(), format!("{version}{here}  {image}"))
    };
    let entries: Vec<Entry<String>> = versions.iter().map(entry).collect();
    let first = versions.iter().position(|(_, image)| *image == usual.image).unwrap_or(0);
    let asked = Select::new("Version:", entries).with_page_size(PAGE).with_starting_cursor(first);
    let help = "`here` needs no download";
    let Entry(version, _) = answer(asked.with_help_message(help).prompt())?;
    market.of(name, Some(&version))
}

fn purposes() -> Result<Vec<String>, Failure> {
    let entry = |use_case: crate::catalogue::UseCase| {
        let told = format!("{}: {}", use_case.title, use_case.packages.join(" "));
        // With what stands before it an entry has a line of its own.
        let room = usize::from(terminal::error_columns().unwrap_or(80)).saturating_sub(8);
        Entry(use_case.key.to_owned(), render::cut(&told, room))
    };
    let entries: Vec<Entry<String>> = use_cases().into_iter().map(entry).collect();
    let format = |chosen: &[inquire::list_option::ListOption<&Entry<String>>]| {
        chosen.iter().map(|option| option.value.0.as_str()).collect::<Vec<_>>().join(", ")
    };
    let asked = MultiSelect::new("What for?", entries).with_page_size(PAGE).with_formatter(&format);
    let chosen = answer(asked.with_help_message("space marks, enter goes on; none is fine").prompt())?;
    Ok(chosen.into_iter().map(|entry| entry.0).collect())
}

fn several(question: &str, help: &str) -> Result<Vec<String>, Failure> {
    let valid = |line: &str| {
        let wrong = line.split_whitespace().find_map(|text| checked(text).err());
        Ok(wrong.map_or(Validation::Valid, |wrong| Validation::Invalid(wrong.to_string().into())))
    };
    let line = answer(Text::new(question).with_help_message(help).with_validator(valid).prompt())?;
    Ok(line.split_whitespace().map(str::to_owned).collect())
}

fn answer<T>(asked: Result<T, InquireError>) -> Result<T, Failure> {
    asked.map_err(|error| match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => nothing_made(),
        error => Failure::usage(format!("this terminal cannot be asked: {error}"))
            .with_hint("give the answers as flags: image create --help"),
    })
}

fn nothing_made() -> Failure {
    let error = ApiError::new("image.cancelled", "you broke off: nothing was written and nothing built");
    Failure { error, exit: Exit::Interrupted.code() }
}
