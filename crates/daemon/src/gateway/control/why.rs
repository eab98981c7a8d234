//! `GET why/{name}`: why a container is as it is, in one sentence, the facts behind it, and what to type next.
//!
//! The rules know who was told to stop and who was denied; the Engine knows how a program ended. It must never guess
//! between the two: what nobody saw is said to be so.

use std::time::Duration;

use ds01_api::{Container, ContainerState, Fact, Why};
use ds01_domain as domain;
use hyper::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use super::list::one;
use super::using;
use super::{Ask, Fault};
use crate::clock;
use crate::gateway::deeds::Deed;
use crate::gateway::http::{self, Body};

/// Exit codes above this tell of the signal that ended a program.
const EXIT_SIGNAL_BASE: i32 = 128;
const SIGKILL: i32 = 9;

/// How the last run ended, or did not begin.
#[derive(Debug, Clone, Default)]
struct End {
    exit: Option<i32>,
    /// The kernel ended a program of it for want of memory.
    out_of_memory: bool,
    /// The Engine's words for a start that failed.
    error: String,
    ago: Option<Duration>,
    /// The memory it may have; 0 is all there is.
    memory_bytes: u64,
    by_user: bool,
    /// The rules stopped it.
    stopped_for: Option<domain::Cause>,
    /// When its restart policy starts it again.
    again_in: Option<Duration>,
}

pub(super) async fn why(ask: Ask, name: &str) -> Result<Response<Body>, Fault> {
    let (container, own) = one(&ask, name).await?;
    let mut end = End::default();
    if matches!(container.state, ContainerState::Created | ContainerState::Stopped) {
        let look = ask.door.engine.look(&own.id).await?;
        let record = ask.door.records.one(&ask.door, own.token()).await?;
        let shown = ds01_docker::present::container_inspect(look.reply, Some(&record.original));
        end = End::of_inspect(&shown.unwrap_or_default(), Timestamp::now());
        let now = ask.door.coordinator.now().await?;
        if let Some(known) = &own.container {
            end.by_user = matches!(known.standing, domain::Standing::Stopped { by_user: true, .. });
            end.stopped_for = known.stopped_for;
            end.again_in = known.restarts.due.map(|due| due.since(now));
        }
    }
    let deed = ask.door.deeds.of(&own.id);
    end.by_user |= matches!(&deed, Some((Deed::Stopped, _)));
    let denied = match deed {
        Some((Deed::Denied(denial), at)) => Some((*denial, at.elapsed())),
        _ => None,
    };
    let mut why = explain(&container, &end, denied.as_ref());
    if let Some(known) = own.container.as_ref().filter(|_| container.state.is_alive()) {
        let now = ask.door.coordinator.now().await?;
        let mode = ask.door.board.mode(&ask.door.config().policy.rules);
        let watched = using::seen(&ask.door, known, now);
        why.facts.extend(watched.iter().flat_map(|watched| using::facts(known, watched, mode, now)));
        let key = known.id.clone();
        let exempt = ask.door.coordinator.read(move |state, _, now| {
            let container = state.container(&key)?;
            state.exemption_of(container, now).map(|exemption| using::exempt(exemption, now))
        });
        why.facts.extend(exempt.await?);
        let key = known.id.clone();
        let lost = ask.door.coordinator.read(move |state, _, _| {
            let lost = |view: &domain::UnitView<'_>| {
                view.health == domain::Health::Lost
                    && view.holder.is_some_and(|holder| holder.container == key)
            };
            state.units().filter(lost).map(|view| view.unit.label()).collect::<Vec<_>>()
        });
        let lost = lost.await?;
        if !lost.is_empty() {
            why.verdict = without_its_gpu(&container, &lost);
            why.next.extend(
                container.workspace.is_some().then(|| format!("container deploy {}", container.short_name())),
            );
        }
    }
    Ok(http::json(StatusCode::OK, &why))
}

