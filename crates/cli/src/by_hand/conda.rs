//! conda and mamba keep a history of what was asked for, and a file of each package, in each of their environments.

use std::collections::{BTreeMap, BTreeSet};

use super::Files;
use crate::client::Change;
use crate::dockerfile::{Installer, Package};

const OF_PACKAGES: &str = "/conda-meta/";
const HISTORY: &str = "/conda-meta/history";
/// An environment that has this is the one into which a `RUN conda install` installs.
const PROGRAM: &str = "/bin/conda";
/// What was asked for in one step of the history, as a list.
const ASKED: &str = "# update specs:";
/// Environments that are looked at: people have a handful.
const ENVIRONMENTS_MAX: usize = 16;
/// What installs others is no part of a project.
const INSTALLERS: [&str; 5] = ["conda", "mamba", "pip", "setuptools", "wheel"];

pub(super) fn telling(changes: &[Change]) -> Vec<String> {
    let environments = new(changes);
    let files = environments.keys().take(ENVIRONMENTS_MAX);
    files.flat_map(|prefix| [format!("{prefix}{HISTORY}"), format!("{prefix}{PROGRAM}")]).collect()
}

/// The packages that were asked for, with their versions and, where that is not the usual one, their channel; and those of
/// environments that a Dockerfile's own commands do not reach.
pub(super) fn asked_for(changes: &[Change], files: &Files) -> (Vec<Package>, Vec<(String, Vec<String>)>) {
    let (mut packages, mut elsewhere) = (Vec::new(), Vec::new());
    for (prefix, new) in new(changes) {
        let history = files.get(&format!("{prefix}{HISTORY}")).map(String::as_str).unwrap_or_default();
        let texts: BTreeSet<String> = steps(history).flat_map(|step| asked_in(step, &new)).collect();
        if texts.is_empty() {
            continue;
        }
        if files.contains_key(&format!("{prefix}{PROGRAM}")) {
            packages.extend(texts.iter().map(|text| Package::new(Installer::Conda, text)));
        } else {
            elsewhere.push((prefix.to_owned(), texts.into_iter().collect()));
        }
    }
    (packages, elsewhere)
}

/// The packages that the image has not, as `name-version-build`, by environment.
fn new(changes: &[Change]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut environments: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for change in changes.iter().filter(|change| change.is_new()) {
        let Some((prefix, file)) = change.path.split_once(OF_PACKAGES) else { continue };
        if let Some(package) = file.strip_suffix(".json").filter(|package| package.contains('-')) {
            environments.entry(prefix).or_default().insert(package);
        }
    }
    environments
}

/// The steps of a history; each begins with its date: `==> 2026-11-21 10:00:00 <==`.
fn steps(history: &str) -> impl Iterator<Item = &str> {
    history.split("==> ").skip(1)
}

/// What one step was asked for and brought, of what the image has not. The steps of the image's own build brought nothing
/// of that, so they tell nothing.
fn asked_in(step: &str, new: &BTreeSet<&str>) -> Vec<String> {
    let brought: Vec<(&str, &str)> = step
        .lines()
        .filter_map(|line| line.strip_prefix('+'))
        .map(|line| line.rsplit_once("::").unwrap_or(("", line)))
        .filter(|(_, package)| new.contains(package))
        .collect();
    let asked = step.lines().filter_map(|line| line.strip_prefix(ASKED)).flat_map(listed);
    let name = |text: &str| Package::new(Installer::Conda, text).name;
    let texts = asked.filter_map(|spec| {
        let (channel, package) = brought
            .iter()
            .find(|(_, package)| package.rsplitn(3, '-').nth(2).is_some_and(|there| there == name(spec)))?;
        let mut parts = package.rsplitn(3, '-').skip(1);
        let (version, name) = (parts.next()?, parts.next().filter(|name| !INSTALLERS.contains(name))?);
        Some(match channel_of(channel) {
            Some(channel) => format!("{channel}::{name}={version}"),
            None => format!("{name}={version}"),
        })
    });
    texts.collect()
}

/// The words of a list as Python and JSON write it: `['numpy', "scipy>=1"]`.
fn listed(text: &str) -> impl Iterator<Item = &str> {
    let inner = text.trim().trim_start_matches('[').trim_end_matches(']');
    let words = inner.split(['\'', '"']).map(str::trim);
    words.filter(|word| !word.is_empty() && *word != ",")
}

/// The channel in `conda-forge/linux-64`, `https://conda.anaconda.org/conda-forge/linux-64` or, as it was written once,
/// `conda-forge`; unless it is one that conda takes by itself.
fn channel_of(written: &str) -> Option<&str> {
    let channel = written.rsplit_once('/').map_or(written, |(channel, _)| channel);
    if matches!(channel, "" | "defaults") || channel.contains("pkgs/") {
        return None;
    }
    channel.rsplit('/').next()
}
