//! `container deploy`: make it, start it, and tell what there is now.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ds01_api::{ContainerState, DataMount, DeployRequest, Deployed, RetireRequest, Retired, UnitRef, paths};
use serde::Serialize;

use super::image;
use super::settle::{Started, settle};
use super::spoken;
use crate::args::{DeployArgs, MakingArgs, Patience};
use crate::client::Door;
use crate::failure::Failure;
use crate::render;
use crate::shell;
use crate::ui::Ui;

pub(super) async fn perform(door: &Door, args: &DeployArgs, ui: Ui) -> Result<u8, Failure> {
    let request = request(&args.making)?;
    if request.dry_run {
        let deployed = make(door, &request, ui).await?;
        ui.answer(&deployed, |deployed| render::deployed(deployed, &[], false));
        return Ok(0);
    }
    let (deployed, started) = make_and_start(door, &request, &args.patience, ui).await?;
    if args.open {
        return enter(door, &deployed, &started, ui).await;
    }
    let report = Report { deployed, units: started.units };
    ui.answer(&report, |report| render::deployed(&report.deployed, &report.units, started.already));
    Ok(0)
}

/// What the flags ask for.
pub(super) fn request(args: &MakingArgs) -> Result<DeployRequest, Failure> {
    Ok(DeployRequest {
        project: project(&args.name)?,
        from_project: args.project.as_deref().map(project).transpose()?,
        image: args.image.clone(),
        framework: args.framework.clone(),
        gpus: args.gpu.gpus,
        gpu_memory_mib: args.gpu.gpu_memory,
        full_gpu: args.gpu.full_gpu,
        gpu_model: args.gpu.gpu_model.clone(),
        cpu_only: args.cpu_only,
        workspace: args.workspace.as_deref().map(absolute).transpose()?,
        data: data_mounts(&args.data)?,
        force: args.force,
        dry_run: args.dry_run,
    })
}

/// Has the container made, or found. A project without an image gets one that is chosen, or that a framework stands for.
pub(super) async fn make(door: &Door, request: &DeployRequest, ui: Ui) -> Result<Deployed, Failure> {
    let mut request = request.clone();
    let mut answer = door.post::<Deployed>(paths::DEPLOY, &request).await;
    if let Err(refusal) = &answer
        && let Some(with_image) = image::choose_image(door, &request, refusal, ui).await?
    {
        request = with_image;
        answer = door.post(paths::DEPLOY, &request).await;
    }
    if let Err(refusal) = &answer
        && image::fetch_framework(door, &request, refusal, ui).await?
    {
        answer = door.post(paths::DEPLOY, &request).await;
    }
    let deployed = answer?;
    for warning in &deployed.warnings {
        ui.warn(warning);
    }
    Ok(deployed)
}

/// Deploys a project with nothing but defaults and opens a shell in it.
pub(super) async fn open(door: &Door, name: &str, patience: &Patience, ui: Ui) -> Result<u8, Failure> {
    let request = DeployRequest { project: project(name)?, ..DeployRequest::default() };
    let (deployed, started) = make_and_start(door, &request, patience, ui).await?;
    enter(door, &deployed, &started, ui).await
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    deployed: Deployed,
    units: Vec<UnitRef>,
}

async fn make_and_start(
    door: &Door,
    request: &DeployRequest,
    patience: &Patience,
    ui: Ui,
) -> Result<(Deployed, Started), Failure> {
    let mut deployed = make(door, request, ui).await?;
    match settle(door, &deployed.id, &deployed.project, patience.duration(), ui).await {
        Ok(started) => {
            deployed.state = ContainerState::Running;
            Ok((deployed, started))
        }
        Err(failure) => {
            // A deploy that was refused leaves no half of itself behind. One whose outcome nobody knows may run.
            let refused = ["gpu.", "containers."].iter().any(|kind| failure.error.code.starts_with(kind));
            if refused && !deployed.reused {
                let leftover = RetireRequest { name: deployed.id, force: true, ..RetireRequest::default() };
                let _: Result<Retired, _> = door.post(paths::RETIRE, &leftover).await;
            }
            Err(failure)
        }
    }
}

async fn enter(door: &Door, deployed: &Deployed, started: &Started, ui: Ui) -> Result<u8, Failure> {
    let gpu = match started.units.as_slice() {
        [] => String::new(),
        units => format!(" · GPU {}", units.iter().map(render::unit).collect::<Vec<_>>().join(", ")),
    };
    let workspace = spoken(Path::new(&deployed.workspace));
    ui.note(&format!("{}{gpu} · {workspace} → /workspace · exit leaves", deployed.project));
    let container = door.container(&deployed.id).await?;
    shell::enter(door, &container, ui).await
}

fn project(name: &str) -> Result<String, Failure> {
    image::project(name).map(|project| project.as_str().to_owned())
}

/// A path as the daemon can use it: absolute, and with a `~` that the shell left alone (`--workspace=~/x`) filled in.
fn absolute(path: &Path) -> Result<String, Failure> {
    let path = match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(below), Some(home)) => home.join(below),
        _ => path.to_owned(),
    };
    let absolute =
        std::path::absolute(&path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    let text = absolute.to_str().map(str::to_owned);
    text.ok_or_else(|| Failure::usage(format!("{} is not UTF-8, and Docker needs that", path.display())))
}

/// One directory is `/data`; several lie below it under their own names.
pub(super) fn data_mounts(sources: &[PathBuf]) -> Result<Vec<DataMount>, Failure> {
    if let [one] = sources {
        return Ok(vec![DataMount { source: absolute(one)?, target: "/data".to_owned() }]);
    }
    let mut targets = BTreeSet::new();
    sources
        .iter()
        .map(|path| {
            let source = absolute(path)?;
            let name = Path::new(&source).file_name().and_then(|name| name.to_str());
            let name = name.ok_or_else(|| {
                Failure::usage(format!("--data {source}: it has no name to go by in /data"))
            })?;
            let target = format!("/data/{name}");
            if !targets.insert(target.clone()) {
                return Err(Failure::usage(format!(
                    "two --data directories are called {name}, and both cannot be {target}"
                ))
                .with_hint("mount the directory that holds them"));
            }
            Ok(DataMount { source, target })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_lies_below_data() {
        let mounts = |paths: &[&str]| {
            let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
            data_mounts(&paths).map(|mounts| mounts.into_iter().map(|mount| mount.target).collect::<Vec<_>>())
        };
        assert_eq!(mounts(&[]).unwrap(), Vec::<String>::new());
        assert_eq!(mounts(&["/srv/imagenet"]).unwrap(), ["/data"]);
        assert_eq!(mounts(&["/srv/imagenet/", "relative/coco"]).unwrap(), ["/data/imagenet", "/data/coco"]);
        assert_eq!(mounts(&["/a/x", "/b/x"]).unwrap_err().exit, 2);
        assert_eq!(mounts(&["/a/x", "/"]).unwrap_err().exit, 2);
    }

    #[test]
    fn a_bad_name_comes_with_a_good_one() {
        let failure = project("My Thesis").unwrap_err();
        assert_eq!((failure.exit, failure.error.hint.as_deref()), (2, Some("call it my-thesis")));
        assert!(project("!").unwrap_err().error.hint.unwrap().contains("my-project"));
    }
}
