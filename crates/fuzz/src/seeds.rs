//! Where a run begins: the kept seeds of a target, and the requests of the hostile cases.
//!
//! They must never be made up here: each is a file that can be read and added to.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::targets::{Shape, Target};

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_owned).unwrap_or_default()
}

/// The kept seeds, in the order of their names.
///
/// # Panics
/// When there are none: a run without a beginning shows nothing.
#[must_use]
pub fn kept(target: &Target) -> Vec<Vec<u8>> {
    let folder = root().join("tests/fuzz/seeds").join(target.name);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .flatten()
        .map(|file| file.path())
        .collect();
    files.sort();
    let mut seeds: Vec<Vec<u8>> = files.iter().filter_map(|file| fs::read(file).ok()).collect();
    assert!(!seeds.is_empty(), "{} is empty", folder.display());
    seeds.extend(hostile(target));
    seeds
}

/// Which path a case's request has where its body is one of the target.
fn path_of(target: &Target) -> Option<(&'static str, &'static str)> {
    Some(match target.name {
        "create" => ("/containers/create", ""),
        "update" => ("/containers/", "/update"),
        "exec" => ("/containers/", "/exec"),
        "exec-start" => ("/exec/", "/start"),
        "commit" => ("/commit", ""),
        "volume" => ("/volumes/create", ""),
        "network" => ("/networks/create", ""),
        "connect" => ("/networks/", "/connect"),
        "disconnect" => ("/networks/", "/disconnect"),
        "auth" => ("/auth", ""),
        _ => return None,
    })
}

/// The bodies and request lines of `tests/redteam/cases`, and of the cases that the unit tests have.
fn hostile(target: &Target) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for folder in ["tests/redteam/cases", "crates/docker/tests/data/redteam"] {
        let mut files: Vec<PathBuf> = fs::read_dir(root().join(folder))
            .into_iter()
            .flatten()
            .flatten()
            .map(|file| file.path())
            .collect();
        files.sort();
        for file in files {
            let read = fs::read(&file).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
            collect(target, &read.unwrap_or_default(), &mut found);
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Requests lie in lists of cases, and in lists of steps within those.
fn collect(target: &Target, value: &Value, found: &mut Vec<Vec<u8>>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(target, item, found)),
        Value::Object(object) => {
            if let Some(path) = object.get("path").and_then(Value::as_str) {
                let method = object.get("method").and_then(Value::as_str).unwrap_or("POST");
                request(target, method, path, object.get("body"), found);
            }
            object.values().for_each(|inner| collect(target, inner, found));
        }
        _ => {}
    }
}

fn request(target: &Target, method: &str, path: &str, body: Option<&Value>, found: &mut Vec<Vec<u8>>) {
    if target.shape == Shape::Line {
        found.push(fill(&format!("{method} {path}")).into_bytes());
        return;
    }
    let plain = path.split('?').next().unwrap_or_default();
    let Some((before, after)) = path_of(target) else { return };
    if !(plain.contains(before) && plain.ends_with(after)) || (after.is_empty() && !plain.ends_with(before)) {
        return;
    }
    let text = match body {
        None | Some(Value::Null) => return,
        Some(Value::String(text)) => text.clone(),
        Some(object) => object.to_string(),
    };
    found.push(fill(&text).into_bytes());
}

/// The placeholders of the cases, with somebody's values.
fn fill(text: &str) -> String {
    let known = [
        ("{ALICE_UID}", "20001"),
        ("{ALICE_GID}", "20001"),
        ("{ALICE_GROUP2}", "20100"),
        ("{ALICE_HOME}", "/home/alice"),
        ("{SHARED}", "/srv/datasets"),
        ("{QUOTA_MEM}", "68719476736"),
    ];
    let text = known.iter().fold(text.to_owned(), |text, (place, value)| text.replace(place, value));
    let mut filled = String::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find('{') {
        let name: String = rest[start + 1..]
            .chars()
            .take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_')
            .collect();
        let is_place = name.len() > 2 && rest[start + 1 + name.len()..].starts_with('}');
        filled.push_str(&rest[..start]);
        if is_place {
            filled.push_str(&name.to_ascii_lowercase().replace('_', "-"));
            rest = &rest[start + name.len() + 2..];
        } else {
            filled.push('{');
            rest = &rest[start + 1..];
        }
    }
    filled + rest
}
