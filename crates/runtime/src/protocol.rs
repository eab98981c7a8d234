//! The hinge's protocol: one JSON line each way over a root-only unix socket.
//!
//! The runtime says which container is about to start; the daemon answers with the binding it has reserved, or with
//! the sentence that the user is to read. Both sides read strictly: a word that this version does not know might be a
//! restriction, so it is refused, never ignored.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The version of the protocol; both lines carry it.
pub const VERSION: u32 = 1;

/// The longest line either side reads, newline included, in bytes.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// How long the runtime waits at the hinge, connecting, asking and reading together. The Engine is blocked meanwhile.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// The variable by which the NVIDIA runtime is told which units a container may see. Every binding sets it.
pub const VISIBLE_DEVICES: &str = "NVIDIA_VISIBLE_DEVICES";

/// The variable by which the NVIDIA runtime is told which parts of the driver a container is to have.
pub const DRIVER_CAPABILITIES: &str = "NVIDIA_DRIVER_CAPABILITIES";

/// Why a line is not what the protocol says.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// The line is longer than [`LINE_BYTES_MAX`].
    #[error("line is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// The line is not the JSON that was expected.
    #[error("line is not a hinge message")]
    Json(#[source] serde_json::Error),
    /// The other side speaks another version.
    #[error("hinge version {theirs} is spoken, {VERSION} was expected")]
    Version {
        /// The version in the line.
        theirs: u32,
    },
    /// An answer is neither a binding nor a refusal, or both.
    #[error("answer must be either bound or refused")]
    NeitherOrBoth,
    /// A field has a value that cannot be meant.
    #[error("{field} {value:?} is not valid")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What it held.
        value: String,
    },
    /// A binding does not say which units the container sees.
    #[error("binding does not set {VISIBLE_DEVICES}")]
    VisibleDevices,
}

fn invalid(field: &'static str, value: &str) -> ProtocolError {
    ProtocolError::Field { field, value: value.to_owned() }
}

/// What the runtime asks: "this container is about to start; what is it bound to?"
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The container's full id, 64 lower-case hexadecimal digits.
    pub container: String,
    /// `linux.cgroupsPath` of the bundle as it stands; empty when the bundle has none.
    pub cgroups_path: String,
    /// The bundle's directory, absolute.
    pub bundle: String,
}

/// What the daemon answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// The container may start, with exactly this.
    Bound(Bound),
    /// The container must not start. The text is one sentence for the user and says what to do.
    Refused(String),
}

/// A binding: the units that a container holds from this start on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// The grant's number; (container, epoch) names the binding.
    pub epoch: u64,
    /// The ids of the units, `GPU-…` or `MIG-…`.
    pub units: Vec<String>,
    /// Variables for the container's environment, `NAME=value`. [`VISIBLE_DEVICES`] is always one of them.
    pub env: Vec<String>,
    /// Device nodes to make and to allow. Empty when the NVIDIA runtime attaches the units itself.
    pub devices: Vec<DeviceNode>,
    /// The name of the runtime to hand over to, a key of the runtime's own settings (`runc`, `nvidia`).
    pub runtime: String,
}

/// A device node in the container, with the device-cgroup rule that lets it be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceNode {
    /// Where the node stands in the container, beneath `/dev`.
    pub path: String,
    /// Block or character.
    #[serde(rename = "type")]
    pub kind: DeviceKind,
    /// The major number.
    pub major: u32,
    /// The minor number.
    pub minor: u32,
    /// What the container may do with it.
    pub mode: Access,
}

/// The two kinds of device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceKind {
    /// A block device, `b`.
    #[serde(rename = "b")]
    Block,
    /// A character device, `c`.
    #[serde(rename = "c")]
    Char,
}

impl DeviceKind {
    /// The letter that the OCI configuration uses.
    #[must_use]
    pub fn letter(self) -> &'static str {
        match self {
            Self::Block => "b",
            Self::Char => "c",
        }
    }
}

