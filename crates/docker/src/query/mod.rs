//! The query of a request: known keys only, first value wins, dangerous ones judged.
//!
//! Answers for: reading a raw query as Go's `url.ParseQuery` would, refusing what no operation knows, typed getters,
//! and writing the query that goes upstream.
//! Must never: pass a raw byte of the client's query on; what goes upstream is written from the judged pairs.

pub mod build;
mod changes;
mod filters;
pub mod images;
mod keys;
mod parse;
mod ps;

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub use filters::{Filters, FiltersError};

use crate::object::{ChosenName, ObjectRef};
use crate::route::Op;
use keys::Kind;

/// The keys that are passed on of an operation's query.
pub(crate) fn key_names(op: Op) -> impl Iterator<Item = &'static str> {
    keys::of(op).iter().filter(|key| key.kind != Kind::Ignored).map(|key| key.name)
}

/// The most values of one repeatable key (`names`, `t`, `changes`, …).
pub const VALUES_MAX: usize = 128;

/// What stays as it is in a query value; the same as Go's `url.QueryEscape`, but with `%20` for a space.
const ESCAPES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A judged query. Keys are those of the operation's table and no others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(&'static str, String)>,
    filters: Option<Filters>,
}

static NO_FILTERS: Filters = Filters::NONE;

/// Why a query is refused: a sentence. HTTP 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct QueryRefusal(String);

impl QueryRefusal {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl Query {
    /// Reads and judges the raw query of an operation.
    ///
    /// # Errors
    /// Malformed encoding, or a value that is dangerous or cannot be read.
    pub fn judge(op: Op, raw: &str) -> Result<Self, QueryRefusal> {
        let mut query = Self::default();
        if op == Op::Options {
            return Ok(query);
        }
        for (key, value) in parse::pairs(raw)? {
            query.take(op, &key, value)?;
        }
        query.judge_values(op)?;
        Ok(query)
    }

    /// Files one pair under its key, in the key's canonical spelling.
    fn take(&mut self, op: Op, key: &str, value: String) -> Result<(), QueryRefusal> {
        // What the operation has no key for means nothing to the Engine, and is not sent on: there are clients that write
        // the whole body into the query as well (docker-modem, under dockerode and testcontainers).
        let Some(known) = keys::of(op).iter().find(|known| known.name == key) else { return Ok(()) };
        if known.kind == Kind::Filters {
            // The first one counts, even where it is empty.
            if self.filters.is_none() {
                let read = Filters::parse(&value).map_err(|wrong| QueryRefusal::new(wrong.to_string()))?;
                self.filters = Some(read);
            }
            return Ok(());
        }
        if known.kind == Kind::Many {
            if self.all(known.name).count() >= VALUES_MAX {
                return Err(QueryRefusal::new(format!(
                    "`{key}` is given more than {VALUES_MAX} times; give fewer."
                )));
            }
        } else if self.get(known.name).is_some() {
            return Ok(());
        }
        let canonical = match known.kind {
            Kind::Ignored => return Ok(()),
            Kind::Bool => if read_bool(&value) { "1" } else { "0" }.to_owned(),
            Kind::Int if value.is_empty() => return Ok(()),
            Kind::Int => value
                .trim()
                .parse::<i64>()
                .map_err(|_| QueryRefusal::new(format!("The value of `{key}` must be a whole number.")))?
                .to_string(),
            Kind::Text | Kind::Many | Kind::Filters => value,
        };
        self.pairs.push((known.name, canonical));
        Ok(())
    }

    fn judge_values(&mut self, op: Op) -> Result<(), QueryRefusal> {
        match op {
            Op::ContainerStart => self.refuse_unless_empty(
                &["checkpoint", "checkpoint-dir"],
                "Starting from a checkpoint reads files of this machine as root and is refused. Start the container \
                 without it.",
            ),
            Op::ContainerCreate => self.judge_name("name", false),
            Op::ContainerRename => self.judge_name("name", true),
            Op::ContainerTop => ps::judge(self.get("ps_args").unwrap_or_default()),
            Op::ContainerKill | Op::ContainerStop | Op::ContainerRestart => self.judge_signal(),
            Op::ArchiveGet | Op::ArchiveHead | Op::ArchivePut => self.judge_path(),
            Op::Commit => {
                self.judge_container("container")?;
                images::tag_target(self)?;
                changes::judge(self.all("changes"))
            }
            Op::ImageCreate => {
                images::source(self)?;
                changes::judge(self.all("changes"))
            }
            Op::ImageTag => match images::tag_target(self)? {
                Some(_) => Ok(()),
                None => Err(QueryRefusal::new("The new name is missing: `docker tag IMAGE NAME:TAG`.")),
            },
            Op::ImagePush => images::judge_tag(self),
            Op::ImageSearch => images::judge_search(self),
            Op::ImagesExport => images::names(self).map(drop),
            Op::Build => build::judge(self),
            _ => Ok(()),
        }
    }

