//! `image list`: the images of one's projects, what they are made of and who uses them; and Dockerfiles without an image.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ds01_api::names::{self, Project};
use ds01_api::{ShareKind, ShareList, WhoAmI, paths};
use jiff::Timestamp;
use serde::Serialize;

use super::build::{DIGEST_LABEL, is_current};
use super::recipe::{self, Recipe};
use crate::args::ImageListArgs;
use crate::client::{Door, ListedImage, User};
use crate::dockerfile::Dockerfile;
use crate::failure::Failure;
use crate::render;
use crate::ui::Ui;

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Images {
    pub(crate) images: Vec<Image>,
}

/// An image, or a project that could have one.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Image {
    /// The name to type.
    pub(crate) image: String,
    /// Whose image it is, if it is one of the caller's projects'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<String>,
    /// None: there is only a Dockerfile.
    #[serde(flatten)]
    pub(crate) built: Option<Built>,
    /// What it begins with, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dockerfile: Option<PathBuf>,
    /// Whether it is what its Dockerfile says; none where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) up_to_date: Option<bool>,
    /// Who shares it with the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shared_by: Option<String>,
}

/// What there is of an image.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Built {
    pub(crate) id: String,
    pub(crate) size_bytes: u64,
    pub(crate) age_seconds: u64,
    /// The caller's containers that were made of it.
    pub(crate) containers: Vec<String>,
}

pub(super) async fn perform(door: &Door, args: &ImageListArgs, ui: Ui) -> Result<u8, Failure> {
    let images = Images { images: images(door, args.all).await? };
    ui.answer(&images, |images| render::images(images, ui.columns()));
    Ok(0)
}

/// The caller's images by project, then those that others share, then, if wanted, all others.
pub(crate) async fn images(door: &Door, all: bool) -> Result<Vec<Image>, Failure> {
    let who: WhoAmI = door.get(paths::WHOAMI).await?;
    let (listed, users) = (door.images().await?, door.image_users().await?);
    let shares: ShareList = door.get(paths::SHARES).await?;
    let shared: BTreeMap<String, String> = shares
        .taken
        .into_iter()
        .filter(|share| share.kind == ShareKind::Image)
        .map(|share| (share.name, share.owner.unwrap_or_else(|| "the machine".to_owned())))
        .collect();
    let own = format!("{}/", names::image_namespace(&who.name));
    let mut recipes = recipes()?;
    let (mut mine, mut others) = (Vec::new(), Vec::new());
    for image in &listed {
        for name in image.names() {
            let project =
                name.strip_prefix(&own).and_then(|rest| rest.strip_suffix(":latest")).map(str::to_owned);
            let recipe = project.as_ref().and_then(|project| recipes.remove(project));
            let entry = Image {
                image: name.to_owned(),
                base: recipe.as_ref().and_then(|recipe| Dockerfile::parse(&recipe.text).base()),
                up_to_date: recipe.as_ref().and_then(|recipe| is_current(recipe, image.label(DIGEST_LABEL))),
                dockerfile: recipe.map(|recipe| recipe.path),
                shared_by: shared.get(name).cloned(),
                built: Some(built(image, &users)),
                project,
            };
            if name.starts_with(&own) || entry.shared_by.is_some() {
                mine.push(entry);
            } else if all {
                others.push(entry);
            }
        }
    }
    mine.extend(recipes.into_iter().map(|(project, recipe)| Image {
        image: format!("{own}{project}:latest"),
        project: Some(project),
        built: None,
        base: Dockerfile::parse(&recipe.text).base(),
        dockerfile: Some(recipe.path),
        up_to_date: None,
        shared_by: None,
    }));
    mine.sort_by(|a, b| (&a.shared_by, &a.image).cmp(&(&b.shared_by, &b.image)));
    others.sort_by(|a, b| a.image.cmp(&b.image));
    mine.extend(others);
    Ok(mine)
}

fn built(image: &ListedImage, users: &[User]) -> Built {
    let age = Timestamp::now().as_second().saturating_sub(image.created);
    let users = users.iter().filter(|user| user.image_id == image.id);
    Built {
        id: image.id.clone(),
        size_bytes: image.size,
        age_seconds: u64::try_from(age).unwrap_or(0),
        containers: users.map(|user| user.name().to_owned()).collect(),
    }
}

/// The projects that have a Dockerfile.
pub(crate) fn with_dockerfile() -> Vec<String> {
    recipes().map(|recipes| recipes.into_keys().collect()).unwrap_or_default()
}

/// Every Dockerfile that is found, by project.
fn recipes() -> Result<BTreeMap<String, Recipe>, Failure> {
    let home = recipe::home()?;
    let names = |directory: &str| {
        let entries = std::fs::read_dir(home.join(directory)).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<_>>()
    };
    let written = names("dockerfiles")
        .into_iter()
        .filter_map(|name| name.strip_suffix(".Dockerfile").map(str::to_owned));
    let mut recipes = BTreeMap::new();
    for name in names("workspace").into_iter().chain(written) {
        let Ok(project) = Project::new(&name) else { continue };
        // One that cannot be read is told of by whoever builds it.
        if let Ok(Some(recipe)) = recipe::find(&project) {
            recipes.insert(name, recipe);
        }
    }
    Ok(recipes)
}
