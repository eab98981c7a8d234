//! Packages that somebody installed by hand in a container: what he asked for, and nothing that came with it.
//!
//! Whoever installs leaves a note of what was asked for: pip a mark beside the package, conda a line in its history, the
//! distribution a list of what came by itself. The Engine tells what a container has that its image has not. So nothing is
//! run inside, and a container that has stopped tells it as well. Pure: it must never read a container itself.

mod apt;
mod conda;
mod pip;

use std::collections::BTreeMap;

use crate::client::Change;
use crate::dockerfile::{Package, checked};

/// Files of a container, by their paths; those that are not there are left out.
pub(crate) type Files = BTreeMap<String, String>;

/// What was installed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// What a Dockerfile can install the same way.
    pub(crate) packages: Vec<Package>,
    /// What it cannot, and where that is.
    pub(crate) elsewhere: Vec<(String, Vec<String>)>,
}

/// The files of a container that tell more of these changes.
pub(crate) fn telling(changes: &[Change]) -> Vec<String> {
    let conda = conda::telling(changes);
    // What conda brings has pip's mark, too; only beside it is there something to tell apart.
    let pip = if conda.is_empty() { Vec::new() } else { pip::telling(changes) };
    [apt::telling(changes), conda, pip].concat()
}

/// What was asked for by name since the container began.
pub(crate) fn found(changes: &[Change], files: &Files) -> Found {
    let (conda, elsewhere) = conda::asked_for(changes, files);
    let mut packages = [apt::asked_for(changes, files), conda, pip::asked_for(changes, files)].concat();
    packages.retain(|package| checked(&package.text).is_ok());
    let sound = |(place, mut texts): (String, Vec<String>)| {
        texts.retain(|text| checked(text).is_ok());
        (!texts.is_empty()).then_some((place, texts))
    };
    Found { packages, elsewhere: elsewhere.into_iter().filter_map(sound).collect() }
}

#[cfg(test)]
mod tests;
