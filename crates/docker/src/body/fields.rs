//! Answers for: rows that several bodies share: labels, working directory, health check, stop timeout.
//!
//! Must never: differ between the bodies that use them.

use super::desk::Desk;
use super::paths::{beneath, clean};
use super::refusal::Refusal;
use super::shape::Shape;
use super::table::{Rule, Table, judge_object, row};
use crate::json::{Json, Object};

/// Prefix of the labels that only the daemon writes.
pub(crate) const OWN_LABEL_PREFIX: &str = "ds01.";
/// The one of them that an administrator says: that a container is the lab's own.
pub(crate) const KIND_LABEL: &str = "ds01.kind";
/// Its only value.
pub(crate) const INFRASTRUCTURE: &str = "infrastructure";

/// Longest stop timeout in seconds that a container may ask for: an idle stop waits that long.
pub(crate) const STOP_TIMEOUT_S_MAX: i64 = 120;

/// The most bytes of labels of one volume or network.
pub(crate) const LABEL_BYTES_MAX: usize = 4096;

/// Shortest time between two health checks, in nanoseconds.
pub(crate) const HEALTH_INTERVAL_NS_MIN: i64 = 1_000_000_000;
/// What is shorter is refused by the Engine, and is meant as another unit.
const HEALTH_INTERVAL_NS_UNDERSTOOD: i64 = 1_000_000;

/// A string; absent, null and empty are the same.
pub(crate) fn text(path: &str, value: Option<&Json>) -> Result<String, Refusal> {
    match value.map(|value| Shape::Text.read(path, value)).transpose()?.flatten() {
        Some(Json::String(text)) => Ok(text),
        _ => Ok(String::new()),
    }
}

/// A whole number, if one is given.
pub(crate) fn integer(path: &str, value: Option<&Json>) -> Result<Option<i64>, Refusal> {
    Ok(value.map(|value| Shape::Integer.read(path, value)).transpose()?.flatten().and_then(|v| v.as_i64()))
}

/// A boolean; absent and null are false.
pub(crate) fn boolean(path: &str, value: Option<&Json>) -> Result<bool, Refusal> {
    Ok(value.map(|value| Shape::Bool.read(path, value)).transpose()?.flatten() == Some(Json::Bool(true)))
}

/// A list of strings; absent and null are empty.
pub(crate) fn texts(path: &str, value: Option<&Json>) -> Result<Vec<String>, Refusal> {
    let read = value.map(|value| Shape::Texts.read(path, value)).transpose()?.flatten();
    let Some(Json::Array(items)) = read else { return Ok(Vec::new()) };
    Ok(items
        .into_iter()
        .filter_map(|item| if let Json::String(text) = item { Some(text) } else { None })
        .collect())
}

/// A free map of strings; absent and null are empty.
pub(crate) fn text_map(path: &str, value: Option<&Json>) -> Result<Vec<(String, String)>, Refusal> {
    let read = value.map(|value| Shape::TextMap.read(path, value)).transpose()?.flatten();
    let Some(Json::Object(object)) = read else { return Ok(Vec::new()) };
    Ok(object.iter().filter_map(|(key, value)| Some((key.to_owned(), value.as_str()?.to_owned()))).collect())
}

/// A free map, written anew.
pub(crate) fn map_json<'a>(entries: impl IntoIterator<Item = &'a (String, String)>) -> Json {
    Json::Object(entries.into_iter().map(|(key, value)| (key.clone(), Json::text(value))).collect())
}

