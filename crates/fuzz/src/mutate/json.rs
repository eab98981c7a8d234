//! JSON bodies: keys in other spellings, twice, moved; values of other kinds; parts of other bodies; texts that are no
//! JSON any more.
//!
//! It must never repair a body: what is written may hold a key twice, and a number that no reader takes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::OnceLock;

use ds01_docker::json::{self, Json};
use fastrand::Rng;
use serde_json::Value;

use super::plain;

/// A body in which everything can be written.
#[derive(Clone, Debug)]
enum Node {
    /// A value as it is written: a number, a word, a text with its quotes.
    Raw(String),
    List(Vec<Node>),
    /// The keys with their quotes.
    Members(Vec<(String, Node)>),
}

/// Values on which readers differ, or which somebody wants to pass.
const VALUES: [&str; 79] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "-1",
    "1.0",
    "1e0",
    "1E400",
    "0.5",
    "-0.0",
    "01",
    "+1",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "65536",
    "4294967296",
    "137438953472",
    "[]",
    "{}",
    "[null]",
    "[[]]",
    "{\"a\":null}",
    "\"\"",
    "\"0\"",
    "\"host\"",
    "\"none\"",
    "\"default\"",
    "\"bridge\"",
    "\"container:web\"",
    "\"web\"",
    "\"/etc:/x\"",
    "\"/home/alice:/w:ro\"",
    "\"data:/w:nocopy\"",
    "\"/w\"",
    "\"bind\"",
    "\"volume\"",
    "\"tmpfs\"",
    "\"image\"",
    "\"rshared\"",
    "\"rprivate\"",
    "\"SYS_ADMIN\"",
    "\"sys_ptrace\"",
    "\"ALL\"",
    "\"no-new-privileges\"",
    "\"seccomp=unconfined\"",
    "\"20100\"",
    "\"+0\"",
    "\"size=1g,suid\"",
    "\"syslog\"",
    "\"json-file\"",
    "\"always\"",
    "\"on-failure\"",
    "\"22\"",
    "\"0-2000\"",
    "\"8080\"",
    "\"127.0.0.1\"",
    "\"/proc/self/fd/7\"",
    "\"/work\"",
    "\"NVIDIA_VISIBLE_DEVICES=all\"",
    "\"A=b\"",
    "\"gpu\"",
    "\"nvidia\"",
    "\"all\"",
    "\"nofile\"",
    "\"local\"",
    "\"runc\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\ud83d\\ude80\"",
    "\"\u{17f}\"",
    "\"k\u{212a}\"",
    "\"\u{2028}\"",
    "\"\\u0041\"",
    "\"x\\\"y\\\\z\\/\"",
];

/// Up to four changes of the structure, and sometimes one of the bytes.
pub(super) fn mutated(rng: &mut Rng, one: &[u8], other: &[u8]) -> Vec<u8> {
    let Ok(tree) = json::parse(one) else { return plain::mutated(rng, one, other) };
    let mut node = node_of(&tree);
    let others = json::parse(other).map(|tree| node_of(&tree)).unwrap_or(Node::Raw("null".to_owned()));
    for _ in 0..rng.usize(1..=4) {
        change(rng, &mut node, &others);
    }
    let mut made = String::new();
    write(&node, &mut made);
    let mut made = made.into_bytes();
    match rng.u8(0..24) {
        0 => made.extend_from_slice(
            [&b"{}"[..], b" ", b"\n{\"HostConfig\":{\"Privileged\":true}}", b"\0", b"x"][rng.usize(..5)],
        ),
        1 | 2 => plain::bytes(rng, &mut made),
        _ => {}
    }
    made
}

fn node_of(tree: &Json) -> Node {
    match tree {
        Json::Array(items) => Node::List(items.iter().map(node_of).collect()),
        Json::Object(object) => {
            Node::Members(object.iter().map(|(key, value)| (quoted(key), node_of(value))).collect())
        }
        leaf => Node::Raw(String::from_utf8_lossy(&leaf.to_bytes()).into_owned()),
    }
}

fn quoted(text: &str) -> String {
    String::from_utf8_lossy(&Json::text(text).to_bytes()).into_owned()
}

fn write(node: &Node, out: &mut String) {
    match node {
        Node::Raw(text) => out.push_str(text),
        Node::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write(item, out);
            }
            out.push(']');
        }
        Node::Members(members) => {
            out.push('{');
            for (index, (key, value)) in members.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                out.push_str(key);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}

/// How many nodes there are, each of which can be chosen.
fn count(node: &Node) -> usize {
    1 + match node {
        Node::Raw(_) => 0,
        Node::List(items) => items.iter().map(count).sum(),
        Node::Members(members) => members.iter().map(|(_, value)| count(value)).sum(),
    }
}

