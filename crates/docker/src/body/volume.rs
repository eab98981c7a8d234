//! Answers for: the body of volume create: a volume of the local driver, on disk or in memory.
//!
//! Must never: let a driver's options through that mount something.

use super::create::{check_volume_name, tmpfs_options};
use super::desk::{Desk, Stage};
use super::fields::{map_json, short_labels, text, text_map};
use super::refusal::Refusal;
use super::rules::Rules;
use super::table::Rule::{Allow, Check, Never, Set};
use super::table::{Table, judge_object, row};
use crate::json::{Json, Object, parse};

type Judged = Result<Option<Json>, Refusal>;

const MOUNTS_HOST: &str = "would mount parts of the host or of the network; leave it out, or ask the admin";

/// Body of `POST /volumes/create`.
pub(crate) const VOLUME: Table = &[
    row("Name", 40, Check(name), "an existing name gives the existing volume, whoever owns it"),
    row("Driver", 40, Allow(driver), "plugins mount anything"),
    row("DriverOpts", 40, Allow(driver_opts), "the local driver mounts anything"),
    row("Labels", 40, Set(short_labels), "ds01.* are the daemon's; everybody's lists are made of them"),
    row("ClusterVolumeSpec", 42, Never("is for swarm and not available here; leave it out"), "swarm"),
];

/// A volume that was judged.
#[derive(Clone, Debug)]
pub struct JudgedVolume {
    body: Object,
    warnings: Vec<String>,
}

fn name(_desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = text(path, value)?;
    if given.is_empty() {
        return Ok(None);
    }
    check_volume_name(path, &given)?;
    Ok(Some(Json::text(given)))
}

fn driver(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = text(path, value)?;
    if desk.rules.admin || matches!(given.as_str(), "" | "local") {
        return Ok((!given.is_empty()).then(|| Json::text(given)));
    }
    // 404 is what clients know of a driver that is not there.
    Err(Refusal::absent(format!("\"{path}\" {given:?} is not available here; leave it out (local)")))
}

/// Nothing, or a file system in memory within the memory limit.
fn driver_opts(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = text_map(path, value)?;
    if given.is_empty() {
        return Ok(None);
    }
    if desk.rules.admin {
        return Ok(Some(map_json(&given)));
    }
    let get = |name: &str| given.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let known = given.iter().all(|(key, _)| matches!(key.as_str(), "type" | "device" | "o"));
    if !known || get("type") != "tmpfs" || !matches!(get("device"), "" | "tmpfs") {
        return Err(Refusal::forbidden(format!("\"{path}\" {MOUNTS_HOST}")));
    }
    let mut options = get("o").to_owned();
    let sized = options.split(',').any(|option| option.starts_with("size="));
    if let (false, Some(most)) = (sized, desk.rules.limits.memory_bytes) {
        // A volume in memory outlives its containers; without a size it would be half the host's.
        options = format!("{options}{}size={most}", if options.is_empty() { "" } else { "," });
    }
    let options = tmpfs_options(desk, path, &options)?;
    Ok(Some(map_json(&[
        ("type".to_owned(), "tmpfs".to_owned()),
        ("device".to_owned(), "tmpfs".to_owned()),
        ("o".to_owned(), options),
    ])))
}

/// Judges the body of `POST /volumes/create`.
///
/// # Errors
/// A [`Refusal`] that names the first field that cannot be sent on.
pub fn judge_volume(body: &[u8], rules: &Rules) -> Result<JudgedVolume, Refusal> {
    let tree = parse(body)?;
    let mut desk = Desk::new(rules, Stage::Create);
    let judged = judge_object(VOLUME, &mut desk, "", &tree)?;
    Ok(JudgedVolume { body: judged, warnings: desk.warnings })
}

impl JudgedVolume {
    /// The name asked for; `None`: the Engine chooses one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.body.get("Name").and_then(Json::as_str)
    }

    /// What was dropped or lowered, in sentences.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Adds a label of the daemon's own.
    pub fn set_label(&mut self, key: &str, value: &str) {
        set_label(&mut self.body, key, value);
    }

    /// The body for the Engine.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        Json::Object(self.body).to_bytes()
    }
}

/// Puts a label of the daemon's own among the labels of a body.
pub(crate) fn set_label(body: &mut Object, key: &str, value: &str) {
    let mut labels = match body.remove("Labels") {
        Some(Json::Object(labels)) => labels,
        _ => Object::new(),
    };
    labels.set(key, Json::text(value));
    body.set("Labels", Json::Object(labels));
}
