//! Where a project lies: `~/workspace/<project>`. It must never look whether anything is there.

use std::path::{Path, PathBuf};

use ds01_api::names::Project;

use crate::commands::home;
use crate::failure::Failure;

/// A project's directory, and the one that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// `~/workspace`.
    pub(crate) above: PathBuf,
    /// `~/workspace/<project>`.
    pub(crate) directory: PathBuf,
}

impl Place {
    /// The place of a project.
    pub(crate) fn of(project: &Project) -> Result<Self, Failure> {
        let above = workspace()?;
        Ok(Self { directory: above.join(project.as_str()), above })
    }
}

/// `~/workspace`.
pub(crate) fn workspace() -> Result<PathBuf, Failure> {
    Ok(home()?.join("workspace"))
}

/// The project in whose directory `here` is, if it is in one.
pub(crate) fn of_directory(here: &Path, workspace: &Path) -> Option<Project> {
    let first = here.strip_prefix(workspace).ok()?.components().next()?;
    Project::new(first.as_os_str().to_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_below_a_project_is_in_it() {
        let of = |here: &str| {
            of_directory(Path::new(here), Path::new("/home/a/workspace")).map(|p| p.as_str().to_owned())
        };
        assert_eq!(of("/home/a/workspace/thesis/src"), Some("thesis".to_owned()));
        assert_eq!(of("/home/a/workspace/thesis"), Some("thesis".to_owned()));
        for elsewhere in
            ["/home/a/workspace", "/home/a", "/home/a/workspace/No Project", "/home/a/workspaces/x"]
        {
            assert_eq!(of(elsewhere), None, "{elsewhere}");
        }
    }
}
