//! One line of the event stream: whom it concerns, and how it is shown.
//! Must never: show a line whose subject is not understood.

use serde_json::{Map, Value};

use super::HIDDEN_LABELS;

/// Starts a record where the client asked for a JSON sequence.
const RECORD_SEPARATOR: u8 = 0x1e;

/// A parsed event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    event: Map<String, Value>,
    concern: Concern,
    sequence: bool,
}

/// Whom an event concerns, so that the daemon can say who may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concern {
    /// A container by full id (its execs too).
    Container(String),
    /// A network by full id, and the container that joined or left it.
    Network {
        /// The network.
        id: String,
        /// The container, by full id.
        container: Option<String>,
    },
    /// A volume by name, and the container that mounted it.
    Volume {
        /// The volume.
        name: String,
        /// The container, by full id.
        container: Option<String>,
    },
    /// An image by id or name, with its name where the event tells one.
    Image {
        /// Id or name, as the Engine says.
        id: String,
        /// The name among the event's attributes.
        name: Option<String>,
    },
    /// The Engine itself, a builder, plugins, Swarm: administrators only.
    Engine,
}

impl Event {
    /// Reads one line (with or without its end, or one record of a JSON sequence). `None` for what is no event:
    /// show it to nobody.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let (sequence, line) = match line.split_first() {
            Some((&RECORD_SEPARATOR, rest)) => (true, rest),
            _ => (false, line),
        };
        let event: Map<String, Value> = serde_json::from_slice(line).ok()?;
        let concern = concern(&event)?;
        Some(Self { event, concern, sequence })
    }

    /// Whom it concerns.
    pub fn concern(&self) -> &Concern {
        &self.concern
    }

    /// What happened (`start`, `die`, `exec_create: sh`…).
    pub fn action(&self) -> &str {
        self.event.get("Action").and_then(Value::as_str).unwrap_or_default()
    }

    /// An attribute (`name`, `image`, `exitCode`, `signal`…).
    pub fn attribute(&self, key: &str) -> Option<&str> {
        self.event.get("Actor")?.get("Attributes")?.get(key)?.as_str()
    }

    /// When it happened, in nanoseconds since 1970 by the Engine's clock.
    pub fn time_nanos(&self) -> Option<i64> {
        self.event.get("timeNano").and_then(Value::as_i64)
    }

    /// The line as it is shown, its end included, without the system's own labels.
    pub fn shown(mut self) -> Vec<u8> {
        if let Some(attributes) = self
            .event
            .get_mut("Actor")
            .and_then(|actor| actor.get_mut("Attributes"))
            .and_then(Value::as_object_mut)
        {
            attributes.retain(|key, _| !HIDDEN_LABELS.contains(&key.as_str()));
        }
        let mut line = if self.sequence { vec![RECORD_SEPARATOR] } else { Vec::new() };
        line.extend(Value::Object(self.event).to_string().into_bytes());
        line.push(b'\n');
        line
    }
}

fn concern(event: &Map<String, Value>) -> Option<Concern> {
    let actor = event.get("Actor")?;
    let id = actor.get("ID").and_then(Value::as_str).unwrap_or_default().to_owned();
    let attribute = |key: &str| {
        let value = actor.get("Attributes")?.get(key)?.as_str()?;
        (!value.is_empty()).then(|| value.to_owned())
    };
    let concern = match event.get("Type")?.as_str()? {
        "container" => Concern::Container(id),
        "network" => Concern::Network { id, container: attribute("container") },
        "volume" => Concern::Volume { name: id, container: attribute("container") },
        "image" => Concern::Image { id, name: attribute("name") },
        _ => return Some(Concern::Engine),
    };
    // A prune's sum names no object.
    let nameless = actor.get("ID").and_then(Value::as_str).is_none_or(str::is_empty);
    Some(if nameless { Concern::Engine } else { concern })
}
