//! What the Engine reads of the same bytes: its own Go code, asked line by line.
//!
//! Answers for: the questions, and for what must be alike between its reading and the door's judgement.
//! Must never: pass over a difference because it looks harmless; what is known to differ is a list with reasons.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use ds01_docker::body::Rules;
use ds01_docker::json::{self, Json, folds_alike};
use ds01_docker::object::ObjectRef;
use ds01_docker::policy;
use ds01_docker::query::Filters;
use ds01_docker::reference::ImageRef;
use ds01_docker::route::{self, BodyRule, Class};
use ds01_docker::version::ApiVersion;
use serde_json::{Map, Value};

use crate::judged::{self, CONTAINER_ID, Kind};

/// The program of `tests/differential`, running.
#[derive(Debug)]
pub struct Reader {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What it says of one input.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// It was read as this; `Some` error: and then refused for a value.
    Read(Value, Option<String>),
    /// It was not read.
    Refused(String),
}

impl Reader {
    /// Starts it. `source` is the Engine's.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(program: &Path, source: &Path) -> io::Result<Self> {
        let mut child =
            Command::new(program).arg(source).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("no pipes"));
        };
        Ok(Self { child, input, output: BufReader::new(output) })
    }

    /// Asks about one input.
    ///
    /// # Errors
    /// When it is gone, or answers what is no answer.
    pub fn read(&mut self, kind: &str, bytes: &[u8]) -> io::Result<Reading> {
        writeln!(self.input, "{kind} {}", base64(bytes))?;
        self.input.flush()?;
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the reader ended"));
        }
        let mut answer: Value = serde_json::from_str(&line)?;
        let error = answer["error"].as_str().map(ToOwned::to_owned);
        Ok(match (answer["read"].take(), error) {
            (Value::Null, error) => Reading::Refused(error.unwrap_or_default()),
            (read, error) => Reading::Read(read, error),
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // It ends by itself when its input does; who looks on must not be kept waiting by one that does not.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for piece in bytes.chunks(3) {
        let word =
            piece.iter().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte)) << (8 * (3 - piece.len()));
        for place in 0..4 {
            let six = (word >> (18 - 6 * place)) & 63;
            out.push(if place > piece.len() { '=' } else { char::from(LETTERS[six as usize]) });
        }
    }
    out
}

/// What came of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compared {
    /// The door refused it.
    Refused,
    /// Both read the same.
    Alike,
    /// They did not: what, and how.
    Differs(String),
}

/// Fields that came after the Engine with which the comparison is made: it does not read them, whoever wrote them.
const NEWER: [&str; 13] = [
    "Annotations",
    "ConsoleSize",
    "CreateMountpoint",
    "DNSNames",
    "EnableIPv4",
    "GwPriority",
    "ImageOptions",
    "ReadOnlyForceRecursive",
    "ReadOnlyNonRecursive",
    "StartInterval",
    "Subpath",
    "ClusterVolumeSpec",
    // Of a mount in memory; others of the name are older.
    "TmpfsOptions.Options",
];

/// Compares the Engine's reading of a body with what was judged, and its reading of what is sent with what was meant.
///
/// # Errors
/// When the reader is gone.
pub fn compare_body(reader: &mut Reader, kind: Kind, bytes: &[u8], rules: &Rules) -> io::Result<Compared> {
    let Ok(accepted) = judged::judge(kind, bytes, rules) else { return Ok(Compared::Refused) };
    if accepted.body.is_empty() {
        return Ok(Compared::Alike);
    }
    let meant: Value = serde_json::from_slice(&accepted.body)?;
    let original = reader.read(kind.name(), bytes)?;
    let sent = match reader.read(kind.name(), &accepted.body)? {
        Reading::Read(sent, _) => sent,
        // A number too large for its field, for instance: the Engine says so whichever way it comes.
        Reading::Refused(_) if matches!(original, Reading::Refused(_)) => return Ok(Compared::Alike),
        Reading::Refused(error) => {
            return Ok(Compared::Differs(format!("what is sent is not read: {error}\nsent: {meant}")));
        }
    };
    if let Some(difference) = missing("", &meant, &sent).or_else(|| added("", &sent, &meant)) {
        return Ok(Compared::Differs(format!("what is sent is read otherwise: {difference}\nsent: {meant}")));
    }
    let Reading::Read(original, _) = original else { return Ok(Compared::Alike) };
    if accepted.has_gpus && json::parse(bytes).is_ok_and(|tree| asks_in_a_newer_form(&tree)) {
        return Ok(Compared::Alike);
    }
    // What the Engine would have made of the original, judged: it must come to the same.
    let again = match judged::judge(kind, &serde_json::to_vec(&original)?, rules) {
        Ok(again) => again,
        Err(refusal) => {
            return Ok(Compared::Differs(format!(
                "the original is accepted, the Engine's reading of it is not: {refusal}\nit reads: {original}"
            )));
        }
    };
    let Reading::Read(again_sent, _) = reader.read(kind.name(), &again.body)? else {
        return Ok(Compared::Differs("what is judged again is not read".to_owned()));
    };
    let (one, other) = (without_newer(&sent, ""), without_newer(&again_sent, ""));
    // At the top of a body a field of HostConfig that says nothing is left out; the Engine keeps that it was said.
    let what = match kind == Kind::Create && json::parse(bytes).is_ok_and(|tree| is_misplaced(&tree)) {
        true => missing("", &one, &other).or_else(|| missing("", &other, &one)),
        false => unlike("", &one, &other),
    };
    if let Some(what) = what {
        return Ok(Compared::Differs(format!(
            "the Engine's reading of the original is judged otherwise: {what}\noriginal: {original}\nsent: {meant}"
        )));
    }
    // CreateMountpoint is newer.
    let older = |asked: &[String]| -> Vec<String> {
        asked.iter().map(|question| question.replace("create_source: true", "create_source: false")).collect()
    };
    Ok(if older(&accepted.asked) == older(&again.asked) {
        Compared::Alike
    } else {
        Compared::Differs(format!(
            "the daemon is asked {:?}, and would be asked {:?}",
            accepted.asked, again.asked
        ))
    })
}

