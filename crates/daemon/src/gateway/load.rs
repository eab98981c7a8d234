//! `docker load`: a user's archive of images gets the names that are his, and no others.
//!
//! It must never let the Engine see the end of an archive while a name in it is not claimed: until then nothing is loaded.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::http::{Body, BoxError, Refusal, boxed};
use super::saved::Saved;
use super::tarball::{self, Content, Entry, Judge};
use super::{Call, Door, forward, images};
use crate::identity::Caller;
use crate::wire::{Line, Lines};

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
    let judge = Archive {
        door: call.door.clone(),
        caller: call.caller.clone(),
        runtime: Handle::current(),
        saved: Saved::new(call.rules()),
        claimed: claimed.clone(),
    };
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
                    if let Err(refusal) = images::own_built(call.door.clone(), call.caller.clone(), id).await
                    {
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
    runtime: Handle,
    saved: Saved,
    claimed: Claimed,
}

impl Judge for Archive {
    fn entry(&mut self, entry: &mut Entry) -> Result<Content, Refusal> {
        self.saved.entry(entry)
    }

    fn content(&mut self, entry: &Entry, content: Vec<u8>) -> Result<Vec<u8>, Refusal> {
        self.saved.content(entry, content)
    }

    /// Takes every name for the caller, or says which one is not his.
    fn end(&mut self) -> Result<(), Refusal> {
        for tag in self.saved.complete()?.images().iter().flat_map(|image| &image.tags) {
            let claim = images::claim_for(&self.door, &self.caller, tag);
            let new = self.runtime.block_on(claim).map_err(|mut wrong| {
                if wrong.status == StatusCode::FORBIDDEN {
                    let out =
                        format!(". Rename it before it is saved: docker tag {tag} NEW, then docker save NEW");
                    wrong.message.push_str(&out);
                }
                wrong
            })?;
            if let Some(tag) = new {
                self.claimed.add(tag);
            }
        }
        Ok(())
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
        assert!(
            told(format!(r#"{{"errorDetail":{{"message":"Loaded image ID: {}"}}}}"#, id("a"))).is_empty()
        );
        assert!(ids_in(&Line::TooLong).is_empty());
    }
}
