//! Answers for: reading a JSON body exactly as the Engine's Go decoder would, or refusing it.
//!
//! Go matches object keys to struct fields case-insensitively *with Unicode folding* (`Ho\u017ftConfig`
//! is `HostConfig`), merges duplicates and, in old Engines, ignores trailing bytes. A body that two
//! readers could read differently is therefore refused here: keys that occur twice, keys that are
//! equal after Go's folding wherever an object is read as a struct, bytes after the value, invalid
//! UTF-8, and nesting deeper than [`JSON_DEPTH_MAX`].
//!
//! Must never: repair what it reads, or lose a digit of a number.

mod read;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

/// Largest JSON body that is read, in bytes. Larger ones are answered 413.
pub const JSON_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Deepest nesting of arrays and objects that is read. Docker's own bodies need seven.
pub const JSON_DEPTH_MAX: usize = 64;

/// Most values that are read in one body, those in lists and objects counted: each takes many times the memory that
/// it takes in the body. Docker's own bodies have a few hundred.
pub const JSON_VALUES_MAX: usize = 50_000;

pub use read::parse;

/// One JSON value. Object members keep their order; numbers keep their text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it was written.
    Number(Number),
    /// A string, unescaped.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Object),
}

impl Json {
    /// A string value.
    pub fn text(value: impl Into<String>) -> Self {
        Json::String(value.into())
    }

    /// A whole number.
    #[must_use]
    pub fn int(value: i64) -> Self {
        Json::Number(Number(value.to_string()))
    }

    /// A list of strings.
    pub fn texts<T: Into<String>>(values: impl IntoIterator<Item = T>) -> Self {
        Json::Array(values.into_iter().map(Json::text).collect())
    }

    /// The string, if this is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if this is one that fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Json::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    /// The boolean, if this is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Json::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The elements, if this is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The members, if this is an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Json::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Whether the value says nothing: `null`, `false`, zero, empty text or list, or an object in
    /// which nothing says anything. Clients send such values for every field they know.
    #[must_use]
    pub fn is_neutral(&self) -> bool {
        match self {
            Json::Null | Json::Bool(false) => true,
            Json::Bool(true) => false,
            Json::Number(number) => number.is_zero(),
            Json::String(text) => text.is_empty(),
            Json::Array(items) => items.is_empty(),
            Json::Object(object) => object.iter().all(|(_, value)| value.is_neutral()),
        }
    }

    /// What kind of value this is, as a message names it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Number(_) => "a number",
            Json::String(_) => "a string",
            Json::Array(_) => "a list",
            Json::Object(_) => "an object",
        }
    }

    /// The value as bytes, with no white space.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = String::new();
        self.write(&mut out);
        out.into_bytes()
    }

    fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Number(number) => out.push_str(number.as_str()),
            Json::String(text) => write_string(text, out),
            Json::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Json::Object(object) => {
                out.push('{');
                for (index, (key, value)) in object.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_string(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Json::Bool(value)
    }
}

impl From<&Json> for serde_json::Value {
    fn from(value: &Json) -> Self {
        match value {
            Json::Null => serde_json::Value::Null,
            Json::Bool(value) => serde_json::Value::Bool(*value),
            Json::Number(number) => number.to_serde(),
            Json::String(text) => serde_json::Value::String(text.clone()),
            Json::Array(items) => items.iter().map(serde_json::Value::from).collect(),
            Json::Object(object) => serde_json::Value::Object(
                object.iter().map(|(key, value)| (key.to_owned(), value.into())).collect(),
            ),
        }
    }
}

/// A JSON number as it was written, so that no digit is lost on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(String);

impl Number {
    /// The text of the number.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number as Go decodes it into an `int64`: digits only, no fraction and no exponent.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// The number as Go decodes it into a `uint64`.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// The nearest floating point number, if it is finite.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        self.0.parse().ok().filter(|value: &f64| value.is_finite())
    }

    fn is_zero(&self) -> bool {
        let mantissa = self.0.split(['e', 'E']).next().unwrap_or_default();
        mantissa.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'))
    }

    fn to_serde(&self) -> serde_json::Value {
        if let Some(whole) = self.as_i64() {
            whole.into()
        } else if let Some(whole) = self.as_u64() {
            whole.into()
        } else {
            self.as_f64().into()
        }
    }
}

