//! Answers for: where a container's output is written.
//!
//! Must never: let the Engine, which is root, connect or read a file on a user's word.

use super::super::desk::Desk;
use super::super::fields::{map_json, text, text_map};
use super::super::refusal::Refusal;
use super::super::size::{parse_size, show_size};
use super::super::table::Rule::Check;
use super::super::table::{Table, judge_object, row};
use crate::json::Json;

type Judged = Result<Option<Json>, Refusal>;

const DRIVERS: [&str; 4] = ["", "json-file", "local", "none"];
const OPTIONS: [&str; 10] = [
    "compress",
    "env",
    "env-regex",
    "labels",
    "labels-regex",
    "max-buffer-size",
    "max-file",
    "max-size",
    "mode",
    "tag",
];
/// Files of the largest size that are kept where the limit is set here.
const LOG_FILES: &str = "2";

/// `LogConfig`
pub(crate) const LOG: Table = &[
    row("Type", 40, Check(driver), "other drivers connect as root"),
    row("Config", 40, Check(options), "some options name files and addresses"),
];

pub(crate) fn log_config(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    if value.is_none_or(|value| *value == Json::Null) && (desk.rules.admin || desk.rules.log_bytes.is_none())
    {
        return Ok(None);
    }
    let mut judged = judge_object(LOG, desk, path, value.unwrap_or(&Json::Null))?;
    let Some(most) = desk.rules.log_bytes.filter(|_| !desk.rules.admin) else {
        return Ok(Some(Json::Object(judged)));
    };
    let driver = judged.get("Type").and_then(Json::as_str).unwrap_or_default().to_owned();
    if driver == "none" {
        return Ok(Some(Json::Object(judged)));
    }
    let mut config = text_map(path, judged.get("Config"))?;
    let asked = config.iter().find(|(key, _)| key == "max-size").map(|(_, value)| value.clone());
    let files = config.iter().any(|(key, _)| key == "max-file");
    match asked.as_deref().map(parse_size) {
        Some(Some(size)) if size > 0 && size <= most => {}
        Some(_) => {
            config.retain(|(key, _)| key != "max-size");
            config.push(("max-size".to_owned(), most.to_string()));
            desk.warn(format!("Log files are at most {} long here.", show_size(most)));
        }
        None => {
            config.push(("max-size".to_owned(), most.to_string()));
            if !files {
                config.push(("max-file".to_owned(), LOG_FILES.to_owned()));
            }
        }
    }
    if driver.is_empty() {
        judged.set("Type", Json::text("json-file"));
    }
    judged.set("Config", map_json(&config));
    Ok(Some(Json::Object(judged)))
}

fn driver(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = text(path, value)?;
    if desk.rules.admin || DRIVERS.contains(&given.as_str()) {
        return Ok(Some(Json::text(given)));
    }
    Err(Refusal::forbidden(format!(
        "\"{path}\" {given:?} would make the Engine connect as root; use json-file, local or none"
    )))
}

fn options(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = text_map(path, value)?;
    if !desk.rules.admin
        && let Some((key, _)) = given.iter().find(|(key, _)| !OPTIONS.contains(&key.as_str()))
    {
        return Err(Refusal::forbidden(format!(
            "\"{path}\" has the option {key:?}, which is not available here; leave it out"
        )));
    }
    Ok(Some(map_json(&given)))
}
