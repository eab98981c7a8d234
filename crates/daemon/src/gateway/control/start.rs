//! `POST containers/{name}/start`: one JSON value a line while it waits, then how it ended.

use std::time::Duration;

use bytes::Bytes;
use ds01_api::{StartEvent, UnitRef, Waiting};
use ds01_domain::UnitId;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::machine::{holder, unit_ref};
use super::{Ask, Fault, refused_start};
use crate::coordinator::Place;
use crate::gateway::http::{self, Body, BoxError};
use crate::gateway::start::{Cause, owner_person, start_container};
use crate::gateway::{Door, outlook, person_of};

/// How often a waiting line is repeated when nothing changes.
const REPEAT_EVERY: Duration = Duration::from_secs(10);
/// Lines that wait for a slow reader.
const LINES_MAX: usize = 32;
/// The longest wait that a caller may ask for.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

pub(super) async fn start(ask: Ask, name: &str) -> Result<Response<Body>, Fault> {
    let own = ask.container(name).await?;
    let person = person_of(&ask.caller);
    let person = owner_person(&ask.door, &own, person).await;
    let patience = match ask.query("wait").map(|w| w.parse::<u64>()) {
        None => None,
        Some(Ok(seconds)) if seconds <= WAIT_MAX.as_secs() => Some(Duration::from_secs(seconds)),
        Some(_) => {
            return Err(Fault::new(
                StatusCode::BAD_REQUEST,
                ds01_api::codes::REQUEST_INVALID,
                "wait is a number of seconds, at most a day",
            ));
        }
    };
    let (lines, stream) = mpsc::channel::<Bytes>(LINES_MAX);
    let (door, caller, id) = (ask.door.clone(), ask.caller.clone(), own.id.clone());
    tokio::spawn(async move {
        let places = tokio::sync::watch::Sender::new(None::<Place>);
        let mut changed = places.subscribe();
        let begun = tokio::time::Instant::now();
        let start = start_container(&door, person, &own.id, Cause::Person, patience, |place| {
            places.send_replace(Some(place.clone()));
        });
        tokio::pin!(start);
        let mut repeat = tokio::time::interval(REPEAT_EVERY);
        repeat.tick().await;
        let ended = loop {
            let place = tokio::select! {
                ended = &mut start => break ended,
                // The client hung up: the wait ends with it.
                () = lines.closed() => return,
                _ = changed.changed() => changed.borrow_and_update().clone(),
                _ = repeat.tick() => changed.borrow().clone(),
            };
            if let Some(place) = place {
                let told = waiting(&place, begun.elapsed(), &caller.name);
                // Meanwhile it may have been settled: the select has the end before the next line.
                let outlook = outlook::of(&door, &id).await;
                let event = StartEvent::Waiting(Waiting { outlook, ..told });
                let _ = lines.try_send(line(&event));
            }
        };
        let event = match ended {
            Ok(started) => StartEvent::Started {
                units: units(&door, &own.id, started.units).await,
                already: started.already,
            },
            Err(refusal) => StartEvent::Refused(refused_start(refusal).into()),
        };
        let _ = lines.send(line(&event)).await;
    });
    let frames = ReceiverStream::new(stream).map(|line| Ok::<_, BoxError>(Frame::data(line)));
    let mut response = Response::new(http::boxed(StreamBody::new(frames)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(ds01_api::paths::NDJSON));
    Ok(response)
}

fn line(event: &StartEvent) -> Bytes {
    let mut text = serde_json::to_vec(event).unwrap_or_default();
    text.push(b'\n');
    text.into()
}

fn waiting(place: &Place, waited: Duration, caller: &str) -> Waiting {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Waiting {
        position: number(place.position),
        of: number(place.of),
        reason: place.reason.clone(),
        holders: place.holders.iter().map(|h| holder(h, caller, place.now)).collect(),
        waited_seconds: waited.as_secs(),
        left_seconds: place.left.as_secs(),
        outlook: None,
    }
}

/// The units a container holds, as people see them; those it had already where the start granted none.
async fn units(door: &Door, id: &ds01_domain::ContainerId, granted: Vec<UnitId>) -> Vec<UnitRef> {
    let id = id.clone();
    door.coordinator
        .read(move |state, _, _| {
            let held = state.holding(&id).map(|h| h.units.clone()).unwrap_or_default();
            let wanted = if granted.is_empty() { held } else { granted };
            state.units().filter(|v| wanted.contains(&v.unit.id)).map(|v| unit_ref(v.unit)).collect()
        })
        .await
        .unwrap_or_default()
}