/// Labels without those that only the daemon may write.
pub(crate) fn labels(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Result<Option<Json>, Refusal> {
    let given = text_map(path, value)?;
    let own: Vec<&str> =
        given.iter().map(|(key, _)| key.as_str()).filter(|key| key.starts_with(OWN_LABEL_PREFIX)).collect();
    let own: Vec<&str> = own.into_iter().filter(|key| !(desk.rules.admin && *key == KIND_LABEL)).collect();
    if !own.is_empty() {
        desk.warn(format!(
            "Labels that begin with {OWN_LABEL_PREFIX} are written by DS01 only: {} dropped.",
            own.join(", ")
        ));
    }
    if value.is_none_or(|value| *value == Json::Null) {
        return Ok(None);
    }
    Ok(Some(map_json(given.iter().filter(|(key, _)| !key.starts_with(OWN_LABEL_PREFIX)))))
}

/// Labels of a volume or a network. Everybody's lists are made of all of them, so they are short.
pub(crate) fn short_labels(
    desk: &mut Desk<'_>,
    path: &str,
    value: Option<&Json>,
) -> Result<Option<Json>, Refusal> {
    let judged = labels(desk, path, value)?;
    let bytes = judged.as_ref().and_then(Json::as_object).map_or(0, text_bytes);
    if bytes > LABEL_BYTES_MAX && !desk.rules.admin {
        return Err(Refusal::bad(format!(
            "\"{path}\" has {bytes} bytes of labels; {LABEL_BYTES_MAX} are the most here, leave some out"
        )));
    }
    Ok(judged)
}

/// Bytes of the keys and values of a map of texts.
pub(crate) fn text_bytes(map: &Object) -> usize {
    map.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum()
}

/// A working directory that is no way out of the container.
pub(crate) fn working_dir(
    _desk: &mut Desk<'_>,
    path: &str,
    value: Option<&Json>,
) -> Result<Option<Json>, Refusal> {
    let given = text(path, value)?;
    if given.is_empty() {
        return Ok(value.map(|_| Json::text("")));
    }
    let Some(cleaned) = clean(&given) else {
        return Err(Refusal::bad(format!("\"{path}\" {given:?} is not an absolute path; begin it with /")));
    };
    if ["/proc", "/sys", "/dev/fd"].iter().any(|directory| beneath(&cleaned, directory)) {
        return Err(Refusal::forbidden(format!(
            "\"{path}\" may not lie in /proc, /sys or /dev/fd; choose another directory"
        )));
    }
    Ok(Some(Json::text(given)))
}

/// A stop timeout that an idle stop can wait for.
pub(crate) fn stop_timeout(
    desk: &mut Desk<'_>,
    path: &str,
    value: Option<&Json>,
) -> Result<Option<Json>, Refusal> {
    let Some(asked) = integer(path, value)? else { return Ok(None) };
    if (0..=STOP_TIMEOUT_S_MAX).contains(&asked) {
        return Ok(Some(Json::int(asked)));
    }
    desk.warn(format!("Stop timeout lowered to {STOP_TIMEOUT_S_MAX} seconds."));
    Ok(Some(Json::int(STOP_TIMEOUT_S_MAX)))
}

/// A health check that does not run all the time.
pub(crate) fn healthcheck(
    desk: &mut Desk<'_>,
    path: &str,
    value: Option<&Json>,
) -> Result<Option<Json>, Refusal> {
    match value {
        None | Some(Json::Null) => Ok(None),
        Some(value) => Ok(Some(Json::Object(judge_object(HEALTH, desk, path, value)?))),
    }
}

/// `HealthConfig`
pub(crate) const HEALTH: Table = &[
    row("Test", 40, Rule::Pass(Shape::Texts), "runs inside the container"),
    row("Interval", 40, Rule::Clamp(health_interval), "every check is an exec: not more than one a second"),
    row("Timeout", 40, Rule::Pass(Shape::Integer), "bounds a check"),
    row("Retries", 40, Rule::Pass(Shape::Integer), "counts checks"),
    row("StartPeriod", 40, Rule::Pass(Shape::Integer), "delays the verdict"),
    row("StartInterval", 44, Rule::Clamp(health_interval), "as Interval, while the container starts"),
];

fn health_interval(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Result<Option<Json>, Refusal> {
    let Some(asked) = integer(path, value)? else { return Ok(None) };
    if asked <= 0 || asked >= HEALTH_INTERVAL_NS_MIN {
        return Ok(Some(Json::int(asked)));
    }
    if asked < HEALTH_INTERVAL_NS_UNDERSTOOD {
        // Nanoseconds where the client meant seconds: a mistake that the Engine tells.
        let field = path.rsplit('.').next().unwrap_or(path);
        return Err(Refusal::bad(format!("{field} in Healthcheck cannot be less than 1ms")));
    }
    desk.warn("Health checks run at most once a second; the interval was raised to 1s.");
    Ok(Some(Json::int(HEALTH_INTERVAL_NS_MIN)))
}