/// The node of this number, with the key under which it lies; lists lie under their own key.
fn at<'n>(node: &'n mut Node, number: &mut usize, under: &str) -> Option<(&'n mut Node, String)> {
    if *number == 0 {
        return Some((node, under.to_owned()));
    }
    *number -= 1;
    match node {
        Node::Raw(_) => None,
        Node::List(items) => items.iter_mut().find_map(|item| at(item, number, under)),
        Node::Members(members) => members.iter_mut().find_map(|(key, value)| {
            let key = key.trim_matches('"').to_owned();
            at(value, number, &key)
        }),
    }
}

fn any<'n>(rng: &mut Rng, node: &'n mut Node) -> Option<(&'n mut Node, String)> {
    let mut number = rng.usize(..count(node));
    at(node, &mut number, "")
}

fn change(rng: &mut Rng, root: &mut Node, other: &Node) {
    if rng.u8(0..12) == 0 {
        return move_up(rng, root);
    }
    let Some((node, under)) = any(rng, root) else { return };
    match node {
        Node::Members(members) => change_members(rng, members, &under, other),
        Node::List(items) => change_items(rng, items, other),
        Node::Raw(text) if rng.bool() => VALUES[rng.usize(..VALUES.len())].clone_into(text),
        leaf => change_leaf(rng, leaf, other),
    }
}

fn change_members(rng: &mut Rng, members: &mut Vec<(String, Node)>, under: &str, other: &Node) {
    let place = rng.usize(..=members.len());
    if members.is_empty() || rng.u8(0..3) == 0 {
        members.insert(place, new_member(rng, under));
        return;
    }
    let chosen = rng.usize(..members.len());
    match rng.u8(0..7) {
        0 | 1 => members[chosen].0 = respelt(rng, &members[chosen].0),
        2 => {
            // The same field again, in one spelling or two.
            let (key, value) = members[chosen].clone();
            let key = if rng.bool() { respelt(rng, &key) } else { key };
            let value = if rng.bool() { value } else { any_value(rng) };
            members.insert(place, (key, value));
        }
        3 => {
            members.remove(chosen);
        }
        4 => members[chosen].1 = any_value(rng),
        5 => members[chosen].1 = picked(rng, other),
        _ => {
            let (key, _) = new_member(rng, under);
            members[chosen].0 = key;
        }
    }
}

fn change_items(rng: &mut Rng, items: &mut Vec<Node>, other: &Node) {
    let place = rng.usize(..=items.len());
    match rng.u8(0..4) {
        0 => items.insert(place, any_value(rng)),
        1 => items.insert(place, picked(rng, other)),
        2 if !items.is_empty() => {
            let again = items[rng.usize(..items.len())].clone();
            items.insert(place, again);
        }
        _ if !items.is_empty() => {
            items.remove(rng.usize(..items.len()));
        }
        _ => {}
    }
}

fn change_leaf(rng: &mut Rng, leaf: &mut Node, other: &Node) {
    *leaf = match rng.u8(0..5) {
        0 => Node::List(vec![leaf.clone()]),
        1 => Node::Members(vec![new_member(rng, "")]),
        2 => {
            let depth = rng.usize(1..80);
            Node::Raw("[".repeat(depth) + &"]".repeat(depth))
        }
        3 => picked(rng, other),
        _ => any_value(rng),
    };
}

/// What belongs inside put at the top, or the other way round.
fn move_up(rng: &mut Rng, root: &mut Node) {
    let Some((taken, _)) = any(rng, root) else { return };
    let Node::Members(members) = taken else { return };
    if members.is_empty() {
        return;
    }
    let member = members.remove(rng.usize(..members.len()));
    if let Some((Node::Members(members), _)) = any(rng, root) {
        members.push(member);
    }
}

fn picked(rng: &mut Rng, other: &Node) -> Node {
    let mut other = other.clone();
    any(rng, &mut other).map_or(Node::Raw("null".to_owned()), |(node, _)| node.clone())
}

fn any_value(rng: &mut Rng) -> Node {
    let raw = |rng: &mut Rng| Node::Raw(VALUES[rng.usize(..VALUES.len())].to_owned());
    match rng.u8(0..6) {
        0 => Node::List((0..rng.usize(0..3)).map(|_| raw(rng)).collect()),
        1 => Node::Members((0..rng.usize(0..3)).map(|_| new_member(rng, "")).collect()),
        _ => raw(rng),
    }
}

/// The same key in another spelling; to Go, most of them.
fn respelt(rng: &mut Rng, key: &str) -> String {
    let inner = key.trim_matches('"');
    let mut out = String::from("\"");
    for letter in inner.chars() {
        match (rng.u8(0..8), letter) {
            (0, _) => out.extend(letter.to_uppercase()),
            (1, _) => out.extend(letter.to_lowercase()),
            (2 | 3, 's' | 'S') => out.push_str(if rng.bool() { "\u{17f}" } else { "\\u017f" }),
            (2 | 3, 'k' | 'K') => out.push_str(if rng.bool() { "\u{212a}" } else { "\\u212A" }),
            (2, 'i' | 'I') if rng.u8(0..4) == 0 => {
                out.push_str(if rng.bool() { "\u{130}" } else { "\u{131}" })
            }
            (4, _) if letter.is_ascii_alphanumeric() => {
                write!(out, "\\u{:04x}", u32::from(letter)).expect("writing to a String cannot fail");
            }
            _ => out.push(letter),
        }
    }
    out + "\""
}

