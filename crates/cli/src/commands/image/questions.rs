//! What `image create` asks on a terminal: only what no flag says. Nothing has been made before the last answer.

use ds01_api::UseCase;

use super::create::Wish;
use super::market::{Base, Market};
use super::store::Requirements;
use super::{project, recipe};
use crate::args::ImageCreateArgs;
use crate::catalogue::Choice;
use crate::dockerfile::checked;
use crate::failure::Failure;
use crate::prompts;
use crate::render;
use crate::terminal;

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
        [] => purposes(market)?,
        keys => market.use_cases_of(keys)?,
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
            prompts::confirm(&question, true)?.then_some(there)
        }
        named => named,
    };
    let requirements = file.map(|file| Requirements::of(&project, &file)).transpose()?;
    let wish = Wish { project, base, use_cases, packages, system, requirements };
    let text: String = wish.draft().text().lines().map(|line| format!("  {line}\n")).collect();
    let question = if args.no_build { "Write it?" } else { "Write it and build?" };
    if !prompts::confirm(&format!("\n{text}\n{question}"), true)? {
        return Err(prompts::given_up());
    }
    Ok(wish)
}

/// The project, where none was named.
pub(super) fn name() -> Result<String, Failure> {
    let check = |name: &str| {
        project(name).map(drop).map_err(|failure| {
            let hint = failure.error.hint.map(|hint| format!(": {hint}")).unwrap_or_default();
            format!("{}{hint}", failure.error.message)
        })
    };
    // Whoever stands in a project's directory means that project.
    let workspace = recipe::home().ok().map(|home| home.join("workspace"));
    let here = std::env::current_dir().ok();
    let here = here.and_then(|here| {
        let below = here.strip_prefix(workspace?).ok()?.components().next()?;
        below.as_os_str().to_str().map(str::to_owned)
    });
    prompts::text("Project:", "small letters, digits and -", here.as_deref(), check)
}

/// What is told of an image that is on the machine.
fn here(is_here: bool) -> &'static str {
    if is_here { " · no download" } else { "" }
}

fn base(market: &Market) -> Result<Base, Failure> {
    let entry = |choice: &Choice| {
        let best = choice.best(|image| market.is_here(image));
        format!("{}{}", choice.name, here(best.is_some_and(|image| market.is_here(image))))
    };
    let mut entries: Vec<String> = market.choices.iter().map(entry).collect();
    entries.push("another image".to_owned());
    let usual = market.usual().map(|usual| &usual.name);
    let first = market.choices.iter().position(|choice| Some(&choice.name) == usual).unwrap_or(0);
    match market.choices.get(prompts::choose("Framework:", entries, first)?) {
        Some(choice) => version(market, &choice.name),
        None => {
            let check = |image: &str| match image {
                "" => Err("name one: python:3.12-slim".to_owned()),
                _ => Ok(()),
            };
            let image = prompts::text("Image:", "as docker run takes it", None, check)?;
            Ok(Base { image, called: String::new() })
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
    let entry =
        |(version, image): &(String, String)| format!("{version}{}  {image}", here(market.is_here(image)));
    let first = versions.iter().position(|(_, image)| *image == usual.image).unwrap_or(0);
    let chosen = prompts::choose("Version:", versions.iter().map(entry).collect(), first)?;
    market.of(name, Some(&versions[chosen].0))
}

fn purposes(market: &Market) -> Result<Vec<UseCase>, Failure> {
    let all = &market.use_cases;
    if all.is_empty() {
        return Ok(Vec::new());
    }
    // With what stands before it an entry has a line of its own.
    let room = usize::from(terminal::error_columns().unwrap_or(80)).saturating_sub(8);
    let entry = |use_case: &UseCase| {
        let told = format!("{}  {}: {}", use_case.key, use_case.title, use_case.packages.join(" "));
        render::cut(&told, room)
    };
    let marked = prompts::mark("What for?", all.iter().map(entry).collect())?;
    Ok(marked.into_iter().map(|at| all[at].clone()).collect())
}

fn several(question: &str, help: &str) -> Result<Vec<String>, Failure> {
    let check = |line: &str| {
        let wrong = line.split_whitespace().find_map(|text| checked(text).err());
        wrong.map_or(Ok(()), |wrong| Err(wrong.to_string()))
    };
    let line = prompts::text(question, help, None, check)?;
    Ok(line.split_whitespace().map(str::to_owned).collect())
}
