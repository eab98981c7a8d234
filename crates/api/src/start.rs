//! The stream that a start answers with.

use serde::{Deserialize, Serialize};

use crate::{ApiError, Exit, Holder, Outlook, UnitRef};

/// One line of the stream: any number of `waiting`, then one `started` or `refused`, then the end.
///
/// The HTTP status is 200 once the stream has begun; whoever is not found or not permitted gets a plain error instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum StartEvent {
    /// In line; sent at once, at every change, and at least every ten seconds.
    Waiting(Waiting),
    /// The container runs.
    Started {
        /// What it holds; empty without a GPU.
        units: Vec<UnitRef>,
        /// It ran before; nothing was done.
        #[serde(default)]
        already: bool,
    },
    /// It does not run.
    Refused(Refusal),
}

/// A place in line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// 1 is next.
    pub position: u32,
    /// How many wait.
    pub of: u32,
    /// Why, as a sentence without a full stop.
    pub reason: String,
    /// Who holds what it waits for.
    #[serde(default)]
    pub holders: Vec<Holder>,
    /// How long it has waited.
    pub waited_seconds: u64,
    /// When the wait is given up.
    pub left_seconds: u64,
    /// What it may expect; absent far back in the line, and in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlook: Option<Outlook>,
}

/// The end of a start that was not to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Code, sentence, next step.
    #[serde(flatten)]
    pub error: ApiError,
    /// The exit code for the command line, one of [`Exit::code`].
    pub exit: u8,
}

impl From<ApiError> for Refusal {
    /// Takes the exit code from the error's code; what has none there failed.
    fn from(error: ApiError) -> Self {
        let exit = Exit::of(500, &error.code).code();
        Self { error, exit }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::codes;

    #[test]
    fn lines_of_the_stream() {
        let waiting = StartEvent::Waiting(Waiting {
            position: 1,
            of: 2,
            reason: "all 2 units are held".to_owned(),
            holders: vec![Holder {
                owner: "alice".to_owned(),
                mine: false,
                container: None,
                units: vec!["0:1".to_owned()],
                held_seconds: 60,
                left_seconds: None,
            }],
            waited_seconds: 0,
            left_seconds: 180,
            outlook: None,
        });
        let started = StartEvent::Started { units: vec![], already: false };
        let refused =
            StartEvent::Refused(ApiError::new(codes::GPU_TIMEOUT, "none").with_hint("gpu-status").into());
        let lines: Vec<String> =
            [waiting, started, refused].iter().map(|event| serde_json::to_string(event).unwrap()).collect();
        expect![[r#"
            {"event":"waiting","position":1,"of":2,"reason":"all 2 units are held","holders":[{"owner":"alice","mine":false,"units":["0:1"],"held_seconds":60}],"waited_seconds":0,"left_seconds":180}
            {"event":"started","units":[],"already":false}
            {"event":"refused","code":"gpu.timeout","message":"none","hint":"gpu-status","exit":3}"#]]
        .assert_eq(&lines.join("\n"));
        for line in lines {
            let read: StartEvent = serde_json::from_str(&line).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), line);
        }
    }
}