fn without_newer(value: &Value, path: &str) -> Value {
    match value {
        Value::Object(object) => Value::Object(
            object
                .iter()
                .filter(|(key, _)| !is_newer(path, key))
                .map(|(key, value)| (key.clone(), without_newer(value, key)))
                .collect::<Map<_, _>>(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(|item| without_newer(item, path)).collect()),
        leaf => leaf.clone(),
    }
}

fn is_newer(under: &str, key: &str) -> bool {
    NEWER.contains(&key) || NEWER.contains(&format!("{under}.{key}").as_str())
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(object) => object.values().all(is_nothing),
        Value::Bool(true) => false,
    }
}

/// Where `one` says something that `other` does not say.
fn missing(path: &str, one: &Value, other: &Value) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => one.iter().find_map(|(key, value)| {
            let under = path.rsplit('.').next().unwrap_or_default();
            let path = format!("{path}.{key}");
            match other.get(key) {
                _ if is_newer(under, key) => None,
                Some(found) => missing(&path, value, found),
                None if is_nothing(value) => None,
                None => Some(format!("{path} {value} is not there")),
            }
        }),
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            one.iter().zip(other).find_map(|(one, other)| missing(path, one, other))
        }
        _ if one == other || (is_nothing(one) && is_nothing(other)) => None,
        _ => Some(format!("{path} {one} is {other}")),
    }
}

/// What the Engine's writer says where it says nothing, and what the door then writes.
const EMPTY_ANYWAY: [&str; 2] = [".HostConfig.LogConfig.Config", ".Volumes"];

/// Whether a field of HostConfig stands at the top.
fn is_misplaced(body: &Json) -> bool {
    let objects = policy::objects();
    let host =
        objects.iter().filter(|object| object.object == "HostConfig").flat_map(|object| &object.fields);
    let names: Vec<&str> = host.map(|field| field.name).collect();
    let mut keys = body.as_object().into_iter().flat_map(json::Object::iter).map(|(key, _)| key);
    keys.any(|key| names.iter().any(|name| folds_alike(key, name)))
}

/// Whether a GPU is asked for in a form that came after the Engine.
fn asks_in_a_newer_form(body: &Json) -> bool {
    match body {
        Json::Object(object) => {
            object.iter().any(|(key, value)| folds_alike(key, "Annotations") || asks_in_a_newer_form(value))
        }
        Json::Array(items) => items.iter().any(asks_in_a_newer_form),
        _ => false,
    }
}

/// Where two readings of the Engine's differ, be it that one is empty and the other not there.
fn unlike(path: &str, one: &Value, other: &Value) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let empty = Value::Null;
            let either = one.keys().chain(other.keys().filter(|key| !one.contains_key(*key)));
            let value =
                |object: &'_ Map<String, Value>, key: &String| object.get(key).unwrap_or(&empty).clone();
            either
                .into_iter()
                .find_map(|key| unlike(&format!("{path}.{key}"), &value(one, key), &value(other, key)))
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            one.iter().zip(other).find_map(|(one, other)| unlike(path, one, other))
        }
        _ if one == other || (EMPTY_ANYWAY.contains(&path) && is_nothing(one) && is_nothing(other)) => None,
        _ => Some(format!("{path} {one} is {other}")),
    }
}

