//! How the Engine's replies are shown to the person who asked: what he asked for, of what he may see.
//!
//! Answers for: the round trip (inspect and list show the request, not what the door made of it), cutting lists and
//! events down to what the caller may see, and clamping the version that clients negotiate.
//! Must never: decide who owns what (predicates come in), or show an entry whose owner cannot be told.

mod containers;
mod event;
mod images;
mod listed;
mod networks;
mod original;
mod system;

pub use containers::{container_inspect, engine_message, with_restart_count, with_warnings};
pub use event::{Concern, Event};
pub use images::{image_history, image_inspect, image_list};
pub use listed::ContainerList;
pub use networks::{network_inspect, network_list, volume_list};
pub use original::{HIDDEN_LABELS, Original, ROUND_TRIP};
pub use system::{ContainerCounts, DfView, InfoView, info, ping_api_version, system_df, version};

use serde_json::{Map, Value};

/// A reply of the Engine that has not the shape of its API, so that nothing of it can be shown. HTTP 502.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Engine's reply for {0} has not the shape of its API")]
pub struct Unreadable(pub &'static str);

/// The bytes of a reply as the Engine writes one: compact, keys in the order in which they came, one line end.
pub fn write(reply: &Value) -> Vec<u8> {
    let mut line = reply.to_string().into_bytes();
    line.push(b'\n');
    line
}

fn object<'a>(reply: &'a mut Value, what: &'static str) -> Result<&'a mut Map<String, Value>, Unreadable> {
    reply.as_object_mut().ok_or(Unreadable(what))
}

fn array<'a>(reply: &'a mut Value, what: &'static str) -> Result<&'a mut Vec<Value>, Unreadable> {
    reply.as_array_mut().ok_or(Unreadable(what))
}

fn text<'a>(entry: &'a Value, key: &str) -> Option<&'a str> {
    entry.get(key).and_then(Value::as_str)
}

/// Takes the system's own labels out of a map of labels, wherever one is.
fn hide_labels(labels: Option<&mut Value>) {
    if let Some(labels) = labels.and_then(Value::as_object_mut) {
        labels.retain(|key, _| !HIDDEN_LABELS.contains(&key.as_str()));
    }
}

/// Keeps those values of a map that a predicate on the key accepts; `null` and absent stay as they are.
fn retain_keys(map: Option<&mut Value>, keep: impl Fn(&str) -> bool) {
    if let Some(map) = map.and_then(Value::as_object_mut) {
        map.retain(|key, _| keep(key));
    }
}

#[cfg(test)]
mod tests;
