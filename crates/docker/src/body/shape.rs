//! Answers for: reading a value as the Go type of its field, with Go's leniencies and no others.
//!
//! Must never: pass on an object whose keys it has not looked up.

use super::refusal::Refusal;
use super::table::{check_keys, same_field};
use crate::json::{Json, Object};

/// The type that a field has in the Engine's own structs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// `bool`, `*bool`
    Bool,
    /// `int64`: digits only
    Integer,
    /// `string`
    Text,
    /// `[]string`
    Texts,
    /// `strslice.StrSlice`: a string means a list of one
    TextOrTexts,
    /// `map[string]string`, a free map: its keys are data and are not folded
    TextMap,
    /// `map[string]struct{}`
    TextSet,
    /// A list
    List(&'static Shape),
    /// A struct, all of whose fields are listed
    Struct(&'static [Part]),
}

/// A field of a [`Shape::Struct`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
}

pub(crate) const fn part(name: &'static str, shape: Shape) -> Part {
    Part { name, shape }
}

impl Shape {
    /// The value in its canonical form; `None` for `null`.
    pub(crate) fn read(self, path: &str, value: &Json) -> Result<Option<Json>, Refusal> {
        if *value == Json::Null {
            return Ok(None);
        }
        let wrong = |wanted| Refusal::wrong_kind(path, wanted, value.kind());
        let read = match self {
            Shape::Bool => Json::Bool(value.as_bool().ok_or_else(|| wrong("true or false"))?),
            Shape::Integer => Json::int(value.as_i64().ok_or_else(|| wrong("a whole number"))?),
            Shape::Text => Json::text(value.as_str().ok_or_else(|| wrong("a string"))?),
            Shape::TextOrTexts if value.as_str().is_some() => Json::Array(vec![value.clone()]),
            Shape::Texts | Shape::TextOrTexts => Json::Array(texts(path, value)?),
            Shape::TextMap => Json::Object(map(path, value, |path, value| {
                Ok(Shape::Text.read(path, value)?.unwrap_or_else(|| Json::text("")))
            })?),
            Shape::TextSet => Json::Object(map(path, value, |path, value| match value {
                Json::Null => Ok(Json::Object(Object::new())),
                Json::Object(inner) if inner.is_empty() => Ok(Json::Object(Object::new())),
                other => Err(Refusal::wrong_kind(path, "an empty object", other.kind())),
            })?),
            Shape::List(item) => {
                let items = value.as_array().ok_or_else(|| wrong("a list"))?;
                let mut out = Vec::with_capacity(items.len());
                for (index, entry) in items.iter().enumerate() {
                    let read = item.read(&format!("{path}[{index}]"), entry)?;
                    out.push(read.unwrap_or_else(|| item.zero()));
                }
                Json::Array(out)
            }
            Shape::Struct(parts) => Json::Object(structure(path, value, parts)?),
        };
        Ok(Some(read))
    }

    /// What Go has where a list holds `null`.
    fn zero(self) -> Json {
        match self {
            Shape::Bool => Json::Bool(false),
            Shape::Integer => Json::int(0),
            Shape::Text => Json::text(""),
            Shape::Texts | Shape::TextOrTexts | Shape::List(_) => Json::Array(Vec::new()),
            Shape::TextMap | Shape::TextSet | Shape::Struct(_) => Json::Object(Object::new()),
        }
    }
}

fn texts(path: &str, value: &Json) -> Result<Vec<Json>, Refusal> {
    let items =
        value.as_array().ok_or_else(|| Refusal::wrong_kind(path, "a list of strings", value.kind()))?;
    items
        .iter()
        .enumerate()
        .map(|(index, item)| match item {
            Json::Null => Ok(Json::text("")),
            Json::String(_) => Ok(item.clone()),
            other => Err(Refusal::wrong_kind(&format!("{path}[{index}]"), "a string", other.kind())),
        })
        .collect()
}

fn map(
    path: &str,
    value: &Json,
    mut each: impl FnMut(&str, &Json) -> Result<Json, Refusal>,
) -> Result<Object, Refusal> {
    let object = value.as_object().ok_or_else(|| Refusal::wrong_kind(path, "an object", value.kind()))?;
    object
        .iter()
        .map(|(key, value)| Ok((key.to_owned(), each(&format!("{path}[{key:?}]"), value)?)))
        .collect()
}

fn structure(path: &str, value: &Json, parts: &[Part]) -> Result<Object, Refusal> {
    let object = value.as_object().ok_or_else(|| Refusal::wrong_kind(path, "an object", value.kind()))?;
    check_keys(path, object)?;
    let mut out = Object::new();
    for (key, value) in object.iter() {
        match parts.iter().find(|part| same_field(key, part.name)) {
            Some(part) => {
                if let Some(read) = part.shape.read(&format!("{path}.{}", part.name), value)? {
                    out.set(part.name, read);
                }
            }
            None if value.is_neutral() => {}
            None => return Err(Refusal::unknown_field(&format!("{path}.{key}"))),
        }
    }
    Ok(out)
}
