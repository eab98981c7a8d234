//! `image update`: a project's Dockerfile changed, and its image built anew. The Dockerfile is written once the build has
//! succeeded: one that fails, or is given up, leaves both as they were.

use std::path::{Path, PathBuf};
use std::process::Command;

use ds01_api::names::Project;
use ds01_api::{Exit, paths};
use serde::Serialize;

use super::build::{self, Made, When};
use super::list;
use super::recipe::{self, Recipe};
use super::store::{self, Requirements};
use crate::args::ImageUpdateArgs;
use crate::catalogue::use_cases;
use crate::client::Door;
use crate::dockerfile::{Added, Dockerfile, Installer, Package, difference};
use crate::editor::{self, Model, Opened, Outcome};
use crate::failure::Failure;
use crate::render;
use crate::ui::Ui;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    project: String,
    dockerfile: PathBuf,
    /// As `diff -u` shows it; empty if nothing was changed.
    diff: String,
    dry_run: bool,
    #[serde(flatten)]
    made: Option<Made>,
}

pub(super) async fn perform(door: &Door, args: &ImageUpdateArgs, ui: Ui) -> Result<u8, Failure> {
    let Some(name) = &args.name else { return pick(door, None, args, ui).await };
    let project = super::project(name)?;
    let recipe = recipe::find(&project)?;
    // Who names a project and nothing else has chosen it, and has the rest of the screen before him. A flag, a pipe or
    // --json says that nobody wants to be shown anything.
    if recipe.is_some() && !says_what(args) && editor::can_open() {
        return pick(door, Some(&project), args, ui).await;
    }
    let Some(mut recipe) = recipe else {
        if changes(args) {
            return Err(build::no_recipe(&project, None));
        }
        let made = build::ensure(door, &project, when(args), ui).await?;
        ui.answer(&made, render::image_made);
        return Ok(0);
    };
    let before = recipe.text.clone();
    if args.edit {
        recipe.text = edited(&recipe)?;
        // What a person wrote is kept whatever comes of it.
        store::write(&recipe.path, &recipe.text)?;
    }
    let requirements =
        args.requirements.as_deref().map(|file| Requirements::of(&project, file)).transpose()?;
    let written = recipe.text.clone();
    recipe.text = changed(&recipe, args, requirements.as_ref(), ui)?;
    let diff = difference(&recipe::spoken(&recipe.path), &before, &recipe.text);
    let report = |made| Report {
        project: project.to_string(),
        dockerfile: recipe.path.clone(),
        diff: diff.clone(),
        dry_run: args.dry_run,
        made,
    };
    if args.dry_run {
        ui.answer(&report(None), |report| render::difference(&report.diff));
        return Ok(0);
    }
    if !diff.is_empty() {
        ui.note(render::difference(&diff).trim_end());
    }
    if let Some(requirements) = &requirements {
        requirements.bring(&project)?;
    }
    let made = if args.no_build {
        None
    } else {
        Some(build::from(door, &project, recipe.clone(), when(args), ui).await.map_err(|failure| {
            if recipe.text == written { failure } else { put_off(failure, &recipe.path) }
        })?)
    };
    if recipe.text != written {
        store::write(&recipe.path, &recipe.text)?;
    }
    ui.answer(&report(made), |report| match &report.made {
        Some(made) => render::image_made(made),
        None => render::image_rewritten(&project, !report.diff.is_empty()),
    });
    Ok(0)
}

/// On a terminal all is picked there: the project, unless it was named, and its packages.
async fn pick(door: &Door, named: Option<&Project>, args: &ImageUpdateArgs, ui: Ui) -> Result<u8, Failure> {
    if named.is_none() && (changes(args) || !editor::can_open()) {
        return Err(Failure::usage("which project?")
            .with_hint("image update my-project --add einops; image list shows all"));
    }
    let opened = |image: list::Image| {
        let state = render::image_state(&image).to_owned();
        let project = Project::new(image.project.as_deref()?).ok()?;
        let recipe = recipe::find(&project).ok()??;
        Some(Opened {
            project: project.to_string(),
            path: recipe::spoken(&recipe.path),
            text: recipe.text,
            state,
            is_current: image.built.as_ref().map_or(Some(false), |_| image.up_to_date),
        })
    };
    let all = list::images(door, false).await?.into_iter().filter_map(opened).collect();
    let offered = use_cases(&door.get(paths::FRAMEWORKS).await?);
    let model = match named {
        Some(project) => Model::at(all, offered, project.as_str()),
        None => Model::new(all, offered),
    };
    let outcome = editor::run(model)
        .map_err(|error| Failure::usage(format!("this terminal cannot be drawn on: {error}")))?;
    let Outcome::Changed { project, text, build } = outcome else { return Ok(0) };
    let project = super::project(&project)?;
    let Some(mut recipe) = recipe::find(&project)? else { return Err(build::no_recipe(&project, None)) };
    let changed = text != recipe.text;
    if changed {
        let diff = difference(&recipe::spoken(&recipe.path), &recipe.text, &text);
        ui.note(render::difference(&diff).trim_end());
        recipe.text = text;
    }
    let made = if build {
        let built = build::from(door, &project, recipe.clone(), When::Needed, ui).await;
        Some(built.map_err(|failure| if changed { put_off(failure, &recipe.path) } else { failure })?)
    } else {
        None
    };
    if changed {
        store::write(&recipe.path, &recipe.text)?;
    }
    ui.say(&match &made {
        Some(made) => render::image_made(made),
        None => render::image_rewritten(&project, true),
    });
    Ok(0)
}

