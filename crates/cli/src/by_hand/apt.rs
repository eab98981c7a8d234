//! The distribution's packages: dpkg has a file of each, and apt a list of those that came by themselves.

use std::collections::BTreeSet;

use super::Files;
use crate::client::Change;
use crate::dockerfile::{Installer, Package};

const OF_PACKAGES: &str = "/var/lib/dpkg/info/";
/// What is installed, and what has only left its settings behind.
const STATUS: &str = "/var/lib/dpkg/status";
/// Which packages nobody asked for.
const STATES: &str = "/var/lib/apt/extended_states";

pub(super) fn telling(changes: &[Change]) -> Vec<String> {
    let any = new(changes).next().is_some();
    if any { vec![STATUS.to_owned(), STATES.to_owned()] } else { Vec::new() }
}

/// The packages that were asked for, without versions: a distribution has only its last ones.
pub(super) fn asked_for(changes: &[Change], files: &Files) -> Vec<Package> {
    let stanzas = |path: &str| files.get(path).map(String::as_str).unwrap_or_default().split("\n\n");
    let name = |stanza: &'_ str| field(stanza, "Package").map(str::to_owned);
    let installed: BTreeSet<String> = stanzas(STATUS)
        .filter(|stanza| field(stanza, "Status") == Some("install ok installed"))
        .filter_map(name)
        .collect();
    let by_themselves: BTreeSet<String> = stanzas(STATES)
        .filter(|stanza| field(stanza, "Auto-Installed") == Some("1"))
        .filter_map(name)
        .collect();
    let asked: BTreeSet<&str> =
        new(changes).filter(|name| installed.contains(*name) && !by_themselves.contains(*name)).collect();
    asked.into_iter().map(|name| Package::new(Installer::Apt, name)).collect()
}

/// The packages that the image has not, without their architectures.
fn new(changes: &[Change]) -> impl Iterator<Item = &str> {
    changes.iter().filter(|change| change.is_new()).filter_map(|change| {
        let name = change.path.strip_prefix(OF_PACKAGES)?.strip_suffix(".list")?;
        name.split(':').next()
    })
}

fn field<'s>(stanza: &'s str, name: &str) -> Option<&'s str> {
    stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}
