//! Reading typed values out of the tree, one mistake each where they are not what the key takes.
//!
//! Every reader gives `None` after it has reported; whoever reads goes on with the next key.

use ds01_domain::Cap;

use super::mistake::{Findings, Place, shorten};
use super::yaml::{Entry, Node, Value};

/// How alike two keys are, from 0 to 1, before one is offered for the other.
const ALIKE_MIN: f64 = 0.84;
/// Keys that a message lists when no single one is meant.
const LISTED_MAX: usize = 10;

/// The value of a key that takes one word or amount.
pub(super) fn one<T>(
    entry: &Entry,
    findings: &mut Findings,
    read: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    let problem = match &entry.value.value {
        Value::Scalar { text, .. } if text.trim().is_empty() => "a value is missing".to_owned(),
        Value::Scalar { text, .. } => match read(text.trim()) {
            Ok(value) => return Some(value),
            Err(problem) => problem.replace(text.trim(), &shorten(text.trim())),
        },
        Value::Null => "a value is missing".to_owned(),
        Value::List(_) | Value::Map(_) => format!("{} where one value belongs", entry.value.kind()),
    };
    findings.mistake(entry.value.place, format!("{}: {problem}", entry.key));
    None
}

/// The value of a key that takes an amount, or `null` for no limit.
pub(super) fn cap<T>(
    entry: &Entry,
    findings: &mut Findings,
    read: impl Fn(&str) -> Result<T, String>,
) -> Option<Cap<T>> {
    match &entry.value.value {
        Value::Null => Some(Cap::Unlimited),
        Value::Scalar { text, .. } if text == "unlimited" => Some(Cap::Unlimited),
        _ => one(entry, findings, read).map(Cap::At),
    }
}

/// The text of a key that takes any word.
pub(super) fn word(entry: &Entry, findings: &mut Findings) -> Option<String> {
    one(entry, findings, |text| Ok(text.to_owned()))
}

/// The keys of a mapping; none where nothing is written.
pub(super) fn map<'a>(node: &'a Node, what: &str, findings: &mut Findings) -> Option<&'a [Entry]> {
    match &node.value {
        Value::Map(entries) => Some(entries),
        Value::Null => Some(&[]),
        _ => {
            let kind = node.kind();
            findings.mistake(node.place, format!("{what}: {kind} where `key: value` lines belong"));
            None
        }
    }
}

/// The items of a list; none where nothing is written.
pub(super) fn list<'a>(node: &'a Node, what: &str, findings: &mut Findings) -> Option<&'a [Node]> {
    match &node.value {
        Value::List(items) => Some(items),
        Value::Null => Some(&[]),
        Value::Scalar { text, .. } => {
            findings.mistake(node.place, format!("{what}: write a list: [{}]", shorten(text)));
            None
        }
        Value::Map(_) => {
            findings.mistake(node.place, format!("{what}: a mapping where a list belongs"));
            None
        }
    }
}

/// A list of names of users or groups, each once.
pub(super) fn names(entry: &Entry, findings: &mut Findings) -> Vec<(String, Place)> {
    let mut names: Vec<(String, Place)> = Vec::new();
    for item in list(&entry.value, &entry.key, findings).unwrap_or(&[]) {
        let problem = match &item.value {
            Value::Scalar { text, .. } if !is_name(text) => {
                format!("`{}` is not a name", shorten(text))
            }
            Value::Scalar { text, .. } if names.iter().any(|(name, _)| name == text) => {
                format!("{text} is listed twice")
            }
            Value::Scalar { text, .. } => {
                names.push((text.clone(), item.place));
                continue;
            }
            Value::Null => "null is nobody; put a name that YAML reads as nothing in quotes".to_owned(),
            Value::List(_) | Value::Map(_) => format!("{} where a name belongs", item.kind()),
        };
        findings.mistake(item.place, format!("{}: {problem}", entry.key));
    }
    names
}

/// Whether a user or group database could hold this name; directories allow nearly everything.
pub(super) fn is_name(text: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ':' | ',' | '/');
    !text.is_empty() && text.len() <= 256 && !text.contains(odd) && !text.starts_with('-')
}

/// Reports a key that nobody knows, with the one that was probably meant.
pub(super) fn unknown(entry: &Entry, place: &str, keys: &[&str], findings: &mut Findings) {
    let key = shorten(&entry.key);
    let instead = match nearest(&entry.key, keys) {
        Some(near) => format!("; did you mean `{near}`?"),
        None if super::limits::is_key(&entry.key) => {
            "; it belongs under `defaults`, a group or a user".to_owned()
        }
        None if keys.len() <= LISTED_MAX => format!("; there may be {}", keys.join(", ")),
        None => String::new(),
    };
    findings.mistake(entry.place, format!("unknown key `{key}` {place}{instead}"));
}

/// The key most like this one, if it is alike enough.
pub(super) fn nearest<'a>(key: &str, keys: &[&'a str]) -> Option<&'a str> {
    let key = key.to_ascii_lowercase().replace('-', "_");
    let alike = |other: &str| strsim::jaro_winkler(&key, other);
    let best = keys.iter().copied().max_by(|a, b| alike(a).total_cmp(&alike(b)))?;
    (alike(best) >= ALIKE_MIN).then_some(best)
}
