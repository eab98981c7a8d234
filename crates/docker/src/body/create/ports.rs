//! Answers for: which ports of the host a container may be reached by.
//!
//! Must never: publish a port outside the range that the rules give.

use std::net::IpAddr;

use super::super::desk::Desk;
use super::super::refusal::Refusal;
use super::super::shape::{Part, Shape, part};
use crate::json::{Json, Object};

type Judged = Result<Option<Json>, Refusal>;

/// `PortBinding`
pub(crate) const PORT_BINDING: &[Part] = &[part("HostIp", Shape::Text), part("HostPort", Shape::Text)];

pub(crate) fn port_bindings(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let map = match value {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::Object(map)) => map,
        Some(other) => return Err(Refusal::wrong_kind(path, "an object", other.kind())),
    };
    let mut out = Object::new();
    for (port, bindings) in map.iter() {
        let path = format!("{path}[{port:?}]");
        let read = Shape::List(&Shape::Struct(PORT_BINDING)).read(&path, bindings)?;
        let Some(Json::Array(mut bindings)) = read else {
            out.set(port, Json::Null);
            continue;
        };
        for binding in &mut bindings {
            if let Json::Object(binding) = binding {
                judge_binding(desk, &path, binding)?;
            }
        }
        out.set(port, Json::Array(bindings));
    }
    Ok(Some(Json::Object(out)))
}

fn judge_binding(desk: &Desk<'_>, path: &str, binding: &mut Object) -> Result<(), Refusal> {
    let port = binding.get("HostPort").and_then(Json::as_str).unwrap_or_default();
    // Nothing and 0 leave the choice to the Engine. As the end of a range 0 is a port like others: what an Engine makes of
    // 0 to 2000 is its own business (20.10 refuses it, when the container starts).
    if !matches!(port, "" | "0") {
        let (first, last) = port.split_once('-').unwrap_or((port, port));
        for end in [first, last] {
            check_port(desk, path, end)?;
        }
    }
    let address = binding.get("HostIp").and_then(Json::as_str).unwrap_or_default();
    if address.is_empty() {
        if let Some(default) = &desk.rules.host_ip {
            binding.set("HostIp", Json::text(default));
        }
    } else if address.parse::<IpAddr>().is_err() {
        return Err(Refusal::bad(format!(
            "\"{path}\" names {address:?}, which is not an address of this machine"
        )));
    }
    Ok(())
}

fn check_port(desk: &Desk<'_>, path: &str, text: &str) -> Result<(), Refusal> {
    let port: u16 = text
        .parse()
        .map_err(|_| Refusal::bad(format!("\"{path}\" names the port {text:?}, which is no port number")))?;
    let range = &desk.rules.host_ports;
    if desk.rules.admin || range.contains(&port) {
        return Ok(());
    }
    Err(Refusal::forbidden(format!(
        "\"{path}\" publishes port {port} of the host; choose one from {} to {}",
        range.start(),
        range.end()
    )))
}
