//! What a user asked for at create, kept so that it can be shown to him again.
//! Must never: hold anything that the Engine would be told, or a secret of the user's environment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Labels of the system that no user is shown.
pub const HIDDEN_LABELS: [&str; 2] = ["ds01.owner", "ds01.token"];

/// The fields of `HostConfig` that the door rewrites and that are shown as they were asked.
pub const ROUND_TRIP: [&str; 9] = [
    "Annotations",
    "Binds",
    "CapDrop",
    "CgroupParent",
    "DeviceRequests",
    "Devices",
    "Mounts",
    "RestartPolicy",
    "Runtime",
];

/// A create request's own words, as far as the door changed them. Stored by the daemon with the container.
///
/// Unknown fields are ignored and missing ones empty, so that records outlive versions of the daemon.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Original {
    /// Fields of `HostConfig` as asked; only names in [`ROUND_TRIP`].
    host_config: BTreeMap<String, Value>,
    /// Variables of the request that were taken out (`NVIDIA_VISIBLE_DEVICES=all`), never others.
    env: Vec<String>,
    /// The path that the Engine was given for a bind → the path that the user gave.
    sources: BTreeMap<String, String>,
}

impl Original {
    /// Keeps what of `host_config` (the request's, keys in the API's spelling) is in [`ROUND_TRIP`]; what is absent is
    /// remembered as the Engine shows its absence.
    pub fn new(host_config: &Map<String, Value>) -> Self {
        let mut original = Self::default();
        for field in ROUND_TRIP {
            let asked = host_config.get(field).cloned().unwrap_or(Value::Null);
            original.remember(field, asked);
        }
        original
    }

    /// Remembers one field of `HostConfig` as asked, in place of an earlier value (a restart policy changed by
    /// `docker update`). Fields beyond [`ROUND_TRIP`] are not kept: the Engine's own value is the truth for them.
    pub fn remember(&mut self, field: &str, asked: Value) {
        if !ROUND_TRIP.contains(&field) {
            return;
        }
        let shown = match (field, &asked) {
            ("DeviceRequests", Value::Array(requests)) => {
                Value::Array(requests.iter().map(|request| completed(request, device_request())).collect())
            }
            ("Runtime", Value::Null) => json!("runc"),
            ("Runtime", Value::String(name)) if name.is_empty() => json!("runc"),
            ("CgroupParent", Value::Null) => json!(""),
            ("RestartPolicy", Value::Null) => json!({"Name": "no", "MaximumRetryCount": 0}),
            _ => asked,
        };
        self.host_config.insert(field.to_owned(), shown);
    }

    /// Remembers a variable that was taken out of the request's environment.
    pub fn remember_env(&mut self, variable: impl Into<String>) {
        self.env.push(variable.into());
    }

    /// Remembers that `staged` was given to the Engine where the user gave `asked`.
    pub fn remember_source(&mut self, staged: impl Into<String>, asked: impl Into<String>) {
        self.sources.insert(staged.into(), asked.into());
    }

    /// A field of `HostConfig` as asked.
    pub fn asked(&self, field: &str) -> Option<&Value> {
        self.host_config.get(field)
    }

    /// The fields of `HostConfig` as they are shown; `None` for those that the Engine leaves out.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, Option<&Value>)> {
        self.host_config.iter().map(|(field, asked)| {
            let empty = match asked {
                Value::Null => true,
                Value::Array(list) => list.is_empty(),
                Value::Object(map) => map.is_empty(),
                _ => false,
            };
            let left_out = empty && matches!(field.as_str(), "Annotations" | "Mounts");
            (field.as_str(), (!left_out).then_some(asked))
        })
    }

    /// The variables that were taken out.
    pub fn env(&self) -> &[String] {
        &self.env
    }

    /// The staged paths with the paths that the user gave.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sources.iter().map(|(staged, asked)| (staged.as_str(), asked.as_str()))
    }

    /// The user's own path for one that the Engine was given, also for what lies beneath it.
    pub fn source(&self, path: &str) -> Option<String> {
        self.sources.iter().find_map(|(staged, asked)| {
            let rest = path.strip_prefix(staged.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then(|| {
                format!("{}{rest}", if rest.is_empty() { asked } else { asked.trim_end_matches('/') })
            })
        })
    }

    /// A text with every staged path replaced by the user's own.
    pub(super) fn in_users_words(&self, text: &str) -> String {
        // Longest first: `/run/x/10` must not be read as `/run/x/1` with a `0` behind it.
        let mut pairs: Vec<_> = self.sources.iter().collect();
        pairs.sort_by_key(|(staged, _)| std::cmp::Reverse(staged.len()));
        pairs.into_iter().fold(text.to_owned(), |text, (staged, asked)| text.replace(staged.as_str(), asked))
    }
}

/// A device request as the Engine shows one of which nothing was said.
fn device_request() -> Value {
    json!({"Driver": "", "Count": 0, "DeviceIDs": null, "Capabilities": null, "Options": null})
}

/// What was asked, with the fields that the Engine adds, in its order.
fn completed(asked: &Value, mut blank: Value) -> Value {
    if let (Some(asked), Some(blank)) = (asked.as_object(), blank.as_object_mut()) {
        for (key, value) in asked {
            blank.insert(key.clone(), value.clone());
        }
    }
    blank
}
