//! Images through Docker's routes: looked at, fetched from a registry, removed. It must never decide which image is meant.

use std::collections::BTreeMap;
use std::time::Duration;

use ds01_api::paths;
use hyper::Method;
use jiff::Timestamp;
use serde::Deserialize;

use super::lines::Lines;
use super::{ACT_MAX, Bytes, ClientError, Door, within};

/// The Engine tells of its progress all the time but while it unpacks a large layer.
const SILENCE_MAX: Duration = Duration::from_secs(600);

/// A pull under way.
#[derive(Debug)]
pub(crate) struct Pull {
    lines: Lines,
    /// Whether each layer is there.
    layers: BTreeMap<String, bool>,
}

/// How far a pull is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pulled {
    /// Layers that are there.
    pub(crate) layers: usize,
    /// Layers that are known of.
    pub(crate) of: usize,
}

/// What the Engine knows of an image.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ImageFacts {
    pub(crate) id: String,
    created: String,
    /// Bytes, of all layers together.
    pub(crate) size: u64,
    config: ImageConfig,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ImageConfig {
    labels: Option<BTreeMap<String, String>>,
}

impl ImageFacts {
    /// When it was built; some builders do not say.
    pub(crate) fn created(&self) -> Option<Timestamp> {
        self.created.parse().ok()
    }

    /// What a label says.
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.config.labels.as_ref()?.get(name).map(String::as_str)
    }
}

/// An image in the Engine's list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ListedImage {
    pub(crate) id: String,
    /// Seconds since 1970.
    pub(crate) created: i64,
    pub(crate) size: u64,
    repo_tags: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
}

impl ListedImage {
    /// The names that the caller may see, `NAME:TAG`.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.repo_tags.iter().flatten().map(String::as_str);
        names.filter(|name| *name != "<none>:<none>")
    }

    /// What a label says.
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels.as_ref()?.get(name).map(String::as_str)
    }
}

/// A container in the Engine's list: what it was made of.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct User {
    names: Vec<String>,
    #[serde(rename = "ImageID")]
    pub(crate) image_id: String,
    pub(crate) state: String,
}

impl User {
    /// The container's name.
    pub(crate) fn name(&self) -> &str {
        self.names.first().map_or("", |name| name.trim_start_matches('/'))
    }
}

/// A path that a container has otherwise than its image.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Change {
    pub(crate) path: String,
    kind: u8,
}

impl Change {
    /// Whether the image has nothing there.
    pub(crate) fn is_new(&self) -> bool {
        self.kind == 1
    }
}

/// A line of the Engine's.
#[derive(Debug, Deserialize)]
struct Line {
    #[serde(default)]
    id: String,
    #[serde(default)]
    status: String,
    error: Option<String>,
}

impl Door {
    /// Looks at an image; `None` if it is not here, or not the caller's to see.
    pub(crate) async fn image(&self, name: &str) -> Result<Option<ImageFacts>, ClientError> {
        match self.get(&paths::with_name("/images/{name}/json", name)).await {
            Ok(facts) => Ok(Some(facts)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The images that the caller may see.
    pub(crate) async fn images(&self) -> Result<Vec<ListedImage>, ClientError> {
        self.get("/images/json").await
    }

    /// The caller's containers, running or not, with what they were made of.
    pub(crate) async fn image_users(&self) -> Result<Vec<User>, ClientError> {
        self.get("/containers/json?all=1").await
    }

    /// What a container has otherwise than its image.
    pub(crate) async fn changes(&self, id: &str) -> Result<Vec<Change>, ClientError> {
        let changes: Option<Vec<Change>> =
            self.get(&paths::with_name("/containers/{name}/changes", id)).await?;
        Ok(changes.unwrap_or_default())
    }

    /// Takes a name off an image, and removes the image with its last name.
    pub(crate) async fn untag(&self, image: &str, force: bool) -> Result<(), ClientError> {
        let path = paths::with_name("/images/{name}", image) + if force { "?force=1" } else { "" };
        within(ACT_MAX, async { self.send(Method::DELETE, &path, Bytes::new(), None).await.map(drop) }).await
    }

    /// Begins to fetch an image.
    pub(crate) async fn pull(&self, image: &str) -> Result<Pull, ClientError> {
        let (name, tag) = split_tag(image);
        let path = format!("/images/create?fromImage={}&tag={}", paths::encode(name), paths::encode(tag));
        let response = self.send(Method::POST, &path, Bytes::new(), None).await?;
        Ok(Pull { lines: Lines::of(response.into_body(), SILENCE_MAX), layers: BTreeMap::new() })
    }

    /// Removes an image, or this name of it. What is gone already is no error.
    pub(crate) async fn remove_image(&self, image: &str) -> Result<(), ClientError> {
        match self.untag(image, false).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
    }
}

impl Pull {
    /// The next news of it; `None` once the image is there.
    pub(crate) async fn next(&mut self) -> Result<Option<Pulled>, ClientError> {
        let Some(line) = self.lines.next::<Line>().await? else { return Ok(None) };
        if let Some(error) = line.error {
            return Err(ClientError::Pull(error));
        }
        match line.status.as_str() {
            "Pull complete" | "Already exists" => self.layers.insert(line.id, true),
            "Pulling fs layer" => self.layers.insert(line.id, false),
            _ => None,
        };
        let there = self.layers.values().filter(|there| **there).count();
        Ok(Some(Pulled { layers: there, of: self.layers.len() }))
    }
}

/// An image's name and its tag. A digest stays where it is: the tag is empty then.
fn split_tag(image: &str) -> (&str, &str) {
    if image.contains('@') {
        return (image, "");
    }
    match image.rsplit_once(':') {
        // Behind the last slash it is a tag, before it a registry's port.
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        for (image, parts) in [
            ("aimehub/pytorch", ("aimehub/pytorch", "latest")),
            ("pytorch/pytorch:2.8", ("pytorch/pytorch", "2.8")),
            ("registry.lab:5000/torch", ("registry.lab:5000/torch", "latest")),
            ("registry.lab:5000/torch:1", ("registry.lab:5000/torch", "1")),
            ("torch@sha256:ab", ("torch@sha256:ab", "")),
        ] {
            assert_eq!(split_tag(image), parts, "{image}");
        }
    }
}
