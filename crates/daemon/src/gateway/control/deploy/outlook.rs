//! What a start would meet now, for a dry run. It must never promise: what it says holds for the moment it was looked at.

use ds01_domain as domain;
use ds01_domain::Want;
use hyper::StatusCode;

use crate::gateway::control::{Ask, Fault, denied};
use crate::gateway::person_of;

/// What a start would meet now, in a sentence; a denial that no wait would change is one here, too.
pub(super) async fn outlook(ask: &Ask, gpu: Want) -> Result<String, Fault> {
    let person = person_of(&ask.caller);
    let running_containers = crate::gateway::running_containers(&ask.door, ask.caller.uid).await?;
    let gpus = gpu.units();
    let wanted = (gpus > 0).then_some(gpu);
    let (decision, free, waiting, used, limits) = ask
        .door
        .coordinator
        .read(move |state, policy, now| {
            let request =
                domain::Request::Create { person: &person, want: wanted.as_ref(), running_containers };
            let is_free = |unit: &&domain::Unit| state.unit(&unit.id).is_some_and(|view| view.is_free());
            let sufficient = wanted.as_ref().map_or_else(Vec::new, |want| domain::fitting(state, want));
            let free = sufficient.iter().filter(|unit| is_free(unit)).count();
            let decision = domain::decide(policy, state, &request, now);
            (decision, free, state.waiters().count(), state.used_by(person.uid), policy.resolve(&person))
        })
        .await?;
    if let domain::Decision::Denial(denial) = decision {
        return Err(Fault { status: StatusCode::CONFLICT, error: denied(&denial) });
    }
    if gpus == 0 {
        return Ok("it needs no GPU: it would start at once".to_owned());
    }
    if let Some(max) = limits.max_gpu_equivalents.filter(|max| used >= *max) {
        return Ok(format!("you hold {used} of {max} GPUs: it would be denied until you stop something"));
    }
    Ok(outlook_in_words(free, waiting, gpus))
}

fn outlook_in_words(free: usize, waiting: usize, gpus: usize) -> String {
    let units = match free {
        0 => "no GPU is free".to_owned(),
        1 => "1 GPU unit is free".to_owned(),
        n => format!("{n} GPU units are free"),
    };
    match waiting {
        0 if free >= gpus => format!("{units}: it would start at once"),
        0 => format!("{units}: it would wait, first in line"),
        1 => format!("{units} and 1 start waits: it would wait in line"),
        n => format!("{units} and {n} starts wait: it would wait in line"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outlook_is_a_sentence() {
        assert_eq!(outlook_in_words(3, 0, 1), "3 GPU units are free: it would start at once");
        assert_eq!(outlook_in_words(1, 0, 1), "1 GPU unit is free: it would start at once");
        assert_eq!(outlook_in_words(0, 0, 1), "no GPU is free: it would wait, first in line");
        assert_eq!(outlook_in_words(1, 0, 2), "1 GPU unit is free: it would wait, first in line");
        assert_eq!(outlook_in_words(0, 1, 1), "no GPU is free and 1 start waits: it would wait in line");
        assert_eq!(outlook_in_words(0, 2, 1), "no GPU is free and 2 starts wait: it would wait in line");
    }
}
