//! What became of a start, a pause, an exit: one container each.

use ds01_api::{Container, ContainerState, UnitRef};

use super::containers::units;
use super::{TITLE, next_steps, styled};

/// `container start`: one container; `held` is what it holds now.
pub(crate) fn started(name: &str, held: &[UnitRef], already: bool) -> String {
    if already {
        return format!("{name} was running already.\n");
    }
    let gpu = match held {
        [] => String::new(),
        held => format!(" with GPU {}", units(held)),
    };
    let headline = format!("{name} is running{gpu}.");
    let steps = [
        (format!("container attach {name}"), "open a shell in it"),
        (format!("container stop {name}"), "stop it"),
    ];
    format!("{}\n{}", styled(TITLE, &headline), next_steps(&steps))
}

/// `container pause`: one container.
pub(crate) fn paused(container: &Container, already: bool) -> String {
    let name = container.short_name();
    if already {
        return format!("{name} was paused already.\n");
    }
    let keeps = match container.units.as_slice() {
        [] => String::new(),
        held => format!(" and keeps GPU {}, which nobody else gets", units(held)),
    };
    let mut steps = vec![(format!("container unpause {name}"), "let it go on")];
    if !container.units.is_empty() {
        steps.push((format!("container stop {name}"), "end it and free the GPU"));
    }
    format!("{}\n{}", styled(TITLE, &format!("{name} is paused{keeps}.")), next_steps(&steps))
}

/// `container unpause`: one container.
pub(crate) fn unpaused(container: &Container, already: bool) -> String {
    let name = container.short_name();
    if already { format!("{name} was not paused.\n") } else { format!("{name} goes on.\n") }
}

/// `container exit`: how a shell is left, and what there is to do with a container from outside.
pub(crate) fn exit(container: Option<&Container>) -> String {
    let how =
        "To leave a container's shell, type exit in it, or press Ctrl-D: the container keeps running.\n";
    let Some(container) = container else {
        let steps = [
            ("container list".to_owned(), "what you have running"),
            ("container stop NAME".to_owned(), "stop a container; its GPU is free for others"),
            ("container retire NAME".to_owned(), "stop and remove it; /workspace is kept"),
        ];
        return how.to_owned() + &next_steps(&steps);
    };
    let name = container.short_name();
    let (holds, frees) = match container.units.as_slice() {
        [] => (String::new(), "stop it"),
        held => (format!(" and holds GPU {}", units(held)), "stop it; its GPU is free for others"),
    };
    let step = |command: &str, what| (format!("container {command} {name}"), what);
    let (attach, stop) = (step("attach", "open a shell in it"), step("stop", frees));
    let retire = step("retire", "stop and remove it; /workspace is kept");
    let (state, steps) = match container.state {
        ContainerState::Running => (format!("is running{holds}"), vec![attach, stop, retire]),
        ContainerState::Paused => {
            (format!("is paused{holds}"), vec![step("unpause", "let it go on"), stop, retire])
        }
        ContainerState::Starting => ("is being started".to_owned(), vec![attach, stop, retire]),
        ContainerState::Waiting => {
            let why = (format!("ds01 why {name}"), "tell what it waits for");
            ("waits for a GPU".to_owned(), vec![why, step("stop", "leave the line"), retire])
        }
        ContainerState::Created | ContainerState::Stopped | ContainerState::Stopping => {
            let again = [step("start", "start it"), step("retire", "remove it; /workspace is kept")];
            ("is not running".to_owned(), again.to_vec())
        }
    };
    format!("{how}{name} {state}.\n{}", next_steps(&steps))
}
