//! `docker load` of users: an archive of images, whose names are read before the Engine gives them.
//!
//! The Engine finds names in one file, `manifest.json`; newer ones and containerd look into others as well. One is sent on,
//! written anew, the others are left out. It must never let the Engine see the end of an archive that was not judged to
//! its end: until then nothing is loaded.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use ds01_docker::body::{JudgedManifest, MANIFEST_BYTES_MAX, Rules, judge_manifest};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::http::{Body, BoxError, Refusal, boxed};
use super::tarball::{self, Content, Entry, Judge, Kind};
use super::{Call, Door, forward, images};
use crate::identity::Caller;
use crate::wire::{Line, Lines};

/// The file that says which files are images, and what they are called.
const MANIFEST: &[u8] = b"manifest.json";
/// Other files in which readers of archives find names: of Docker before 1.10, and of OCI.
const OTHER_INDEXES: [&[u8]; 3] = [b"repositories", b"index.json", b"oci-layout"];
/// Files of one archive: a layer has three at most.
const ENTRIES_MAX: usize = 16 * 1024;
/// The paths of all of them together, in bytes.
const PATHS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The configuration of an image, which the Engine reads into its memory. Large ones have a hundredth of it.
const CONFIG_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// How the Engine tells of an image.
const LOADED: &str = "Loaded image ID: ";
/// Pieces of the Engine's reply that wait for a slow reader.
const PIECES_MAX: usize = 16;

/// `POST /images/load`.
pub(super) async fn load(mut call: Call) -> Result<Response<Body>, Refusal> {
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    if call.caller.admin {
        return forward::stream(call, &target).await;
    }
    let body = call.body.take().ok_or_else(|| Refusal::bad("the archive is missing: docker load -i FILE"))?;
    let claimed = Claimed::default();
    let judge = Archive::new(&call, claimed.clone());
    let filtered = tarball::filter(call.caller.uid, body, judge)?;
    let mut request = forward::upstream_request(&call, &target, boxed(filtered.body))?;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    let refusal = filtered.refusal;
    forward::to_the_end(async move {
        let answer = call.door.engine.send(request).await;
        let refusal = match (refusal.get(), answer) {
            (Some(refusal), _) => refusal.clone(),
            (None, Ok(answer)) if answer.status().is_success() => return Ok(told(call, claimed, answer)),
            (None, Ok(answer)) => {
                claimed.give_back(&call.door).await;
                return Ok(forward::reply(answer));
            }
            // It may still be at it: the names stay claimed.
            (None, Err(error)) => return Err(error.into()),
        };
        claimed.give_back(&call.door).await;
        Err(refusal)
    })
    .await
}

/// The Engine's reply on its way to the client. Whoever loaded an image without a name owns it before he reads of it.
///
/// It is read to its end, whether or not the client stays: only then it is known what was loaded.
fn told(call: Call, claimed: Claimed, answer: Response<Incoming>) -> Response<Body> {
    let (parts, mut reply) = answer.into_parts();
    let (pieces, shown) = mpsc::channel::<Bytes>(PIECES_MAX);
    tokio::spawn(async move {
        let mut lines = Lines::default();
        while let Some(Ok(frame)) = reply.frame().await {
            let Ok(piece) = frame.into_data() else { continue };
            lines.push(&piece);
            while let Some(line) = lines.next() {
                for id in ids_in(&line) {
                    if let Err(refusal) = images::own_built(call.door.clone(), call.caller.clone(), id).await {
                        tracing::warn!(%refusal, "whose a loaded image without a name is could not be written");
                    }
                }
            }
            // A client that is gone is not waited for.
            let _ = pieces.send(piece).await;
        }
        claimed.give_back(&call.door).await;
    });
    let frames = ReceiverStream::new(shown).map(|piece| Ok::<_, BoxError>(Frame::data(piece)));
    let mut response = Response::new(boxed(StreamBody::new(frames)));
    *response.status_mut() = parts.status;
    *response.headers_mut() = super::http::reply_headers(&parts.headers);
    response
}

/// The ids in a line of the Engine's: `{"stream":"Loaded image ID: sha256:…\n…"}`.
fn ids_in(line: &Line) -> Vec<String> {
    let Line::Whole(line) = line else { return Vec::new() };
    let said: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
    let text = said.get("stream").and_then(serde_json::Value::as_str).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.strip_prefix(LOADED))
        .filter(|id| ds01_docker::reference::is_digest(id))
        .map(str::to_owned)
        .collect()
}

/// Names that were nobody's and are the caller's since this archive came.
#[derive(Debug, Clone, Default)]
struct Claimed(Arc<Mutex<Vec<String>>>);

impl Claimed {
    fn add(&self, tag: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(tag);
    }

    /// Lets go of those under which the Engine has no image: the load has failed before it came to them.
    async fn give_back(&self, door: &Door) {
        let tags = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for tag in tags {
            let absent = door.engine.image(&tag).await.is_err_and(|error| error.is_not_found());
            if absent && let Err(refusal) = images::disown(door, &tag).await {
                tracing::warn!(%refusal, tag, "the name of an image that was not loaded stays taken");
            }
        }
    }
}

/// Who judges an archive of images.
struct Archive {
    door: Arc<Door>,
    caller: Arc<Caller>,
    rules: Rules,
    runtime: Handle,
    claimed: Claimed,
    manifest: Option<JudgedManifest>,
    /// Sizes of the files so far.
    files: HashMap<Vec<u8>, u64>,
    /// Symbolic links so far: what stands beneath one is elsewhere.
    links: HashSet<Vec<u8>>,
    entries: usize,
    path_bytes: usize,
}

