//! What images are used for here: packages by purpose. It must never ask whether a package exists.

use ds01_api::is_package;

use super::mistake::{Findings, shorten};
use super::read;
use super::yaml::{Entry, Node, Value};

/// The longest key of a purpose: it is typed.
const KEY_BYTES_MAX: usize = 32;
/// The longest title: it stands in a line with packages.
const TITLE_CHARS_MAX: usize = 60;
const KEYS: &[&str] = &["title", "packages", "system"];

/// A purpose, with the packages that serve it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseCase {
    /// What it is asked for by.
    pub key: String,
    /// For people.
    pub title: String,
    /// Python packages.
    pub packages: Vec<String>,
    /// Packages of the distribution.
    pub system: Vec<String>,
}

/// Reads `use_cases`, which replaces the command line's own list as a whole.
pub(super) fn use_cases(node: &Node, findings: &mut Findings) -> Vec<UseCase> {
    let entries = read::map(node, "use_cases", findings).unwrap_or(&[]);
    entries.iter().filter_map(|entry| use_case(entry, findings)).collect()
}

fn use_case(entry: &Entry, findings: &mut Findings) -> Option<UseCase> {
    let key = &entry.key;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let sound = (1..=KEY_BYTES_MAX).contains(&key.len()) && key.chars().all(plain) && !key.starts_with('-');
    if !sound {
        let problem =
            format!("use_cases: {} is not a name; use small letters, digits and dashes", shorten(key));
        findings.mistake(entry.place, problem);
        return None;
    }
    let mut read = UseCase { key: key.clone(), title: key.clone(), packages: Vec::new(), system: Vec::new() };
    for part in read::map(&entry.value, key, findings)? {
        match part.key.as_str() {
            "title" => read.title = read::one(part, findings, title).unwrap_or_default(),
            "packages" => read.packages = packages(part, findings),
            "system" => read.system = packages(part, findings),
            _ => read::unknown(part, &format!("in use_cases: {key}"), KEYS, findings),
        }
    }
    if read.packages.is_empty() && read.system.is_empty() {
        findings.mistake(entry.place, format!("use_cases: {key} has no packages"));
    }
    Some(read)
}

fn title(text: &str) -> Result<String, String> {
    match text.chars().count() <= TITLE_CHARS_MAX && !text.contains(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err(format!("write one line of at most {TITLE_CHARS_MAX} characters")),
    }
}

fn packages(entry: &Entry, findings: &mut Findings) -> Vec<String> {
    let mut packages: Vec<String> = Vec::new();
    for item in read::list(&entry.value, &entry.key, findings).unwrap_or(&[]) {
        let problem = match &item.value {
            Value::Scalar { text, .. } if !is_package(text) => {
                format!("`{}` is not a package; write numpy, or numpy>=2", shorten(text))
            }
            Value::Scalar { text, .. } if packages.contains(text) => format!("{text} is listed twice"),
            Value::Scalar { text, .. } => {
                packages.push(text.clone());
                continue;
            }
            Value::Null | Value::List(_) | Value::Map(_) => {
                format!("{} where a package belongs", item.kind())
            }
        };
        findings.mistake(item.place, format!("{}: {problem}", entry.key));
    }
    packages
}
