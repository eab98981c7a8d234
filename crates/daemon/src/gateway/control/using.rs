//! What a container does with its units, when it would be stopped for it and what prevents that: in sentences with
//! numbers; and `POST containers/{name}/keep`, by which its owner asks for more time.

use std::time::Duration;

use ds01_api::{Fact, Keep, Kept, Stop, StopCause};
use ds01_domain::{
    self as domain, Cause, Container, Deadline, Evidence, Exemption, Kind, Mode, Time, Verdict, VerdictState,
    Watched, deadline,
};
use hyper::{Response, StatusCode};

use super::{Ask, Fault, denied};
use crate::clock::{self, for_people};
use crate::gateway::http::{self, Body};
use crate::gateway::{Door, person_of};

/// The longest time for which idleness is passed over at once.
const KEEP_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A run this young has shown nothing yet that is worth telling.
const TOLD_FROM: Duration = Duration::from_secs(60);

/// What was seen of a running container, if there is something to tell of it.
pub(super) fn seen(door: &Door, container: &Container, now: Time) -> Option<Watched> {
    let domain::Standing::Running { since } = container.standing else { return None };
    let watched = door.board.seen(&container.id)?.watched;
    let from = watched.idle_timeout.map_or(TOLD_FROM, |timeout| TOLD_FROM.min(timeout / 3));
    (now.since(since) >= from).then_some(watched)
}

/// When a container is to be stopped, as scripts and lists want it.
pub(super) fn stop_of(container: &Container, watched: &Watched, mode: Mode, now: Time) -> Option<Stop> {
    let Deadline { cause, at, .. } = deadline(container, watched, now)?;
    let cause = match cause {
        Cause::Idle | Cause::Demand => StopCause::Idle,
        Cause::Runtime => StopCause::Runtime,
    };
    Some(Stop { cause, in_seconds: at.since(now).as_secs(), enforced: mode == Mode::Enforce })
}

/// What is to be told of the use that a container makes of its units.
pub(super) fn facts(container: &Container, watched: &Watched, mode: Mode, now: Time) -> Vec<Fact> {
    let mut facts =
        vec![fact("use", state(&watched.verdict, now)), fact("measured", numbers(&watched.verdict.evidence))];
    let evidence = &watched.verdict.evidence;
    if evidence.idle_units > 0 {
        let waste = format!("{} of {} units are not used", evidence.idle_units, evidence.units);
        facts.push(fact("waste", waste));
    }
    facts.push(fact("stops", stops(container, watched, mode, now)));
    let kept = [container.kept_until, watched.keep_file_until].into_iter().flatten().max();
    if let Some(left) = kept.filter(|until| *until > now).map(|until| until.since(now)) {
        facts.push(fact("kept", format!("for {} more, whether or not it uses the GPU", for_people(left))));
    }
    facts
}

fn fact(label: &str, text: impl Into<String>) -> Fact {
    Fact { label: label.to_owned(), text: text.into() }
}

fn state(verdict: &Verdict, now: Time) -> String {
    let quiet = || for_people(now.since(verdict.quiet_since));
    match verdict.state {
        VerdictState::Active => "its GPU is at work".to_owned(),
        VerdictState::Grace => "just started, or somebody just came in".to_owned(),
        VerdictState::Busy => {
            let since = for_people(now.since(verdict.units_quiet_since));
            format!("its GPU is idle for {since}, while it works on CPU, disk or network")
        }
        VerdictState::Resident => format!("idle for {}: its programs hold the GPU and do nothing", quiet()),
        VerdictState::NoProcess => format!("idle for {}: no program of it is on the GPU", quiet()),
        VerdictState::Unknown => "nobody can say: what is not measured stops nothing".to_owned(),
    }
}

