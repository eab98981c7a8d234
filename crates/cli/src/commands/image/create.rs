//! `image create`: a Dockerfile written for whoever does not want to write one, and the image built from it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use ds01_api::names::Project;
use ds01_api::{Exit, UseCase};
use serde::Serialize;

use super::build::{self, Made, When};
use super::market::{Base, Market};
use super::recipe::{self, Recipe};
use super::store::{self, Requirements};
use super::{project, questions};
use crate::args::ImageCreateArgs;
use crate::client::Door;
use crate::dockerfile::{Dockerfile, Draft, Group, Installer, Package};
use crate::failure::Failure;
use crate::prompts;
use crate::render;
use crate::ui::Ui;

/// All that has to be known before anything is written.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) project: Project,
    pub(super) base: Base,
    pub(super) use_cases: Vec<UseCase>,
    pub(super) packages: Vec<String>,
    pub(super) system: Vec<String>,
    pub(super) requirements: Option<Requirements>,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    project: &'a str,
    dockerfile: PathBuf,
    base: &'a str,
    text: &'a str,
    dry_run: bool,
    #[serde(flatten)]
    made: Option<Made>,
}

pub(super) async fn perform(door: &Door, args: &ImageCreateArgs, ui: Ui) -> Result<u8, Failure> {
    let market = Market::ask(door).await?;
    let asks = !args.yes && !args.json && !args.dry_run && prompts::can_ask();
    // The name first: a Dockerfile that is there answers the other questions.
    let name = if args.name.is_none() && asks { Some(questions::name()?) } else { args.name.clone() };
    let args = &ImageCreateArgs { name, ..args.clone() };
    if let Some((text, made)) = from_its_dockerfile(door, args, ui).await? {
        let dockerfile = made.dockerfile.clone().unwrap_or_default();
        let base = Dockerfile::parse(&text).base().unwrap_or_default();
        let (project, made) = (made.project.clone(), Some(made));
        let report = Report { project: &project, dockerfile, base: &base, text: &text, dry_run: false, made };
        ui.answer(&report, |report| report.made.as_ref().map(render::image_made).unwrap_or_default());
        return Ok(0);
    }
    let wish = if asks { questions::ask(args, &market)? } else { of_flags(args, &market)? };
    let text = wish.draft().text();
    let path = place(&wish.project, args.force || args.dry_run)?;
    if !args.dry_run {
        if path.exists() {
            let aside = store::set_aside(&path)?;
            ui.note(&format!("the Dockerfile that was there is kept: {}", recipe::spoken(&aside)));
        }
        if let Some(requirements) = &wish.requirements {
            requirements.bring(&wish.project)?;
        }
        store::write(&path, &text)?;
        ui.note(&format!("wrote {}", recipe::spoken(&path)));
    }
    let mut made = None;
    if !args.dry_run && !args.no_build {
        let directory = recipe::workspace(&wish.project)?;
        let recipe = Recipe { path: path.clone(), directory, text: text.clone() };
        made = Some(build::from(door, &wish.project, recipe, When::Needed, ui).await?);
    }
    let (project, base) = (wish.project.as_str(), wish.base.image.as_str());
    let report = Report { project, dockerfile: path, base, text: &text, dry_run: args.dry_run, made };
    ui.answer(&report, |report| match (&report.made, report.dry_run) {
        (Some(made), _) => render::image_made(made),
        (None, true) => text.clone(),
        (None, false) => render::image_drafted(project),
    });
    Ok(0)
}

/// The image of a project that has a Dockerfile and no image any more, if nothing is said of another Dockerfile.
async fn from_its_dockerfile(
    door: &Door,
    args: &ImageCreateArgs,
    ui: Ui,
) -> Result<Option<(String, Made)>, Failure> {
    let asks_for_another = args.describes() || args.force || args.dry_run || args.no_build;
    let Some(name) = args.name.as_deref().filter(|_| !asks_for_another) else { return Ok(None) };
    let project = project(name)?;
    let Some(recipe) = recipe::find(&project)? else { return Ok(None) };
    if door.image(&build::image_of(door, &project).await?).await?.is_some() {
        return Ok(None);
    }
    ui.note(&format!(
        "{project} has a Dockerfile, and no image: it is built as it stands (--force writes it anew)"
    ));
    let text = recipe.text.clone();
    Ok(Some((text, build::from(door, &project, recipe, When::Needed, ui).await?)))
}

/// Where the Dockerfile goes: where there is one, that one is replaced, if it may be.
fn place(project: &Project, may_replace: bool) -> Result<PathBuf, Failure> {
    let Some(there) = recipe::find(project)? else { return recipe::own_path(project) };
    if may_replace {
        return Ok(there.path);
    }
    let message = format!("{project} has a Dockerfile already: {}", recipe::spoken(&there.path));
    Err(Failure::new(Exit::Failed, "dockerfile.exists", message).with_hint(format!(
        "image update {project} changes it and builds; --force writes it anew and keeps the old one beside it"
    )))
}

fn of_flags(args: &ImageCreateArgs, market: &Market) -> Result<Wish, Failure> {
    let name = args.name.as_deref().ok_or_else(|| {
        Failure::usage("for which project?").with_hint("image create my-project --framework pytorch")
    })?;
    let project = project(name)?;
    let requirements =
        args.requirements.as_deref().map(|file| Requirements::of(&project, file)).transpose()?;
    Ok(Wish {
        base: market.base(args)?,
        use_cases: market.use_cases_of(&args.use_case)?,
        packages: args.packages.clone(),
        system: args.system.clone(),
        requirements,
        project,
    })
}

impl Wish {
    /// The Dockerfile that fulfils it. What comes twice is written once, where it was asked for by name first.
    pub(super) fn draft(&self) -> Draft {
        let pip = |text: &str| Package::new(Installer::Pip, text).name;
        let apt = |text: &str| Package::new(Installer::Apt, text).name;
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let packages: Vec<String> =
            self.packages.iter().filter(|text| seen.insert(pip(text))).cloned().collect();
        let groups = self.use_cases.iter().map(|use_case| {
            let own = use_case.packages.iter().filter(|text| seen.insert(pip(text)));
            Group { title: use_case.title.clone(), packages: own.cloned().collect() }
        });
        let groups: Vec<Group> = groups.collect();
        let mut seen = BTreeSet::new();
        let brought = self.use_cases.iter().flat_map(|use_case| use_case.system.iter().cloned());
        let mut system: Vec<String> =
            self.system.iter().cloned().chain(brought).filter(|text| seen.insert(apt(text))).collect();
        system.sort();
        let titles = self.use_cases.iter().map(|use_case| use_case.title.to_lowercase());
        let purpose: Vec<String> = Some(self.base.called.clone()).into_iter().chain(titles).collect();
        Draft {
            project: self.project.to_string(),
            purpose: purpose.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", "),
            base: self.base.image.clone(),
            // What an image that was named has in it nobody knows here.
            has_framework: !self.base.called.starts_with("python"),
            system,
            groups,
            requirements: self.requirements.as_ref().map(|requirements| requirements.name.clone()),
            packages,
        }
    }
}
