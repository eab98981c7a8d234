//! Answers for: where a container's output is written.
//!
//! Must never: let the Engine, which is root, connect or read a file on a user's word, or fill memory and disk that
//! are everybody's.

use super::super::desk::Desk;
use super::super::fields::{map_json, text, text_map};
use super::super::refusal::Refusal;
use super::super::size::{parse_size, show_size};
use super::super::table::Rule::Check;
use super::super::table::{Table, judge_object, row};
use crate::json::Json;

type Judged = Result<Option<Json>, Refusal>;

const DRIVERS: [&str; 4] = ["", "json-file", "local", "none"];
/// Drivers that Docker brings along and that connect somewhere.
const CONNECTING: [&str; 9] =
    ["awslogs", "etwlogs", "fluentd", "gcplogs", "gelf", "journald", "logentries", "splunk", "syslog"];
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
/// The most files, which are all renamed when one is full.
const LOG_FILES_MAX: u64 = 10;
/// The longest file where the rules give none, in bytes.
const LOG_BYTES_MAX: u64 = 1 << 30;
/// The most output that waits for the disk in the Engine's own memory, in bytes.
const LOG_BUFFER_BYTES_MAX: u64 = 16 << 20;
/// The longest tag: it is written with every line.
const TAG_BYTES_MAX: usize = 256;
/// What a tag may be made of; the Engine would carry out functions as well, with its own memory.
const TAG_FIELDS: [&str; 8] =
    ["DaemonName", "FullID", "ID", "ImageFullID", "ImageID", "ImageName", "Name", "ContainerName"];

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
    if !CONNECTING.contains(&given.as_str()) {
        return Err(Refusal::bad(format!("logger: no log driver named '{given}' is registered")));
    }
    Err(Refusal::forbidden(format!(
        "\"{path}\" {given:?} would make the Engine connect as root; use json-file, local or none"
    )))
}

fn options(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let mut given = text_map(path, value)?;
    if desk.rules.admin {
        return Ok(Some(map_json(&given)));
    }
    for (key, value) in &mut given {
        match key.as_str() {
            "max-size" => lower(desk, key, value, desk.rules.log_bytes.unwrap_or(LOG_BYTES_MAX), parse_size),
            "max-file" => lower(desk, key, value, LOG_FILES_MAX, |text| text.parse().ok()),
            "max-buffer-size" => lower(desk, key, value, LOG_BUFFER_BYTES_MAX, parse_size),
            "tag" if !is_plain_tag(value) => {
                return Err(Refusal::bad(format!(
                    "\"{path}\" has a tag that is not made of text and {{{{.Name}}}}, {{{{.ID}}}}, {{{{.ImageName}}}} and \
                     the like; write it without functions"
                )));
            }
            known if OPTIONS.contains(&known) => {}
            _ => {
                return Err(Refusal::forbidden(format!(
                    "\"{path}\" has the option {key:?}, which is not available here; leave it out"
                )));
            }
        }
    }
    Ok(Some(map_json(&given)))
}

/// Lowers an amount that is more than `most`, or is none that the Engine could read otherwise.
fn lower(desk: &mut Desk<'_>, key: &str, value: &mut String, most: u64, read: impl Fn(&str) -> Option<u64>) {
    if read(value).is_some_and(|asked| (1..=most).contains(&asked)) {
        return;
    }
    let shown = if key == "max-file" { most.to_string() } else { show_size(most) };
    desk.warn(format!("Log option {key} was set to {shown}, the most here."));
    *value = most.to_string();
}

/// Text, and fields in double braces by themselves.
fn is_plain_tag(tag: &str) -> bool {
    let mut parts = tag.split("{{");
    let text = |text: &str| !text.contains("}}");
    tag.len() <= TAG_BYTES_MAX
        && parts.next().is_some_and(text)
        && parts.all(|part| {
            part.split_once("}}").is_some_and(|(field, rest)| {
                field.trim().strip_prefix('.').is_some_and(|name| TAG_FIELDS.contains(&name)) && text(rest)
            })
        })
}

#[cfg(test)]
mod tests {
    use super::is_plain_tag;

    #[test]
    fn a_tag_is_text_and_fields() {
        for fine in ["", "x", "a/{{.Name}}", "{{.ImageName}}|{{ .Name }}|{{.FullID}}", "{}", "a}b{c"] {
            assert!(is_plain_tag(fine), "{fine}");
        }
        let long = "x".repeat(257);
        for wrong in [
            r#"{{pad "x" 300000000 0}}"#,
            "{{.}}",
            "{{.Config}}",
            "{{json .}}",
            "{{.Name",
            "}}{{.Name}}",
            "{{.Name}}}}",
            "{{{.Name}}",
            "{{- .Name}}",
            "{{.Name | upper}}",
            "{{/* */}}",
            "{{range .Config}}{{end}}",
            long.as_str(),
        ] {
            assert!(!is_plain_tag(wrong), "{wrong}");
        }
    }
}
