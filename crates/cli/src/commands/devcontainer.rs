//! `devcontainer init`, `check` and `prepare`: the files found, read and written. What is to be said of it, `devcontainer` says.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ds01_api::names::Project;
use ds01_api::{ExemptionList, Exit, FrameworkList, WhoAmI, codes, paths};
use jiff::tz::TimeZone;
use serde::Serialize;

use super::image;
use crate::args::{DevContainerCheckArgs, DevContainerCommand, DevContainerInitArgs};
use crate::client::Door;
use crate::devcontainer::{self, Compose, Effect, Finding, Reader, Wanted};
use crate::failure::Failure;
use crate::project::{Place, of_directory, workspace};
use crate::render;
use crate::ui::Ui;

/// The code for a file that is there already.
const EXISTS: &str = "devcontainer.exists";
/// The code for a directory without one.
const NOT_FOUND: &str = "devcontainer.not-found";
/// The code for a file that cannot be read.
const UNREADABLE: &str = "devcontainer.unreadable";
/// The largest file that is read: people write them by hand.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// The framework whose image is taken where a project has none.
const FRAMEWORK: &str = "pytorch";

pub(super) async fn perform(door: &Door, command: &DevContainerCommand, ui: Ui) -> Result<u8, Failure> {
    match command {
        DevContainerCommand::Init(args) => init(door, args, ui).await,
        DevContainerCommand::Check(args) => check(door, args, ui).await,
        DevContainerCommand::Prepare => prepare(ui),
    }
}