impl Archive {
    fn new(call: &Call, claimed: Claimed) -> Self {
        Self {
            door: call.door.clone(),
            caller: call.caller.clone(),
            rules: call.rules(),
            runtime: Handle::current(),
            claimed,
            manifest: None,
            files: HashMap::new(),
            links: HashSet::new(),
            entries: 0,
            path_bytes: 0,
        }
    }

    fn count(&mut self, entry: &Entry) -> Result<(), Refusal> {
        self.entries += 1;
        self.path_bytes = self.path_bytes.saturating_add(entry.path.len());
        if self.entries > ENTRIES_MAX || self.path_bytes > PATHS_BYTES_MAX {
            return Err(Refusal::bad(format!(
                "the archive holds more than {ENTRIES_MAX} files, or their paths are longer than {} MiB; an archive of \
                 images has a few hundred: docker save makes one, docker import takes a file system",
                PATHS_BYTES_MAX >> 20
            )));
        }
        Ok(())
    }

    /// Every image that the manifest lists is made of files that came.
    fn check_files(&self, manifest: &JudgedManifest) -> Result<(), Refusal> {
        let missing = |name: &str| Refusal::bad(format!("{name}, which manifest.json names, is not in the archive"));
        for image in manifest.images() {
            let config = image.config.as_bytes();
            let is_plain = !tarball::parents(config).any(|parent| self.links.contains(parent));
            match self.files.get(config).filter(|_| is_plain) {
                Some(size) if *size <= CONFIG_BYTES_MAX => {}
                Some(_) => {
                    return Err(Refusal::bad(format!(
                        "{}, the configuration of an image, is larger than {} MiB",
                        image.config,
                        CONFIG_BYTES_MAX >> 20
                    )));
                }
                None => return Err(missing(&image.config)),
            }
            for layer in &image.layers {
                let layer_bytes = layer.as_bytes();
                if !self.files.contains_key(layer_bytes) && !self.links.contains(layer_bytes) {
                    return Err(missing(layer));
                }
            }
        }
        Ok(())
    }

    /// Takes every name for the caller, or says which one is not his.
    fn claim(&self, manifest: &JudgedManifest) -> Result<(), Refusal> {
        for tag in manifest.images().iter().flat_map(|image| &image.tags) {
            let new = self.runtime.block_on(images::claim_for(&self.door, &self.caller, tag)).map_err(|wrong| {
                if wrong.status != StatusCode::FORBIDDEN {
                    return wrong;
                }
                Refusal::forbidden(format!(
                    "the archive would give the name {tag}: {}. Name it before it is saved: docker tag OLD NEW; \
                     docker save NEW",
                    wrong.message
                ))
            })?;
            if let Some(tag) = new {
                self.claimed.add(tag);
            }
        }
        Ok(())
    }
}

impl Judge for Archive {
    fn entry(&mut self, entry: &mut Entry) -> Result<Content, Refusal> {
        self.count(entry)?;
        match entry.kind {
            Kind::Special(_) => return Err(tarball::special(entry)),
            Kind::HardLink => {
                return Err(Refusal::bad(format!(
                    "{} in the archive is a hard link, of which docker save makes none; leave it out",
                    entry.shown()
                )));
            }
            Kind::File | Kind::Directory | Kind::SymbolicLink => {}
        }
        if tarball::parents(&entry.path).any(|parent| self.links.contains(parent)) {
            return Err(Refusal::bad(format!(
                "{} in the archive lies behind a link; leave it out",
                entry.shown()
            )));
        }
        let is_manifest = entry.path == MANIFEST;
        if is_manifest && (entry.kind != Kind::File || self.manifest.is_some()) {
            return Err(Refusal::bad("the archive must hold one manifest.json, and it must be a file"));
        }
        if OTHER_INDEXES.contains(&entry.path.as_slice()) {
            return Ok(Content::LeftOut);
        }
        // What the Engine unpacks is its own, and nobody's who is in the archive.
        entry.attributes.clear();
        (entry.uid, entry.gid) = (0, 0);
        // A later entry takes the place of an earlier one.
        self.files.remove(&entry.path);
        self.links.remove(&entry.path);
        match entry.kind {
            Kind::File => drop(self.files.insert(entry.path.clone(), entry.size)),
            Kind::SymbolicLink => drop(self.links.insert(entry.path.clone())),
            _ => {}
        }
        Ok(if is_manifest { Content::Whole(MANIFEST_BYTES_MAX) } else { Content::Stream })
    }

    fn content(&mut self, _entry: &Entry, content: Vec<u8>) -> Result<Vec<u8>, Refusal> {
        let manifest = judge_manifest(&content, &self.rules)?;
        let written = manifest.to_bytes();
        self.manifest = Some(manifest);
        Ok(written)
    }

    fn end(&mut self) -> Result<(), Refusal> {
        let Some(manifest) = self.manifest.take() else {
            return Err(Refusal::bad(
                "the archive holds no manifest.json, so docker save did not make it; docker import takes the archive of \
                 a file system",
            ));
        };
        self.check_files(&manifest)?;
        self.claim(&manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_tells_what_it_loaded_without_a_name() {
        let id = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let told = |line: String| ids_in(&Line::Whole(line.into()));
        let both = format!(r#"{{"stream":"Loaded image ID: {}\nLoaded image ID: {}\n"}}"#, id("a"), id("b"));
        assert_eq!(told(both), [id("a"), id("b")]);
        assert!(told(r#"{"stream":"Loaded image: a:1\n"}"#.to_owned()).is_empty());
        assert!(told(r#"{"stream":"Loaded image ID: sha256:abc\n"}"#.to_owned()).is_empty());
        assert!(told(format!(r#"{{"errorDetail":{{"message":"Loaded image ID: {}"}}}}"#, id("a"))).is_empty());
        assert!(ids_in(&Line::TooLong).is_empty());
    }
}
