//! The sections that say where things are and who is who: paths, engine, admins, binds, ports.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Component, Path, PathBuf};

use super::mistake::{Findings, Place};
use super::read;
use super::yaml::{Entry, Node, Value};

/// The longest path of a unix socket, in bytes, without the closing zero.
const SOCKET_BYTES_MAX: usize = 107;

/// Where the daemon keeps and finds things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The door: the socket that users are given.
    pub socket: PathBuf,
    /// The Engine's own socket.
    pub engine: PathBuf,
    /// Where the runtime asks for bindings; root only.
    pub hinge: PathBuf,
    /// What does not outlive a reboot: stages, receipts, made-up devices.
    pub run: PathBuf,
    /// What does: the ledger.
    pub state: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            socket: "/run/ds01/docker.sock".into(),
            engine: "/var/run/docker.sock".into(),
            hinge: "/run/ds01/hinge.sock".into(),
            run: "/run/ds01".into(),
            state: "/var/lib/ds01".into(),
        }
    }
}

/// How the Engine knows us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// The name under which the Engine has our OCI runtime.
    pub runtime: String,
    /// The cgroup under which every user has one.
    pub cgroup_parent: String,
}

impl Default for Engine {
    fn default() -> Self {
        Self { runtime: "ds01".into(), cgroup_parent: "ds01".into() }
    }
}

/// Who may do everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admins {
    /// Login names.
    pub users: Vec<String>,
    /// Unix groups.
    pub groups: Vec<String>,
}

impl Default for Admins {
    fn default() -> Self {
        Self { users: vec!["root".into()], groups: vec!["ds01-admin".into()] }
    }
}

/// What may be mounted into containers, over and above what the caller's own rights say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binds {
    /// Places beneath which users may bind what they can reach.
    pub roots: Vec<Root>,
    /// Places that everybody may bind.
    pub shares: Vec<Share>,
}

impl Default for Binds {
    fn default() -> Self {
        Self { roots: vec![Root::Home(PathBuf::new())], shares: Vec::new() }
    }
}

/// A place beneath which users may bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// The caller's home, or this directory in it.
    Home(PathBuf),
    /// A place on the machine.
    Path(PathBuf),
}

/// A place that everybody may bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The place on the machine.
    pub path: PathBuf,
    /// Whether containers get it read-only whatever they ask.
    pub read_only: bool,
}

/// What may be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The lowest host port.
    pub lowest: u16,
    /// The highest host port.
    pub highest: u16,
    /// The host address where none is asked for.
    pub address: IpAddr,
}

impl Default for Ports {
    fn default() -> Self {
        Self { lowest: 1024, highest: u16::MAX, address: IpAddr::V4(Ipv4Addr::LOCALHOST) }
    }
}

/// Reads `paths`. The sockets move with `run` unless they are named.
pub(super) fn paths(node: &Node, findings: &mut Findings) -> Paths {
    let mut paths = Paths::default();
    let mut places: Vec<(&str, Place)> = Vec::new();
    for entry in read::map(node, "paths", findings).unwrap_or(&[]) {
        let (slot, key) = match entry.key.as_str() {
            "socket" => (&mut paths.socket, "socket"),
            "engine" => (&mut paths.engine, "engine"),
            "hinge" => (&mut paths.hinge, "hinge"),
            "run" => (&mut paths.run, "run"),
            "state" => (&mut paths.state, "state"),
            _ => {
                read::unknown(entry, "in `paths`", &["socket", "engine", "hinge", "run", "state"], findings);
                continue;
            }
        };
        let is_socket = !matches!(key, "run" | "state");
        if let Some(path) =
            read::one(entry, findings, |text| if is_socket { socket(text) } else { absolute(text) })
        {
            *slot = path;
            places.push((key, entry.value.place));
        }
    }
    let named = |key: &str| places.iter().find(|(other, _)| *other == key).map(|(_, place)| *place);
    if named("socket").is_none() {
        paths.socket = paths.run.join("docker.sock");
    }
    if named("hinge").is_none() {
        paths.hinge = paths.run.join("hinge.sock");
    }
    let sockets = [("socket", &paths.socket), ("engine", &paths.engine), ("hinge", &paths.hinge)];
    for (index, (key, path)) in sockets.iter().enumerate() {
        for (other, same) in &sockets[..index] {
            if path == same {
                let place = named(key).or_else(|| named(other)).unwrap_or(node.place);
                findings.mistake(place, format!("paths: `{key}` and `{other}` are both {}", path.display()));
            }
        }
    }
    paths
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err(format!("{text} is not an absolute path; begin with /"));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(format!("{text} goes up with `..`; write the path itself"));
    }
    // Collected from its parts: `/a//b/` and `/a/b` must be one place.
    Ok(path.components().collect())
}