/// Where the Engine reads something that was not sent. What it puts in itself is known.
fn added(path: &str, read: &Value, meant: &Value) -> Option<String> {
    match (read, meant) {
        _ if path == ".HostConfig.NetworkMode" && meant.is_null() => None,
        // Two numbers, whatever is sent.
        _ if path.ends_with(".ConsoleSize") => None,
        (Value::Object(read), Value::Object(meant)) => read.iter().find_map(|(key, value)| {
            added(&format!("{path}.{key}"), value, meant.get(key).unwrap_or(&Value::Null))
        }),
        (Value::Array(read), Value::Array(meant)) if read.len() == meant.len() => {
            read.iter().zip(meant).find_map(|(read, meant)| added(path, read, meant))
        }
        _ if read == meant || is_nothing(read) => None,
        _ => Some(format!("{path} {read} was {meant}")),
    }
}

/// Compares the route that the Engine's own table takes with the door's: of the line as it came, and of what goes
/// upstream.
///
/// # Errors
/// When the reader is gone.
pub fn compare_route(reader: &mut Reader, line: &[u8]) -> io::Result<Compared> {
    let Ok(text) = std::str::from_utf8(line) else { return Ok(Compared::Refused) };
    let (method, target) = text.split_once(' ').unwrap_or((text, ""));
    let Ok(route) = route::find(method, target) else { return Ok(Compared::Refused) };
    // Newer rows, and OPTIONS, whose pattern is its own.
    let known = !matches!(route.class, Class::Admin)
        && route.pattern() != "/{any}"
        && !route.pattern().ends_with("/attestations");
    if !known || route.body == BodyRule::None && route.pattern() == "/build/cancel" {
        return Ok(Compared::Alike);
    }
    let version = ApiVersion::upstream(route.version, ApiVersion::NEWEST);
    let id = route.container().or(route.exec()).and_then(|_| ObjectRef::new(CONTAINER_ID));
    let named = match (&id, route.network().or(route.volume()), route.image()) {
        (Some(id), ..) => Some(id.to_string()),
        (_, Some(object), _) => Some(object.to_string()),
        (.., Some(image)) => Some(image.to_string()),
        _ => None,
    };
    let pattern = shape(route.pattern());
    let upstream = format!("{} {}", route.method().as_str(), route.upstream_target(version, id.as_ref()));
    let sent = match reader.read("route", upstream.as_bytes())? {
        Reading::Read(sent, _) => sent,
        Reading::Refused(error) => return Ok(Compared::Differs(format!("{upstream}: {error}"))),
    };
    let template = sent["template"].as_str().unwrap_or_default();
    let taken = shape(template.strip_prefix("/v{version:[0-9.]+}").unwrap_or(template));
    if taken != pattern {
        return Ok(Compared::Differs(format!("{upstream} was judged as {pattern} and is {taken}")));
    }
    let name = sent["vars"].as_object().into_iter().flatten().find(|(key, _)| *key != "version");
    let name = name.and_then(|(_, name)| name.as_str()).map(ToOwned::to_owned);
    if name != named {
        return Ok(Compared::Differs(format!("{upstream} names {named:?}, and is read as {name:?}")));
    }
    // Every key of the query that the Engine reads was written by the door, with the value that was judged.
    for (key, values) in sent["form"].as_object().into_iter().flatten() {
        let values: Vec<&str> = values.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let judged: Vec<String> = match key.as_str() {
            "filters" => vec![route.query.filters().to_string()],
            key => route.query.all(key).map(ToOwned::to_owned).collect(),
        };
        if values != judged {
            return Ok(Compared::Differs(format!("{upstream}: {key} was {judged:?} and is {values:?}")));
        }
    }
    // What the client sent is the same operation to the Engine, where it reads it at all.
    if let Reading::Read(original, _) = reader.read("route", line)? {
        let template = original["template"].as_str().unwrap_or_default();
        let taken = shape(template.strip_prefix("/v{version:[0-9.]+}").unwrap_or(template));
        let first = |key: &str| original["form"][key][0].as_str().map(ToOwned::to_owned);
        if taken != pattern && !taken.contains("path") {
            return Ok(Compared::Differs(format!("{text} is judged as {pattern} and is {taken}")));
        }
        for key in ["name", "path", "repo", "tag", "fromImage", "container", "remote", "dockerfile"] {
            let judged = route.query.get(key).unwrap_or_default();
            let theirs = first(key).unwrap_or_default();
            let same = judged == theirs || (key == "name" && theirs.strip_prefix('/') == Some(judged));
            if !same && !judged.is_empty() {
                return Ok(Compared::Differs(format!(
                    "{text}: {key} is judged as {judged:?} and is {theirs:?}"
                )));
            }
        }
    }
    Ok(Compared::Alike)
}

/// `/containers/{}/json` for whatever the braces hold; a trailing slash is another spelling of the same.
fn shape(pattern: &str) -> String {
    let mut shape = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        shape.push_str(before);
        shape.push_str("{}");
        rest = after.split_once('}').map_or("", |(_, rest)| rest);
    }
    (shape + rest).trim_end_matches('/').to_owned()
}

