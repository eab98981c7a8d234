//! The Engine's events, line by line, each shown only to those whom it concerns.

use bytes::Bytes;
use ds01_docker::present::{Concern, Event};
use http_body_util::{BodyExt, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::http::{Body, BoxError, Refusal, boxed};
use super::{Call, forward, images, volumes};
use crate::wire::{Line, Lines};

/// Lines that wait for a slow reader before the Engine waits with them.
const LINES_MAX: usize = 64;

/// `GET /events`.
pub(super) async fn events(call: Call) -> Result<Response<Body>, Refusal> {
    let target = call.route.upstream_target(call.upstream_version().await?, None);
    let request = forward::upstream_request(&call, &target, super::http::empty())?;
    let upstream = call.door.engine.send(request).await?;
    if call.caller.admin || !upstream.status().is_success() {
        return Ok(forward::reply(upstream));
    }
    let (parts, mut body) = upstream.into_parts();
    let (lines, shown) = mpsc::channel::<Bytes>(LINES_MAX);
    tokio::spawn(async move {
        let mut read = Lines::default();
        loop {
            let frame = tokio::select! {
                frame = body.frame() => frame,
                () = lines.closed() => return,
            };
            let Some(Ok(frame)) = frame else { return };
            let Some(data) = frame.data_ref() else { continue };
            read.push(data);
            while let Some(line) = read.next() {
                // One that is too long to be judged is shown to nobody.
                let Line::Whole(line) = line else { continue };
                if let Some(line) = judged(&call, &line).await
                    && lines.send(line).await.is_err()
                {
                    return;
                }
            }
        }
    });
    let frames = ReceiverStream::new(shown).map(|line| Ok::<_, BoxError>(Frame::data(line)));
    let stream = StreamBody::new(frames);
    let mut response = Response::new(boxed(stream));
    *response.status_mut() = parts.status;
    *response.headers_mut() = super::http::reply_headers(&parts.headers);
    Ok(response)
}

/// One line as this caller may read it, or nothing.
async fn judged(call: &Call, line: &[u8]) -> Option<Bytes> {
    let event = Event::parse(line)?;
    let may = match event.concern() {
        Concern::Container(id) => match labelled(&event) {
            Some(owner) => owner == call.caller.uid.to_string(),
            None => owns(call, id).await,
        },
        Concern::Network { id, container } => match container {
            Some(container) => owns(call, container).await,
            None => super::networks::sees(call, id).await,
        },
        Concern::Volume { name, container } => match container {
            Some(container) => owns(call, container).await,
            None => volumes::owners(&call.door).await.ok()?.get(name.as_str()) == Some(&call.caller.uid),
        },
        // An image without a name is used by whoever knows its id, so its id is told to nobody.
        Concern::Image { name: Some(name), .. } if name.starts_with("sha256:") => false,
        Concern::Image { name: Some(name), .. } => {
            images::Sight::of(&call.door, &call.caller).await.ok()?.sees(name)
        }
        Concern::Image { name: None, .. } => false,
        Concern::Engine => false,
    };
    may.then(|| Bytes::from(event.shown()))
}

/// Whose a container is by the labels that the door puts on each, which a user cannot put on one of his own making. The
/// books would have to be asked for each event and each watcher, behind whatever is being written.
fn labelled(event: &Event) -> Option<&str> {
    event.attribute(super::create::TOKEN_LABEL)?;
    event.attribute(super::create::OWNER_LABEL)
}

async fn owns(call: &Call, id: &str) -> bool {
    // One that was just removed is still its owner's: his `docker events` shows the end.
    let Some(id) = ds01_domain::ContainerId::new(id) else { return false };
    let uid = ds01_domain::Uid(call.caller.uid);
    call.door
        .coordinator
        .read(move |state, _, _| state.container(&id).is_some_and(|c| c.owner == uid))
        .await
        .unwrap_or(false)
}