fn socket(text: &str) -> Result<PathBuf, String> {
    let path = text.strip_prefix("unix://").unwrap_or(text);
    match path.len() {
        length if length > SOCKET_BYTES_MAX => {
            Err(format!("{length} bytes is too long for a socket; at most {SOCKET_BYTES_MAX}"))
        }
        _ => absolute(path),
    }
}

/// Reads `lifecycle_hook`: a program, or nothing.
pub(super) fn program(entry: &Entry, findings: &mut Findings) -> Option<PathBuf> {
    if entry.value.value == Value::Null {
        return None;
    }
    let program = read::one(entry, findings, absolute)?;
    findings.program(entry.value.place, program.clone());
    Some(program)
}

/// Reads `engine`.
pub(super) fn engine(node: &Node, findings: &mut Findings) -> Engine {
    let mut engine = Engine::default();
    for entry in read::map(node, "engine", findings).unwrap_or(&[]) {
        let slot = match entry.key.as_str() {
            "runtime" => &mut engine.runtime,
            "cgroup_parent" => &mut engine.cgroup_parent,
            _ => {
                read::unknown(entry, "in `engine`", &["runtime", "cgroup_parent"], findings);
                continue;
            }
        };
        if let Some(name) = read::one(entry, findings, plain_name) {
            *slot = name;
        }
    }
    engine
}

fn plain_name(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let begins = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    match begins && text.len() <= 64 && text.chars().all(good) {
        true => Ok(text.to_owned()),
        false => Err(format!("{text} is not a name; use letters, digits, dot, dash and underscore")),
    }
}

/// Reads `admins`, or the `access_control` of older files.
pub(super) fn admins(entries: &[Entry], admins: &mut Admins, findings: &mut Findings) {
    for entry in entries {
        match entry.key.as_str() {
            "users" => admins.users = plain(read::names(entry, findings)),
            "groups" => admins.groups = plain(read::names(entry, findings)),
            _ => read::unknown(entry, "in `admins`", &["users", "groups"], findings),
        }
    }
}

/// What such files call `access_control`: its users and group become admins.
pub(super) fn access_control(entries: &[Entry], admins: &mut Admins, findings: &mut Findings) {
    for entry in entries {
        match entry.key.as_str() {
            "admin_users" => add(&mut admins.users, plain(read::names(entry, findings))),
            "admin_group" => {
                if let Some(group) = read::word(entry, findings) {
                    add(&mut admins.groups, vec![group]);
                }
            }
            "wrapper" => findings.note(entry.place, "`wrapper` has no effect: the door needs no wrapper"),
            _ => read::unknown(entry, "in `access_control`", &["admin_users", "admin_group"], findings),
        }
    }
}

fn add(names: &mut Vec<String>, more: Vec<String>) {
    for name in more {
        if !names.contains(&name) {
            names.push(name);
        }
    }
}

pub(super) fn plain(names: Vec<(String, Place)>) -> Vec<String> {
    names.into_iter().map(|(name, _)| name).collect()
}

/// Reads `binds`.
pub(super) fn binds(node: &Node, findings: &mut Findings) -> Binds {
    let mut binds = Binds::default();
    for entry in read::map(node, "binds", findings).unwrap_or(&[]) {
        let items = match entry.key.as_str() {
            "roots" | "shares" => read::list(&entry.value, &entry.key, findings).unwrap_or(&[]),
            _ => {
                read::unknown(entry, "in `binds`", &["roots", "shares"], findings);
                continue;
            }
        };
        match entry.key.as_str() {
            "roots" => binds.roots = items.iter().filter_map(|item| root(item, findings)).collect(),
            _ => binds.shares = items.iter().filter_map(|item| share(item, findings)).collect(),
        }
    }
    binds
}

