//! The context of a build on its way to the Engine: no devices in it, and a Dockerfile that takes nothing which its
//! author may not have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ds01_docker::dockerfile::{self, DOCKERFILE_BYTES_MAX, VARIABLE_BYTES_MAX};
use ds01_docker::reference::ImageRef;
use hyper::StatusCode;
use tokio::runtime::Handle;

use super::http::Refusal;
use super::tarball::{self, Content, Entry, Judge, Kind};
use super::{Door, images};
use crate::identity::Caller;

/// Where the builder looks when the client names no Dockerfile, in this order.
const USUAL_NAMES: [&str; 2] = ["Dockerfile", "dockerfile"];

/// Links of one context that are remembered; real ones have far fewer.
const LINKS_MAX: usize = 200_000;
/// The paths of all of them together, in bytes.
const LINK_PATHS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Images that one Dockerfile may use: each is looked up.
const IMAGES_MAX: usize = 64;
/// How often one archive may bring the Dockerfile.
const DOCKERFILES_MAX: usize = 4;

/// Who judges a build's context.
pub(super) struct Context {
    door: Arc<Door>,
    caller: Arc<Caller>,
    runtime: Handle,
    build_args: BTreeMap<String, Option<String>>,
    /// The paths at which the builder may find its Dockerfile.
    dockerfiles: Vec<Vec<u8>>,
    /// Links so far: what is written beneath one lands elsewhere.
    links: BTreeSet<Vec<u8>>,
    /// Bytes of the paths of all links that came.
    link_bytes: usize,
    /// An instruction that is put after every `FROM`.
    line: Option<String>,
    judged: usize,
}

impl Context {
    /// `dockerfile` is the client's name for it, empty where it gives none; `line` is put after every `FROM`.
    pub(super) fn new(
        door: Arc<Door>,
        caller: Arc<Caller>,
        dockerfile: &str,
        build_args: BTreeMap<String, Option<String>>,
        line: Option<String>,
    ) -> Result<Self, Refusal> {
        let dockerfiles = match dockerfile {
            "" => USUAL_NAMES.iter().map(|name| name.as_bytes().to_vec()).collect(),
            named => vec![plain_path(named)?],
        };
        Ok(Self {
            door,
            caller,
            runtime: Handle::current(),
            build_args,
            dockerfiles,
            links: BTreeSet::new(),
            link_bytes: 0,
            line,
            judged: 0,
        })
    }

    /// Whether the path is a Dockerfile's, or a directory on the way to one.
    fn leads_to_dockerfile(&self, path: &[u8]) -> bool {
        self.dockerfiles.iter().any(|file| file == path || is_beneath(file, path))
    }

    fn judge_text(&self, text: &[u8]) -> Result<Vec<u8>, Refusal> {
        let reading =
            dockerfile::read(text, &self.build_args).map_err(|wrong| Refusal::bad(wrong.to_string()))?;
        self.runtime.block_on(async {
            let mut images: BTreeSet<ImageRef> = reading.images().cloned().collect();
            for base in reading.bases().take(IMAGES_MAX) {
                let facts = self.visible(base).await?;
                if facts.longest_env > VARIABLE_BYTES_MAX {
                    return Err(Refusal::bad(format!(
                        "the image {base} cannot be built on: one of its variables is longer than {} KiB",
                        VARIABLE_BYTES_MAX >> 10
                    )));
                }
                let triggers = dockerfile::read_triggers(facts.on_build.iter().map(String::as_str))
                    .map_err(|wrong| Refusal::bad(format!("the image {base} cannot be built on: {wrong}")))?;
                images.extend(triggers);
            }
            if images.len() > IMAGES_MAX {
                return Err(Refusal::bad(format!("the Dockerfile uses more than {IMAGES_MAX} images")));
            }
            for image in images {
                self.visible(&image).await?;
            }
            Ok::<(), Refusal>(())
        })?;
        Ok(match &self.line {
            Some(line) => reading.with_line_after_from(text, line),
            None => text.to_vec(),
        })
    }

    /// An image that a build uses is one that its author sees, and is here: what the builder fetched by itself could
    /// not be looked at before it is used.
    async fn visible(&self, image: &ImageRef) -> Result<crate::engine::ImageFacts, Refusal> {
        images::visible(&self.door, &self.caller, image.as_str()).await.map_err(|refusal| {
            match refusal.status {
                StatusCode::NOT_FOUND => Refusal::new(
                    StatusCode::NOT_FOUND,
                    format!("No such image: {image}. Fetch it first: docker pull {image}"),
                ),
                _ => refusal,
            }
        })
    }
}

impl Judge for Context {
    fn entry(&mut self, entry: &mut Entry) -> Result<Content, Refusal> {
        if matches!(entry.kind, Kind::Special(_)) {
            return Err(tarball::special(entry));
        }
        let through_link = tarball::parents(&entry.path).any(|parent| self.links.contains(parent));
        if through_link {
            return Err(Refusal::bad(format!(
                "{} in the archive lies behind a link; leave it out",
                entry.shown()
            )));
        }
        if matches!(entry.kind, Kind::SymbolicLink | Kind::HardLink) {
            if self.leads_to_dockerfile(&entry.path) {
                return Err(Refusal::bad(format!(
                    "{} is a link; build with the file itself: docker build -f FILE",
                    entry.shown()
                )));
            }
            self.link_bytes = self.link_bytes.saturating_add(entry.path.len());
            if self.links.len() >= LINKS_MAX || self.link_bytes > LINK_PATHS_BYTES_MAX {
                return Err(Refusal::bad(format!(
                    "the build context holds more than {LINKS_MAX} links, or their paths are longer than {} MiB",
                    LINK_PATHS_BYTES_MAX >> 20
                )));
            }
            self.links.insert(entry.path.clone());
        } else {
            self.links.remove(&entry.path);
        }
        let is_dockerfile = entry.kind == Kind::File && self.dockerfiles.contains(&entry.path);
        Ok(if is_dockerfile { Content::Whole(DOCKERFILE_BYTES_MAX) } else { Content::Stream })
    }

    fn content(&mut self, _entry: &Entry, content: Vec<u8>) -> Result<Vec<u8>, Refusal> {
        self.judged += 1;
        if self.judged > DOCKERFILES_MAX {
            return Err(Refusal::bad("the archive brings the Dockerfile again and again"));
        }
        self.judge_text(&content)
    }
}

/// A path within the context as the builder cleans it.
fn plain_path(path: &str) -> Result<Vec<u8>, Refusal> {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty() || parts.contains(&"..") {
        return Err(Refusal::bad("the Dockerfile must lie within the build context"));
    }
    Ok(parts.join("/").into_bytes())
}

fn is_beneath(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.first() == Some(&b'/'))
}
