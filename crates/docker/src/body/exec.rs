//! Answers for: the bodies of exec create and exec start.
//!
//! Must never: let an exec have more rights, or other GPUs, than its container.

use super::create::PRIVILEGED;
use super::desk::{Desk, Stage};
use super::env;
use super::fields::{texts, working_dir};
use super::refusal::Refusal;
use super::rules::Rules;
use super::shape::Shape::{Bool, Integer, List, Text, TextOrTexts};
use super::table::Rule::{Check, Drop, Pass, Refuse};
use super::table::{Table, judge_object, row};
use crate::json::{Json, Object, parse};

type Judged = Result<Option<Json>, Refusal>;

/// Body of `POST /containers/{id}/exec`.
pub(crate) const EXEC: Table = &[
    row("AttachStdin", 40, Pass(Bool), "how the client attaches"),
    row("AttachStdout", 40, Pass(Bool), "how the client attaches"),
    row("AttachStderr", 40, Pass(Bool), "how the client attaches"),
    row("ConsoleSize", 42, Pass(List(&Integer)), "the client's terminal"),
    row("DetachKeys", 40, Pass(Text), "the client's keys"),
    row("Tty", 40, Pass(Bool), "a terminal"),
    row("Detach", 40, Pass(Bool), "sent by clients, said again at start"),
    row("Env", 40, Check(environment), "the binding's variable is the daemon's"),
    row("Cmd", 40, Pass(TextOrTexts), "runs inside the container"),
    row("Privileged", 40, Refuse(Bool, PRIVILEGED), "root on the host"),
    row("User", 40, Pass(Text), "binds are mapped to the caller whoever it is"),
    row("WorkingDir", 40, Check(working_dir), "/proc/self/fd leads out of the container (CVE-2024-21626)"),
    row("Container", 40, Drop, "the path names the container"),
    row("Id", 40, Drop, "the path names the container"),
];

/// Body of `POST /exec/{id}/start`.
pub(crate) const EXEC_START: Table = &[
    row("Detach", 40, Pass(Bool), "whether the client stays"),
    row("Tty", 40, Pass(Bool), "a terminal"),
    row("ConsoleSize", 42, Pass(List(&Integer)), "the client's terminal"),
    row(
        "hijack",
        40,
        Drop,
        "an option of docker-modem's own, which it sends along; the Engine has no such field",
    ),
    row("stdin", 40, Drop, "the same"),
];

/// An exec that was judged.
#[derive(Clone, Debug)]
pub struct JudgedExec {
    body: Object,
    env: Vec<String>,
    given_env: bool,
    visible_devices: Option<String>,
}

fn environment(desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    desk.found.env = env::without_gpu(texts(path, value)?);
    Ok(None)
}

/// Judges the body of exec create.
///
/// # Errors
/// A [`Refusal`] that names the first field that cannot be sent on.
pub fn judge_exec(body: &[u8], rules: &Rules) -> Result<JudgedExec, Refusal> {
    let tree = parse(body)?;
    let mut desk = Desk::new(rules, Stage::Create);
    let judged = judge_object(EXEC, &mut desk, "", &tree)?;
    let env = desk.found.env;
    Ok(JudgedExec { given_env: !env.is_empty(), body: judged, env, visible_devices: None })
}

impl JudgedExec {
    /// The user that the command runs as; `None`: the container's.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.body.get("User").and_then(Json::as_str).filter(|user| !user.is_empty())
    }

    /// Whether the command has a terminal.
    #[must_use]
    pub fn tty(&self) -> bool {
        self.body.get("Tty") == Some(&Json::Bool(true))
    }

    /// Makes the command run as this user in numbers, who is the only one in its container. A name is not sent on: the
    /// image says whose it is.
    ///
    /// # Errors
    /// A [`Refusal`] where root was asked for: what he was wanted for would fail.
    pub fn confine(&mut self, (uid, gid): (u32, u32)) -> Result<(), Refusal> {
        let name = self.user().and_then(|user| user.split(':').next()).unwrap_or_default();
        if name == "root" || name.parse() == Ok(0_u32) {
            return Err(Refusal::forbidden(format!(
                "\"User\" root is not in this container: everything in it runs as you ({uid}:{gid}); leave it out, and \
                 install programs where the image is built"
            )));
        }
        self.body.set("User", Json::text(format!("{uid}:{gid}")));
        Ok(())
    }

    /// The value of `NVIDIA_VISIBLE_DEVICES` that holds now: the units of the container's binding,
    /// or `None` to leave what the container was created with.
    pub fn set_visible_devices(&mut self, units: Option<&str>) {
        self.visible_devices = units.map(ToOwned::to_owned);
    }

    /// Sets another variable of the binding.
    pub fn set_env(&mut self, name: &str, value: &str) {
        env::set(&mut self.env, name, value);
        self.given_env = true;
    }

    /// The body for the Engine.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        let JudgedExec { mut body, mut env, given_env, visible_devices } = self;
        if let Some(units) = &visible_devices {
            env::set(&mut env, env::VISIBLE_DEVICES, units);
        }
        if given_env || !env.is_empty() {
            body.set("Env", Json::texts(env));
        }
        Json::Object(body).to_bytes()
    }
}

/// How an exec is started.
#[derive(Clone, Debug)]
pub struct ExecStart {
    body: Object,
}

/// Judges the body of exec start.
///
/// # Errors
/// A [`Refusal`] that names the first field that cannot be sent on.
pub fn judge_exec_start(body: &[u8], rules: &Rules) -> Result<ExecStart, Refusal> {
    let tree = parse(body)?;
    let mut desk = Desk::new(rules, Stage::Create);
    Ok(ExecStart { body: judge_object(EXEC_START, &mut desk, "", &tree)? })
}

impl ExecStart {
    /// Whether the client does not stay; then the connection is not taken over.
    #[must_use]
    pub fn detach(&self) -> bool {
        self.body.get("Detach") == Some(&Json::Bool(true))
    }

    /// Whether the streams are those of a terminal.
    #[must_use]
    pub fn tty(&self) -> bool {
        self.body.get("Tty") == Some(&Json::Bool(true))
    }

    /// The body for the Engine.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        Json::Object(self.body).to_bytes()
    }
}
