//! A project's image, built where it is missing or no longer what its Dockerfile says.
//!
//! An image carries a digest of its Dockerfile and of the files that it copies, as a label: that, and no time of a file,
//! tells whether it is up to date. One that was built by other means has no label; then the times are compared.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use ds01_api::names::{self, Project};
use ds01_api::{ApiError, Exit, WhoAmI, codes, paths};
use serde::Serialize;

use super::progress::Progress;
use super::recipe::{self, Recipe};
use super::{advice, along};
use crate::client::{BuildNews, BuildWanted, Door, ImageFacts};
use crate::context::{self, Context};
use crate::dockerfile::{Copied, Dockerfile};
use crate::failure::Failure;
use crate::render;
use crate::signals::Signals;
use crate::ui::Ui;

/// Says what an image was made of. Labels that begin with `ds01` are the door's own.
pub(super) const DIGEST_LABEL: &str = "dockerfile.digest";
/// From this on a context takes long enough that its size is worth a word.
const LARGE_CONTEXT_BYTES: u64 = 256 * 1024 * 1024;

/// When to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// If the image is missing, or not what its Dockerfile says.
    Needed,
    /// In any case; what an earlier build has done is taken from it.
    Always,
    /// In any case, every step anew.
    Anew,
}

/// A project's image, as it is now.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Made {
    pub(crate) project: String,
    pub(crate) image: String,
    /// What it is built from; none where the image is there and no Dockerfile is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dockerfile: Option<PathBuf>,
    /// The build, if there had to be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) build: Option<Built>,
}

/// A build that succeeded.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Built {
    pub(crate) id: String,
    pub(crate) size_bytes: u64,
    pub(crate) seconds: f64,
    pub(crate) steps: usize,
    /// How many of them were taken from an earlier build.
    pub(crate) cached: usize,
    /// Where everything stands that it printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<PathBuf>,
}

/// Sees to it that a project has an image which is what its Dockerfile says, and tells how that goes on.
///
/// An image without a Dockerfile is left as it is.
pub(crate) async fn ensure(door: &Door, project: &Project, when: When, ui: Ui) -> Result<Made, Failure> {
    if let Some(recipe) = recipe::find(project)? {
        return from(door, project, recipe, when, ui).await;
    }
    let image = image_of(door, project).await?;
    let there = door.image(&image).await?.is_some();
    if there && when == When::Needed {
        return Ok(Made { project: project.to_string(), image, dockerfile: None, build: None });
    }
    Err(no_recipe(project, Some(image.as_str()).filter(|_| there)))
}

/// As [`ensure`], from a Dockerfile that need not be written yet.
pub(super) async fn from(
    door: &Door,
    project: &Project,
    recipe: Recipe,
    when: When,
    ui: Ui,
) -> Result<Made, Failure> {
    let image = image_of(door, project).await?;
    let (context, digest) = gather(&recipe)?;
    let fresh = match when {
        When::Needed => door.image(&image).await?.is_some_and(|facts| is_fresh(&facts, &digest, &recipe)),
        When::Always | When::Anew => false,
    };
    let build = if fresh {
        None
    } else {
        let no_cache = when == When::Anew;
        let run = Run { door, project, image: &image, recipe: &recipe, digest: &digest, no_cache, ui };
        Some(run.build(context).await?)
    };
    Ok(Made { project: project.to_string(), image, dockerfile: Some(recipe.path), build })
}

/// What a Dockerfile's build is sent, and its digest.
fn gather(recipe: &Recipe) -> Result<(Context, String), Failure> {
    let gathered = Context::gather(recipe.text.clone(), &recipe.directory)
        .and_then(|context| context.digest().map(|digest| (context, digest)));
    gathered.map_err(|error| {
        Failure::new(Exit::Failed, "image.context", error.to_string())
            .with_hint("make it readable, or name it in .dockerignore")
    })
}

/// Whether an image with this label is what its Dockerfile says; `None` where to find out would mean to read directories.
pub(super) fn is_current(recipe: &Recipe, label: Option<&str>) -> Option<bool> {
    let Copied::These(sources) = Dockerfile::parse(&recipe.text).copied() else { return None };
    let few = sources.iter().all(|source| recipe.directory.join(source).is_file());
    let (_, digest) = gather(recipe).ok().filter(|_| few)?;
    label.map(|label| label == digest)
}

/// The name of a project's image.
pub(crate) async fn image_of(door: &Door, project: &Project) -> Result<String, Failure> {
    let who: WhoAmI = door.get(paths::WHOAMI).await?;
    Ok(names::image(project, &who.name))
}

