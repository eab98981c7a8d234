//! Packages that somebody installed by hand in a container: they go with it, unless they are written into the Dockerfile.
//!
//! pip leaves a mark beside each package that was asked for by name, and the Engine tells what a container has that its
//! image has not. So nothing is run inside, and a container that has stopped tells it as well.

use std::collections::BTreeSet;

use ds01_api::Exit;
use ds01_api::names::{self, Project};

use super::recipe::{self, Recipe};
use super::{build, store};
use crate::client::{Change, Door};
use crate::dockerfile::{Dockerfile, Installer, Package};
use crate::failure::Failure;
use crate::ui::Ui;

/// pip's mark of a package that was asked for.
const MARK: &str = ".dist-info/REQUESTED";
/// What installs others is no part of a project.
const INSTALLERS: [&str; 3] = ["pip", "setuptools", "wheel"];

/// What becomes of packages that were installed by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Saving {
    /// They are written into the Dockerfile; where that cannot be, it is a failure.
    Always,
    /// Whoever sits there is asked.
    Ask,
}

/// Writes the packages of a container into its project's Dockerfile, if they are to be saved; returns those written.
pub(in crate::commands) async fn save(
    door: &Door,
    name: &str,
    saving: Saving,
    ui: Ui,
) -> Result<Vec<String>, Failure> {
    let container = door.container(name).await?;
    let changes = match (door.changes(&container.id).await, saving) {
        (Ok(changes), _) => changes,
        (Err(error), Saving::Always) => return Err(error.into()),
        // What cannot be looked at cannot be offered.
        (Err(_), Saving::Ask) => return Ok(Vec::new()),
    };
    let packages = requested(&changes);
    let own = format!("{}/", names::image_namespace(&container.owner));
    let of_image = container.image.strip_prefix(&own).and_then(|rest| rest.strip_suffix(":latest"));
    let project = of_image.map(str::to_owned).or_else(|| container.project.clone());
    let Some(project) = project.and_then(|project| Project::new(&project).ok()) else {
        return Ok(Vec::new());
    };
    if packages.is_empty() {
        return Ok(packages);
    }
    let Some(recipe) = recipe::find(&project)? else {
        return match saving {
            Saving::Always => Err(build::no_recipe(&project, None)),
            Saving::Ask => Ok(Vec::new()),
        };
    };
    let (text, new) = with(&recipe, &packages)?;
    if new.is_empty() {
        return Ok(new);
    }
    let (told, list) = (recipe::spoken(&recipe.path), new.join(" "));
    if saving == Saving::Ask {
        let question =
            format!("Installed by hand, and gone with the container: {list}\nWrite them into {told}?");
        if ui.ask(&question) != Some(true) {
            return Ok(Vec::new());
        }
    }
    store::write(&recipe.path, &text)?;
    ui.note(&format!("{told} installs {list} now; image update {project} builds it"));
    Ok(new)
}

/// The Dockerfile's text with these packages, and those of them that are new to it.
fn with(recipe: &Recipe, packages: &[String]) -> Result<(String, Vec<String>), Failure> {
    let mut dockerfile = Dockerfile::parse(&recipe.text);
    if dockerfile.base().is_none() {
        let message = format!("{} has no FROM, with which a Dockerfile begins", recipe::spoken(&recipe.path));
        return Err(Failure::new(Exit::Failed, "dockerfile.refused", message));
    }
    let mut new = packages.to_vec();
    new.retain(|package| {
        let before = dockerfile.to_string();
        dockerfile.add(Installer::Pip, package);
        dockerfile.to_string() != before
    });
    Ok((dockerfile.to_string(), new))
}

/// The packages that were asked for by name since the container began, with their versions.
fn requested(changes: &[Change]) -> Vec<String> {
    let package = |change: &Change| {
        let directory = change.path.strip_suffix(MARK).filter(|_| change.is_new())?;
        let installed = ["/site-packages/", "/dist-packages/"].iter().any(|part| directory.contains(part));
        let (name, version) = directory.rsplit('/').next().filter(|_| installed)?.rsplit_once('-')?;
        let name = Package::new(Installer::Pip, name).name;
        let text = format!("{name}=={version}");
        let sound = crate::dockerfile::checked(&text).is_ok() && !INSTALLERS.contains(&name.as_str());
        sound.then_some(text)
    };
    let found: BTreeSet<String> = changes.iter().filter_map(package).collect();
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_told() {
        let changes: Vec<Change> = serde_json::from_value(serde_json::json!([
            {"Path": "/home/a/.local/lib/python3.11/site-packages/scikit_learn-1.5.0.dist-info/REQUESTED", "Kind": 1},
            {"Path": "/home/a/.local/lib/python3.11/site-packages/scipy-1.1.dist-info/METADATA", "Kind": 1},
            {"Path": "/usr/lib/python3/dist-packages/rich-13.0.dist-info/REQUESTED", "Kind": 0},
            {"Path": "/opt/x-1.0.dist-info/REQUESTED", "Kind": 1},
            {"Path": "/usr/lib/python3/dist-packages/pip-24.0.dist-info/REQUESTED", "Kind": 1},
            {"Path": "/usr/lib/python3/dist-packages/einops-0.8.0.dist-info/REQUESTED", "Kind": 1},
            {"Path": "/usr/lib/python3/dist-packages/$(x)-0.8.0.dist-info/REQUESTED", "Kind": 1},
        ]))
        .unwrap();
        assert_eq!(requested(&changes), ["einops==0.8.0", "scikit-learn==1.5.0"]);
    }
}
