//! Reading a command line as runc reads it, just far enough to know what it asks for.
//!
//! The line is only read, never changed: it is handed to the real runtime as it came. Where a line could be read in
//! two ways and one of them starts a container, it is unclear and refused, because a container that runc starts and
//! this reader overlooked would start unbound.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::protocol::is_container_id;

/// Options before the verb that take a value.
const GLOBAL_VALUES: &[&str] = &["log", "log-format", "root", "criu", "rootless"];
/// Options before the verb that take none.
const GLOBAL_SWITCHES: &[&str] = &["debug", "systemd-cgroup"];
/// Options before the verb with which no verb is carried out.
const GLOBAL_ENDS: &[&str] = &["help", "h", "version", "v"];
/// Options of `create` and `run` that take a value.
const CREATE_VALUES: &[&str] = &["bundle", "b", "console-socket", "pidfd-socket", "pid-file", "preserve-fds"];
/// Options of `create` and `run` that take none.
const CREATE_SWITCHES: &[&str] = &["no-pivot", "no-new-keyring", "detach", "d", "keep", "no-subreaper"];
/// The verbs that start a container.
const STARTING: &[&str] = &["create", "run", "restore"];

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct CommandLine<'a> {
    /// Where runc would write its log; `None` is standard error.
    pub log: Option<&'a OsStr>,
    /// Whether the log is JSON.
    pub log_json: bool,
    /// What is to be done.
    pub verb: Verb<'a>,
}

/// The verbs as this program tells them apart.
#[derive(Debug, PartialEq, Eq)]
pub enum Verb<'a> {
    /// Anything that starts no container: the real runtime's business alone.
    Pass,
    /// `create` or `run`.
    Create {
        /// The container's full id.
        container: &'a str,
        /// The bundle as given; `None` is the current directory.
        bundle: Option<&'a OsStr>,
    },
    /// `restore`: a checkpoint may hold devices of an earlier binding.
    Restore,
    /// It may start a container, but which one, and from what, cannot be said for certain.
    Unclear(Unclear),
}

/// Why a command line is unclear.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// An option that is not in the tables above stands where its value could be mistaken for something else.
    #[error("option {0} is not known")]
    UnknownOption(String),
    /// An option lacks its value, or the value looks like an option.
    #[error("option {0} has no value")]
    NoValue(String),
    /// An option that must be given once is given again.
    #[error("option {0} is given twice")]
    Twice(String),
    /// Not exactly one container is named.
    #[error("exactly one container id was expected, {0} were given")]
    Containers(usize),
    /// The container's name is not an id of the Engine's.
    #[error("{0:?} is not a full container id")]
    NotAnId(String),
}

/// An argument that is an option, taken apart: `--name=value` or `--name`.
struct Opt<'a> {
    text: &'a OsStr,
    name: &'a [u8],
    value: Option<&'a OsStr>,
}

impl<'a> Opt<'a> {
    /// One or two dashes mean the same; a lone `-` is not an option, and `--` is dealt with by the caller.
    fn read(text: &'a OsStr) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() < 2 {
            return None;
        }
        let body = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-"))?;
        let equals = body.iter().position(|byte| *byte == b'=');
        let name = &body[..equals.unwrap_or(body.len())];
        let value = equals.map(|at| OsStr::from_bytes(&body[at + 1..]));
        Some(Self { text, name, value })
    }

    fn is_in(&self, names: &[&str]) -> bool {
        names.iter().any(|name| name.as_bytes() == self.name)
    }

    fn told(&self) -> String {
        self.text.to_string_lossy().into_owned()
    }

    /// The value, from the argument itself or from the next one.
    fn value(&self, rest: &mut std::slice::Iter<'a, OsString>) -> Result<&'a OsStr, Unclear> {
        let value = match self.value {
            Some(value) => value,
            None => rest.next().ok_or_else(|| Unclear::NoValue(self.told()))?,
        };
        // runc's reader moves arguments about and takes such a value for an option in some places, not in others.
        let ambiguous = self.value.is_none() && value.as_bytes().starts_with(b"-");
        if ambiguous { Err(Unclear::NoValue(self.told())) } else { Ok(value) }
    }
}