fn root(node: &Node, findings: &mut Findings) -> Option<Root> {
    let found = match &node.value {
        Value::Scalar { text, .. } => match text.strip_prefix('~') {
            Some("") => Ok(Root::Home(PathBuf::new())),
            Some(rest) if rest.starts_with('/') => {
                absolute(rest).map(|path| Root::Home(path.components().skip(1).collect()))
            }
            Some(_) => Err(format!(
                "{text}: one person's home is no place for everybody; write ~ for the caller's own"
            )),
            None => shareable(text).map(Root::Path),
        },
        // A bare `~` is nothing to YAML, and the home to everybody else.
        Value::Null => Ok(Root::Home(PathBuf::new())),
        _ => Err(format!("{} where a path belongs", node.kind())),
    };
    found.map_err(|problem| findings.mistake(node.place, format!("roots: {problem}"))).ok()
}

fn share(node: &Node, findings: &mut Findings) -> Option<Share> {
    let Value::Map(entries) = &node.value else {
        let found = match &node.value {
            Value::Scalar { text, .. } => shareable(text).map(|path| Share { path, read_only: true }),
            _ => Err(format!("{} where a path belongs", node.kind())),
        };
        return found.map_err(|problem| findings.mistake(node.place, format!("shares: {problem}"))).ok();
    };
    let (mut path, mut read_only) = (None, true);
    for entry in entries {
        match entry.key.as_str() {
            "path" => path = Some(read::one(entry, findings, shareable)),
            "read_only" => read_only = read::one(entry, findings, super::units::truth).unwrap_or(true),
            _ => read::unknown(entry, "in a share", &["path", "read_only"], findings),
        }
    }
    if path.is_none() {
        findings.mistake(node.place, "shares: `path` is missing");
    }
    Some(Share { path: path??, read_only })
}

/// Places that no lab means to hand out; a slip here would hand out the machine.
fn shareable(text: &str) -> Result<PathBuf, String> {
    let path = absolute(text)?;
    let system = ["/proc", "/sys", "/dev", "/run", "/var/run", "/etc", "/root", "/boot", "/var/lib/docker"];
    match path == Path::new("/") || system.iter().any(|place| path.starts_with(place)) {
        true => Err(format!("{text} is the system's own; nobody may bind it")),
        false => Ok(path),
    }
}

/// Reads `registries`: names as they stand in front of an image.
pub(super) fn registries(node: &Node, findings: &mut Findings) -> Vec<String> {
    let mut registries = Vec::new();
    for item in read::list(node, "registries", findings).unwrap_or(&[]) {
        match &item.value {
            Value::Scalar { text, .. } if ds01_docker::registry::is_registry(text.trim()) => {
                registries.push(text.trim().to_owned());
            }
            Value::Scalar { text, .. } => findings.mistake(
                item.place,
                format!(
                    "registries: {text} is not the name of a registry; write e.g. registry.lab.example:5000"
                ),
            ),
            _ => findings.mistake(item.place, format!("registries: {} where a name belongs", item.kind())),
        }
    }
    registries
}

/// Reads `ports`.
pub(super) fn ports(node: &Node, findings: &mut Findings) -> Ports {
    let mut ports = Ports::default();
    for entry in read::map(node, "ports", findings).unwrap_or(&[]) {
        match entry.key.as_str() {
            "range" => {
                if let Some((lowest, highest)) = read::one(entry, findings, range) {
                    (ports.lowest, ports.highest) = (lowest, highest);
                }
            }
            "address" => {
                let address = read::one(entry, findings, |text| {
                    text.parse()
                        .map_err(|_| format!("{text} is not an address; write e.g. 127.0.0.1 or 0.0.0.0"))
                });
                ports.address = address.unwrap_or(ports.address);
            }
            _ => read::unknown(entry, "in `ports`", &["range", "address"], findings),
        }
    }
    ports
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let port = |text: &str| match text.trim().parse::<u16>() {
        Ok(0) | Err(_) => None,
        Ok(port) => Some(port),
    };
    let ends = text.split_once('-').and_then(|(low, high)| Some((port(low)?, port(high)?)));
    match ends {
        Some((low, high)) if low <= high => Ok((low, high)),
        Some((low, high)) => Err(format!("{text} is the wrong way round; write {high}-{low}")),
        None => Err(format!("{text} is not a range of ports; write e.g. 20000-29999")),
    }
}