impl End {
    fn of_inspect(reply: &Value, now: Timestamp) -> Self {
        let state = |key: &str| reply.get("State").and_then(|state| state.get(key));
        let finished: Option<Timestamp> =
            state("FinishedAt").and_then(Value::as_str).and_then(|text| text.parse().ok());
        // A container that never ran has the first moment of the calendar here.
        let finished = finished.filter(|at| at.as_second() > 0);
        Self {
            exit: state("ExitCode").and_then(Value::as_i64).and_then(|code| i32::try_from(code).ok()),
            out_of_memory: state("OOMKilled").and_then(Value::as_bool).unwrap_or(false),
            error: start_error(state("Error").and_then(Value::as_str).unwrap_or_default()).to_owned(),
            ago: finished.map(|at| now.duration_since(at).try_into().unwrap_or_default()),
            memory_bytes: reply.pointer("/HostConfig/Memory").and_then(Value::as_u64).unwrap_or(0),
            by_user: false,
            stopped_for: None,
            again_in: None,
        }
    }
}

/// The Engine's words for a failed start, without the layers of programs that passed them on.
fn start_error(message: &str) -> &str {
    const PASSED_ON: &str = "unable to start container process: ";
    let said = message.find(PASSED_ON).map_or(message, |at| &message[at + PASSED_ON.len()..]);
    said.trim_end_matches(": unknown").trim_end_matches('.')
}

fn explain(container: &Container, end: &End, denied: Option<&(domain::Denial, Duration)>) -> Why {
    let label = container.short_name();
    let mut facts = facts_of(container);
    let mut next = Vec::new();
    let verdict = match container.state {
        ContainerState::Waiting => {
            next.push("ds01 queue".to_owned());
            format!("{label} waits for a GPU")
        }
        ContainerState::Running if !container.units.is_empty() => {
            next.push(format!("container retire {label}"));
            format!("{label} runs and holds GPU {}, which nobody else gets while it runs", held(container))
        }
        ContainerState::Paused if !container.units.is_empty() => {
            next.push(format!("container unpause {label}"));
            format!("{label} is paused and keeps GPU {}", held(container))
        }
        ContainerState::Running => format!("{label} runs without a GPU"),
        ContainerState::Paused => {
            next.push(format!("container unpause {label}"));
            format!("{label} is paused; it has no GPU")
        }
        ContainerState::Starting => format!("{label} is being started"),
        ContainerState::Stopping => format!("{label} is being stopped"),
        ContainerState::Created | ContainerState::Stopped => match denied {
            Some((denial, ago)) => not_started(container, denial, *ago, &mut facts, &mut next),
            None => ended(container, end, &mut facts, &mut next),
        },
    };
    Why { name: container.name.clone(), verdict, facts, next }
}

/// What it holds is there no more: it runs on, and its programs meet errors.
fn without_its_gpu(container: &Container, lost: &[String]) -> String {
    let label = container.short_name();
    format!(
        "{label} runs, but its GPU {} is lost to this machine; made anew, it gets another",
        lost.join(", ")
    )
}

fn held(container: &Container) -> String {
    container.units.iter().map(|unit| unit.address.as_str()).collect::<Vec<_>>().join(", ")
}

fn fact(label: &str, text: impl Into<String>) -> Fact {
    Fact { label: label.to_owned(), text: text.into() }
}

fn facts_of(container: &Container) -> Vec<Fact> {
    let mut facts = vec![
        fact("image", container.image.clone()),
        fact("asks for", container.want.clone().unwrap_or_else(|| "no GPU".to_owned())),
    ];
    if let Some(workspace) = &container.workspace {
        facts.push(fact("workspace", format!("{workspace}, which stays whatever happens to the container")));
    }
    if let Some(w) = &container.waiting {
        facts.push(fact("line", format!("place {} of {}: {}", w.position, w.of, w.reason)));
        let left = clock::for_people(Duration::from_secs(w.left_seconds));
        facts.push(fact("wait ends", format!("in {left}")));
    }
    if !container.units.is_empty() {
        let units = container.units.iter().map(|u| format!("{} ({})", u.address, u.id)).collect::<Vec<_>>();
        facts.push(fact("GPU", units.join(", ")));
    }
    facts
}

