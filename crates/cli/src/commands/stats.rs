//! `container stats`: what containers use, once or again and again.

use std::collections::HashMap;

use ds01_api::{Container, ContainerList, Exit, GpuStats, UnitStats, paths};
use tokio::task::JoinSet;

use crate::args::StatsArgs;
use crate::client::{ClientError, Door, Usage};
use crate::failure::Failure;
use crate::render::{self, ContainerStats, Stats};
use crate::ui::Ui;
use crate::watch::watch;

/// How many containers are asked about at the same time; the door takes 256 connections of one user.
const AT_ONCE_MAX: usize = 64;

pub(super) async fn perform(door: &Door, args: &StatsArgs, ui: Ui) -> Result<u8, Failure> {
    if let Some(seconds) = args.watching.watch {
        return watch(seconds, ui, async |columns| {
            let (stats, failures) = look(door, args).await?;
            let told = failures.iter().map(|failure| format!("{}\n", failure.error.message));
            Ok(render::stats(&stats, columns) + &told.collect::<String>())
        })
        .await;
    }
    let (stats, failures) = look(door, args).await?;
    if args.names.is_empty() || !stats.containers.is_empty() || ui.json {
        ui.answer(&stats, |stats| render::stats(stats, ui.columns()));
    }
    failures.iter().for_each(|failure| ui.failure(failure));
    Ok(failures.first().map_or(0, |failure| failure.exit))
}

/// What was seen, and what was asked for and cannot be seen.
async fn look(door: &Door, args: &StatsArgs) -> Result<(Stats, Vec<Failure>), Failure> {
    let (wanted, mut failures) = wanted(door, &args.names).await?;
    let gpus = async {
        match args.gpu {
            true => door.get::<GpuStats>(paths::STATS).await.map(Some),
            false => Ok(None),
        }
    };
    let (used, gpus) = tokio::join!(usages(door, &wanted), gpus);
    let gpus = gpus?;
    let gpu_age_seconds = gpus.as_ref().and_then(|gpus| gpus.age_seconds);
    let mut units: Option<HashMap<String, Vec<UnitStats>>> =
        gpus.map(|gpus| gpus.containers.into_iter().map(|one| (one.id, one.units)).collect());
    let mut containers = Vec::new();
    for (container, used) in wanted.into_iter().zip(used) {
        match used {
            Some(Ok(usage)) => containers.push(ContainerStats {
                gpus: units.as_mut().map(|units| units.remove(&container.id).unwrap_or_default()),
                id: container.id,
                name: container.name,
                project: container.project,
                owner: container.owner,
                mine: container.mine,
                usage,
            }),
            // It ended while it was asked about: whoever named it is told.
            Some(Err(error)) if error.is_not_found() && args.names.is_empty() => {}
            Some(Err(error)) => failures.push(error.into()),
            None => {}
        }
    }
    Ok((Stats { containers, with_gpus: args.gpu, gpu_age_seconds }, failures))
}

/// The containers that are meant and run.
async fn wanted(door: &Door, names: &[String]) -> Result<(Vec<Container>, Vec<Failure>), Failure> {
    let (mut running, mut failures) = (Vec::new(), Vec::new());
    if names.is_empty() {
        let list: ContainerList = door.get(paths::CONTAINERS).await?;
        running.extend(list.containers.into_iter().filter(|container| container.state.is_alive()));
    }
    for name in names {
        match door.container(name).await {
            Ok(container) if container.state.is_alive() => running.push(container),
            Ok(container) => {
                let name = container.short_name();
                let failure =
                    Failure::new(Exit::Failed, "container.not-running", format!("{name} is not running"));
                failures.push(failure.with_hint(format!("ds01 why {name} tells why")));
            }
            // Without a door there is nothing to say of the others either.
            Err(error @ ClientError::Connect { .. }) => return Err(error.into()),
            Err(error) => failures.push(error.into()),
        }
    }
    Ok((running, failures))
}

/// What each uses, in the same order.
async fn usages(door: &Door, containers: &[Container]) -> Vec<Option<Result<Usage, ClientError>>> {
    let mut found: Vec<_> = containers.iter().map(|_| None).collect();
    let mut asked = JoinSet::new();
    let mut next = containers.iter().enumerate();
    loop {
        while asked.len() < AT_ONCE_MAX
            && let Some((at, container)) = next.next()
        {
            let (door, container) = (door.clone(), container.clone());
            asked.spawn(async move { (at, door.usage(&container).await) });
        }
        match asked.join_next().await {
            Some(Ok((at, usage))) => found[at] = Some(usage),
            Some(Err(_)) => {}
            None => return found,
        }
    }
}