/// Reads a command line, without the program's own name.
#[must_use]
pub fn read(args: &[OsString]) -> CommandLine<'_> {
    let mut line = CommandLine { log: None, log_json: false, verb: Verb::Pass };
    let mut rest = args.iter();
    line.verb = match read_globals(&mut line, &mut rest) {
        Ok(Some(verb)) => match verb.to_str() {
            Some("create" | "run") => read_create(rest).unwrap_or_else(Verb::Unclear),
            Some("restore") => Verb::Restore,
            _ => Verb::Pass,
        },
        Ok(None) => Verb::Pass,
        // Whatever the unknown part means, a line without such a word starts nothing.
        Err(unclear) if names_a_start(args) => Verb::Unclear(unclear),
        Err(_) => Verb::Pass,
    };
    line
}

fn names_a_start(args: &[OsString]) -> bool {
    args.iter().any(|arg| STARTING.iter().any(|verb| arg == verb))
}

/// Reads the options before the verb and returns the verb, `None` when there is none to carry out.
fn read_globals<'a>(
    line: &mut CommandLine<'a>,
    rest: &mut std::slice::Iter<'a, OsString>,
) -> Result<Option<&'a OsStr>, Unclear> {
    while let Some(arg) = rest.next() {
        if arg == "--" {
            return Ok(rest.next().map(OsString::as_os_str));
        }
        let Some(option) = Opt::read(arg) else { return Ok(Some(arg)) };
        if option.is_in(GLOBAL_VALUES) {
            let value = option.value(rest)?;
            match option.name {
                b"log" => line.log = Some(value),
                b"log-format" => line.log_json = value == "json",
                _ => {}
            }
        } else if option.is_in(GLOBAL_ENDS) && option.value.is_none() {
            return Ok(None);
        } else if !option.is_in(GLOBAL_SWITCHES) {
            return Err(Unclear::UnknownOption(option.told()));
        }
    }
    Ok(None)
}

