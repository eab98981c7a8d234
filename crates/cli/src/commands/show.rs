//! Commands that ask one question and show the answer: `gpu-status`, `check-limits`, `ds01 whoami|queue|why`.

use std::time::Duration;

use ds01_api::{GpuRelease, Keep, Kept, Limits, Machine, Queue, WhoAmI, Why, paths};

use crate::args::GpuStatusArgs;
use crate::client::Door;
use crate::failure::Failure;
use crate::render;
use crate::ui::Ui;
use crate::watch::watch;

pub(super) async fn gpu_status(door: &Door, args: &GpuStatusArgs, ui: Ui) -> Result<u8, Failure> {
    if let Some(seconds) = args.watching.watch {
        return watch(seconds, ui, async |columns| {
            let machine: Machine = door.get(paths::MACHINE).await?;
            Ok(match columns {
                Some(columns) => ui.in_its_characters(render::machine_drawn(&machine, columns)),
                None => render::machine(&machine, None),
            })
        })
        .await;
    }
    let machine: Machine = door.get(paths::MACHINE).await?;
    ui.answer(&machine, |machine| {
        ui.picture(
            |columns| render::machine_drawn(machine, columns),
            |columns| render::machine(machine, columns),
        )
    });
    Ok(0)
}

pub(super) async fn gpu_release(door: &Door, time: Duration, ui: Ui) -> Result<u8, Failure> {
    let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    let released: GpuRelease = door.post(paths::GPU_RELEASE, &GpuRelease { seconds }).await?;
    ui.answer(&released, render::gpu_release);
    Ok(0)
}

pub(super) async fn check_limits(door: &Door, ui: Ui) -> Result<u8, Failure> {
    let limits: Limits = door.get(paths::LIMITS).await?;
    ui.answer(&limits, |limits| {
        ui.picture(|columns| render::limits_drawn(limits, columns), |columns| render::limits(limits, columns))
    });
    Ok(0)
}

pub(super) async fn whoami(door: &Door, ui: Ui) -> Result<u8, Failure> {
    let who: WhoAmI = door.get(paths::WHOAMI).await?;
    ui.answer(&who, render::whoami);
    Ok(0)
}

pub(super) async fn queue(door: &Door, ui: Ui) -> Result<u8, Failure> {
    let queue: Queue = door.get(paths::QUEUE).await?;
    ui.answer(&queue, |queue| render::queue(queue, ui.columns()));
    Ok(0)
}

pub(super) async fn why(door: &Door, name: &str, ui: Ui) -> Result<u8, Failure> {
    let why: Why = door.get(&paths::with_name(paths::WHY, name)).await?;
    ui.answer(&why, render::why);
    Ok(0)
}

pub(super) async fn keep(door: &Door, name: &str, time: Duration, ui: Ui) -> Result<u8, Failure> {
    let kept: Kept =
        door.post(&paths::with_name(paths::KEEP, name), &Keep { seconds: time.as_secs() }).await?;
    ui.answer(&kept, |kept| render::kept(name, kept));
    Ok(0)
}