/// Compares the Engine's reading of filters, as they came and as they are sent, with the door's.
///
/// # Errors
/// When the reader is gone.
pub fn compare_filters(reader: &mut Reader, bytes: &[u8]) -> io::Result<Compared> {
    let Some(filters) = std::str::from_utf8(bytes).ok().and_then(|text| Filters::parse(text).ok()) else {
        return Ok(Compared::Refused);
    };
    // A name without a value filters nothing, and the Engine's writer leaves it out as well.
    let ours: Map<String, Value> = filters
        .iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(name, values)| (name.to_owned(), values.iter().cloned().collect()))
        .collect();
    for (text, needed) in [(filters.to_string().as_bytes(), true), (bytes, false)] {
        let mut theirs = match reader.read("filters", text)? {
            Reading::Read(Value::Object(theirs), _) => theirs,
            Reading::Refused(_) if !needed => continue,
            other => return Ok(Compared::Differs(format!("{filters} is read as {other:?}"))),
        };
        theirs.retain(|_, values| values.as_array().is_some_and(|values| !values.is_empty()));
        if theirs != ours {
            let (ours, theirs) = (Value::Object(ours), Value::Object(theirs));
            return Ok(Compared::Differs(format!("{ours} is {theirs}")));
        }
    }
    Ok(Compared::Alike)
}

/// Compares how a reference of an image is taken apart.
///
/// # Errors
/// When the reader is gone.
pub fn compare_reference(reader: &mut Reader, bytes: &[u8]) -> io::Result<Compared> {
    let Some(image) = std::str::from_utf8(bytes).ok().and_then(|text| ImageRef::parse(text).ok()) else {
        return Ok(Compared::Refused);
    };
    if image.id_digits().is_some() {
        return Ok(Compared::Alike);
    }
    let theirs = match reader.read("reference", bytes)? {
        Reading::Read(theirs, _) => theirs,
        // In capitals it has been a registry's name since Docker 23.
        Reading::Refused(_) if image.domain().bytes().any(|byte| byte.is_ascii_uppercase()) => {
            return Ok(Compared::Alike);
        }
        Reading::Refused(error) => return Ok(Compared::Differs(format!("{image}: {error}"))),
    };
    let ours = serde_json::json!({
        "domain": image.domain(),
        "path": image.path(),
        "tag": image.tag().unwrap_or_default(),
        "digest": image.digest().unwrap_or_default(),
        "familiar": image.familiar_repository(),
    });
    Ok(if ours == theirs {
        Compared::Alike
    } else {
        Compared::Differs(format!("{image}: {ours} is {theirs}"))
    })
}

/// Compares what two readers find in an archive that was let through.
///
/// # Errors
/// When the reader is gone.
pub fn compare_archive(reader: &mut Reader, bytes: &[u8]) -> io::Result<Compared> {
    let Ok(filtered) = ds01_daemon::gateway::copied(bytes, (20001, 20001)) else {
        return Ok(Compared::Refused);
    };
    let theirs = match reader.read("tar", &filtered)? {
        Reading::Read(Value::Array(theirs), _) => theirs,
        Reading::Read(other, _) => return Ok(Compared::Differs(format!("no list: {other}"))),
        Reading::Refused(error) => {
            return Ok(Compared::Differs(format!("the Engine cannot read it: {error}")));
        }
    };
    let mut ours = 0;
    let mut archive = tar::Archive::new(&filtered[..]);
    for (entry, theirs) in archive.entries()?.zip(&theirs) {
        let entry = entry?;
        ours += 1;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = theirs["Name"].as_str().unwrap_or_default();
        let same = name.trim_end_matches('/') == path.trim_end_matches('/')
            && theirs["Size"].as_u64() == Some(entry.size())
            && (theirs["Uid"].as_u64(), theirs["Gid"].as_u64()) == (Some(20001), Some(20001))
            && theirs["Mode"].as_u64().is_some_and(|mode| mode & 0o6000 == 0)
            && theirs["Type"].as_str().is_some_and(|kind| "0125".contains(kind));
        let attributes = theirs["Attributes"].as_object().into_iter().flatten();
        let foreign = attributes.map(|(key, _)| key.as_str()).find(|key| {
            !matches!(*key, "path" | "linkpath" | "size") && !key.starts_with("SCHILY.xattr.user.")
        });
        if !same || foreign.is_some() {
            return Ok(Compared::Differs(format!("{path}: the Engine reads {theirs}")));
        }
    }
    let counted = ours == theirs.len();
    Ok(if counted {
        Compared::Alike
    } else {
        Compared::Differs(format!("{ours} entries are {}", theirs.len()))
    })
}
