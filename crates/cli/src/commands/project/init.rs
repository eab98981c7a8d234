//! `project init`: asks for what was not said, makes the project, and tells what there is now.

use clap::ValueEnum as _;
use ds01_api::names::Project;
use ds01_api::{Exit, FrameworkList, codes, paths};
use serde::Serialize;

use super::make::{self, Made};
use crate::args::{InitArgs, ProjectType};
use crate::client::Door;
use crate::commands::image;
use crate::failure::Failure;
use crate::project::{Beginning, Place, files, purpose};
use crate::prompts;
use crate::render;
use crate::ui::Ui;

/// What an image begins with where nobody says otherwise.
const FRAMEWORK: &str = "pytorch";

/// What was said, asked or taken for granted.
struct Answers {
    project: Project,
    /// `None`: blank.
    kind: Option<ProjectType>,
    git: bool,
}

/// What `--json` prints, and what is told.
#[derive(Debug, Serialize)]
pub(crate) struct Begun {
    /// The project.
    pub(crate) project: String,
    /// Its directory.
    pub(crate) directory: String,
    /// The image that its own is made from.
    pub(crate) base: String,
    /// The files that were made.
    pub(crate) files: Vec<&'static str>,
    /// Whether there is a git repository with a first commit.
    pub(crate) git: bool,
}

pub(super) async fn perform(door: &Door, args: &InitArgs, ui: Ui) -> Result<u8, Failure> {
    // A name that will not do is told before anything is asked.
    let name = args.name.as_deref().map(image::project).transpose()?;
    if let Some(project) = &name {
        make::is_free(&Place::of(project)?)?;
    }
    let answers = answers(args, name, ui)?;
    let place = Place::of(&answers.project)?;
    make::is_free(&place)?;
    let (base, list) = base(door, args).await?;
    let purpose = answers.kind.map(|kind| purpose(kind, list.use_cases.as_deref().unwrap_or_default()));
    let torch = args.framework.as_deref().unwrap_or(&base).to_ascii_lowercase().contains("torch");
    let project = answers.project.as_str();
    let framework = args.base.is_none();
    let files = files(&Beginning { project, purpose: purpose.as_ref(), base: &base, framework, torch });
    let made = match make::make(&place, &files, answers.git).await? {
        Made::Interrupted(exit) => return Ok(exit),
        Made::Done { git } => git,
    };
    if let Err(why) = &made {
        ui.warn(&format!("there is no git repository: {why}"));
    }
    let begun = Begun {
        project: project.to_owned(),
        directory: place.directory.display().to_string(),
        base,
        files: files.iter().map(|file| file.path).collect(),
        git: made.unwrap_or(false),
    };
    ui.answer(&begun, render::begun);
    Ok(0)
}

/// Asks for what was not said, where somebody can be asked.
fn answers(args: &InitArgs, name: Option<Project>, ui: Ui) -> Result<Answers, Failure> {
    let ask = !args.quick && !ui.json && prompts::can_ask();
    let project = match name {
        Some(project) => project,
        None if ask => {
            image::project(&prompts::text("Project:", "small letters, digits and -", None, |answer| {
                let project = image::project(answer).map_err(|failure| failure.error.message)?;
                Place::of(&project)
                    .and_then(|place| make::is_free(&place))
                    .map_err(|failure| failure.error.message)
            })?)?
        }
        None => {
            return Err(Failure::usage("a project needs a name").with_hint("project init my-project"));
        }
    };
    let kind = match (args.blank, args.kind) {
        (true, _) => None,
        (false, Some(kind)) => Some(kind),
        (false, None) if ask => ask_kind()?,
        (false, None) => Some(ProjectType::Ml),
    };
    let git = !args.no_git && (!ask || prompts::confirm("A git repository?", true)?);
    Ok(Answers { project, kind, git })
}

fn ask_kind() -> Result<Option<ProjectType>, Failure> {
    let kinds = ProjectType::value_variants();
    let entry = |kind: &ProjectType| {
        let value = kind.to_possible_value().expect("no type is hidden");
        let help = value.get_help().map(ToString::to_string).unwrap_or_default();
        format!("{:6} {help}", value.get_name())
    };
    let mut entries: Vec<String> = kinds.iter().map(entry).collect();
    entries.push("blank  Directories and a Dockerfile, no more".to_owned());
    let chosen = prompts::choose("What is it about?", entries, 0)?;
    Ok(kinds.get(chosen).copied())
}

/// The image to begin with, and what the machine offers.
async fn base(door: &Door, args: &InitArgs) -> Result<(String, FrameworkList), Failure> {
    let list = door.get::<FrameworkList>(paths::FRAMEWORKS).await;
    if let Some(base) = &args.base {
        // A project can be begun where nobody answers; then the packages are those that come with the program.
        return Ok((base.clone(), list.unwrap_or_default()));
    }
    let list = list.map_err(|error| {
        let failure = Failure::from(error);
        let message = format!("which image is PyTorch's here, ds01d tells: {}", failure.error.message);
        Failure { error: ds01_api::ApiError { message, ..failure.error }, ..failure }
            .with_hint("name the image to begin with: --base IMAGE")
    })?;
    let wanted = args.framework.as_deref().map_or_else(|| FRAMEWORK.to_owned(), str::to_ascii_lowercase);
    if let Some(found) = list.frameworks.iter().find(|framework| framework.name == wanted) {
        return Ok((found.image.clone(), list));
    }
    let known: Vec<&str> = list.frameworks.iter().map(|framework| framework.name.as_str()).collect();
    let failure = Failure::new(
        Exit::NotFound,
        codes::FRAMEWORK_UNKNOWN,
        format!("there is no framework {wanted} here"),
    );
    Err(match known.as_slice() {
        [] => failure.with_hint("name the image to begin with: --base IMAGE"),
        known => failure.with_hint(format!("there are: {}; or --base IMAGE", known.join(", "))),
    })
}