    fn refuse_unless_empty(&mut self, keys: &[&str], sentence: &str) -> Result<(), QueryRefusal> {
        if keys.iter().any(|key| self.text(key).is_some()) {
            return Err(QueryRefusal::new(sentence));
        }
        self.pairs.retain(|(name, _)| !keys.contains(name));
        Ok(())
    }

    fn judge_name(&mut self, key: &'static str, required: bool) -> Result<(), QueryRefusal> {
        match self.text(key) {
            Some(name) => {
                let name = ChosenName::new(name).map_err(|wrong| QueryRefusal::new(wrong.to_string()))?;
                self.set(key, name.as_str());
                Ok(())
            }
            None if required => Err(QueryRefusal::new("Neither old nor new names may be empty")),
            None => {
                self.remove(key);
                Ok(())
            }
        }
    }

    fn judge_container(&self, key: &str) -> Result<(), QueryRefusal> {
        match self.text(key).and_then(ObjectRef::new) {
            Some(_) => Ok(()),
            None => Err(QueryRefusal::new("The container is missing, or is no name or id.")),
        }
    }

    fn judge_signal(&self) -> Result<(), QueryRefusal> {
        let plain = |signal: &str| {
            signal.len() <= 16
                && signal.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-'))
        };
        match self.text("signal") {
            Some(signal) if !plain(signal) => {
                Err(QueryRefusal::new("The signal must be a name or number, such as SIGTERM or 15."))
            }
            _ => Ok(()),
        }
    }

    fn judge_path(&self) -> Result<(), QueryRefusal> {
        match self.text("path") {
            Some(path) if path.contains('\0') => Err(QueryRefusal::new("The path holds a NUL character.")),
            Some(_) => Ok(()),
            None => Err(QueryRefusal::new("bad parameter: 'path' cannot be empty")),
        }
    }

    /// The value of a key as sent (booleans as `1` or `0`, numbers in canonical spelling); `None` where absent.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }

    /// The value of a key unless absent or empty.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).filter(|value| !value.is_empty())
    }

    /// Every value of a repeatable key, in order.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(name, _)| *name == key).map(|(_, value)| value.as_str())
    }

    /// A boolean as Docker reads it; absent is `false`.
    pub fn bool(&self, key: &str) -> bool {
        self.bool_or(key, false)
    }

    /// A boolean as Docker reads it, with the value that absence means.
    pub fn bool_or(&self, key: &str, absent: bool) -> bool {
        self.get(key).map_or(absent, read_bool)
    }

    /// A whole number; `None` where absent.
    pub fn int(&self, key: &str) -> Option<i64> {
        self.get(key)?.parse().ok()
    }

    /// The container of a query that names one (`/commit`).
    pub fn container(&self) -> Option<ObjectRef> {
        self.text("container").and_then(ObjectRef::new)
    }

    /// The name that the user chose for a container (`/containers/create`, `…/rename`).
    pub fn chosen_name(&self) -> Option<ChosenName> {
        self.text("name").and_then(|name| ChosenName::new(name).ok())
    }

    /// The filters of a list, a prune or an event stream; empty where none were sent.
    pub fn filters(&self) -> &Filters {
        self.filters.as_ref().unwrap_or(&NO_FILTERS)
    }

    /// Replaces the filters.
    pub fn set_filters(&mut self, filters: Filters) {
        self.filters = Some(filters);
    }

    /// Sets a key to one value, whatever it had before.
    pub fn set(&mut self, key: &'static str, value: impl Into<String>) {
        let value = value.into();
        match self.pairs.iter().position(|(name, _)| *name == key) {
            Some(first) => {
                self.pairs[first].1 = value;
                let mut position = 0;
                self.pairs.retain(|(name, _)| {
                    let keep = *name != key || position == first;
                    position += 1;
                    keep
                });
            }
            None => self.pairs.push((key, value)),
        }
    }

    /// Adds one more value to a repeatable key.
    pub fn add(&mut self, key: &'static str, value: impl Into<String>) {
        self.pairs.push((key, value.into()));
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) {
        self.pairs.retain(|(name, _)| *name != key);
    }
}

/// As it goes upstream, without the `?`; empty where there is nothing to say.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filters = self.filters.as_ref().filter(|filters| !filters.is_empty()).map(Filters::to_string);
        let pairs = self
            .pairs
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .chain(filters.as_deref().map(|filters| ("filters", filters)));
        for (position, (name, value)) in pairs.enumerate() {
            let separator = if position == 0 { "" } else { "&" };
            write!(f, "{separator}{name}={}", utf8_percent_encode(value, ESCAPES))?;
        }
        Ok(())
    }
}

/// Docker's reading: everything but these words is true.
fn read_bool(value: &str) -> bool {
    !matches!(value.trim().to_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
}

#[cfg(test)]
mod tests;
