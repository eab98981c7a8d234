//! Where a project's Dockerfile is, and the directory that it copies from. It must never write one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ds01_api::Exit;
use ds01_api::names::Project;

use crate::failure::Failure;

/// The largest Dockerfile that is read: the door takes no larger one.
const BYTES_MAX: u64 = 1024 * 1024;

/// A project's Dockerfile.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The project's workspace, from which `COPY` takes; it need not be there.
    pub(crate) directory: PathBuf,
    /// What stands in it.
    pub(crate) text: String,
}

/// The Dockerfile of a project: in its workspace, else among `~/dockerfiles`.
pub(crate) fn find(project: &Project) -> Result<Option<Recipe>, Failure> {
    for path in [workspace(project)?.join("Dockerfile"), own_path(project)?] {
        if let Some(text) = read(&path)? {
            return Ok(Some(Recipe { path, directory: workspace(project)?, text }));
        }
    }
    Ok(None)
}

/// Where `image create` writes a project's Dockerfile.
pub(crate) fn own_path(project: &Project) -> Result<PathBuf, Failure> {
    Ok(home()?.join("dockerfiles").join(format!("{project}.Dockerfile")))
}

/// A project's directory on the host.
pub(crate) fn workspace(project: &Project) -> Result<PathBuf, Failure> {
    Ok(home()?.join("workspace").join(project.as_str()))
}

/// A path as people write it: `~/dockerfiles/thesis.Dockerfile`.
pub(crate) fn spoken(path: &Path) -> String {
    let below_home = home().ok().and_then(|home| path.strip_prefix(home).ok().map(Path::to_owned));
    below_home.map_or_else(|| path.display().to_string(), |below| format!("~/{}", below.display()))
}

/// The caller's home directory.
pub(crate) fn home() -> Result<PathBuf, Failure> {
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    home.ok_or_else(|| Failure::usage("there is no home directory to look in").with_hint("set HOME"))
}

fn read(path: &Path) -> Result<Option<String>, Failure> {
    let failed = |why: String| {
        Failure::new(Exit::Failed, "dockerfile.unreadable", format!("{} cannot be read: {why}", spoken(path)))
    };
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > BYTES_MAX => {
            return Err(failed(format!("it is larger than {} KiB", BYTES_MAX >> 10)));
        }
        Ok(metadata) if !metadata.is_file() => return Err(failed("it is no file".to_owned())),
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error.to_string())),
    }
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    String::from_utf8(bytes).map(Some).map_err(|_| failed("it is not UTF-8 text".to_owned()))
}
