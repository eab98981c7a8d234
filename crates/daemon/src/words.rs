//! Sentences that people read: the wait, the grant, the denial, the failed start. In one place, so that the attached
//! terminal, the command line and Docker's own errors say the same.

use std::sync::Arc;
use std::time::Duration;

use ds01_domain::{Cause, Denial, Holder, UnitId};

use crate::clock::for_people;
use crate::coordinator::Place;

/// How many holders a waiting line names before it says "and others".
const HOLDERS_SHOWN_MAX: usize = 4;

/// Who holds what, in half a sentence.
#[must_use]
pub fn holders(holders: &[Arc<Holder>]) -> String {
    let mut parts: Vec<String> = holders
        .iter()
        .take(HOLDERS_SHOWN_MAX)
        .map(|h| format!("{} holds {} ({})", h.owner_name, h.units.join(", "), h.container_name))
        .collect();
    if holders.len() > HOLDERS_SHOWN_MAX {
        parts.push(format!("and {} more", holders.len() - HOLDERS_SHOWN_MAX));
    }
    parts.join("; ")
}

/// What an attached terminal reads while its container waits.
#[must_use]
pub fn waiting(place: &Place) -> String {
    let place_text = if place.of == 1 {
        "next in line".to_owned()
    } else {
        format!("place {} of {} in line", place.position, place.of)
    };
    let mut text = format!("ds01: waiting for a GPU, {place_text}: {}", place.reason);
    let who = holders(&place.holders);
    if !who.is_empty() {
        text.push_str("; ");
        text.push_str(&who);
    }
    text.push_str(&format!(". It waits at most {}; Ctrl-C cancels.\n", for_people(place.patience())));
    text
}

/// What it reads of when the wait may be over.
#[must_use]
pub fn expected(outlook: &str) -> String {
    format!("ds01: {outlook}\n")
}

/// What it reads when the wait is over.
#[must_use]
pub fn granted(units: &[UnitId]) -> String {
    let units: Vec<&str> = units.iter().map(UnitId::as_str).collect();
    format!("ds01: GPU granted ({}), starting\n", units.join(", "))
}

/// A denial with its next step, as Docker's clients print it.
#[must_use]
pub fn denial(denial: &Denial) -> String {
    match denial.hint() {
        Some(hint) => format!("{denial}\nhint: {hint}"),
        None => denial.to_string(),
    }
}

/// The Engine's words for a start that the hinge refused, without the layers of program names before it.
#[must_use]
pub fn start_failed(message: &str) -> String {
    match message.find("ds01: ") {
        Some(at) if message[..at].contains("runtime") => {
            message[at..].trim_end_matches(": unknown").trim_end_matches(": unknown.").to_owned()
        }
        _ => message.to_owned(),
    }
}
/// A container's name as its owner says it: the project, where it is one's.
fn spoken(name: &str) -> String {
    ds01_api::names::split_container(name)
        .map_or_else(|| name.to_owned(), |(project, _)| project.as_str().to_owned())
}

/// What the owner of a container reads before it is stopped.
#[must_use]
pub fn will_be_stopped(name: &str, cause: Cause, left: Duration, quiet_for: Option<Duration>) -> String {
    let project = spoken(name);
    let left = for_people(left);
    let waited_for = if cause == Cause::Demand { ", and somebody waits for it" } else { "" };
    match (cause, quiet_for) {
        (Cause::Idle | Cause::Demand, Some(quiet)) => format!(
            "ds01: {project} will be stopped in {left}: it has not used its GPU for {}{waited_for}.\n      \
             Files in /workspace stay. To keep it: use the GPU, or  ds01 keep {project} --for 2h",
            for_people(quiet)
        ),
        (Cause::Idle | Cause::Demand, None) => format!(
            "ds01: {project} will be stopped in {left}: it does not use its GPU{waited_for}.\n      \
             Files in /workspace stay. To keep it: use the GPU, or  ds01 keep {project} --for 2h"
        ),
        (Cause::Runtime, _) => format!(
            "ds01: {project} will be stopped in {left}: its maximum run time is over then.\n      \
             Save a checkpoint now; files in /workspace stay. Why:  ds01 why {project}"
        ),
    }
}

/// What the owner of a container reads when it is stopped for being on a unit that it was not granted.
#[must_use]
pub fn is_expelled(name: &str) -> String {
    let project = spoken(name);
    format!(
        "ds01: {project} is being stopped: a program of it uses a GPU that it was not granted. Files in /workspace stay. \
         What happened:  ds01 events"
    )
}

/// What the owner of a container reads when it is stopped.
#[must_use]
pub fn is_being_stopped(name: &str, cause: Cause) -> String {
    let project = spoken(name);
    format!("ds01: {project} is being stopped ({cause}). Files in /workspace stay. Why:  ds01 why {project}")
}
