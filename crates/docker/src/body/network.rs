//! Answers for: the bodies of network create, connect and disconnect.
//!
//! Must never: let a caller choose a driver, an address range or an interface of the host.

use super::create::container_name;
use super::desk::{Desk, Stage};
use super::endpoint::judge_endpoint;
use super::fields::{map_json, short_labels, text, text_map};
use super::refusal::Refusal;
use super::rules::Rules;
use super::shape::Shape::{Bool, Struct, Text, TextMap};
use super::shape::{Part, Shape, part};
use super::table::Rule::{Allow, Check, Pass, Refuse, Set};
use super::table::{Table, judge_object, row};
use super::volume::set_label;
use crate::json::{Json, Object, parse};
use crate::object::ObjectRef;

type Judged = Result<Option<Json>, Refusal>;

const SWARM: &str = "is for swarm and not available here; leave it out";
const IPV6: &str = "is not available here: the lab has no range for it; leave it out";
const OWN_RANGE: &str =
    "chooses addresses, which can shadow machines of the lab; leave it out and Docker finds a free range";

/// `IPAMConfig`; older clients write `AuxAddress` in their own spelling.
pub(crate) const IPAM_CONFIG: &[Part] = &[
    part("Subnet", Text),
    part("IPRange", Text),
    part("Gateway", Text),
    part("AuxiliaryAddresses", TextMap),
];

/// `ConfigReference`
pub(crate) const CONFIG_FROM: &[Part] = &[part("Network", Text)];

/// Body of `POST /networks/create`.
pub(crate) const NETWORK: Table = &[
    row("Name", 40, Check(name), "the daemon looks whether it is free"),
    row("CheckDuplicate", 40, Pass(Bool), "two networks of one name help nobody"),
    row("Driver", 40, Allow(driver), "macvlan, ipvlan and plugins reach the lab's network"),
    row("Scope", 41, Allow(scope), "swarm"),
    row("Internal", 40, Pass(Bool), "tightening"),
    row("Attachable", 40, Pass(Bool), "Compose always sends it; means nothing on a bridge"),
    row("Ingress", 40, Refuse(Bool, SWARM), "swarm"),
    row("ConfigOnly", 41, Refuse(Bool, SWARM), "swarm"),
    row("ConfigFrom", 41, Refuse(Struct(CONFIG_FROM), SWARM), "swarm"),
    row("IPAM", 40, Check(ipam), "its own table"),
    row("EnableIPv4", 47, Pass(Bool), "which addresses the network has"),
    row("EnableIPv6", 40, Refuse(Bool, IPV6), "addresses without translation"),
    row("Options", 40, Allow(options), "bridge.name takes an interface of the host"),
    row("Labels", 40, Set(short_labels), "ds01.* are the daemon's; everybody's lists are made of them"),
];

/// `IPAM`
pub(crate) const IPAM: Table = &[
    row("Driver", 40, Allow(ipam_driver), "plugins"),
    row("Config", 40, Refuse(Shape::List(&Struct(IPAM_CONFIG)), OWN_RANGE), "shadows machines of the lab"),
    row("Options", 40, Refuse(TextMap, OWN_RANGE), "for plugins"),
];

/// Body of `POST /networks/{id}/connect`.
pub(crate) const CONNECT: Table = &[
    row("Container", 40, Check(container), "the daemon answers with a full id"),
    row("EndpointConfig", 40, Check(endpoint), "its own table"),
];

/// Body of `POST /networks/{id}/disconnect`.
pub(crate) const DISCONNECT: Table = &[
    row("Container", 40, Check(container), "the daemon answers with a full id"),
    row("Force", 40, Pass(Bool), "of the caller's own container"),
];

fn name(_desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = text(path, value)?;
    if matches!(given.as_str(), "bridge" | "host" | "none" | "default") || given.starts_with("container:") {
        return Err(Refusal::forbidden(format!(
            "\"{path}\" {given:?} is the Engine's own; choose another name"
        )));
    }
    if ObjectRef::new(&given).is_none() {
        return Err(Refusal::bad(format!(
            "\"{path}\" {given:?} is no name: letters, digits, `_`, `.` and `-`, the first a letter or digit"
        )));
    }
    Ok(Some(Json::text(given)))
}

fn driver(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = text(path, value)?;
    if desk.rules.admin || matches!(given.as_str(), "" | "default" | "bridge") {
        return Ok((!given.is_empty()).then(|| Json::text(given)));
    }
    Err(Refusal::forbidden(format!("\"{path}\" {given:?} is not available here; use bridge")))
}

