//! Answers for: the body of a login: texts, one of which says whom the Engine will ask.
//!
//! Must never: tell in a refusal what a field holds.

use super::desk::{Desk, Stage};
use super::refusal::Refusal;
use super::rules::Rules;
use super::shape::Shape::Text;
use super::table::Rule::Pass;
use super::table::{Table, judge_object, row};
use crate::json::{Json, Object, parse};
use crate::registry;

/// Body of `POST /auth`, in the Engine's spelling.
pub(crate) const LOGIN: Table = &[
    row("username", 40, Pass(Text), "whom the registry knows"),
    row("password", 40, Pass(Text), "for the registry; written nowhere"),
    row("auth", 40, Pass(Text), "the two above as old clients write them"),
    row("email", 40, Pass(Text), "sent by old clients"),
    row("serveraddress", 40, Pass(Text), "the daemon looks whether this machine speaks to that registry"),
    row("identitytoken", 40, Pass(Text), "for the registry; written nowhere"),
    row("registrytoken", 40, Pass(Text), "for the registry; written nowhere"),
];

/// A login that was judged.
#[derive(Clone)]
pub struct JudgedLogin {
    body: Object,
}

impl std::fmt::Debug for JudgedLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JudgedLogin").finish_non_exhaustive()
    }
}

/// Judges the body of `POST /auth`.
///
/// # Errors
/// A [`Refusal`] that names the first field that cannot be sent on.
pub fn judge_login(body: &[u8], rules: &Rules) -> Result<JudgedLogin, Refusal> {
    let tree = parse(body)?;
    Ok(JudgedLogin { body: judge_object(LOGIN, &mut Desk::new(rules, Stage::Create), "", &tree)? })
}

impl JudgedLogin {
    /// The registry that the Engine will ask; `None` for an address that no client of Docker's sends.
    #[must_use]
    pub fn registry(&self) -> Option<String> {
        registry::of_address(self.body.get("serveraddress").and_then(Json::as_str).unwrap_or_default())
    }

    /// The body for the Engine.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        Json::Object(self.body).to_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(body: &str) -> Result<JudgedLogin, Refusal> {
        judge_login(body.as_bytes(), &Rules::lab(1, 1, Vec::new()))
    }

    #[test]
    fn a_login_is_read_as_the_engine_reads_it() {
        let login =
            judged(r#"{"username":"a","password":"b","ServerAddre\u017fs":"https://ghcr.io"}"#).unwrap();
        assert_eq!(login.registry().as_deref(), Some("ghcr.io"));
        assert_eq!(
            String::from_utf8(login.into_body()).unwrap(),
            r#"{"username":"a","password":"b","serveraddress":"https://ghcr.io"}"#
        );
        assert_eq!(judged("{}").unwrap().registry().as_deref(), Some("docker.io"));
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused_without_its_value() {
        for body in [
            r#"{"serveraddress":"ghcr.io","serverAddress":"10.0.0.1"}"#,
            r#"{"password":["hunter2"]}"#,
            r#"{"token":"hunter2"}"#,
            r#"{"password":"hunter2"} x"#,
            "",
        ] {
            let refusal = judged(body).expect_err(body);
            assert!(!refusal.message.contains("hunter2"), "{}", refusal.message);
        }
    }
}
