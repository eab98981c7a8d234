//! pip leaves a mark beside each package that was asked for by name, and says that it was pip.

use std::collections::BTreeSet;

use super::Files;
use crate::client::Change;
use crate::dockerfile::{Installer, Package};

/// pip's mark of a package that was asked for.
const MARK: &str = "REQUESTED";
/// Where it stands who brought a package.
const INSTALLER: &str = "INSTALLER";
const INFO: &str = ".dist-info/";
/// What installs others is no part of a project.
const INSTALLERS: [&str; 3] = ["pip", "setuptools", "wheel"];

/// Who brought the packages that have the mark.
pub(super) fn telling(changes: &[Change]) -> Vec<String> {
    marked(changes).map(|(info, _, _)| format!("{info}{INSTALLER}")).collect()
}

/// The packages that were asked for, with their versions.
pub(super) fn asked_for(changes: &[Change], files: &Files) -> Vec<Package> {
    let by_pip = |info: &str| {
        files.get(&format!("{info}{INSTALLER}")).is_none_or(|installer| installer.trim() != "conda")
    };
    let packages = marked(changes).filter(|(info, _, _)| by_pip(info)).filter_map(|(_, name, version)| {
        let name = Package::new(Installer::Pip, name).name;
        (!INSTALLERS.contains(&name.as_str())).then(|| format!("{name}=={version}"))
    });
    let packages: BTreeSet<String> = packages.collect();
    packages.iter().map(|text| Package::new(Installer::Pip, text)).collect()
}

/// The directory of each package with the mark, its name and its version.
fn marked(changes: &[Change]) -> impl Iterator<Item = (&str, &str, &str)> {
    changes.iter().filter(|change| change.is_new()).filter_map(|change| {
        let info = change.path.strip_suffix(MARK).filter(|info| info.ends_with(INFO))?;
        let installed = ["/site-packages/", "/dist-packages/"].iter().any(|part| info.contains(part));
        let (name, version) =
            info.strip_suffix(INFO)?.rsplit('/').next().filter(|_| installed)?.rsplit_once('-')?;
        Some((info, name, version))
    })
}