fn scope(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = text(path, value)?;
    if desk.rules.admin || matches!(given.as_str(), "" | "local") {
        return Ok((!given.is_empty()).then(|| Json::text(given)));
    }
    Err(Refusal::forbidden(format!("\"{path}\" {given:?} {SWARM}")))
}

fn ipam(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let judged = judge_object(IPAM, desk, path, value.unwrap_or(&Json::Null))?;
    Ok((!judged.is_empty()).then_some(Json::Object(judged)))
}

fn ipam_driver(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = text(path, value)?;
    if desk.rules.admin || matches!(given.as_str(), "" | "default") {
        return Ok((!given.is_empty()).then(|| Json::text(given)));
    }
    Err(Refusal::forbidden(format!("\"{path}\" {given:?} is not available here; leave it out")))
}

fn options(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = text_map(path, value)?;
    if !desk.rules.admin
        && let Some((key, _)) = given.iter().find(|(key, _)| key != "com.docker.network.driver.mtu")
    {
        return Err(Refusal::forbidden(format!(
            "\"{path}\" has the option {key:?}, which is not available here; leave it out"
        )));
    }
    Ok((!given.is_empty()).then(|| map_json(&given)))
}

fn container(_desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    Ok(Some(Json::text(container_name(path, &text(path, value)?)?)))
}

fn endpoint(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    match value {
        None | Some(Json::Null) => Ok(None),
        Some(value) => Ok(Some(Json::Object(judge_endpoint(desk, path, value)?))),
    }
}

fn judge(table: Table, body: &[u8], rules: &Rules) -> Result<(Object, Vec<String>), Refusal> {
    let tree = parse(body)?;
    let mut desk = Desk::new(rules, Stage::Create);
    let judged = judge_object(table, &mut desk, "", &tree)?;
    Ok((judged, desk.warnings))
}

/// A new network that was judged.
#[derive(Clone, Debug)]
pub struct JudgedNetwork {
    body: Object,
    warnings: Vec<String>,
}

/// Judges the body of `POST /networks/create`.
///
/// # Errors
/// A [`Refusal`] that names the first field that cannot be sent on.
pub fn judge_network(body: &[u8], rules: &Rules) -> Result<JudgedNetwork, Refusal> {
    let (body, warnings) = judge(NETWORK, body, rules)?;
    Ok(JudgedNetwork { body, warnings })
}

impl JudgedNetwork {
    /// The name asked for.
    #[must_use]
    pub fn name(&self) -> &str {
        self.body.get("Name").and_then(Json::as_str).unwrap_or_default()
    }

    /// What was dropped, in sentences.
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

/// A container that is put on a network.
#[derive(Clone, Debug)]
pub struct JudgedConnect {
    body: Object,
    warnings: Vec<String>,
}

/// Judges the body of `POST /networks/{id}/connect`.
///
/// # Errors
/// A [`Refusal`] that names the first field that cannot be sent on.
pub fn judge_connect(body: &[u8], rules: &Rules) -> Result<JudgedConnect, Refusal> {
    let (body, warnings) = judge(CONNECT, body, rules)?;
    Ok(JudgedConnect { body, warnings })
}

impl JudgedConnect {
    /// The container, as the caller wrote it.
    #[must_use]
    pub fn container(&self) -> &str {
        self.body.get("Container").and_then(Json::as_str).unwrap_or_default()
    }

    /// What was dropped, in sentences.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The body for the Engine, with the container's full id.
    #[must_use]
    pub fn into_body(mut self, id: &str) -> Vec<u8> {
        self.body.set("Container", Json::text(id));
        Json::Object(self.body).to_bytes()
    }
}

/// A container that is taken off a network.
#[derive(Clone, Debug)]
pub struct JudgedDisconnect {
    body: Object,
}

/// Judges the body of `POST /networks/{id}/disconnect`.
///
/// # Errors
/// A [`Refusal`] that names the first field that cannot be sent on.
pub fn judge_disconnect(body: &[u8], rules: &Rules) -> Result<JudgedDisconnect, Refusal> {
    let (body, _) = judge(DISCONNECT, body, rules)?;
    Ok(JudgedDisconnect { body })
}

impl JudgedDisconnect {
    /// The container, as the caller wrote it.
    #[must_use]
    pub fn container(&self) -> &str {
        self.body.get("Container").and_then(Json::as_str).unwrap_or_default()
    }

    /// The body for the Engine, with the container's full id.
    #[must_use]
    pub fn into_body(mut self, id: &str) -> Vec<u8> {
        self.body.set("Container", Json::text(id));
        Json::Object(self.body).to_bytes()
    }
}
