//! What the queries of image operations name.

use super::{Query, QueryRefusal};
use crate::reference::{ImageRef, is_digest, is_domain_like, is_tag};

/// Where `/images/create` takes its image from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// From a registry.
    Pull {
        /// What is pulled, tag or digest included where one is named.
        image: ImageRef,
        /// Neither tag nor digest is named: the Engine pulls every tag of the repository.
        all_tags: bool,
    },
    /// From the archive in the body.
    Import {
        /// The name that the image gets, if any.
        target: Option<ImageRef>,
    },
}

/// Reads `fromImage`, `fromSrc`, `repo` and `tag` of `/images/create`.
///
/// # Errors
/// A source other than a registry or the body (the Engine would fetch any address as root), or a malformed name.
pub fn source(query: &Query) -> Result<ImageSource, QueryRefusal> {
    match (query.text("fromImage"), query.text("fromSrc")) {
        (Some(image), None) => {
            let image = image.strip_suffix(':').unwrap_or(image);
            let named = ImageRef::parse(image).map_err(|wrong| QueryRefusal::new(wrong.to_string()))?;
            let bare = without_version(&named, image);
            let image = match query.text("tag") {
                None => named,
                Some(version) => join(bare, version)?,
            };
            let all_tags = image.tag().is_none() && image.digest().is_none();
            Ok(ImageSource::Pull { image, all_tags })
        }
        (None, Some("-")) => Ok(ImageSource::Import { target: tag_target(query)? }),
        (None, Some(_)) => Err(QueryRefusal::new(
            "Importing from an address is refused, because the Engine would fetch it as root. Download the archive \
             and import the file: `docker import FILE NAME`.",
        )),
        (Some(_), Some(_)) => Err(QueryRefusal::new("Give either fromImage or fromSrc, not both.")),
        (None, None) => Err(QueryRefusal::new("The image is missing: `docker pull NAME`.")),
    }
}

/// The name that `repo` and `tag` give to an image (`/commit`, `/images/{name}/tag`, an import); `None` where no
/// repository is named.
///
/// # Errors
/// A malformed name, a digest in it, or a tag without a repository.
pub fn tag_target(query: &Query) -> Result<Option<ImageRef>, QueryRefusal> {
    let Some(repository) = query.text("repo") else {
        return match query.text("tag") {
            Some(_) => Err(QueryRefusal::new("A tag without a repository names nothing: give both.")),
            None => Ok(None),
        };
    };
    let named = ImageRef::parse(repository).map_err(|wrong| QueryRefusal::new(wrong.to_string()))?;
    if named.digest().is_some() {
        return Err(QueryRefusal::new("An image cannot be given a digest as its name; use NAME:TAG."));
    }
    match query.text("tag") {
        None => Ok(Some(named)),
        Some(tag) if is_tag(tag) => join(without_version(&named, repository), tag).map(Some),
        Some(_) => Err(wrong_tag()),
    }
}

/// The images of `/images/get`.
///
/// # Errors
/// A malformed name, or none at all.
pub fn names(query: &Query) -> Result<Vec<ImageRef>, QueryRefusal> {
    let names: Vec<ImageRef> = query
        .all("names")
        .filter(|name| !name.is_empty())
        .map(|name| ImageRef::parse(name).map_err(|wrong| QueryRefusal::new(wrong.to_string())))
        .collect::<Result<_, _>>()?;
    if names.is_empty() {
        return Err(QueryRefusal::new("No image is named: `docker save NAME`."));
    }
    Ok(names)
}

/// Checks the tag of a push.
pub(super) fn judge_tag(query: &Query) -> Result<(), QueryRefusal> {
    match query.text("tag") {
        Some(tag) if !is_tag(tag) => Err(wrong_tag()),
        _ => Ok(()),
    }
}

/// A search goes to the registry that its term begins with, as root from this machine: only Docker's own is asked.
pub(super) fn judge_search(query: &Query) -> Result<(), QueryRefusal> {
    match query.text("term").and_then(|term| term.split_once('/')) {
        Some((first, _)) if is_domain_like(first) && !matches!(first, "docker.io" | "index.docker.io") => {
            Err(QueryRefusal::new(
                "Only Docker Hub can be searched from here. Search another registry in its own web page.",
            ))
        }
        _ => Ok(()),
    }
}

/// The reference as sent, without the tag or digest at its end.
fn without_version<'a>(named: &ImageRef, text: &'a str) -> &'a str {
    let text = named.digest().map_or(text, |digest| &text[..text.len() - digest.len() - 1]);
    named.tag().map_or(text, |tag| &text[..text.len() - tag.len() - 1])
}

fn join(repository: &str, version: &str) -> Result<ImageRef, QueryRefusal> {
    let separator = if is_digest(version) { '@' } else { ':' };
    ImageRef::parse(&format!("{repository}{separator}{version}")).map_err(|_| wrong_tag())
}

fn wrong_tag() -> QueryRefusal {
    QueryRefusal::new(
        "invalid tag format: a tag is made of letters, digits, `_`, `.` and `-`, at most 128 of them",
    )
}