fn new_member(rng: &mut Rng, under: &str) -> (String, Node) {
    let fields = fields();
    let own = fields.get(under).filter(|_| rng.u8(0..8) > 0);
    let Some((name, of_type)) = own.or_else(|| fields.get("*")).and_then(|all| rng.choice(all)) else {
        return ("\"x\"".to_owned(), Node::Raw("1".to_owned()));
    };
    let key = if rng.u8(0..4) == 0 { respelt(rng, &quoted(name)) } else { quoted(name) };
    (key, typed(rng, of_type))
}

/// A value of the type that the API gives a field, three times of four.
fn typed(rng: &mut Rng, of_type: &str) -> Node {
    let text = |rng: &mut Rng| {
        let texts: Vec<&str> = VALUES.into_iter().filter(|value| value.starts_with('"')).collect();
        Node::Raw(texts[rng.usize(..texts.len())].to_owned())
    };
    match of_type {
        _ if rng.u8(0..4) == 0 => any_value(rng),
        "string" => text(rng),
        "boolean" => Node::Raw(["true", "false"][usize::from(rng.bool())].to_owned()),
        "integer" => {
            Node::Raw(["0", "1", "-1", "100000", "67108864", "1125899906842624"][rng.usize(..6)].to_owned())
        }
        "[string]" => Node::List((0..rng.usize(0..3)).map(|_| text(rng)).collect()),
        "{string}" => Node::Members(vec![("\"a\"".to_owned(), text(rng))]),
        "{object}" => Node::Members(vec![("\"/data\"".to_owned(), Node::Members(Vec::new()))]),
        "PortMap" => {
            let ends = ["", "0", "22", "80", "1023", "1024", "2000", "65535", "65536", "+22", "2000 ", "x"];
            let (one, other) = (ends[rng.usize(..ends.len())], ends[rng.usize(..ends.len())]);
            let port = if rng.bool() { one.to_owned() } else { format!("{one}-{other}") };
            let binding = vec![
                ("\"HostIp\"".to_owned(), text(rng)),
                ("\"HostPort\"".to_owned(), Node::Raw(quoted(&port))),
            ];
            let binding = Node::Members(binding.into_iter().skip(usize::from(rng.bool())).collect());
            Node::Members(vec![("\"80/tcp\"".to_owned(), Node::List(vec![binding]))])
        }
        list if list.starts_with('[') => {
            let item = Node::Members(vec![new_member(rng, list.trim_matches(['[', ']']))]);
            Node::List(vec![item])
        }
        named => Node::Members(vec![new_member(rng, named)]),
    }
}

/// The fields of the API by the key, or the type, of the object they are in; `*` has all of them.
fn fields() -> &'static BTreeMap<String, Vec<(String, String)>> {
    static FIELDS: OnceLock<BTreeMap<String, Vec<(String, String)>>> = OnceLock::new();
    FIELDS.get_or_init(|| {
        let api: Value = serde_json::from_str(include_str!("../../../docker/tests/data/engine-api.json"))
            .expect("the description of the API is JSON");
        let mut fields: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        let definitions = api["definitions"].as_object().into_iter().flatten();
        let bodies = api["operations"].as_object().into_iter().flatten();
        for (name, described) in definitions
            .map(|(name, d)| (name.as_str(), &d["fields"]))
            .chain(bodies.map(|(_, operation)| ("", &operation["body_fields"])))
        {
            for (path, field) in described.as_object().into_iter().flatten() {
                let (before, last) = path.rsplit_once('.').unwrap_or(("", path));
                if last.starts_with('+') {
                    continue;
                }
                let of_type = field["type"].as_str().unwrap_or("string").to_owned();
                let object = before.rsplit('.').next().unwrap_or_default().trim_end_matches("[]");
                for under in places(if object.is_empty() { name } else { object }) {
                    fields.entry(under.to_owned()).or_default().push((last.to_owned(), of_type.clone()));
                }
            }
        }
        fields
    })
}

/// The keys under which an object of this type lies.
fn places(name: &str) -> Vec<&str> {
    let mut places = vec![name, "*"];
    match name {
        "ContainerConfig" | "AuthConfig" | "VolumeCreateRequest" | "NetworkConnectRequest" => places.push(""),
        "Resources" => places.extend(["HostConfig", ""]),
        "Mount" => places.push("Mounts"),
        "HealthConfig" => places.push("Healthcheck"),
        "EndpointSettings" => places.extend(["EndpointConfig", "bridge", "web"]),
        "EndpointIPAMConfig" => places.push("IPAMConfig"),
        "DeviceRequest" => places.push("DeviceRequests"),
        "DeviceMapping" => places.push("Devices"),
        _ => {}
    }
    places
}
