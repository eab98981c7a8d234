//! Why a build failed, in words for whoever wrote its Dockerfile: the step, the last lines that it printed, and what helps
//! where that can be told from them.

use std::path::Path;

use ds01_api::Exit;
use ds01_api::names::Project;

use super::progress::Told;
use super::recipe;
use crate::failure::Failure;

/// Lines of the failed step that are shown; the log has all.
const LINES_SHOWN: usize = 12;

/// A build that failed.
pub(super) fn failure(project: &Project, dockerfile: &Path, why: &str, told: &Told) -> Failure {
    let mut message = why.to_owned();
    if let Some((step, lines)) = &told.last {
        let step: Vec<&str> = step.split_whitespace().collect();
        message = format!("the build failed at {}: {}", step.join(" "), reason(why));
        for line in lines.iter().skip(lines.len().saturating_sub(LINES_SHOWN)) {
            message += &format!("\n  | {line}");
        }
    }
    let lines = told.last.as_ref().map(|(_, lines)| lines.as_slice()).unwrap_or_default();
    let log = told.log.as_ref().map(|log| format!("; all it printed: {}", recipe::spoken(log)));
    let next = helps(project, lines).unwrap_or_else(|| {
        format!("change {}, then image update {project} --rebuild", recipe::spoken(dockerfile))
    });
    Failure::new(Exit::Failed, "image.build-failed", message).with_hint(next + &log.unwrap_or_default())
}

/// The Engine repeats the whole command; its last words say how it ended.
fn reason(why: &str) -> &str {
    why.rsplit_once("returned a non-zero code: ")
        .map_or(why, |_| why.rfind("returned a non-zero code").map_or(why, |at| &why[at..]))
}

/// What to do about failures that everybody meets.
fn helps(project: &Project, lines: &[String]) -> Option<String> {
    let has = |words: &str| lines.iter().any(|line| line.contains(words));
    let missing = lines.iter().find_map(|line| line.split("No matching distribution found for ").nth(1));
    let no_such = lines.iter().find_map(|line| line.split("Unable to locate package ").nth(1));
    if has("Temporary failure in name resolution")
        || has("Network is unreachable")
        || has("NewConnectionError")
    {
        return Some(
            "the build found no network: try again, or ask an admin whether builds may use it".to_owned(),
        );
    }
    if let Some(package) = missing {
        let package = package.trim();
        return Some(format!(
            "pip knows no {package}: check the name and the version; image update {project} --remove {} takes it out",
            package.split(['=', '<', '>', '!', '~', '[', ' ']).next().unwrap_or(package)
        ));
    }
    if let Some(package) = no_such {
        return Some(format!(
            "the distribution has no package {package}: image update {project} --remove-system {package} takes it out"
        ));
    }
    if has("pip: not found") || has("pip: command not found") || has("No module named pip") {
        return Some(format!(
            "the base image has no pip: take one with Python, or image update {project} --add-system python3-pip"
        ));
    }
    if has("No space left on device") {
        return Some(
            "the machine's disk is full: image list shows what you could delete; else tell an admin"
                .to_owned(),
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(step: &str, lines: &[&str]) -> Told {
        let lines = lines.iter().map(|&line| line.to_owned()).collect();
        Told { seconds: 1.0, steps: 3, cached: 1, log: None, last: Some((step.to_owned(), lines)) }
    }

    fn said(step: &str, why: &str, lines: &[&str]) -> (String, String) {
        let project = Project::new("thesis").unwrap();
        let failure = failure(&project, Path::new("/srv/Dockerfile"), why, &told(step, lines));
        (failure.error.message, failure.error.hint.unwrap())
    }

    #[test]
    fn what_everybody_meets_comes_with_what_helps() {
        let why = "The command '/bin/sh -c pip install trochvision' returned a non-zero code: 1";
        let (message, hint) = said(
            "RUN pip install     trochvision",
            why,
            &["Collecting", "ERROR: No matching distribution found for trochvision==1"],
        );
        assert!(message.starts_with(
            "the build failed at RUN pip install trochvision: returned a non-zero code: 1\n  | Collecting"
        ));
        assert!(hint.contains("image update thesis --remove trochvision takes it out"), "{hint}");
        let (message, hint) = said("COPY x /x", "COPY failed: no such file", &[]);
        assert_eq!(message, "the build failed at COPY x /x: COPY failed: no such file");
        assert_eq!(hint, "change /srv/Dockerfile, then image update thesis --rebuild");
    }
}