/// How a device may be opened. Making nodes (`m`) is never part of a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// `r`
    #[serde(rename = "r")]
    Read,
    /// `rw`
    #[serde(rename = "rw")]
    ReadWrite,
}

impl Access {
    /// The letters that the OCI configuration uses.
    #[must_use]
    pub fn letters(self) -> &'static str {
        match self {
            Self::Read => "r",
            Self::ReadWrite => "rw",
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestLine {
    v: u32,
    container: String,
    cgroups_path: String,
    bundle: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResponseLine {
    v: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bound: Option<Bound>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

/// Whether `id` is a container's full id: 64 lower-case hexadecimal digits.
#[must_use]
pub fn is_container_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, ProtocolError> {
    if line.len() > LINE_BYTES_MAX {
        return Err(ProtocolError::TooLong);
    }
    serde_json::from_slice(line).map_err(ProtocolError::Json)
}

fn same_version(theirs: u32) -> Result<(), ProtocolError> {
    if theirs == VERSION { Ok(()) } else { Err(ProtocolError::Version { theirs }) }
}

fn to_line(message: &impl Serialize) -> Result<Vec<u8>, ProtocolError> {
    let mut line = serde_json::to_vec(message).map_err(ProtocolError::Json)?;
    line.push(b'\n');
    if line.len() > LINE_BYTES_MAX { Err(ProtocolError::TooLong) } else { Ok(line) }
}

impl Request {
    /// Reads a request from its line, with or without the newline.
    ///
    /// # Errors
    /// When the line is too long, is not the protocol's JSON, is of another version, or names no container.
    pub fn from_line(line: &[u8]) -> Result<Self, ProtocolError> {
        let RequestLine { v, container, cgroups_path, bundle } = parse(line)?;
        same_version(v)?;
        if !is_container_id(&container) {
            return Err(invalid("container", &container));
        }
        if !bundle.starts_with('/') {
            return Err(invalid("bundle", &bundle));
        }
        Ok(Self { container, cgroups_path, bundle })
    }

    /// The request as the line to send, newline included.
    ///
    /// # Errors
    /// When the line would be longer than [`LINE_BYTES_MAX`].
    pub fn to_line(&self) -> Result<Vec<u8>, ProtocolError> {
        let Self { container, cgroups_path, bundle } = self.clone();
        to_line(&RequestLine { v: VERSION, container, cgroups_path, bundle })
    }
}

impl Response {
    /// Reads an answer from its line, with or without the newline, and checks that a binding can be meant.
    ///
    /// # Errors
    /// When the line is too long, is not the protocol's JSON, is of another version, or says something that a runtime
    /// must not carry out.
    pub fn from_line(line: &[u8]) -> Result<Self, ProtocolError> {
        let ResponseLine { v, bound, refused } = parse(line)?;
        same_version(v)?;
        match (bound, refused) {
            (Some(bound), None) => bound.checked().map(Self::Bound),
            (None, Some(sentence)) => Ok(Self::Refused(sentence)),
            _ => Err(ProtocolError::NeitherOrBoth),
        }
    }

    /// The answer as the line to send, newline included.
    ///
    /// # Errors
    /// When the line would be longer than [`LINE_BYTES_MAX`].
    pub fn to_line(&self) -> Result<Vec<u8>, ProtocolError> {
        let (bound, refused) = match self.clone() {
            Self::Bound(bound) => (Some(bound), None),
            Self::Refused(sentence) => (None, Some(sentence)),
        };
        to_line(&ResponseLine { v: VERSION, bound, refused })
    }
}

impl Bound {
    fn checked(self) -> Result<Self, ProtocolError> {
        let printable = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if let Some(unit) = self.units.iter().find(|unit| !printable(unit)) {
            return Err(invalid("unit", unit));
        }
        if let Some(entry) = self.env.iter().find(|entry| !is_env_entry(entry)) {
            return Err(invalid("env", entry));
        }
        if let Some(entry) = twice(&self.env, |entry| env_name(entry)) {
            return Err(invalid("env", entry));
        }
        if self.env.iter().all(|entry| env_name(entry) != VISIBLE_DEVICES) {
            return Err(ProtocolError::VisibleDevices);
        }
        if let Some(node) = self.devices.iter().find(|node| !is_device_path(&node.path)) {
            return Err(invalid("device path", &node.path));
        }
        if let Some(node) = twice(&self.devices, |node| &node.path) {
            return Err(invalid("device path", &node.path));
        }
        if !printable(&self.runtime) {
            return Err(invalid("runtime", &self.runtime));
        }
        Ok(self)
    }
}

/// The first item that has the same name as one before it.
fn twice<T>(items: &[T], name: impl Fn(&T) -> &str) -> Option<&T> {
    items
        .iter()
        .enumerate()
        .find(|(at, item)| items[..*at].iter().any(|other| name(other) == name(item)))
        .map(|(_, item)| item)
}

/// The name in an environment entry; the whole entry when it has no `=`.
#[must_use]
pub fn env_name(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(name, _)| name)
}

fn is_env_entry(entry: &str) -> bool {
    entry.split_once('=').is_some_and(|(name, _)| !name.is_empty()) && !entry.contains('\0')
}

/// A path beneath `/dev` that means what it says: no empty part, no `.` or `..`.
fn is_device_path(path: &str) -> bool {
    path.strip_prefix("/dev/").is_some_and(|rest| {
        !rest.contains('\0') && rest.split('/').all(|part| !matches!(part, "" | "." | ".."))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id() -> String {
        "0123456789abcdef".repeat(4)
    }

    #[test]
    fn the_lines_are_the_documented_ones() {
        let request =
            Request { container: id(), cgroups_path: "/ds01/x".to_owned(), bundle: "/run/b".to_owned() };
        let line = request.to_line().unwrap();
        let expected = format!(
            "{{\"v\":1,\"container\":\"{}\",\"cgroups_path\":\"/ds01/x\",\"bundle\":\"/run/b\"}}\n",
            id()
        );
        assert_eq!(String::from_utf8(line).unwrap(), expected);

        let line = br#"{"v":1,"bound":{"epoch":7,"units":["GPU-1"],"env":["NVIDIA_VISIBLE_DEVICES=GPU-1"],"devices":[{"path":"/dev/nvidia0","type":"b","major":7,"minor":1000,"mode":"rw"}],"runtime":"runc"}}"#;
        let Response::Bound(bound) = Response::from_line(line).unwrap() else { panic!("bound") };
        assert_eq!((bound.epoch, bound.devices[0].minor), (7, 1000));
        assert_eq!(Response::Bound(bound).to_line().unwrap().strip_suffix(b"\n").unwrap(), line);
        assert_eq!(
            Response::from_line(br#"{"v":1,"refused":"no"}"#).unwrap(),
            Response::Refused("no".to_owned())
        );
    }

    #[test]
    fn what_is_not_the_protocol_is_refused() {
        let bound = |change: &str, to: &str| {
            r#"{"v":1,"bound":{"epoch":7,"units":["GPU-1"],"env":["NVIDIA_VISIBLE_DEVICES=GPU-1"],"devices":[{"path":"/dev/nvidia0","type":"b","major":7,"minor":1000,"mode":"rw"}],"runtime":"runc"}}"#.replace(change, to)
        };
        assert!(Response::from_line(bound("~", "~").as_bytes()).is_ok(), "the base case");
        for (change, to, why) in [
            ("\"v\":1", "\"v\":2", "another version"),
            ("\"v\":1,", "", "no version"),
            ("\"epoch\":7", "\"epoch\":-1", "negative epoch"),
            ("\"epoch\":7,", "", "no epoch"),
            ("\"epoch\":7", "\"epoch\":7,\"also\":1", "unknown word"),
            ("GPU-1\"]", "GPU 1\"]", "a space in a unit"),
            ("NVIDIA_VISIBLE_DEVICES=GPU-1", "A=b", "no visible devices"),
            ("=GPU-1\"", "=GPU-1\",\"NVIDIA_VISIBLE_DEVICES=all\"", "visible devices twice"),
            (
                "\"devices\":[",
                "\"devices\":[{\"path\":\"/dev/nvidia0\",\"type\":\"b\",\"major\":7,\"minor\":1,\"mode\":\"r\"},",
                "a node twice",
            ),
            ("=GPU-1\"", "=GPU-1\",\"=x\"", "a variable without a name"),
            ("=GPU-1\"", "=GPU-1\",\"A=\\u0000\"", "a NUL"),
            ("/dev/nvidia0", "/etc/passwd", "not beneath /dev"),
            ("/dev/nvidia0", "/dev/../etc/x", "a path that climbs"),
            ("/dev/nvidia0", "/dev/", "no name"),
            ("\"type\":\"b\"", "\"type\":\"a\"", "every device"),
            ("\"mode\":\"rw\"", "\"mode\":\"rwm\"", "making nodes"),
            ("\"runtime\":\"runc\"", "\"runtime\":\"\"", "no runtime"),
            ("}}", "},\"refused\":\"x\"}", "both"),
        ] {
            assert!(Response::from_line(bound(change, to).as_bytes()).is_err(), "{why}");
        }
        assert!(Response::from_line(br#"{"v":1}"#).is_err(), "neither");
        assert!(Response::from_line(&vec![b' '; LINE_BYTES_MAX + 1]).is_err(), "too long");
        let request = |container: &str, bundle: &str| {
            format!(r#"{{"v":1,"container":"{container}","cgroups_path":"","bundle":"{bundle}"}}"#)
        };
        assert!(Request::from_line(request(&id(), "/b").as_bytes()).is_ok());
        assert!(Request::from_line(request("../x", "/b").as_bytes()).is_err(), "not an id");
        assert!(Request::from_line(request(&id().to_uppercase(), "/b").as_bytes()).is_err(), "upper case");
        assert!(Request::from_line(request(&id(), "b").as_bytes()).is_err(), "relative bundle");
    }

    fn node() -> impl Strategy<Value = DeviceNode> {
        (
            "/dev/[a-z]{1,8}[0-9]{0,2}",
            prop_oneof![Just(DeviceKind::Block), Just(DeviceKind::Char)],
            any::<u32>(),
            any::<u32>(),
            prop_oneof![Just(Access::Read), Just(Access::ReadWrite)],
        )
            .prop_map(|(path, kind, major, minor, mode)| DeviceNode {
                path,
                kind,
                major,
                minor,
                mode,
            })
    }

    fn bound() -> impl Strategy<Value = Bound> {
        (
            any::<u64>(),
            proptest::collection::vec("[!-~]{1,40}", 0..5),
            proptest::collection::btree_map("[A-Z]{1,8}", "[^\\x00]{0,20}", 0..4),
            proptest::collection::vec(node(), 0..5),
            "[a-z]{1,12}",
        )
            .prop_map(|(epoch, units, env, mut devices, runtime)| {
                let mut env: Vec<_> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
                devices.sort_by(|left, right| left.path.cmp(&right.path));
                devices.dedup_by(|left, right| left.path == right.path);
                env.push(format!("{VISIBLE_DEVICES}={}", units.join(",")));
                Bound { epoch, units, env, devices, runtime }
            })
    }

    proptest! {
        #[test]
        fn what_is_sent_is_what_is_read(bound in bound(), sentence in ".{0,200}") {
            for response in [Response::Bound(bound), Response::Refused(sentence)] {
                let line = response.to_line().unwrap();
                prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
                prop_assert_eq!(Response::from_line(&line).unwrap(), response);
            }
        }

        #[test]
        fn requests_too(container in "[0-9a-f]{64}", cgroups_path in ".{0,99}", bundle in "/.{0,99}") {
            let request = Request { container, cgroups_path, bundle };
            let line = request.to_line().unwrap();
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            prop_assert_eq!(Request::from_line(&line).unwrap(), request);
        }

        #[test]
        fn no_line_makes_either_side_panic(line in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Response::from_line(&line);
            let _ = Request::from_line(&line);
        }
    }
}
