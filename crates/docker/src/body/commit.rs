//! Answers for: the body of commit, a `Config` that becomes part of an image.
//!
//! Must never: bake a label of the daemon's or a choice of GPUs into an image.

use super::desk::{Desk, Stage};
use super::env;
use super::fields::{healthcheck, labels, stop_timeout, texts, working_dir};
use super::refusal::Refusal;
use super::rules::Rules;
use super::shape::Shape::{Bool, Text, TextOrTexts, TextSet, Texts};
use super::table::Rule::{Check, Clamp, Drop, Pass, Set};
use super::table::{Table, judge_object, row};
use crate::json::{Json, Object, parse};

type Judged = Result<Option<Json>, Refusal>;

/// `ContainerConfig`
pub(crate) const COMMIT: Table = &[
    row("Hostname", 40, Pass(Text), "a name inside the container"),
    row("Domainname", 40, Pass(Text), "a name inside the container"),
    row("User", 40, Pass(Text), "judged again when a container is made of the image"),
    row("AttachStdin", 40, Pass(Bool), "how a client attaches"),
    row("AttachStdout", 40, Pass(Bool), "how a client attaches"),
    row("AttachStderr", 40, Pass(Bool), "how a client attaches"),
    row("ExposedPorts", 40, Pass(TextSet), "documents ports"),
    row("Tty", 40, Pass(Bool), "a terminal"),
    row("OpenStdin", 40, Pass(Bool), "how a client attaches"),
    row("StdinOnce", 40, Pass(Bool), "how a client attaches"),
    row("Env", 40, Check(environment), "an image's choice of GPUs is nobody's wish"),
    row("Cmd", 40, Pass(TextOrTexts), "runs inside the container"),
    row("Healthcheck", 40, Clamp(healthcheck), "every check is an exec"),
    row("ArgsEscaped", 40, Drop, "Windows only"),
    row("Image", 40, Drop, "the Engine's answer, not a wish"),
    row("Volumes", 40, Pass(TextSet), "anonymous volumes at paths in the container"),
    row("WorkingDir", 40, Check(working_dir), "/proc/self/fd leads out of the container (CVE-2024-21626)"),
    row("Entrypoint", 40, Pass(TextOrTexts), "runs inside the container"),
    row("NetworkDisabled", 40, Pass(Bool), "takes away"),
    row("MacAddress", 40, Drop, "a chosen address can be another machine's"),
    row("OnBuild", 40, Pass(Texts), "runs in the builds of those who use the image"),
    row("Labels", 40, Set(labels), "ds01.* are the daemon's"),
    row("StopSignal", 40, Pass(Text), "a signal inside the container"),
    row("StopTimeout", 40, Clamp(stop_timeout), "an idle stop waits that long"),
    row("Shell", 40, Pass(TextOrTexts), "runs inside the container"),
];

/// A commit body that was judged.
#[derive(Clone, Debug)]
pub struct JudgedCommit {
    body: Option<Object>,
    warnings: Vec<String>,
}

fn environment(_desk: &mut Desk<'_>, path: &str, value: Option<&Json>) -> Judged {
    let kept = env::without_gpu(texts(path, value)?);
    Ok((!kept.is_empty()).then(|| Json::texts(kept)))
}

/// Judges the body of `POST /commit`, which may be empty.
///
/// # Errors
/// A [`Refusal`] that names the first field that cannot be sent on.
pub fn judge_commit(body: &[u8], rules: &Rules) -> Result<JudgedCommit, Refusal> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(JudgedCommit { body: None, warnings: Vec::new() });
    }
    let tree = parse(body)?;
    let mut desk = Desk::new(rules, Stage::Create);
    let judged = judge_object(COMMIT, &mut desk, "", &tree)?;
    // The Engine tells "no configuration" (the container's own holds) from an empty one.
    let body = (tree != Json::Null).then_some(judged);
    Ok(JudgedCommit { body, warnings: desk.warnings })
}

impl JudgedCommit {
    /// What was dropped, in sentences.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The body for the Engine; empty where the caller sent none.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        self.body.map_or_else(Vec::new, |body| Json::Object(body).to_bytes())
    }
}
