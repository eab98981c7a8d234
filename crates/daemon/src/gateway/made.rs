//! What follows once the Engine has made a container: it is judged as it came out, then written down. The same where the
//! answer was lost and the container is found again later.
//!
//! It must never let a container be written down that is not what was judged.

use std::sync::Arc;

use ds01_domain::{ContainerId, Event, Token};
use serde_json::Value;

use super::http::Refusal;
use super::{Door, binds, volumes};
use crate::engine::{ContainerLook, EngineError};
use crate::ledger::Record;

/// Looks at a container that was just made and writes that it exists, before the client hears of it. A name that the
/// Engine chose is written with it.
///
/// Where it fails nobody is told that there is a container: it is found again by its token.
pub(super) async fn write_down(
    door: &Arc<Door>,
    token: &Token,
    id: &ContainerId,
    record: &Record,
    named: bool,
) -> Result<(), Refusal> {
    let Judged::Sound(look) = judge(door, token, id, record).await? else {
        return Err(Refusal::conflict(
            "the image's name was given to another image meanwhile; create the container again",
        ));
    };
    let at = door.coordinator.now().await?;
    let mut events = vec![Event::Created { token: token.clone(), container: id.clone(), at }];
    if !named {
        events.push(Event::Renamed { container: id.clone(), name: look.name.clone() });
    }
    Ok(door.coordinator.record(events).await?)
}

/// Whether a container may be written down whose create nobody heard the end of; nothing where that cannot be said now.
pub(crate) async fn found_again(door: &Arc<Door>, token: &Token, id: &ContainerId) -> Option<bool> {
    let judged = match door.records.one(door, Some(token)).await {
        Ok(remembered) => judge(door, token, id, &remembered.record).await,
        Err(refusal) => Err(refusal),
    };
    match judged {
        Ok(Judged::Sound(_)) => Some(true),
        Ok(Judged::OtherImage) => Some(false),
        Err(refusal) => {
            tracing::warn!(container = %id, error = %refusal, "a create that was lost cannot be settled yet");
            None
        }
    }
}

/// What came out of a create.
enum Judged {
    /// What was asked for.
    Sound(Box<ContainerLook>),
    /// A container of another image; it is removed, and its create is over.
    OtherImage,
}

/// Judges a container as it came out.
async fn judge(
    door: &Arc<Door>,
    token: &Token,
    id: &ContainerId,
    record: &Record,
) -> Result<Judged, Refusal> {
    let look = door.engine.look(id).await.map_err(|error| match error {
        // It has been made, whatever becomes of the Engine: whoever asked must not hear that nothing was done.
        EngineError::Refused { .. } => error,
        _ => EngineError::Unknown { what: "how a create ended".to_owned() },
    })?;
    // The image was judged by its name, and a name can be moved to another image while a create is under way.
    let image = look.reply.get("Image").and_then(Value::as_str).unwrap_or_default();
    if !record.image_id.is_empty() && image != record.image_id {
        door.engine.remove(id).await?;
        abandon(door, token).await;
        return Ok(Judged::OtherImage);
    }
    volumes::own_anonymous(door, record.uid, &look).await?;
    Ok(Judged::Sound(Box::new(look)))
}

/// Takes back what was made ready for a create that came to nothing.
pub(super) async fn abandon(door: &Arc<Door>, token: &Token) {
    binds::unstage(door, token).await;
    door.coordinator.try_record(vec![Event::CreateAbandoned { token: token.clone() }]).await;
    door.records.forget(token);
}

/// Writes what the door remembers of a container.
pub(super) async fn keep(door: &Door, token: &Token, record: &Record) -> Result<(), Refusal> {
    let (key, kept) = (token.clone(), record.clone());
    door.coordinator
        .ledger(move |ledger| ledger.keep_record(&key, &kept))
        .await?
        .map_err(crate::coordinator::Fault::from)?;
    door.records.put(token.clone(), record.clone());
    Ok(())
}