/// Reads what follows `create` or `run`: options and the container's id, in any order.
fn read_create(mut rest: std::slice::Iter<'_, OsString>) -> Result<Verb<'_>, Unclear> {
    let mut bundle = None;
    let mut names: Vec<&OsStr> = Vec::new();
    while let Some(arg) = rest.next() {
        if arg == "--" {
            names.extend(rest.by_ref().map(OsString::as_os_str));
            break;
        }
        let Some(option) = Opt::read(arg) else {
            names.push(arg);
            continue;
        };
        if option.is_in(CREATE_VALUES) {
            let value = option.value(&mut rest)?;
            if matches!(option.name, b"bundle" | b"b") && bundle.replace(value).is_some() {
                return Err(Unclear::Twice(option.told()));
            }
        } else if option.is_in(GLOBAL_ENDS) && option.value.is_none() {
            return Ok(Verb::Pass);
        } else if !option.is_in(CREATE_SWITCHES) {
            return Err(Unclear::UnknownOption(option.told()));
        }
    }
    let [name] = names[..] else { return Err(Unclear::Containers(names.len())) };
    match name.to_str() {
        Some(container) if is_container_id(container) => Ok(Verb::Create { container, bundle }),
        _ => Err(Unclear::NotAnId(name.to_string_lossy().into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// `ID` stands for a full container id.
    fn check(line: &str, expected: &Expect) {
        let args: Vec<OsString> = line.replace("ID", ID).split_whitespace().map(OsString::from).collect();
        let read = read(&args);
        let log = read.log.map_or("stderr".into(), OsStr::to_string_lossy);
        let format = if read.log_json { "json" } else { "text" };
        let verb = match read.verb {
            Verb::Pass => "pass".to_owned(),
            Verb::Create { container, bundle } => {
                let bundle = bundle.map_or(".".into(), OsStr::to_string_lossy);
                format!("create {} from {bundle}", container.replace(ID, "ID"))
            }
            Verb::Restore => "restore".to_owned(),
            Verb::Unclear(why) => format!("unclear: {}", why.to_string().replace(ID, "ID")),
        };
        expected.assert_eq(&format!("{verb}, log {log} {format}"));
    }

    #[test]
    fn as_containerd_and_docker_write_it() {
        check(
            "--root /r/moby --log /b/log.json --log-format json --systemd-cgroup create --bundle /b --pid-file /b/init.pid --console-socket /tmp/pty.sock ID",
            &expect!["create ID from /b, log /b/log.json json"],
        );
        check(
            "--root /r/moby --log /b/log.json --log-format json start ID",
            &expect!["pass, log /b/log.json json"],
        );
        check("--log=/l --log-format=json delete --force ID", &expect!["pass, log /l json"]);
        check("--log /l kill --all ID 9", &expect!["pass, log /l text"]);
        check("--version", &expect!["pass, log stderr text"]);
        check("features", &expect!["pass, log stderr text"]);
        check("", &expect!["pass, log stderr text"]);
    }

    #[test]
    fn every_spelling_of_a_create() {
        for line in [
            "create --bundle /b ID",
            "create --bundle=/b ID",
            "create -bundle /b ID",
            "create -bundle=/b ID",
            "create -b /b ID",
            "create -b=/b ID",
            "create --b /b ID",
            "create ID --bundle /b",
            "create --pid-file /p ID --bundle /b --no-pivot",
            "create --no-pivot --no-new-keyring=true --preserve-fds 3 --bundle /b -- ID",
            "--debug --rootless=auto --criu criu create --bundle /b ID",
            "-- create --bundle /b ID",
            "run --detach --keep --no-subreaper --bundle /b ID",
            "run -d -b /b ID",
        ] {
            check(line, &expect!["create ID from /b, log stderr text"]);
        }
        check("create ID", &expect!["create ID from ., log stderr text"]);
        check("--log /l --log /m create ID", &expect!["create ID from ., log /m text"]);
    }

    #[test]
    fn words_that_only_look_like_a_create() {
        for line in [
            "exec ID create",
            "--root create start ID",
            "--log create state ID",
            "--version create ID",
            "--help create ID",
            "create --help",
            "create -h ID",
            "ps ID --format json",
            "--no-such-thing state ID",
            "checkpoint ID",
        ] {
            let args: Vec<OsString> = line.replace("ID", ID).split_whitespace().map(OsString::from).collect();
            assert_eq!(read(&args).verb, Verb::Pass, "{line}");
        }
        check("restore --bundle /b ID", &expect!["restore, log stderr text"]);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_unclear() {
        check("--new create ID", &expect!["unclear: option --new is not known, log stderr text"]);
        check("--new=1 create ID", &expect!["unclear: option --new=1 is not known, log stderr text"]);
        check(
            "--version=false create ID",
            &expect!["unclear: option --version=false is not known, log stderr text"],
        );
        check("--root --log create", &expect!["unclear: option --root has no value, log stderr text"]);
        check("create --new ID", &expect!["unclear: option --new is not known, log stderr text"]);
        check("create --bundle", &expect!["unclear: option --bundle has no value, log stderr text"]);
        check("create --bundle -x ID", &expect!["unclear: option --bundle has no value, log stderr text"]);
        check("create --bundle /a -b /b ID", &expect!["unclear: option -b is given twice, log stderr text"]);
        check(
            "create --bundle /a",
            &expect!["unclear: exactly one container id was expected, 0 were given, log stderr text"],
        );
        check(
            "create ID ID",
            &expect!["unclear: exactly one container id was expected, 2 were given, log stderr text"],
        );
        check(
            "create ../../etc/passwd",
            &expect![[r#"unclear: "../../etc/passwd" is not a full container id, log stderr text"#]],
        );
        check("run -", &expect![[r#"unclear: "-" is not a full container id, log stderr text"#]]);
    }
}
