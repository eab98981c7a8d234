//! Answers for: how a container is put on a network.
//!
//! Must never: let a caller choose addresses or driver options.

use super::desk::Desk;
use super::refusal::Refusal;
use super::shape::Shape::{Integer, Text, Texts};
use super::table::Rule::{Check, Drop, Pass, Refuse};
use super::table::{Table, judge_object, row};
use crate::json::{Json, Object};

type Judged = Result<Option<Json>, Refusal>;

const ADDRESS: &str =
    "asks for a fixed address, which is not available here; use the container's name on the network instead";

/// `EndpointSettings`
pub(crate) const ENDPOINT: Table = &[
    row("IPAMConfig", 40, Check(ipam), "fixed addresses can be another's"),
    row("Links", 40, Pass(Texts), "names on the caller's own network: nothing is looked up beyond it"),
    row("Aliases", 40, Pass(Texts), "names on the caller's own network"),
    row("MacAddress", 40, Check(mac_address), "can be another machine's"),
    row("DriverOpts", 40, Check(driver_opts), "set kernel parameters of the interface"),
    row("GwPriority", 48, Pass(Integer), "which of the own networks leads out"),
    row("NetworkID", 40, Drop, "the Engine's answer, not a wish"),
    row("EndpointID", 40, Drop, "the Engine's answer, not a wish"),
    row("Gateway", 40, Drop, "the Engine's answer, not a wish"),
    row("IPAddress", 40, Drop, "the Engine's answer, not a wish"),
    row("IPPrefixLen", 40, Drop, "the Engine's answer, not a wish"),
    row("IPv6Gateway", 40, Drop, "the Engine's answer, not a wish"),
    row("GlobalIPv6Address", 40, Drop, "the Engine's answer, not a wish"),
    row("GlobalIPv6PrefixLen", 40, Drop, "the Engine's answer, not a wish"),
    row("DNSNames", 44, Drop, "the Engine's answer, not a wish"),
];

/// `EndpointIPAMConfig`
pub(crate) const ENDPOINT_IPAM: Table = &[
    row("IPv4Address", 40, Refuse(Text, ADDRESS), "can be another's"),
    row("IPv6Address", 40, Refuse(Text, ADDRESS), "can be another's"),
    row("LinkLocalIPs", 40, Refuse(Texts, ADDRESS), "can be another's"),
];

pub(crate) fn judge_endpoint(desk: &mut Desk<'_>, path: &str, value: &Json) -> Result<Object, Refusal> {
    judge_object(ENDPOINT, desk, path, value)
}

fn ipam(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let judged = judge_object(ENDPOINT_IPAM, desk, path, value.unwrap_or(&Json::Null))?;
    Ok((!judged.is_empty()).then_some(Json::Object(judged)))
}

fn mac_address(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    if !super::fields::text(path, value)?.is_empty() {
        desk.warn("MacAddress was dropped: the Engine chooses addresses here.");
    }
    Ok(None)
}

fn driver_opts(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let given = super::fields::text_map(path, value)?;
    if given.is_empty() {
        return Ok(None);
    }
    if desk.rules.admin {
        return Ok(Some(super::fields::map_json(&given)));
    }
    desk.warn("DriverOpts of a network were dropped: they are the admin's.");
    Ok(None)
}