fn numbers(evidence: &Evidence) -> String {
    let dash = |value: Option<String>| value.unwrap_or_else(|| "unknown".to_owned());
    let rate = |bytes: Option<u64>| dash(bytes.map(|bytes| format!("{:.1} MB/s", bytes as f64 / 1e6)));
    let mut parts = vec![format!("programs on the GPU: {}", dash(evidence.processes.map(|n| n.to_string())))];
    parts.extend(evidence.busy_percent.map(|busy| format!("GPU {busy} %")));
    parts.extend(evidence.power.and_then(|power| match (power.above_floor_mw(), power.of_limit_percent) {
        (Some(above), _) => Some(format!("power {} W above rest", (above.max(0) + 500) / 1000)),
        (None, share) => share.map(|share| format!("power {share} % of the card's limit")),
    }));
    parts.extend(evidence.memory_mib.map(|memory| format!("GPU memory {memory} MiB")));
    parts.push(format!(
        "CPU {}",
        dash(evidence.cpu_milli.map(|milli| format!("{:.2}", milli as f64 / 1000.0)))
    ));
    parts.push(format!("disk {}", rate(evidence.disk_bytes)));
    parts.push(format!("network {}", rate(evidence.network_bytes)));
    parts.join(", ")
}

fn stops(container: &Container, watched: &Watched, mode: Mode, now: Time) -> String {
    if container.kind == Kind::Infrastructure {
        return "never: it is the lab's own".to_owned();
    }
    let Some(Deadline { cause, at, of, usual }) = deadline(container, watched, now) else {
        return match watched.idle_timeout {
            Some(timeout) => format!("when its GPU has been idle for {}", for_people(timeout)),
            None => "never: no limit holds for it".to_owned(),
        };
    };
    let of = for_people(of);
    let why = match cause {
        Cause::Idle => format!("if its GPU stays idle (at most {of}); using it prevents that"),
        Cause::Demand => {
            let usual = for_people(usual);
            format!(
                "if its GPU stays idle (at most {of} instead of {usual}, as somebody waits for it); using it prevents that"
            )
        }
        Cause::Runtime => format!("when its maximum run time of {of} is over"),
    };
    let when = if at > now { format!("in {}", for_people(at.since(now))) } else { "now".to_owned() };
    match mode {
        Mode::Enforce => format!("{when}, {why}"),
        Mode::Observe => format!("not yet: DS01 only observes here; it would be {when}, {why}"),
    }
}

/// Until when the rules stop it on no account, and who said so.
pub(super) fn exempt(exemption: &Exemption, now: Time) -> Fact {
    let left = for_people(exemption.until.since(now));
    fact("exempt", format!("for {left} more, by {}: {}", exemption.by, exemption.reason))
}

/// Why the rules have stopped a container, in a sentence.
pub(super) fn stopped_for(label: &str, cause: Cause) -> String {
    match cause {
        Cause::Idle => {
            format!("{label} was stopped by DS01: it did not use its GPU; others have it now, or may")
        }
        Cause::Demand => {
            format!("{label} was stopped by DS01: it did not use its GPU, and somebody waited for it")
        }
        Cause::Runtime => format!("{label} was stopped by DS01: its maximum run time was over"),
    }
}

/// `POST containers/{name}/keep`: idleness is passed over for a while.
pub(super) async fn keep(mut ask: Ask, name: &str) -> Result<Response<Body>, Fault> {
    let own = ask.container(name).await?;
    let Keep { seconds } = ask.read().await?;
    let length = Duration::from_secs(seconds);
    if length > KEEP_MAX {
        let message = format!("a container is kept for at most {} at a time", for_people(KEEP_MAX));
        return Err(Fault::new(StatusCode::BAD_REQUEST, ds01_api::codes::REQUEST_INVALID, message)
            .hint("ask again when that is over, or an administrator for more"));
    }
    if own.container.as_ref().is_none_or(|container| container.want.is_none()) {
        let message = format!("{name} has no GPU, so nothing stops it");
        return Err(Fault::new(StatusCode::CONFLICT, ds01_api::codes::CONTAINER_CONFLICT, message));
    }
    if let Err(denial) = ask.door.coordinator.keep(person_of(&ask.caller), &own.id, length).await? {
        return Err(Fault { status: StatusCode::CONFLICT, error: denied(&denial) });
    }
    let until = i64::try_from(clock::wall_ms() / 1000 + seconds).unwrap_or(i64::MAX);
    Ok(http::json(StatusCode::OK, &Kept { seconds, until }))
}