/// The members of a JSON object, in order. No key occurs twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    members: Vec<(String, Json)>,
}

impl Object {
    /// An object without members.
    #[must_use]
    pub fn new() -> Self {
        Object::default()
    }

    /// The members in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.members.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The value under exactly this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.members.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The value under exactly this key, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Json> {
        self.members.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Puts a value under the key, in the place of an earlier one if there is one.
    pub fn set(&mut self, key: &str, value: Json) {
        match self.get_mut(key) {
            Some(slot) => *slot = value,
            None => self.members.push((key.to_owned(), value)),
        }
    }

    /// Takes the member out.
    pub fn remove(&mut self, key: &str) -> Option<Json> {
        let index = self.members.iter().position(|(name, _)| name == key)?;
        Some(self.members.remove(index).1)
    }

    /// Number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Two keys that Go would take for the same struct field, if there are any.
    #[must_use]
    pub fn folded_duplicate(&self) -> Option<(&str, &str)> {
        let mut seen = std::collections::HashMap::with_capacity(self.members.len());
        for (key, _) in &self.members {
            if let Some(first) = seen.insert(fold(key), key.as_str()) {
                return Some((first, key));
            }
        }
        None
    }
}

impl FromIterator<(String, Json)> for Object {
    fn from_iter<I: IntoIterator<Item = (String, Json)>>(members: I) -> Self {
        // Looking for every key in all before it would take the square of the time.
        let mut places: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
        let mut object = Object::new();
        for (key, value) in members {
            match places.get(&key) {
                Some(place) => object.members[*place].1 = value,
                None => {
                    places.insert(key.clone(), object.members.len());
                    object.members.push((key, value));
                }
            }
        }
        object
    }
}

/// A key as Go's decoder folds it before it compares it with a field name: ASCII letters lower
/// case, LATIN SMALL LETTER LONG S as `s`, KELVIN SIGN as `k`.
#[must_use]
pub fn fold(key: &str) -> String {
    key.chars().map(fold_letter).collect()
}

/// Whether two keys fold to the same, so that Go takes them for the same struct field.
#[must_use]
pub fn folds_alike(one: &str, other: &str) -> bool {
    one.chars().map(fold_letter).eq(other.chars().map(fold_letter))
}

fn fold_letter(letter: char) -> char {
    match letter {
        '\u{017F}' => 's',
        '\u{212A}' => 'k',
        other => other.to_ascii_lowercase(),
    }
}

/// Why a body could not be read, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The body is larger than [`JSON_BODY_BYTES_MAX`].
    #[error("the body has {bytes} bytes; the most that is read is {JSON_BODY_BYTES_MAX}")]
    TooLarge {
        /// Size of the body.
        bytes: usize,
    },
    /// The body is empty where a value is needed.
    #[error("got EOF while reading request body: it is empty; a JSON object is needed")]
    Empty,
    /// Not UTF-8.
    #[error("the body is not valid UTF-8 at byte {at}")]
    Utf8 {
        /// Offset of the first wrong byte.
        at: usize,
    },
    /// Nested too deeply.
    #[error("the body is nested deeper than {JSON_DEPTH_MAX} levels at byte {at}")]
    Depth {
        /// Offset of the bracket that is too deep.
        at: usize,
    },
    /// More values than anybody needs.
    #[error("the body has more than {JSON_VALUES_MAX} values, at byte {at}")]
    TooMany {
        /// Offset of the first value too many.
        at: usize,
    },
    /// Something after the value.
    #[error("the body has bytes after its JSON value, at byte {at}")]
    Trailing {
        /// Offset of the first byte after the value.
        at: usize,
    },
    /// A key twice in one object.
    #[error("the key {key:?} occurs twice in one object, again at byte {at}")]
    DuplicateKey {
        /// The key, unescaped.
        key: String,
        /// Offset of the second occurrence.
        at: usize,
    },
    /// Not JSON.
    #[error("the body is not valid JSON at byte {at}: {expected}")]
    Syntax {
        /// Offset of the byte that does not fit.
        at: usize,
        /// What would have fitted.
        expected: &'static str,
    },
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if (control as u32) < 0x20 => {
                write!(out, "\\u{:04x}", control as u32).expect("writing to a String cannot fail");
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
