//! The `filters` key: a JSON map of names to values, in the old and the new form.
//! Must never: accept a name twice, which two readers could merge differently.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Filters as sent, typed: every name with its set of values. All names must hold; of a name's values, one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, BTreeSet<String>>);

/// Filters that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid filters: {0}; write them as {{\"label\":[\"a=b\"]}}")]
pub struct FiltersError(String);

impl Filters {
    /// No filters.
    pub const NONE: Self = Self(BTreeMap::new());

    /// Reads `{"label":["a=b"]}` or `{"label":{"a=b":true}}`; nothing, `null` and `{}` are no filters.
    ///
    /// As the Engine does, a value counts whatever stands behind it (`false` included).
    ///
    /// # Errors
    /// Other JSON, or a name given twice.
    pub fn parse(text: &str) -> Result<Self, FiltersError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let read: Option<Names> =
            serde_json::from_str(text).map_err(|wrong| FiltersError(wrong.to_string()))?;
        Ok(Self(read.map(|names| names.0).unwrap_or_default()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, each with its values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.0.iter().map(|(name, values)| (name.as_str(), values))
    }

    /// The values of a name.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).into_iter().flatten().map(String::as_str)
    }

    /// Whether a name is filtered on at all.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Adds a value to a name: for `label` and such this narrows, for most names it widens.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.entry(name.into()).or_default().insert(value.into());
    }

    /// Replaces a name's values.
    pub fn set(&mut self, name: impl Into<String>, values: impl IntoIterator<Item = String>) {
        self.0.insert(name.into(), values.into_iter().collect());
    }

    /// Takes a name out and returns its values.
    pub fn remove(&mut self, name: &str) -> BTreeSet<String> {
        self.0.remove(name).unwrap_or_default()
    }
}

/// As JSON in the form that every Engine served reads: `{"label":{"a=b":true}}`.
impl fmt::Display for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: BTreeMap<&str, BTreeMap<&str, bool>> = self
            .0
            .iter()
            .map(|(name, values)| {
                (name.as_str(), values.iter().map(|value| (value.as_str(), true)).collect())
            })
            .collect();
        f.write_str(&serde_json::to_string(&all).map_err(|_| fmt::Error)?)
    }
}

struct Names(BTreeMap<String, BTreeSet<String>>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of filter names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = BTreeMap::new();
                while let Some((name, values)) = map.next_entry::<String, Option<Values>>()? {
                    let values = values.map(|values| values.0).unwrap_or_default();
                    if names.insert(name, values).is_some() {
                        return Err(serde::de::Error::custom("a filter is given twice"));
                    }
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_map(Seen)
    }
}

struct Values(BTreeSet<String>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Values;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of values, or an object of values to true")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
                let mut values = BTreeSet::new();
                while let Some((value, _)) = map.next_entry::<String, bool>()? {
                    values.insert(value);
                }
                Ok(Values(values))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Values, A::Error> {
                let mut values = BTreeSet::new();
                while let Some(value) = list.next_element::<String>()? {
                    values.insert(value);
                }
                Ok(Values(values))
            }
        }
        deserializer.deserialize_any(Seen)
    }
}