/// A start that the rules denied, and no other since.
fn not_started(
    container: &Container,
    denial: &domain::Denial,
    ago: Duration,
    facts: &mut Vec<Fact>,
    next: &mut Vec<String>,
) -> String {
    facts.push(fact("denied", format!("{} ago", clock::for_people(ago))));
    facts.extend(denial.hint().map(|hint| fact("what helps", hint)));
    next.push(start_command(container));
    let text = denial.to_string();
    let reason = text.lines().next().unwrap_or_default().trim_end_matches('.');
    format!("{} does not run, its last start was denied: {reason}", container.short_name())
}

/// A container that does not run, for reasons of its own or its user's.
fn ended(container: &Container, end: &End, facts: &mut Vec<Fact>, next: &mut Vec<String>) -> String {
    let label = container.short_name();
    if let Some(ago) = end.ago.filter(|_| container.state == ContainerState::Stopped) {
        facts.push(fact("ended", format!("{} ago", clock::for_people(ago))));
    }
    if let Some(again_in) = end.again_in {
        let when =
            if again_in.is_zero() { "now".to_owned() } else { format!("in {}", clock::for_people(again_in)) };
        facts.push(fact(
            "restart",
            format!("its restart policy starts it again {when}; docker stop ends that"),
        ));
    }
    let logs = || format!("docker logs --tail 20 {}", container.name);
    if !end.error.is_empty() {
        next.push(start_command(container));
        return format!("{label} could not be started: {}", end.error);
    }
    if container.state == ContainerState::Created {
        next.push(start_command(container));
        return format!("{label} was made and never started; it holds no GPU");
    }
    if end.out_of_memory {
        next.extend([logs(), "check-limits".to_owned()]);
        let limit = match end.memory_bytes {
            0 => "the machine had no memory left".to_owned(),
            bytes => format!("it may have {}", mebibytes(bytes)),
        };
        facts.push(fact(
            "what helps",
            "use less at a time (smaller batches, fewer workers), or ask an admin for more",
        ));
        return format!("{label} ran out of memory and was killed by the kernel: {limit}");
    }
    next.push(start_command(container));
    if let Some(cause) = end.stopped_for {
        return using::stopped_for(label, cause);
    }
    if end.by_user {
        return format!("{label} was told to stop; it holds no GPU");
    }
    match end.exit {
        Some(0) => format!("{label} ended by itself, with success (exit code 0); it holds no GPU"),
        Some(code) if code == EXIT_SIGNAL_BASE + SIGKILL => {
            format!("{label} was killed (exit code 137), and not for want of memory")
        }
        Some(code) if (EXIT_SIGNAL_BASE + 1..EXIT_SIGNAL_BASE + 65).contains(&code) => {
            next.insert(0, logs());
            format!("{label} was ended by signal {} (exit code {code})", code - EXIT_SIGNAL_BASE)
        }
        Some(code) => {
            next.insert(0, logs());
            format!("{label} ended by itself with an error (exit code {code})")
        }
        None => format!("{label} has stopped, and nobody saw how; it holds no GPU"),
    }
}

/// What starts it again: the short command where a shell belongs to it.
fn start_command(container: &Container) -> String {
    match &container.project {
        Some(_) => format!("container run {}", container.short_name()),
        None => format!("docker start {}", container.name),
    }
}

fn mebibytes(bytes: u64) -> String {
    let mib = bytes / (1024 * 1024);
    if mib >= 1024 && mib.is_multiple_of(1024) { format!("{} GiB", mib / 1024) } else { format!("{mib} MiB") }
}

#[cfg(test)]
mod tests {
    use ds01_api::ContainerKind;
    use serde_json::json;

    use super::*;

