//! Writing device nodes into a specification.

use serde_json::{Value, json};

use crate::select::Edits;

const VISIBLE_DEVICES: &str = "NVIDIA_VISIBLE_DEVICES=";

/// Makes `linux.devices`, the device-cgroup rules and the environment say what was selected.
pub(crate) fn inject(spec: &mut Value, edits: &Edits) {
    for node in &edits.nodes {
        let entry = json!({"path": node.path, "type": node.kind, "major": node.major, "minor": node.minor});
        let devices = list(&mut spec["linux"]["devices"]);
        devices.retain(|other| other["path"] != entry["path"]);
        devices.push(entry);
        list(&mut spec["linux"]["resources"]["devices"]).push(json!({
            "allow": true, "type": node.kind, "major": node.major, "minor": node.minor, "access": edits.access,
        }));
    }
    if edits.void {
        let env = list(&mut spec["process"]["env"]);
        env.retain(|entry| entry.as_str().is_none_or(|text| !text.starts_with(VISIBLE_DEVICES)));
        env.push(json!(format!("{VISIBLE_DEVICES}void")));
    }
}

/// The list that stands here; what is there and is no list becomes an empty one.
fn list(place: &mut Value) -> &mut Vec<Value> {
    if !place.is_array() {
        *place = json!([]);
    }
    match place {
        Value::Array(list) => list,
        _ => unreachable!("it has just been made a list"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Node;

    #[test]
    fn nodes_rules_and_environment() {
        let mut spec = json!({
            "process": {"env": ["A=b", "NVIDIA_VISIBLE_DEVICES=GPU-1", "NVIDIA_VISIBLE_DEVICES=0"]},
            "linux": {"resources": {"devices": [{"allow": false, "access": "rwm"}]}},
        });
        let node = Node { path: "/dev/nvidia0".to_owned(), kind: "b".to_owned(), major: 7, minor: 3 };
        inject(&mut spec, &Edits { nodes: vec![node], access: "rw", void: true });
        assert_eq!(
            spec,
            json!({
                "process": {"env": ["A=b", "NVIDIA_VISIBLE_DEVICES=void"]},
                "linux": {
                    "devices": [{"path": "/dev/nvidia0", "type": "b", "major": 7, "minor": 3}],
                    "resources": {"devices": [
                        {"allow": false, "access": "rwm"},
                        {"allow": true, "type": "b", "major": 7, "minor": 3, "access": "rw"},
                    ]},
                },
            })
        );
    }
}
