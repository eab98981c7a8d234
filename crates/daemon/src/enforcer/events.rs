//! Follows the Engine's events for as long as the daemon lives; each line is a reason to look, nothing more.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ds01_domain::ContainerId;
use http_body_util::BodyExt;
use hyper::Method;
use serde_json::Value;

use super::Looks;
use crate::engine::{self, EngineError};
use crate::gateway::Door;
use crate::wire::{Line, Lines};

/// How soon the Engine's event stream is tried again after it broke.
const EVENTS_AGAIN: Duration = Duration::from_millis(500);
/// Events of containers.
const EVENTS: &str = "/v1.40/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D";

pub(super) async fn follow(door: Arc<Door>, looks: Looks) {
    loop {
        match one_stream(&door, &looks).await {
            Ok(()) => tracing::debug!("the engine's event stream ended"),
            Err(error) => tracing::debug!(%error, "the engine's event stream broke"),
        }
        // It may come back as another version.
        *door.engine_facts.write().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
        tokio::time::sleep(EVENTS_AGAIN).await;
    }
}

async fn one_stream(door: &Door, looks: &Looks) -> Result<(), EngineError> {
    let request = engine::build(Method::GET, EVENTS, Bytes::new(), "application/json");
    let response = door.engine.send(request).await?;
    // What happened while nobody listened.
    looks.everything();
    let mut body = response.into_body();
    let mut lines = Lines::default();
    while let Some(Ok(frame)) = body.frame().await {
        let Some(data) = frame.data_ref() else { continue };
        lines.push(data);
        while let Some(line) = lines.next() {
            match line {
                Line::Whole(line) => {
                    if let Some(id) = concerned(&line) {
                        looks.at(&id);
                    }
                }
                // Whatever it said.
                Line::TooLong => looks.everything(),
            }
        }
    }
    Ok(())
}

/// The container that an event line asks to look at.
fn concerned(line: &[u8]) -> Option<ContainerId> {
    let event: Value = serde_json::from_slice(line).ok()?;
    let action = event.get("Action").or_else(|| event.get("status"))?.as_str()?;
    let worth_a_look = matches!(action, "die" | "destroy" | "start" | "rename" | "unpause");
    let id = event.pointer("/Actor/ID").or_else(|| event.get("id"))?.as_str()?;
    if worth_a_look { ContainerId::new(id) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_a_container_is_a_reason_to_look() {
        let id = "a".repeat(64);
        let line = |action: &str| format!("{{\"Action\":\"{action}\",\"Actor\":{{\"ID\":\"{id}\"}}}}\n");
        assert_eq!(concerned(line("die").as_bytes()), ContainerId::new(&id));
        assert_eq!(concerned(line("exec_create: ls").as_bytes()), None);
        assert_eq!(concerned(b"{\"Action\":\"die\",\"Actor\":{\"ID\":\"web\"}}"), None);
        assert_eq!(concerned(b"nonsense\n"), None);
    }
}
