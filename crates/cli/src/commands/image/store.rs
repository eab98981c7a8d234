//! Dockerfiles and what they copy, written: whole or not at all.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use ds01_api::Exit;
use ds01_api::names::Project;

use super::recipe;
use crate::failure::Failure;

/// Writes a Dockerfile. Whoever looks sees the old one or the new one, and a link stays one.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(
            Exit::Failed,
            "dockerfile.unwritable",
            format!("{} cannot be written: {error}", recipe::spoken(path)),
        )
    };
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let directory = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(directory).map_err(failed)?;
    let beside = directory.join(format!(".{}.{}", name_of(&path), std::process::id()));
    let written = std::fs::File::create(&beside).and_then(|mut file| {
        if let Ok(metadata) = std::fs::metadata(&path) {
            file.set_permissions(metadata.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)
    });
    written.inspect_err(|_| drop(std::fs::remove_file(&beside))).map_err(failed)
}

/// Keeps what stands at `path` under another name; returns that.
pub(super) fn set_aside(path: &Path) -> Result<PathBuf, Failure> {
    let aside = path.with_file_name(format!("{}.old", name_of(path)));
    std::fs::copy(path, &aside).map(|_| aside).map_err(|error| {
        let message = format!("{} cannot be kept beside the new one: {error}", recipe::spoken(path));
        Failure::new(Exit::Failed, "dockerfile.unwritable", message)
    })
}

/// A file with packages that a build is to install: where it is, and by which name below the workspace it is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Requirements {
    /// Below the workspace.
    pub(super) name: String,
    /// Where it must be copied from first.
    from: Option<PathBuf>,
}

impl Requirements {
    /// Looks at the file that was named. One that is not in the workspace is to be copied there, if none of its name is.
    pub(super) fn of(project: &Project, file: &Path) -> Result<Self, Failure> {
        let told = file.display();
        let missing = |error: std::io::Error| Failure::usage(format!("{told} cannot be read: {error}"));
        let content = std::fs::read(file).map_err(missing)?;
        let path = file.canonicalize().map_err(missing)?;
        let workspace = recipe::workspace(project)?;
        let below =
            workspace.canonicalize().ok().and_then(|at| path.strip_prefix(at).ok().map(Path::to_owned));
        let name = below.as_deref().unwrap_or(Path::new(path.file_name().unwrap_or_default()));
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        let name = name.to_str().filter(|name| name.chars().all(plain));
        let name =
            name.ok_or_else(|| Failure::usage(format!("{told}: call it requirements.txt")))?.to_owned();
        if below.is_some() {
            return Ok(Self { name, from: None });
        }
        match std::fs::read(workspace.join(&name)) {
            Ok(there) if there == content => Ok(Self { name, from: None }),
            Ok(_) => Err(Failure::usage(format!(
                "{told} is not in the workspace, and another {name} is: {}",
                recipe::spoken(&workspace.join(&name))
            ))
            .with_hint(format!(
                "copy it there yourself, or take that one: -r {}",
                recipe::spoken(&workspace.join(&name))
            ))),
            Err(_) => Ok(Self { name, from: Some(path) }),
        }
    }

    /// Copies it to the workspace, if it is elsewhere.
    pub(super) fn bring(&self, project: &Project) -> Result<(), Failure> {
        let Some(from) = &self.from else { return Ok(()) };
        let to = recipe::workspace(project)?.join(&self.name);
        let copied =
            std::fs::create_dir_all(recipe::workspace(project)?).and_then(|()| std::fs::copy(from, &to));
        copied.map(drop).map_err(|error| {
            let message = format!("{} cannot be copied to {}: {error}", from.display(), recipe::spoken(&to));
            Failure::new(Exit::Failed, "dockerfile.unwritable", message)
        })
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