    fn stopped() -> Container {
        Container {
            id: "a".repeat(64),
            name: "train._.alice".to_owned(),
            project: Some("train".to_owned()),
            owner: "alice".to_owned(),
            mine: true,
            kind: ContainerKind::Ds01,
            state: ContainerState::Stopped,
            exit_code: None,
            image: "busybox".to_owned(),
            units: Vec::new(),
            want: Some("1 GPU".to_owned()),
            waiting: None,
            workspace: None,
            created: 0,
            age_seconds: 60,
            state_seconds: None,
            stop: None,
        }
    }

    fn verdict(end: &End) -> (String, Vec<String>) {
        let why = explain(&stopped(), end, None);
        (why.verdict, why.next)
    }

    #[test]
    fn each_end_has_its_sentence_and_its_next_step() {
        let exit = |code| End { exit: Some(code), ..End::default() };
        let cases = [
            (
                exit(0),
                "train ended by itself, with success (exit code 0); it holds no GPU",
                "container run train",
            ),
            (
                exit(1),
                "train ended by itself with an error (exit code 1)",
                "docker logs --tail 20 train._.alice",
            ),
            (
                exit(143),
                "train was ended by signal 15 (exit code 143)",
                "docker logs --tail 20 train._.alice",
            ),
            (
                exit(137),
                "train was killed (exit code 137), and not for want of memory",
                "container run train",
            ),
            (
                End { by_user: true, ..exit(137) },
                "train was told to stop; it holds no GPU",
                "container run train",
            ),
            (
                End { out_of_memory: true, memory_bytes: 8 << 30, ..exit(137) },
                "train ran out of memory and was killed by the kernel: it may have 8 GiB",
                "docker logs --tail 20 train._.alice",
            ),
            (
                End { error: "no such program".to_owned(), ..exit(127) },
                "train could not be started: no such program",
                "container run train",
            ),
            (
                End { stopped_for: Some(domain::Cause::Idle), ..exit(137) },
                "train was stopped by DS01: it did not use its GPU; others have it now, or may",
                "container run train",
            ),
            (End::default(), "train has stopped, and nobody saw how; it holds no GPU", "container run train"),
        ];
        for (end, sentence, first) in cases {
            let (said, next) = verdict(&end);
            assert_eq!((said.as_str(), next[0].as_str()), (sentence, first));
        }
    }

    #[test]
    fn a_denial_comes_before_an_older_end() {
        let denial = domain::Denial::Containers { running: 3, max: 3 };
        let ago = Duration::from_secs(5);
        let why = explain(&stopped(), &End { exit: Some(1), ..End::default() }, Some(&(denial, ago)));
        assert_eq!(
            why.verdict,
            "train does not run, its last start was denied: container quota reached: 3 of 3 containers run"
        );
        assert!(why.facts.contains(&fact("what helps", "stop one; container list shows them")));
    }

    #[test]
    fn the_engine_tells_how_it_ended() {
        let reply = json!({
            "State": { "ExitCode": 137, "OOMKilled": true, "Error": "", "FinishedAt": "2026-01-01T00:00:00.5Z" },
            "HostConfig": { "Memory": 67_108_864 },
        });
        let end = End::of_inspect(&reply, "2026-01-01T00:01:00Z".parse().unwrap());
        assert_eq!((end.exit, end.out_of_memory, end.memory_bytes), (Some(137), true, 64 << 20));
        assert_eq!(end.ago.unwrap().as_secs(), 59);
        let error = r#"OCI runtime create failed: unable to start container process: exec: "/x": no such file: unknown"#;
        let failed = json!({ "State": { "Error": error, "ExitCode": 127 } });
        let end = End::of_inspect(&failed, Timestamp::UNIX_EPOCH);
        assert_eq!(end.error, r#"exec: "/x": no such file"#);
        let never = json!({ "State": { "FinishedAt": "0001-01-01T00:00:00Z" } });
        assert_eq!(End::of_inspect(&never, Timestamp::UNIX_EPOCH).ago, None);
    }
}