/// The directory that is meant, and the project that it is, if it is one.
fn directory(project: Option<&str>) -> Result<(PathBuf, Option<Project>), Failure> {
    if let Some(project) = project {
        let project = image::project(project)?;
        let place = Place::of(&project)?;
        if !place.directory.is_dir() {
            let message = format!("there is no project {project}");
            return Err(Failure::new(Exit::NotFound, "project.not-found", message)
                .with_hint(format!("project init {project} makes one; project list shows yours")));
        }
        return Ok((place.directory, Some(project)));
    }
    let here = std::env::current_dir().map_err(|error| failed(Path::new("."), &error))?;
    let above = workspace()?;
    let project = of_directory(&here, &above);
    let root = project.as_ref().map_or(here, |project| above.join(project.as_str()));
    Ok((root, project))
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Written {
    /// The file.
    pub(crate) file: String,
    /// The image in it.
    pub(crate) image: String,
    /// Whether it takes a GPU for as long as it runs.
    pub(crate) gpu: bool,
    /// Whether `ds01 run` works inside.
    pub(crate) gpu_on_demand: bool,
}

async fn init(door: &Door, args: &DevContainerInitArgs, ui: Ui) -> Result<u8, Failure> {
    let (directory, project) = directory(args.project.as_deref())?;
    if let Some(there) =
        devcontainer::places(&directory).into_iter().find(|file| fs::symlink_metadata(file).is_ok())
    {
        let message = format!("{} is there already, and stays as it is", there.display());
        return Err(Failure::new(Exit::Failed, EXISTS, message)
            .with_hint("ds01 devcontainer check tells how it does here"));
    }
    let image = image(door, args.image.as_deref(), project.as_ref(), &directory).await?;
    let name = directory.file_name().map_or_else(|| "work".into(), |name| name.to_string_lossy());
    let text = devcontainer::generate(&Wanted {
        name: &name,
        image: &image,
        gpu: args.gpu,
        run: args.gpu_on_demand,
    });
    let file = directory.join(".devcontainer/devcontainer.json");
    let above = directory.join(".devcontainer");
    fs::create_dir_all(&above).map_err(|error| failed(&above, &error))?;
    write_new(&file, text.as_bytes()).map_err(|error| failed(&file, &error))?;
    let written =
        Written { file: file.display().to_string(), image, gpu: args.gpu, gpu_on_demand: args.gpu_on_demand };
    ui.answer(&written, render::devcontainer_written);
    Ok(0)
}

/// The image of a dev container: the project's own where that can be built, else a framework's.
async fn image(
    door: &Door,
    wanted: Option<&str>,
    project: Option<&Project>,
    directory: &Path,
) -> Result<String, Failure> {
    if let Some(image) = wanted {
        return Ok(image.to_owned());
    }
    let own = project.filter(|_| directory.join("Dockerfile").exists());
    if let Some(project) = own {
        let me: WhoAmI = door.get(paths::WHOAMI).await?;
        return Ok(ds01_api::names::image(project, &me.name));
    }
    let list: FrameworkList = door.get(paths::FRAMEWORKS).await?;
    let found = list.frameworks.into_iter().find(|framework| framework.name == FRAMEWORK);
    found.map(|framework| framework.image).ok_or_else(|| {
        Failure::usage("there is no Dockerfile here, and no image for PyTorch on this machine")
            .with_hint("name the image: --image IMAGE")
    })
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Checked {
    /// The file.
    pub(crate) file: String,
    /// What a container of it would run into.
    pub(crate) findings: Vec<Finding>,
    /// What was changed just now.
    pub(crate) fixed: Vec<Finding>,
}

async fn check(door: &Door, args: &DevContainerCheckArgs, ui: Ui) -> Result<u8, Failure> {
    let (file, directory) = match &args.file {
        Some(file) => (file.clone(), owner_of(file)),
        None => {
            let (directory, _) = directory(args.project.as_deref())?;
            let found = devcontainer::places(&directory).into_iter().find(|file| file.is_file());
            let file = found.ok_or_else(|| {
                let message = format!("there is no devcontainer.json in {}", directory.display());
                Failure::new(Exit::NotFound, NOT_FOUND, message)
                    .with_hint("ds01 devcontainer init writes one")
            })?;
            (file, directory)
        }
    };
    let exempt = exemption(door).await;
    let home = std::env::home_dir().unwrap_or_default();
    let (home, directory) = (home.to_string_lossy(), directory.to_string_lossy());
    let reader = Reader { home: &home, directory: &directory, exempt: exempt.as_deref() };
    let text = read(&file)?;
    let mut looked = look(&file, &text, args.fix, "it is JSON with comments", |text| {
        Ok((devcontainer::check(text, &reader)?, devcontainer::fix(text, &reader)?))
    })?;
    let composed = devcontainer::composed(&text).unwrap_or_default();
    for named in &composed.files {
        let path = named.replace("${localWorkspaceFolder}", &directory);
        let path = file.parent().unwrap_or(Path::new(".")).join(path);
        let path = fs::canonicalize(&path).map_err(|_| {
            let message = format!("{} names {named}, which cannot be found", file.display());
            Failure::new(Exit::NotFound, NOT_FOUND, message)
                .with_hint("it is looked for from that file's directory on")
        })?;
        let compose =
            Compose { name: named, own: composed.own.as_deref(), started: composed.started.as_deref() };
        let text = read(&path)?;
        let more = look(&path, &text, args.fix, "docker compose config tells more", |text| {
            let findings = devcontainer::check_compose(text, compose, &reader)?;
            Ok((findings, devcontainer::fix_compose(text, compose, &reader)?))
        })?;
        looked.0.extend(more.0);
        looked.1.extend(more.1);
    }
    let (findings, fixed) = looked;
    let refused = findings.iter().any(|finding| finding.effect == Effect::Refused);
    let checked = Checked { file: file.display().to_string(), findings, fixed };
    ui.answer(&checked, render::devcontainer_checked);
    Ok(u8::from(refused))
}

/// What is wrong with a file's text; and the text as it can be mended, with what was changed in it.
type Judged = Result<(Vec<Finding>, (String, Vec<Finding>)), String>;

/// What is wrong with a file, and what was changed in it just now.
fn look(
    file: &Path,
    text: &str,
    mends: bool,
    help: &str,
    judge: impl Fn(&str) -> Judged,
) -> Result<(Vec<Finding>, Vec<Finding>), Failure> {
    let judge = |text: &str| {
        judge(text).map_err(|why| {
            let message = format!("{} cannot be read: {}", file.display(), why.replace('\n', " "));
            Failure::new(Exit::Failed, UNREADABLE, message).with_hint(help)
        })
    };
    let (findings, (mended, changed)) = judge(text)?;
    if !mends || changed.is_empty() {
        return Ok((findings, Vec::new()));
    }
    replace(file, mended.as_bytes()).map_err(|error| failed(file, &error))?;
    Ok((judge(&mended)?.0, changed))
}

/// Until when and why the caller's containers are not stopped, if an administrator has said so of all of them. Where the door
/// does not answer, the rules alone are told.
async fn exemption(door: &Door) -> Option<String> {
    let me: WhoAmI = door.get(paths::WHOAMI).await.ok()?;
    let list: ExemptionList = door.get(paths::EXEMPTIONS).await.ok()?;
    let one = list.exemptions.into_iter().find(|one| one.user == me.name && one.container.is_none())?;
    Some(render::exempt_for(&one, &TimeZone::system()))
}

/// The directory that a devcontainer.json is for.
fn owner_of(file: &Path) -> PathBuf {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let inside =
        absolute.ancestors().find(|above| above.file_name().is_some_and(|name| name == ".devcontainer"));
    inside.and_then(Path::parent).or(absolute.parent()).unwrap_or(Path::new("/")).to_owned()
}

fn read(file: &Path) -> Result<String, Failure> {
    let size = fs::metadata(file).map_err(|error| failed(file, &error))?.len();
    if size > FILE_BYTES_MAX {
        let message = format!("{} has more than a mebibyte: that is no devcontainer.json", file.display());
        return Err(Failure::new(Exit::Failed, UNREADABLE, message));
    }
    fs::read_to_string(file).map_err(|error| failed(file, &error))
}

/// Copies this program to where the containers of `--gpu-on-demand` mount it from.
fn prepare(ui: Ui) -> Result<u8, Failure> {
    let home = workspace()?.parent().map(Path::to_owned).unwrap_or_default();
    let target = home.join(devcontainer::PROGRAM);
    let above = target.parent().unwrap_or(&home).to_owned();
    let own = std::env::current_exe().map_err(|error| failed(Path::new("ds01"), &error))?;
    fs::create_dir_all(&above).map_err(|error| failed(&above, &error))?;
    let program = fs::read(&own).map_err(|error| failed(&own, &error))?;
    if fs::read(&target).is_ok_and(|there| there == program) {
        return Ok(0);
    }
    replace(&target, &program).map_err(|error| failed(&target, &error))?;
    fs::set_permissions(&target, fs::Permissions::from_mode(0o755))
        .map_err(|error| failed(&target, &error))?;
    ui.note(&format!("{} is this ds01 now", target.display()));
    Ok(0)
}

fn write_new(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(file)?;
    opened.write_all(content)
}

/// Writes beside and renames: nobody ever finds half of it.
fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let file = &fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let beside = file.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = write_new(&beside, content).and_then(|()| {
        if let Ok(metadata) = fs::metadata(file) {
            fs::set_permissions(&beside, metadata.permissions())?;
        }
        fs::rename(&beside, file)
    });
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    let (exit, code) = match error.kind() {
        io::ErrorKind::NotFound => (Exit::NotFound, NOT_FOUND),
        io::ErrorKind::PermissionDenied => (Exit::NotPermitted, codes::NOT_PERMITTED),
        _ => (Exit::Failed, codes::INTERNAL),
    };
    Failure::new(exit, code, format!("{}: {error}", path.display()))
}
