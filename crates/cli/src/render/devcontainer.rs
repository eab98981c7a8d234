//! Dev containers: the file that was written, and what one would run into.

use std::path::Path;

use super::{BAD, CARE, GOOD, QUIET, TITLE, facts, next_steps, styled};
use crate::commands::{Checked, Written, spoken};
use crate::devcontainer::{Effect, Finding};

/// `devcontainer init`.
pub(crate) fn devcontainer_written(written: &Written) -> String {
    let gpu = match (written.gpu, written.gpu_on_demand) {
        (true, _) => "its own while it runs; stopped when that is idle",
        (false, true) => "for one command: ds01 run -- python train.py, inside",
        (false, false) => "none: permanent, nobody stops it",
    };
    let rows = [
        ("file", spoken(Path::new(&written.file))),
        ("image", written.image.clone()),
        ("GPU", gpu.to_owned()),
    ];
    let steps = [
        ("code .".to_owned(), "then \"Dev Containers: Reopen in Container\""),
        ("ds01 devcontainer check".to_owned(), "after every change of the file"),
    ];
    format!("{}\n{}\n{}", styled(TITLE, "A dev container is described."), facts(rows), next_steps(&steps))
}

/// `devcontainer check`.
pub(crate) fn devcontainer_checked(checked: &Checked) -> String {
    let mut text = String::new();
    for finding in &checked.fixed {
        text += &format!("{} {}\n", styled(GOOD, "changed"), shown(&finding.at));
    }
    if checked.findings.is_empty() {
        return text
            + &format!("{}: a container of it is permanent here.\n", spoken(Path::new(&checked.file)));
    }
    text += &format!("{}\n", spoken(Path::new(&checked.file)));
    text.extend(checked.findings.iter().map(one));
    if checked.findings.iter().any(|finding| finding.fixable) {
        let steps =
            [("ds01 devcontainer check --fix".to_owned(), "changes what can be changed; comments stay")];
        text += &format!("\n{}", next_steps(&steps));
    }
    text
}

fn one(finding: &Finding) -> String {
    let (style, word) = match finding.effect {
        Effect::Refused => (BAD, "refused "),
        Effect::Stopped => (CARE, "stopped "),
        Effect::Doubtful => (CARE, "doubtful"),
        Effect::Exempt => (GOOD, "exempt  "),
    };
    format!(
        "  {} {}\n           {}\n           {QUIET}{}{QUIET:#}\n",
        styled(style, word),
        shown(&finding.at),
        shown(&finding.why),
        finding.help
    )
}

/// Words of somebody's file, as they can be shown.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
