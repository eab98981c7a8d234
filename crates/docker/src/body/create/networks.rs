//! Answers for: the networks that a create body names.
//!
//! Must never: send a network's name on that the daemon has not answered.

use super::super::desk::Desk;
use super::super::endpoint::judge_endpoint;
use super::super::refusal::Refusal;
use super::super::table::Rule::Check;
use super::super::table::{Table, judge_object, row};
use super::spaces::DEFAULT_NETWORKS;
use crate::json::Json;

type Judged = Result<Option<Json>, Refusal>;

/// `NetworkingConfig`
pub(crate) const NETWORKING: Table =
    &[row("EndpointsConfig", 40, Check(endpoints), "every key is a network, whoever owns it")];

pub(crate) fn networking_config(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    judge_object(NETWORKING, desk, path, value.unwrap_or(&Json::Null))?;
    Ok(None)
}

/// Notes a network that the daemon must look up.
pub(crate) fn refer(desk: &mut Desk<'_>, name: &str) {
    if !desk.found.networks.iter().any(|known| known == name) {
        desk.found.networks.push(name.to_owned());
    }
}

fn endpoints(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let map = match value {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::Object(map)) => map,
        Some(other) => return Err(Refusal::wrong_kind(path, "an object", other.kind())),
    };
    if DEFAULT_NETWORKS.iter().all(|name| map.get(name).is_some()) {
        return Err(Refusal::bad(format!(
            "\"{path}\": default and bridge are the same network; name it once"
        )));
    }
    for (name, settings) in map.iter() {
        let path = format!("{path}[{name:?}]");
        let judged = judge_endpoint(desk, &path, settings)?;
        match name {
            "default" | "bridge" | "none" => {}
            "host" if desk.rules.admin => {}
            "host" => {
                return Err(Refusal::forbidden(format!(
                    "\"{path}\" is the host's own network and not available here; leave it out, or ask the admin"
                )));
            }
            "" => return Err(Refusal::bad(format!("\"{path}\" has no name"))),
            other => refer(desk, other),
        }
        desk.found.endpoints.push((name.to_owned(), Json::Object(judged)));
    }
    Ok(None)
}