/// There is no Dockerfile; `image` is there all the same, or not.
pub(super) fn no_recipe(project: &Project, image: Option<&str>) -> Failure {
    let message = match image {
        Some(image) => format!("{image} is there, but no Dockerfile of {project} to build it from"),
        None => format!("{project} has no image, and no Dockerfile to build one from"),
    };
    Failure::new(Exit::NotFound, "dockerfile.not-found", message).with_hint(format!(
        "image create {project} writes one; or write ~/workspace/{project}/Dockerfile yourself"
    ))
}

fn is_fresh(facts: &ImageFacts, digest: &str, recipe: &Recipe) -> bool {
    if let Some(label) = facts.label(DIGEST_LABEL) {
        return label == digest;
    }
    // Built by other means, it can only be of what is written; a change that is not, it cannot know.
    if !std::fs::read_to_string(&recipe.path).is_ok_and(|written| written == recipe.text) {
        return false;
    }
    let changed = std::fs::metadata(&recipe.path).and_then(|metadata| metadata.modified());
    let changed = changed.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let built = facts.created().map(|created| created.as_second());
    changed
        .zip(built)
        .is_some_and(|(changed, built)| i64::try_from(changed.as_secs()).is_ok_and(|at| at <= built))
}

/// A build that is to be done.
struct Run<'a> {
    door: &'a Door,
    project: &'a Project,
    image: &'a str,
    recipe: &'a Recipe,
    digest: &'a str,
    no_cache: bool,
    ui: Ui,
}

impl Run<'_> {
    async fn build(&self, context: Context) -> Result<Built, Failure> {
        let mut signals = Signals::new();
        tokio::select! {
            // Whatever is under way is dropped: the connection closes, and the Engine ends the step and removes it.
            code = signals.fatal() => {
                self.ui.end_passing();
                Err(self.given_up(code))
            }
            built = self.see_through(context) => built,
        }
    }

    fn given_up(&self, exit: u8) -> Failure {
        let message = format!("you gave up: {} is as it was before", self.image);
        Failure { error: ApiError::new("image.cancelled", message), exit }
    }

    async fn see_through(&self, context: Context) -> Result<Built, Failure> {
        self.fetch_bases().await?;
        let size = context.bytes();
        if size >= LARGE_CONTEXT_BYTES {
            self.ui.note(&format!(
                "sending {} of {} to the build; .dockerignore leaves out what it does not need",
                render::words::bytes(size),
                recipe::spoken(&self.recipe.directory)
            ));
        }
        let mut progress = Progress::begin(self.project, self.image, &self.recipe.path, self.ui);
        let wanted = BuildWanted {
            image: self.image,
            dockerfile: context::DOCKERFILE,
            labels: BTreeMap::from([(DIGEST_LABEL, self.digest)]),
            no_cache: self.no_cache,
        };
        let mut build = self.door.build(&wanted, context::pack(context)).await?;
        let failed = loop {
            match progress.until(build.next()).await? {
                Some(BuildNews::Failed(why)) => break Some(why),
                Some(news) => progress.take(news),
                None => break None,
            }
        };
        let told = progress.end(failed.is_none());
        if let Some(why) = failed {
            return Err(advice::failure(self.project, &self.recipe.path, &why, &told));
        }
        let facts = self.door.image(self.image).await?;
        let facts =
            facts.filter(|facts| facts.label(DIGEST_LABEL) == Some(self.digest)).ok_or_else(|| {
                Failure::new(
                    Exit::Failed,
                    "image.build-failed",
                    format!("the build ended without {}", self.image),
                )
                .with_hint("try again; if it stays so, tell an admin")
            })?;
        Ok(Built {
            id: facts.id,
            size_bytes: facts.size,
            seconds: told.seconds,
            steps: told.steps,
            cached: told.cached,
            log: told.log,
        })
    }

    /// Fetches what the Dockerfile begins with or copies from, where it is not here: the door builds on nothing else.
    async fn fetch_bases(&self) -> Result<(), Failure> {
        let dockerfile = recipe::spoken(&self.recipe.path);
        let reading = ds01_docker::dockerfile::read(self.recipe.text.as_bytes(), &BTreeMap::new()).map_err(
            |wrong| Failure::new(Exit::Failed, "dockerfile.refused", format!("{dockerfile}: {wrong}")),
        )?;
        for base in reading.images() {
            let base = base.as_str();
            if self.door.image(base).await?.is_some() {
                continue;
            }
            along::pull(self.door, base, self.ui).await.map_err(|error| {
                let exit = if error.exit() == Exit::NotPermitted { Exit::NotPermitted } else { Exit::NotFound };
                let message =
                    format!("{dockerfile} builds on {base}, which is not on this machine and could not be fetched: {error}");
                Failure::new(exit, codes::IMAGE_NOT_FOUND, message)
                    .with_hint(format!("docker images shows what is here; an admin can fetch it: docker pull {base}"))
            })?;
        }
        Ok(())
    }
}
