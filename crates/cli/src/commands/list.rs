//! `container list`: what the caller has, once or again and again.

use ds01_api::{ContainerList, paths};

use crate::args::ListArgs;
use crate::client::Door;
use crate::failure::Failure;
use crate::render;
use crate::ui::Ui;
use crate::watch::watch;

pub(super) async fn perform(door: &Door, args: &ListArgs, ui: Ui) -> Result<u8, Failure> {
    if let Some(seconds) = args.watching.watch {
        return watch(seconds, ui, async |columns| Ok(text(&list(door, args).await?, args, columns))).await;
    }
    let list = list(door, args).await?;
    ui.answer(&list, |list| text(list, args, ui.columns()));
    Ok(0)
}

async fn list(door: &Door, args: &ListArgs) -> Result<ContainerList, Failure> {
    let stopped = args.all || args.filter.iter().any(render::Filter::is_for_stopped);
    let all = if stopped { "?all=1" } else { "" };
    let mut list: ContainerList = door.get(&format!("{}{all}", paths::CONTAINERS)).await?;
    if !args.filter.is_empty() {
        list.containers.retain(|container| render::fits_all(&args.filter, container));
        // Nobody has looked whether those would fit.
        list.hidden = 0;
    }
    Ok(list)
}

fn text(list: &ContainerList, args: &ListArgs, columns: Option<u16>) -> String {
    if args.quiet {
        let ids = list.containers.iter().map(|container| render::id(container, args.no_trunc));
        return ids.map(|id| format!("{id}\n")).collect();
    }
    if let Some(template) = &args.format {
        return template.write(&list.containers, args.no_trunc);
    }
    if args.detailed {
        return render::detailed(list, args.no_trunc);
    }
    render::list(list, columns.filter(|_| !args.no_trunc))
}