fn when(args: &ImageUpdateArgs) -> When {
    match (args.rebuild, args.no_cache) {
        (_, true) => When::Anew,
        (true, false) => When::Always,
        (false, false) => When::Needed,
    }
}

/// Whether a flag says what is to be done.
fn says_what(args: &ImageUpdateArgs) -> bool {
    changes(args) || args.rebuild || args.no_cache || args.no_build || args.dry_run || args.json
}

/// Whether a flag asks for a change of the Dockerfile.
fn changes(args: &ImageUpdateArgs) -> bool {
    let lists = [&args.add, &args.remove, &args.add_system, &args.remove_system];
    args.edit || args.requirements.is_some() || lists.iter().any(|list| !list.is_empty())
}

/// The Dockerfile's text after the changes that the flags ask for.
fn changed(
    recipe: &Recipe,
    args: &ImageUpdateArgs,
    requirements: Option<&Requirements>,
    ui: Ui,
) -> Result<String, Failure> {
    let mut dockerfile = Dockerfile::parse(&recipe.text);
    let told = recipe::spoken(&recipe.path);
    if dockerfile.base().is_none() {
        let message = format!("{told} has no FROM, with which a Dockerfile begins");
        return Err(Failure::new(Exit::Failed, "dockerfile.refused", message));
    }
    for (installer, packages) in [(Installer::Pip, &args.remove), (Installer::Apt, &args.remove_system)] {
        for package in packages {
            if !dockerfile.remove(installer, package) {
                return Err(not_installed(&dockerfile, installer, package, &told));
            }
        }
    }
    if let Some(requirements) = requirements
        && dockerfile.add_requirements(&requirements.name) == Added::Already
    {
        ui.note(&format!("{told} installs {} already", requirements.name));
    }
    for (installer, packages) in [(Installer::Apt, &args.add_system), (Installer::Pip, &args.add)] {
        for package in packages {
            match dockerfile.add(installer, package) {
                Added::New => {}
                Added::Instead(old) => ui.note(&format!("{package} takes the place of {old}")),
                Added::Already => ui.note(&format!("{told} installs {package} already")),
            }
        }
    }
    Ok(dockerfile.to_string())
}

fn not_installed(dockerfile: &Dockerfile, installer: Installer, package: &str, told: &str) -> Failure {
    let of_kind = |there: &Package| (there.installer == Installer::Apt) == (installer == Installer::Apt);
    let there: Vec<String> =
        dockerfile.packages().into_iter().filter(of_kind).map(|package| package.text).collect();
    let message = format!("{told} does not install {package}: nothing was changed");
    Failure::new(Exit::NotFound, "package.not-found", message).with_hint(match there.as_slice() {
        [] => "what the base image or requirements.txt brings is not taken out here".to_owned(),
        there => format!("it installs {}", there.join(" ")),
    })
}

/// A build that failed, of a Dockerfile that was not written yet.
fn put_off(failure: Failure, path: &Path) -> Failure {
    let kept = format!("{} is as it was", recipe::spoken(path));
    let hint = match &failure.error.hint {
        Some(hint) => format!("{kept}; {hint}"),
        None => kept,
    };
    failure.with_hint(hint)
}

/// The Dockerfile as its author leaves the editor.
fn edited(recipe: &Recipe) -> Result<String, Failure> {
    let editor = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let editor = editor.unwrap_or_else(|| "vi".to_owned());
    let failed = |why: String| {
        Failure::new(Exit::Failed, "editor.failed", format!("the editor {editor} {why}: nothing was changed"))
            .with_hint("set EDITOR to one that you have: EDITOR=nano image update … --edit")
    };
    let copy = recipe.path.with_file_name(format!(".edit-{}.Dockerfile", std::process::id()));
    std::fs::write(&copy, &recipe.text)
        .map_err(|error| failed(format!("gets no copy to work on ({error})")))?;
    // An editor may be a command with flags: `code --wait`.
    let ended = Command::new("sh").args(["-c", &format!("{editor} \"$1\""), "sh"]).arg(&copy).status();
    let text = std::fs::read_to_string(&copy);
    let _ = std::fs::remove_file(&copy);
    match ended {
        Ok(status) if status.success() => text.map_err(|error| failed(format!("left no text ({error})"))),
        Ok(status) => Err(failed(format!("ended with {status}"))),
        Err(error) => Err(failed(format!("did not start ({error})"))),
    }
}
