//! What is known of the caller's projects: their directories, containers and images. It must never count what a directory
//! takes: that can take long.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use ds01_api::names::{self, Project};
use ds01_api::{Container, ContainerList, WhoAmI, paths};
use jiff::Timestamp;
use serde::Serialize;

use super::disk::Disk;
use crate::client::Door;
use crate::failure::Failure;
use crate::project::workspace;

/// How a project stands.
#[derive(Debug, Serialize)]
pub(crate) struct Standing {
    /// Its name.
    pub(crate) project: String,
    /// Its directory; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) directory: Option<String>,
    /// Its own image; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image: Option<OwnImage>,
    /// Its container; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) container: Option<Container>,
    /// For how long nothing was done with it, as far as can be seen; 0 while its container runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unused_seconds: Option<u64>,
    /// What its directory takes; absent where nobody counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) disk: Option<Disk>,
}

/// A project's own image.
#[derive(Debug, Serialize)]
pub(crate) struct OwnImage {
    /// `ds01-<user>/<project>:latest`.
    pub(crate) name: String,
    /// On the disk, with what it shares with others.
    pub(crate) bytes: u64,
    /// How long ago it was built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) age_seconds: Option<u64>,
}

/// Every project that has a directory or a container, by name.
pub(super) async fn all(door: &Door) -> Result<Vec<Standing>, Failure> {
    let above = workspace()?;
    let mut found: BTreeMap<String, Standing> = BTreeMap::new();
    for name in directories(&above) {
        let directory = above.join(&name);
        found.insert(name.clone(), standing(name, Some(&directory)));
    }
    let list: ContainerList = door.get(&format!("{}?all=1", paths::CONTAINERS)).await?;
    for container in list.containers.into_iter().filter(|container| container.mine) {
        let Some(project) = container.project.clone() else { continue };
        let standing = found.entry(project.clone()).or_insert_with(|| standing(project, None));
        standing.unused_seconds = least(standing.unused_seconds, unused(&container));
        standing.container = Some(container);
    }
    let me: WhoAmI = door.get(paths::WHOAMI).await?;
    for standing in found.values_mut() {
        standing.image = image(door, &me.name, &standing.project).await?;
    }
    Ok(found.into_values().collect())
}

/// The names in `~/workspace` that are projects'.
fn directories(above: &Path) -> Vec<String> {
    let entries = fs::read_dir(above).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.path().is_dir());
    let names = directories.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| Project::new(name).is_ok()).collect()
}

fn standing(project: String, directory: Option<&Path>) -> Standing {
    Standing {
        project,
        directory: directory.map(|directory| directory.display().to_string()),
        image: None,
        container: None,
        unused_seconds: directory.and_then(untouched),
        disk: None,
    }
}

async fn image(door: &Door, user: &str, project: &str) -> Result<Option<OwnImage>, Failure> {
    let Ok(project) = Project::new(project) else { return Ok(None) };
    let name = names::image(&project, user);
    Ok(door.image(&name).await?.map(|facts| {
        let built = facts.created();
        let age = built.map(|built| Timestamp::now().duration_since(built).as_secs());
        OwnImage { name, bytes: facts.size, age_seconds: age.and_then(|age| u64::try_from(age).ok()) }
    }))
}

/// For how long a container has done nothing.
fn unused(container: &Container) -> Option<u64> {
    if container.state.is_alive() { Some(0) } else { container.state_seconds }
}

/// For how long nothing was changed directly in a directory, nor recorded in its repository.
fn untouched(directory: &Path) -> Option<u64> {
    let changed = |path: &Path| fs::symlink_metadata(path).and_then(|metadata| metadata.modified()).ok();
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let inside = entries.filter_map(|entry| changed(&entry.path()));
    let last = inside.chain(changed(directory)).chain(changed(&directory.join(".git/logs/HEAD"))).max()?;
    SystemTime::now().duration_since(last).ok().map(|ago| ago.as_secs())
}

fn least(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.into_iter().chain(b).min()
}
