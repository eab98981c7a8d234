//! A list of containers, of which only that is read which is not shown as it came.
//!
//! Answers for: the reply of `GET /containers/json`, the one that clients ask for all the time. What the door does not
//! change goes through as the Engine's own bytes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::containers::show_mounts;
use super::{Original, Unreadable, hide_labels};

/// What it is called where it cannot be read.
const WHAT: &str = "the list of containers";

/// The containers of an Engine's list.
#[derive(Debug)]
pub struct ContainerList<'a>(Vec<Entry<'a>>);

/// One of them: its fields in the order in which they came. No name of the API's needs an escape.
#[derive(Debug)]
struct Entry<'a>(Vec<(&'a str, &'a RawValue)>);

impl<'a> ContainerList<'a> {
    /// Reads a reply of the Engine's.
    ///
    /// # Errors
    /// A reply that is no list of objects.
    pub fn read(reply: &'a [u8]) -> Result<Self, Unreadable> {
        serde_json::from_slice(reply).map(Self).map_err(|_| Unreadable(WHAT))
    }

    /// The ids of the containers.
    pub fn ids(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter_map(Entry::id)
    }

    /// The caller's own, in his own words, as a reply. One of which it is not known what was asked has its labels hidden;
    /// one without an id is nobody's.
    ///
    /// # Errors
    /// Something in it that is not what the Engine's API says.
    pub fn show<'o>(
        self,
        owns: impl Fn(&str) -> bool,
        original: impl Fn(&str) -> Option<&'o Original>,
    ) -> Result<Vec<u8>, Unreadable> {
        let owned = self.0.into_iter().filter_map(|entry| Some((entry.id().filter(|id| owns(id))?, entry)));
        let shown = owned.map(|(id, entry)| entry.show(original(id))).collect::<Result<Vec<_>, _>>()?;
        serde_json::to_vec(&shown).map_err(|_| Unreadable(WHAT))
    }
}

impl<'a> Entry<'a> {
    fn id(&self) -> Option<&'a str> {
        let (_, id) = self.0.iter().find(|(key, _)| *key == "Id")?;
        serde_json::from_str(id.get()).ok()
    }

    fn show(self, original: Option<&Original>) -> Result<Shown<'a>, Unreadable> {
        let shown = self.0.into_iter().map(|(key, raw)| {
            let field = show_field(key, raw, original)?;
            Ok((key, field))
        });
        shown.collect::<Result<_, _>>().map(Shown)
    }
}

/// What is shown of an entry.
struct Shown<'a>(Vec<(&'a str, Field<'a>)>);

#[derive(serde::Serialize)]
#[serde(untagged)]
enum Field<'a> {
    AsItCame(&'a RawValue),
    Told(Value),
}

fn show_field<'a>(
    key: &str,
    raw: &'a RawValue,
    original: Option<&Original>,
) -> Result<Field<'a>, Unreadable> {
    let mut told = match (key, original) {
        ("Labels", _) | ("Mounts" | "HostConfig", Some(_)) => {
            serde_json::from_str(raw.get()).map_err(|_| Unreadable(WHAT))?
        }
        _ => return Ok(Field::AsItCame(raw)),
    };
    match (key, original) {
        ("Mounts", Some(original)) => show_mounts(Some(&mut told), original),
        ("HostConfig", Some(original)) => show_annotations(&mut told, original),
        _ => hide_labels(Some(&mut told)),
    }
    Ok(Field::Told(told))
}

/// A list's `HostConfig` holds the network mode and, since 1.46, the annotations; nothing is added to it.
fn show_annotations(host_config: &mut Value, original: &Original) {
    if let Some(annotations) = host_config.get_mut("Annotations") {
        let asked = original.asked("Annotations").filter(|asked| !asked.is_null());
        *annotations = asked.cloned().unwrap_or(json!({}));
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, field)| (key, field)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Entry<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Entry<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a container")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(16);
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Entry(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}
